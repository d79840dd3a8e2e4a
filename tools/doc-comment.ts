/** A doc comment as Markdown. Pure. */

/** The lines that say one thing each, at the end of most comments. */
const labels = new Set(['Shape', 'Units', 'Errors', 'Source', 'Reads', 'Keeps', 'Verdicts', 'Pure'])

/** Of use to whoever changes the code, not to whoever calls it. */
const leftOut = new Set(['Pure'])

/** The text between the comment's marks, without the stars in front of its lines. */
export function commentText(comment: string): string {
  return comment
    .replace(/^\/\*\*/, '')
    .replace(/\*\/$/, '')
    .split('\n')
    .map((line, index) => (index === 0 ? line.trim() : line.replace(/^\s*\* ?/, '').trimEnd()))
    .join('\n')
    .trim()
}

/** Paragraphs stay; labelled lines become a list; what is indented by four blanks becomes code. Ends in a line end. */
export function commentMarkdown(text: string): string {
  // A blank line between two lines of code is of the code.
  return text
    .split(/\n{2,}(?! {4})|(?<!^ {4}.*)\n{2,}/m)
    .map((paragraph) => (/^ {4}/.test(paragraph) ? codeBlock(paragraph.replace(/^ {4}/gm, '')) : prose(paragraph)))
    .filter((block) => block !== '')
    .join('\n')
}

/** A fenced block of TypeScript. */
export function codeBlock(code: string): string {
  return `\`\`\`ts\n${code}\n\`\`\`\n`
}

function prose(paragraph: string): string {
  const plain: string[] = []
  const labelled: { readonly label: string; readonly lines: string[] }[] = []
  for (const line of paragraph.split('\n')) {
    const match = /^([A-Z][a-z]+): +(.*)$/.exec(line)
    const label = match?.[1] ?? ''
    if (labels.has(label)) labelled.push({ label, lines: [match?.[2] ?? ''] })
    else (labelled.at(-1)?.lines ?? plain).push(line)
  }
  const items = labelled
    .filter(({ label }) => !leftOut.has(label))
    .map(({ label, lines }) => [label, lines.map((line) => line.trim()).join('\n  ')] as const)
    .map(([label, told]) => [label, label === 'Source' ? publicSources(told) : told] as const)
    .map(([label, told]) => (told === '' ? '' : `- **${label}**: ${escaped(told)}\n`))
    .join('')
  const first = plain.length === 0 ? '' : `${escaped(withLists(plain))}\n`
  return first !== '' && items !== '' ? `${first}\n${items}` : first + items
}

/** Lines that each begin with a word and a colon, `limit`: .., are a list. */
function withLists(lines: readonly string[]): string {
  const isItem = (line: string): boolean => /^`[^`]+`: /.test(line)
  if (lines.filter(isItem).length < 2) return lines.join('\n')
  const first = lines.findIndex(isItem)
  const items = lines.slice(first).map((line) => (isItem(line) ? `- ${line.replace(/: +/, ': ')}` : `  ${line.trim()}`))
  return [...lines.slice(0, first), ...(first === 0 ? [] : ['']), ...items].join('\n')
}

/** Without the project's own specifications, which are not part of the package. */
function publicSources(text: string): string {
  const sources = text
    .replace(/\.$/, '')
    .split(/;\s+|,\s+(?=(?:RFC|seed|spec)\b)/)
    .map((source) => source.replace(/\s+and spec .*$/s, ''))
    .filter((source) => !/^(?:seed|spec|docs)\b/.test(source))
  return sources.length === 0 ? '' : `${sources.join('; ')}.`
}

/** What Markdown would take for its own, outside of code spans. */
function escaped(text: string): string {
  return text
    .replace(/ \((?:seed|spec) [^)]*\)/g, '')
    .split(/(`[^`]*`)/)
    .map((piece, index) => (index % 2 === 1 ? piece : piece.replace(/[<*]/g, '\\$&')))
    .join('')
}
