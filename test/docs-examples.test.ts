/**
 * The code in the manuals: all of it is checked against the real types, and whole filters are run over a message.
 *
 * In a page, ```` ```ts ```` begins a block that is checked. After the language may stand a file's name, under which the
 * other blocks of the page import it, or `fragment: WHY` for what cannot be checked. What a block imports, the later ones of
 * its page need not import again.
 */
import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { modulePathsVariable } from '../courier-compat/module-config/read.ts'
import { fakeAuthdaemon, fakeSendmail, runFilter } from '../courier-compat/testing.ts'
import type { FilterRun, TestedModule } from '../courier-compat/testing.ts'
import { filterTemplate } from '../host/cli/new/templates.ts'
import { registerOwnModules } from '../host/runner/resolve-hook.ts'
import { oldModules } from '../tools/old-name-table.ts'
import { docBlocks, isWholeFilter, missingImports, type DocBlock } from './helpers/doc-blocks.ts'

const root = join(import.meta.dirname, '..')
const manuals = ['docs', 'docs/authors', 'docs/applications', 'examples']
const pages = ['README.md', ...manuals.flatMap(markdownIn)]
const blocks = pages.flatMap((page) => docBlocks(root, page))
const isFragment = ({ info }: DocBlock): boolean => info.startsWith('fragment')

registerOwnModules()

/** What a reader of the page has before him when he comes to a block that is no whole file. */
const surroundings = `
import type { Submission, XFilter } from 'nodefilter/courier-compat'
import type { FilterContext, FilterSetup } from 'nodefilter/filter'
import type { OpenedDepot, Queue } from 'nodefilter/queue-store'
declare global {
  const bodyPath: string
  const controlPaths: string[]
  const context: FilterContext
  const setup: FilterSetup
  const domain: string
  const address: string
  const xfilter: XFilter
  const dir: string
  const message: Buffer
  const notice: Submission
  const depot: OpenedDepot
  const queue: Queue
  const ending: AbortController
}
`

/** A return outside of a function; and what TypeScript asks of plain JavaScript only because it has no types. */
const ofNoConcern = { ts: new Set([1108]), js: new Set([1108, 2532, 7005, 7006, 7031, 7034, 18046]) }

t.test('a block that is not checked says why', (t) => {
  for (const block of blocks.filter(isFragment)) t.match(block.info, /^fragment: \w.{9,}/, block.place)
  t.ok(blocks.filter((block) => !isFragment(block)).length > 10, 'most blocks are checked')
  t.end()
})

t.test('the code of the pages, and of the example filters, agrees with the types', (t) => {
  const folder = t.testdir({ 'surroundings.d.ts': surroundings })
  const places = writeBlocks(folder)
  for (const [file, block] of places) {
    const earlier = [...places.values()].filter(({ page, line }) => page === block.page && line < block.line)
    // At the end, so that the lines stay what they are.
    appendFileSync(file, missingImports(block, earlier))
  }
  const names = readdirSync(join(root, 'examples/filters')).filter((name) => name.endsWith('.ts'))
  const looked = [...places.keys(), ...names.map((name) => join(root, 'examples/filters', name))]
  const program = ts.createProgram([join(folder, 'surroundings.d.ts'), ...looked], compilerOptions())
  const problems = looked
    .flatMap((path) => {
      const file = program.getSourceFile(path)
      if (file === undefined) throw new Error(`${path} is not in the program`)
      return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    })
    .filter(({ code, file }) => !ofNoConcern[file?.fileName.endsWith('.ts') === true ? 'ts' : 'js'].has(code))
    .map((problem) => toldProblem(problem, places))
  t.same(problems, [])
  t.end()
})

t.test('whole filters run', async (t) => {
  const message = readFileSync(join(root, 'examples/messages/attachment.eml'))
  const folder = t.testdir({ quarantine: {} })
  const places = writeBlocks(folder)
  const modules = join(folder, 'modules.conf')
  writeFileSync(modules, `[quarantine]\ndir = '${join(folder, 'quarantine')}'\n`)
  process.env[modulePathsVariable] = modules
  const authdaemon = await fakeAuthdaemon({})
  t.teardown(() => authdaemon.close())
  const runs = new Map<string, FilterRun>()
  for (const [file, block] of places) {
    if (!isWholeFilter(block)) continue
    const module = (await import(pathToFileURL(file).href)) as TestedModule
    // What is no reply is thrown.
    const run = await runFilter(module, message, { sendmail: fakeSendmail(), authdaemon }).catch((thrown: unknown) =>
      t.fail(block.place, { thrown }),
    )
    if (typeof run === 'object') runs.set(`${block.page} ${basename(file)}`, run)
  }
  t.ok(runs.size > 4, 'several filters ran')
  const first = runs.get('docs/authors/first-filter.md add_header.ts')
  t.equal(first?.reply, '', 'the first filter of the manual decides nothing')
  const expected = message
    .toString('latin1')
    .replaceAll('\r\n', '\n')
    .replace('\n\n', '\nX-Test-Header: A new header!\n\n')
  t.equal(first?.content.toString('latin1'), expected, 'and adds its field, and nothing else')
})

