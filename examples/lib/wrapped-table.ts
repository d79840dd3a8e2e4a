/** Tables whose widest columns are wrapped where a terminal is narrow. Pure. */
import { formatTable } from '../../host/cli/table.ts'

/** As `formatTable`, with the columns `wrapped` broken between words so that lines fit into `maxChars`, if they can. */
export function formatWrappedTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  wrapped: readonly number[],
  maxChars: number,
): string {
  const widths = heading.map((_, column) => Math.max(...[heading, ...rows].map((row) => row[column]?.length ?? 0)))
  const gaps = 2 * (widths.length - 1)
  const fixed = widths.reduce((sum, width, column) => sum + (wrapped.includes(column) ? 0 : width), gaps)
  const room = Math.max(20, Math.floor((maxChars - fixed) / wrapped.length))
  const lines = rows.flatMap((row) => {
    const cells = row.map((cell, column) => (wrapped.includes(column) ? wrapWords(cell, room) : [cell]))
    const height = Math.max(...cells.map(({ length }) => length))
    return Array.from({ length: height }, (_, line) => cells.map((cell) => cell[line] ?? ''))
  })
  return formatTable(heading, lines)
}

/** Breaks a text between words into lines of at most `room` characters; a longer word has a line of its own. */
export function wrapWords(text: string, room: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? ''
    if (line === '') lines[lines.length - 1] = word
    else if (line.length + 1 + word.length <= room) lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}
