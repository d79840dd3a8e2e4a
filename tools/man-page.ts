/**
 * Manual pages in the man macros, made from the help text of a command, from declared settings, or from a page of docs/.
 *
 * Pure: text in, text out.
 * Source: man(7), groff_char(7).
 */
import { describeType, writeDefault } from '../courier-compat/setting/text.ts'
import type { SettingSchemas } from '../courier-compat/setting.ts'

/** What heads and ends a page. */
export interface PageFrame {
  /** For instance `nodefilter-check`. */
  readonly name: string
  readonly section: number
  /** One line without a full stop. */
  readonly summary: string
  readonly version: string
  /** Other pages, as `nodefilter(8)`. */
  readonly seeAlso: readonly string[]
}

/** Escapes text for a line of its own, or for an argument of a macro. Neither may be read as a request. */
export function escapeText(text: string): string {
  const escaped = text.replace(
    /[\\\-'`^~"]|[^\0-\x7f]/gu,
    (char) => characters.get(char) ?? `\\[u${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}]`,
  )
  return escaped.startsWith('.') ? `\\&${escaped}` : escaped
}

/** A hyphen that can be copied, quotes that stay straight, and so on. */
const characters: ReadonlyMap<string, string> = new Map([
  ['\\', '\\e'],
  ['-', '\\-'],
  ["'", '\\(aq'],
  ['`', '\\(ga'],
  ['^', '\\(ha'],
  ['~', '\\(ti'],
  ['"', '\\(dq'],
])

/** A page made from what `nodefilter COMMAND --help` prints. */
export function helpPage(frame: PageFrame, help: string): string {
  const { synopsis, blocks } = parseHelp(help)
  const isOption = (block: Block): boolean => block.kind === 'term' && block.term.startsWith('-')
  const exitStatus = blocks.find(({ kind, text }) => kind === 'text' && text.startsWith(exitStatusStart))
  const rest = blocks.filter((block) => block !== exitStatus)
  const options = rest.filter(isOption)
  const description = rest.filter((block) => !isOption(block))
  return page(frame, [
    '.SH SYNOPSIS',
    '.nf',
    ...synopsis.map(synopsisLine),
    '.fi',
    ...(description.length === 0 ? [] : ['.SH DESCRIPTION', ...description.flatMap(renderBlock)]),
    ...(options.length === 0 ? [] : ['.SH OPTIONS', ...options.flatMap(renderBlock)]),
    ...(exitStatus === undefined ? [] : ['.SH "EXIT STATUS"', ...exitStatusLines(exitStatus.text)]),
  ])
}

/** A page of an ini file's sections and settings. */
export function settingsPage(
  frame: PageFrame,
  introduction: readonly string[],
  sections: Readonly<Record<string, SettingSchemas>>,
): string {
  const lines = introduction.flatMap((text) => renderBlock({ kind: 'text', term: '', text }))
  for (const [name, schemas] of Object.entries(sections)) {
    lines.push(`.SH "[${escapeText(name)}]"`)
    for (const [key, schema] of Object.entries(schemas)) {
      const text = `${schema.text} Value: ${describeType(schema)}; default: ${writeDefault(schema)}.`
      lines.push(...renderBlock({ kind: 'term', term: key, text }))
    }
  }
  return page(frame, ['.SH DESCRIPTION', ...lines])
}

/**
 * A page made from Markdown of docs/.
 *
 * Shape: headings, paragraphs, lists, tables and fenced blocks; the first heading gives way to the page's own. A row of
 *        a table becomes an entry under its first cell.
 */
export function markdownPage(frame: PageFrame, markdown: string): string {
  const lines: string[] = ['.SH DESCRIPTION']
  const rows = markdown.replace(/<!--[^]*?-->/g, '').split('\n')
  let head: string[] | null = null
  let paragraph: string[] = []
  const flush = (): void => {
    const text = paragraph.join(' ')
    paragraph = []
    if (text === '') return
    if (text.startsWith('- ')) lines.push('.IP \\(bu 2', ...wrap(inline(text.slice(2))))
    else lines.push('.PP', ...wrap(inline(text)))
  }
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index] ?? ''
    const heading = /^(#+) (.*)$/.exec(row)
    if (row.startsWith('```')) {
      flush()
      const from = index + 1
      do index++
      while (index < rows.length && rows[index]?.startsWith('```') === false)
      lines.push(...literal(rows.slice(from, index)))
    } else if (row.startsWith('    ') && paragraph.length === 0) {
      const from = index
      while (/^(?: {4}|$)/.test(rows[index + 1] ?? 'end')) index++
      lines.push(...literal(rows.slice(from, index + 1).map((code) => code.slice(4))))
    } else if (heading !== null) {
      flush()
      const [, level = '', text = ''] = heading
      if (level.length > 1) lines.push(`.${level.length === 2 ? 'SH' : 'SS'} "${escapeText(plainText(text))}"`)
    } else if (row.startsWith('|')) {
      flush()
      const cells = row.replace(/^\|\s*|\s*\|\s*$/g, '').split(/\s*(?<!\\)\|\s*/)
      if (head === null) head = cells
      else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) lines.push(...tableEntry(head, cells))
      if (rows[index + 1]?.startsWith('|') !== true) head = null
    } else if (row.trim() === '') flush()
    else {
      if (row.startsWith('- ')) flush()
      paragraph.push(row.trim())
    }
  }
  flush()
  return page(frame, lines)
}

