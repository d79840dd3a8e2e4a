/** What a program may import from nodefilter, read from the sources by TypeScript itself. */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import ts from 'typescript'
import { codeBlock, commentText } from './doc-comment.ts'

/** One exported name. */
export interface ApiItem {
  readonly name: string
  readonly kind: 'function' | 'class' | 'value' | 'type'
  /** Where it is declared, from the repository's root, and at which octet. */
  readonly file: string
  readonly position: number
  /** Entry points that export it, as they are written in an import. */
  readonly entries: readonly string[]
  /** Its doc comment, `null` where it has none. */
  readonly text: string | null
  /** Its declaration, without bodies, in a fenced block; types that it names and that nobody exports come after it. */
  readonly code: string
  /** Exported names that its declaration mentions. */
  readonly mentions: readonly string[]
}

export interface Api {
  readonly items: readonly ApiItem[]
  /** The comment at the head of a source file, `null` where it has none. */
  fileText(file: string): string | null
}

/** Reads the entry points that package.json names. */
export function readApi(root: string): Api {
  const entries = entryPoints(root)
  const program = ts.createProgram(
    [...entries.values()].map((file) => join(root, file)),
    compilerOptions(root),
  )
  const checker = program.getTypeChecker()
  const found = new Map<ts.Symbol, { name: string; entries: string[] }>()
  for (const [entry, file] of entries) {
    const source = program.getSourceFile(join(root, file))
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source)
    if (module === undefined) throw new Error(`${file} is no module`)
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = resolved(checker, exported)
      const known = found.get(symbol)
      if (known === undefined) found.set(symbol, { name: exported.name, entries: [entry] })
      else known.entries.push(entry)
    }
  }
  const names = new Map([...found].map(([symbol, { name }]) => [symbol, name]))
  const items = [...found].map(([symbol, { name, entries }]): ApiItem => {
    const [declaration] = symbol.declarations ?? []
    if (declaration === undefined) throw new Error(`${name} is declared nowhere`)
    const file = relative(root, declaration.getSourceFile().fileName).replaceAll('\\', '/')
    const mentioned = mentionedSymbols(checker, symbol)
    return {
      ...{ name, entries, file, position: declaration.pos, kind: kindOf(checker, symbol, declaration) },
      text: textOf(checker, declaration),
      code: codeBlock(
        underExportedNames(
          [...declarationsOf(checker, symbol), ...hidden(checker, mentioned, names)].join('\n\n'),
          [symbol, ...mentioned],
          names,
        ),
      ),
      mentions: [...mentioned].flatMap((other) => (other === symbol ? [] : (names.get(other) ?? []))).sort(),
    }
  })
  return {
    items,
    fileText: (file) => {
      const source = program.getSourceFile(join(root, file))
      const match = source === undefined ? null : /^\/\*\*.*?\*\//s.exec(source.text)
      return match === null ? null : commentText(match[0])
    },
  }
}

/** Import specifier -> source file. */
function entryPoints(root: string): Map<string, string> {
  const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    name: string
    exports: Record<string, string | { readonly default: string }>
  }
  return new Map(
    Object.entries(exports).flatMap(([path, target]) =>
      typeof target === 'string'
        ? []
        : [[path.replace('.', name), target.default.replace('./dist/', '').replace(/\.js$/, '.ts')] as const],
    ),
  )
}

function compilerOptions(root: string): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')) as {
    config: { readonly compilerOptions: unknown }
  }
  return ts.convertCompilerOptionsFromJson(config.compilerOptions, root).options
}

function resolved(checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol {
  return (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)
}

function kindOf(checker: ts.TypeChecker, symbol: ts.Symbol, declaration: ts.Declaration): ApiItem['kind'] {
  if (ts.isClassDeclaration(declaration)) return 'class'
  if (ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration)) return 'type'
  return checker.getTypeOfSymbol(symbol).getCallSignatures().length > 0 ? 'function' : 'value'
}

/** The comment of the declaration; of a function that borrows its type from an interface, the comment there. */
function textOf(checker: ts.TypeChecker, declaration: ts.Declaration): string | null {
  return ownText(borrowed(checker, declaration) ?? declaration) ?? ownText(declaration)
}

