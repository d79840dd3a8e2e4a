/** The code in Markdown pages. */
import { readFileSync } from 'node:fs'

/** One fenced block of TypeScript or JavaScript. */
export interface DocBlock {
  /** `docs/authors/control.md:12`, the line of its fence. */
  readonly place: string
  readonly page: string
  readonly line: number
  readonly language: 'ts' | 'js'
  /** What stands after the language: `fragment: WHY` is looked at by nobody; a file's name is what others import it as. */
  readonly info: string
  readonly code: string
}

/** Reads a page; `page` is its path below `root`. */
export function docBlocks(root: string, page: string): DocBlock[] {
  const lines = readFileSync(`${root}/${page}`, 'utf8').split('\n')
  const blocks: DocBlock[] = []
  for (let at = 0; at < lines.length; at++) {
    const fence = /^```(\w*) *(.*)$/.exec(lines[at] ?? '')
    if (fence === null) continue
    const end = lines.indexOf('```', at + 1)
    if (end < 0) throw new Error(`${page}:${at + 1}: the fence is never closed`)
    const language = fence[1] ?? ''
    if (language === 'ts' || language === 'js') {
      const code = `${lines.slice(at + 1, end).join('\n')}\n`
      blocks.push({ place: `${page}:${at + 1}`, page, line: at + 1, language, info: fence[2] ?? '', code })
    }
    at = end
  }
  return blocks
}

/** Exports what the host would run. */
export function isWholeFilter({ code }: DocBlock): boolean {
  return /^export (?:async )?(?:function|const) (?:doFilter|do_filter)\b/m.test(code)
}

/** Import statements of earlier blocks of the page for names that this one uses and has no declaration of. */
export function missingImports({ code }: DocBlock, earlier: readonly DocBlock[]): string {
  const declared = new Set(importsOf(code).map(({ name }) => name))
  const isMissing = (name: string): boolean =>
    new RegExp(`\\b${name}\\b`).test(code) &&
    !declared.has(name) &&
    !new RegExp(`\\b(?:const|let|function|class) (?:[{[][^=]*\\b)?${name}\\b`).test(code)
  const statements = earlier
    .flatMap(({ code }) => importsOf(code))
    .filter(({ name }) => isMissing(name))
    .map(({ statement }) => statement)
  return [...new Set(statements)].join('')
}

/** Each name that is imported, with a statement that imports it alone. */
function importsOf(code: string): { readonly name: string; readonly statement: string }[] {
  return [...code.matchAll(/^import (type )?([^'"]+?) from ('[^']+')/gm)].flatMap(([, , what = '', from = '']) => {
    const listed = /^\{(.*)\}$/s.exec(what)?.[1]?.match(/\w+(?=\s*(?:,|$))/g)
    if (listed !== undefined && listed !== null) {
      return listed.map((name) => ({ name, statement: `import { ${name} } from ${from}\n` }))
    }
    return [{ name: what.replace('* as ', ''), statement: `import ${what} from ${from}\n` }]
  })
}