/** A part of a help text. */
interface Block {
  readonly kind: 'text' | 'term' | 'literal'
  /** What a `term` explains; empty for the others. */
  readonly term: string
  readonly text: string
}

const exitStatusStart = 'Exit status: '

/**
 * Takes a help text apart.
 *
 * Shape: the usage, up to the first empty line; then paragraphs, and entries `TERM  text` whose text goes on in indented
 *        lines. An option needs one blank before its text where its argument is in capitals, everything else two.
 */
export function parseHelp(help: string): { readonly synopsis: readonly string[]; readonly blocks: readonly Block[] } {
  const [usage = '', ...parts] = help.trimEnd().split(/\n{2,}/)
  const synopsis = usage.split('\n').map((line) => line.replace(/^usage:/i, '').trim())
  const blocks: { kind: Block['kind']; term: string; text: string }[] = []
  for (const part of parts) {
    let last: (typeof blocks)[number] | null = null
    for (const line of part.split('\n')) {
      if (line.startsWith(exitStatusStart)) last = null
      const entry = entryPattern.exec(line) ?? wordPattern.exec(line)
      if (entry !== null) blocks.push((last = { kind: 'term', term: entry[1] ?? '', text: entry[2] ?? '' }))
      else if (/^\s/.test(line) && last?.kind === 'term') last.text += ` ${line.trim()}`
      else if (!/^\s/.test(line) && last?.kind === 'text') last.text += `${last.text.endsWith('-') ? '' : ' '}${line}`
      else if (/^\s/.test(line) && last?.kind === 'literal') last.text += `\n${line}`
      else blocks.push((last = { kind: /^\s/.test(line) ? 'literal' : 'text', term: '', text: line }))
    }
  }
  return { synopsis, blocks }
}