t.test('a block with the name of an example is what the example has', (t) => {
  const named = blocks.filter(({ info }) => existsSync(join(root, 'examples/filters', info)) && info !== '')
  for (const { place, info, code } of named) {
    t.ok(readFileSync(join(root, 'examples/filters', info), 'utf8').includes(code), place)
  }
  t.ok(named.length > 1, 'there are such blocks')
  t.end()
})

t.test('the tests of the example filters pass', async (t) => {
  const tests = readdirSync(join(root, 'examples/filters')).filter((name) => name.includes('.test.'))
  t.ok(tests.length > 0)
  const child = spawn(process.execPath, ['host/main.ts', 'test', ...tests.map((name) => `examples/filters/${name}`)], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const status = await new Promise((resolve) => child.once('close', resolve))
  t.equal(status, 0, output)
})

const seed = textOrNull(join(root, '../shared/seeds/courier-pythonfilter-README.developers.txt'))
const noSeed = seed === null ? 'the documentation of pythonfilter is not here' : false
t.test('every name of the documentation of pythonfilter has a line in from-pythonfilter.md', { skip: noSeed }, (t) => {
  const names = [...(seed ?? '').matchAll(/^(?:class )?([A-Za-z_]+)\([^)]*\)$/gm)].map(([, name = '']) => name)
  t.ok(names.length > 25, `${names.length} names`)
  const told = oldModules.flatMap(({ names }) => names).flatMap(({ old }) => old.split(/[(), ]/))
  t.same(
    names.filter((name) => !told.includes(name)),
    [],
  )
  t.end()
})

t.test('links between pages lead somewhere', (t) => {
  const broken: string[] = []
  for (const page of [...pages, ...markdownIn('docs/api'), ...markdownIn('docs/adr')]) {
    const text = readFileSync(join(root, page), 'utf8').replace(/^```.*?^```$/gms, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? join(root, page) : join(root, dirname(page), path)
      const content = path.endsWith('/') || !file.endsWith('.md') ? existing(file) : textOrNull(file)
      if (content === null) broken.push(`${page}: ${target}`)
      else if (anchor !== undefined && file.endsWith('.md') && !anchorsOf(content).has(anchor)) {
        broken.push(`${page}: ${target}: no such heading`)
      }
    }
  }
  t.same(broken, [])
  t.end()
})

function markdownIn(folder: string): string[] {
  const names = readdirSync(join(root, folder)).filter((name) => name.endsWith('.md'))
  return names.map((name) => `${folder}/${name}`)
}

/**
 * Writes each block into a file of its own, those of a page into one folder, beside what `nodefilter new` writes.
 * Answers the block of each file.
 */
function writeBlocks(folder: string): Map<string, DocBlock> {
  const places = new Map<string, DocBlock>()
  for (const [index, block] of blocks.entries()) {
    if (isFragment(block)) continue
    const place = join(folder, block.page.replaceAll(/[/.]/g, '-'))
    mkdirSync(place, { recursive: true })
    const named = block.info === '' ? `block-${index}.${block.language === 'ts' ? 'ts' : 'mjs'}` : block.info
    const file = join(place, named)
    if (places.has(file)) throw new Error(`${block.place}: the page has two blocks called ${named}`)
    writeFileSync(file, block.code)
    places.set(file, block)
  }
  for (const place of new Set([...places.keys()].map((file) => dirname(file)))) {
    const file = join(place, 'my_filter.ts')
    if (!places.has(file)) writeFileSync(file, filterTemplate('my_filter', 'ts'))
  }
  return places
}

function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')) as {
    config: { readonly compilerOptions: object }
  }
  const own = {
    // As the worker's resolve hook has it; without this the package's own name leads to what was built last.
    paths: {
      'nodefilter/courier-compat': ['./courier-compat/index.ts'],
      'nodefilter/filter': ['./courier-compat/filter.ts'],
      'nodefilter/queue-store': ['./queue-store/index.ts'],
      'nodefilter/testing': ['./courier-compat/testing.ts'],
    },
    ...{ allowJs: true, checkJs: true, moduleDetection: 'force' },
    // A page shows a name, and what to do with it is the reader's matter.
    ...{ noUnusedLocals: false, noUnusedParameters: false },
  }
  return ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, ...own }, root).options
}

function toldProblem({ file, start, messageText }: ts.Diagnostic, places: ReadonlyMap<string, DocBlock>): string {
  const text = ts.flattenDiagnosticMessageText(messageText, '\n')
  if (file === undefined) return text
  const line = file.getLineAndCharacterOfPosition(start ?? 0).line + 1
  const block = places.get(file.fileName)
  const place = block === undefined ? relative(root, file.fileName) : `the block at ${block.place}`
  return `${place}, line ${line}: ${text}`
}

/** The headings as a forge makes anchors of them. */
function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of markdown.replace(/^```.*?^```$/gms, '').matchAll(/^#+ (.*)$/gm)) {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
    anchors.add(anchors.has(slug) ? `${slug}-1` : slug)
  }
  return anchors
}

function existing(path: string): string | null {
  try {
    return readdirSync(path).join('\n')
  } catch {
    return textOrNull(path)
  }
}

function textOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