function ownText(node: ts.Node): string | null {
  const source = node.getSourceFile().text
  // A comment of a `const` stands before the statement.
  const statement = ts.isVariableDeclaration(node) ? node.parent.parent : node
  const range = ts.getLeadingCommentRanges(source, statement.pos)?.at(-1)
  const comment = range === undefined ? '' : source.slice(range.pos, range.end)
  return comment.startsWith('/**') ? commentText(comment) : null
}

/** The method that `export const me: CourierConfig['me'] = ...` takes its type from. */
function borrowed(checker: ts.TypeChecker, declaration: ts.Declaration): ts.SignatureDeclaration | null {
  if (!ts.isVariableDeclaration(declaration) || declaration.type === undefined) return null
  const [signature] = checker.getTypeAtLocation(declaration).getCallSignatures()
  const method = signature?.getDeclaration()
  return method !== undefined && ts.isMethodSignature(method) ? method : null
}

/** The declarations as a reader of types would see them. */
function declarationsOf(checker: ts.TypeChecker, symbol: ts.Symbol): string[] {
  const declarations = symbol.declarations ?? []
  // Where a function has overloads, the implementation's own signature cannot be called.
  const overloads = declarations.filter((node) => ts.isFunctionDeclaration(node) && node.body === undefined)
  return (overloads.length > 0 ? overloads : declarations).map((node) => {
    const method = borrowed(checker, node)
    if (method !== null) return `function ${method.getText()}`
    if (ts.isFunctionDeclaration(node)) return `function ${signatureText(checker, node)}`
    if (ts.isClassDeclaration(node)) return classText(checker, node)
    if (isTableOfTypes(node)) return expanded(checker, node)
    if (!ts.isVariableDeclaration(node)) return withoutExport(node.getText())
    const { initializer } = node
    return initializer !== undefined && ts.isArrowFunction(initializer)
      ? `function ${node.name.getText()}${signatureText(checker, initializer)}`
      : `const ${node.getText()}`
  })
}

/** `Settings['quarantine']`: where it leads says more than the way. */
function isTableOfTypes(node: ts.Node): node is ts.TypeAliasDeclaration {
  return ts.isTypeAliasDeclaration(node) && ts.isIndexedAccessTypeNode(node.type)
}

function expanded(checker: ts.TypeChecker, node: ts.TypeAliasDeclaration): string {
  const properties = checker.getTypeAtLocation(node).getProperties()
  const lines = properties.map((property) => {
    const flags: ts.TypeFormatFlags = ts.TypeFormatFlags.InTypeAlias | ts.TypeFormatFlags.NoTruncation
    const type = checker.typeToString(checker.getTypeOfSymbolAtLocation(property, node), node, flags)
    return `  readonly ${property.name}: ${type}\n`
  })
  return `type ${node.name.text} = {\n${lines.join('')}}`
}

function withoutExport(text: string): string {
  return text.replace(/^export (?:declare )?/, '')
}

/** From its name to its result, with the result's type where it is not written. */
function signatureText(checker: ts.TypeChecker, node: ts.FunctionLikeDeclaration): string {
  const source = node.getSourceFile().text
  const begin = (node.name ?? node.typeParameters?.[0] ?? node).getStart()
  const open = source.lastIndexOf('(', node.parameters[0]?.getStart() ?? node.body?.pos ?? node.end)
  const last = node.type ?? node.parameters.at(-1)
  const end = node.type !== undefined ? node.type.end : source.indexOf(')', last?.end ?? open) + 1
  let head = source.slice(ts.isArrowFunction(node) ? open : begin, end)
  for (const parameter of node.parameters) {
    // The name of a constant that nobody can see says nothing.
    if (parameter.initializer === undefined || !ts.isIdentifier(parameter.initializer)) continue
    const type = checker.typeToString(checker.getTypeAtLocation(parameter), parameter)
    head = head.replace(parameter.getText(), `${parameter.name.getText()}?: ${parameter.type?.getText() ?? type}`)
  }
  if (node.type !== undefined || ts.isConstructorDeclaration(node)) return head
  const signature = checker.getSignatureFromDeclaration(node)
  return signature === undefined ? head : `${head}: ${checker.typeToString(signature.getReturnType(), node)}`
}