/** `  -c, --config DIR  text`, `  --inspect[=PORT]  text`: the argument in capitals, or two blanks before the text. */
const entryPattern =
  /^\s+((?=-)(?:-[A-Za-z](?:, )?)?(?:--[a-z][a-z-]*)?(?:\[?=\S+(?=\s)| [^\sa-z]+(?=\s)| \S+(?=\s{2}))?)\s+(\S.*)$/
/** `enable   text`, at the margin or indented. */
const wordPattern = /^\s*([A-Za-z][^\s]*(?: [A-Z[][^\s]*)*)\s{2,}(\S.*)$/

function renderBlock({ kind, term, text }: Block): string[] {
  if (kind === 'literal') return literal(text.split('\n'))
  if (kind === 'text') return ['.PP', ...wrap(escapeText(text))]
  return ['.TP', `\\fB${escapeText(term)}\\fR`, ...wrap(escapeText(text))]
}

/** `nodefilter check [OPTION]...`: the words to be typed in bold. */
function synopsisLine(line: string): string {
  const [, words = '', rest = ''] = /^((?:[a-z][a-z|-]*(?: |$))*)(.*)$/.exec(line) ?? []
  return `\\fB${escapeText(words.trimEnd())}\\fR${rest === '' ? '' : ` ${escapeText(rest)}`}`
}

/** `0 done; 64 wrong usage. More of it.` -> an entry for each status, and the sentences behind them. */
function exitStatusLines(text: string): string[] {
  const told = text.slice(exitStatusStart.length)
  const [, statuses = told, more = ''] = /^(.*?)\.(?: (.*))?$/.exec(told) ?? []
  const entries = statuses.split(/; (?=[0-9])/).map((entry) => /^([0-9]+) (.*)$/.exec(entry))
  if (entries.includes(null)) return ['.PP', ...wrap(escapeText(told))]
  return [
    ...entries.flatMap((entry) => renderBlock({ kind: 'term', term: entry?.[1] ?? '', text: entry?.[2] ?? '' })),
    ...(more === '' ? [] : ['.PP', ...wrap(escapeText(more))]),
  ]
}

function page({ name, section, summary, version, seeAlso }: PageFrame, lines: readonly string[]): string {
  const title = `${escapeText(name.toUpperCase())} ${section}`
  return `${[
    `.TH ${title} "" "nodefilter ${escapeText(version)}" "nodefilter"`,
    '.SH NAME',
    `${escapeText(name)} \\- ${escapeText(summary)}`,
    ...lines,
    ...(seeAlso.length === 0 ? [] : ['.SH "SEE ALSO"', ...seeAlso.map(reference)]),
  ].join('\n')}\n`
}

function reference(page: string, index: number, all: readonly string[]): string {
  const [, name = page, section = ''] = /^(.*)(\([0-9]\))$/.exec(page) ?? []
  return `.BR ${escapeText(name)} ${section}${index === all.length - 1 ? '' : ','}`
}

function literal(rows: readonly string[]): string[] {
  return ['.PP', '.RS 4', '.nf', ...rows.map((row) => (row === '' ? '\\&' : escapeText(row))), '.fi', '.RE']
}

function tableEntry(head: readonly string[], cells: readonly string[]): string[] {
  const [term = '', ...rest] = cells
  const text =
    rest.length === 1
      ? inline(rest[0] ?? '')
      : rest.map((cell, index) => `${escapeText(capital(head[index + 1] ?? ''))}: ${inline(cell)}`).join('. ')
  return ['.TP', `\\fB${escapeText(plainText(term))}\\fR`, ...wrap(text === '' ? '\\&' : text)]
}

/** Inline Markdown: code and emphasis become bold and italic, links their text. */
function inline(text: string): string {
  const parts = unlinked(text).split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*)/)
  const rendered = parts.map((part) => {
    if (/^`.+`$/s.test(part)) return `\\fB${escapeText(part.slice(1, -1))}\\fR`
    if (/^\*\*.+\*\*$/s.test(part)) return `\\fB${escapeText(part.slice(2, -2))}\\fR`
    return /^\*.+\*$/s.test(part) ? `\\fI${escapeText(part.slice(1, -1))}\\fR` : escapeText(part)
  })
  return rendered.join('')
}

function plainText(text: string): string {
  return unlinked(text).replace(/[`*]/g, '')
}

function unlinked(text: string): string {
  return text
    .replace(/\[([^\]]+)\]\([^)]*\)/g, '$1')
    .replaceAll('\\|', '|')
    .replaceAll('&lt;', '<')
}

/** Breaks escaped text into lines of a comfortable length; none begins as a request would. */
function wrap(text: string): string[] {
  const lines: string[] = []
  for (const word of text.split(/ +/)) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length < 78) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word.startsWith('.') ? `\\&${word}` : word)
  }
  return lines
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}