/** Its public members, each with its comment. */
function classText(checker: ts.TypeChecker, node: ts.ClassDeclaration): string {
  const lines = node.members.filter(isPublic).map((member) => {
    const comment = commentBefore(member)
    if (ts.isConstructorDeclaration(member) || ts.isMethodDeclaration(member)) {
      const isStatic = (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static) !== 0
      const name = ts.isConstructorDeclaration(member) ? 'constructor' : ''
      const text = signatureText(checker, member)
      return `${comment}  ${isStatic ? 'static ' : ''}${name === '' || text.startsWith(name) ? text : name + text}`
    }
    return `${comment}  ${withoutBody(member)}`
  })
  const heritage = node.heritageClauses?.map((clause) => ` ${clause.getText()}`).join('') ?? ''
  const head = `class ${node.name?.text ?? ''}${heritage}`
  return lines.length === 0 ? `${head} {}` : `${head} {\n${lines.join('\n')}\n}`
}

function isPublic(member: ts.ClassElement): boolean {
  const isPrivate = (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) !== 0
  return !isPrivate && !(member.name !== undefined && ts.isPrivateIdentifier(member.name))
}

/** A property without its value, an accessor without what it does. */
function withoutBody(member: ts.ClassElement): string {
  const text = member.getText().replace(/^override /, '')
  if (!ts.isAccessor(member) || member.body === undefined) return text
  return text.slice(0, member.body.getStart() - member.getStart()).trimEnd()
}

function commentBefore(member: ts.Node): string {
  const source = member.getSourceFile().text
  const range = ts.getLeadingCommentRanges(source, member.pos)?.at(-1)
  return range === undefined ? '' : `  ${source.slice(range.pos, range.end)}\n`
}

/** A name may be exported under another one than it has in its file. */
function underExportedNames(
  code: string,
  symbols: readonly ts.Symbol[],
  names: ReadonlyMap<ts.Symbol, string>,
): string {
  let told = code
  for (const symbol of symbols) {
    const name = names.get(symbol) ?? symbol.name
    if (name !== symbol.name) told = told.replaceAll(new RegExp(`\\b${symbol.name}\\b`, 'g'), name)
  }
  return told
}

/** Every symbol that the types of these declarations name. */
function mentionedSymbols(checker: ts.TypeChecker, symbol: ts.Symbol): Set<ts.Symbol> {
  const mentioned = new Set<ts.Symbol>()
  const look = (node: ts.Node): void => {
    if (ts.isBlock(node) || isTableOfTypes(node) || (ts.isClassElement(node) && !isPublic(node))) return
    if (ts.isIdentifier(node) && isInType(node)) {
      const named = checker.getSymbolAtLocation(node)
      if (named !== undefined) mentioned.add(resolved(checker, named))
    }
    ts.forEachChild(node, look)
  }
  for (const declaration of symbol.declarations ?? []) {
    // The value of a constant may name anything; its type, where it has one, is what counts.
    const method = borrowed(checker, declaration)
    if (method !== null) look(method)
    else if (!ts.isVariableDeclaration(declaration)) look(declaration)
    else if (declaration.type !== undefined) look(declaration.type)
    else if (declaration.initializer !== undefined && ts.isArrowFunction(declaration.initializer)) {
      for (const parameter of declaration.initializer.parameters) look(parameter)
      if (declaration.initializer.type !== undefined) look(declaration.initializer.type)
    }
  }
  return mentioned
}

function isInType(node: ts.Identifier): boolean {
  const { parent } = node
  return ts.isTypeReferenceNode(parent) || ts.isExpressionWithTypeArguments(parent) || ts.isTypeQueryNode(parent)
}

/** Types (and constants that are types) which a reader needs and cannot import, with the ones that these name in turn. */
function hidden(
  checker: ts.TypeChecker,
  mentioned: ReadonlySet<ts.Symbol>,
  exported: ReadonlyMap<ts.Symbol, string>,
): string[] {
  const seen = new Set<ts.Symbol>()
  const texts: string[] = []
  const open = [...mentioned]
  for (let symbol = open.shift(); symbol !== undefined; symbol = open.shift()) {
    const [node] = symbol.declarations ?? []
    if (seen.has(symbol) || exported.has(symbol) || node === undefined) continue
    seen.add(symbol)
    // `keyof typeof reasons` says nothing without the reasons.
    const shown = ts.isVariableDeclaration(node) ? node.parent.parent : node
    const isOurs = !node.getSourceFile().isDeclarationFile
    if (!isOurs || !(ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) || shown !== node)) continue
    texts.push(`${commentBefore(shown).trim()}\n${withoutExport(shown.getText())}`.trim())
    open.push(...mentionedSymbols(checker, symbol))
  }
  return texts
}
