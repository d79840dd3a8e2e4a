/** Text for a terminal. Pure. */

export { asciiJson } from '../../courier-compat/ascii-json.ts'

/** Lines of at most `width` columns, those after the first moved in by two; a longer word has a line for itself. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const part of text.split('\n')) {
    let line = lines.length === 0 ? '' : ' '
    for (const word of part.split(' ').filter(Boolean)) {
      if (line.trim() !== '' && line.length + 1 + word.length > width) {
        lines.push(line)
        line = ' '
      }
      line += line === '' ? word : ` ${word}`
    }
    lines.push(line)
  }
  return lines
}

/** What a stranger wrote, fit to be shown: control characters, and what turns a line around, become `?`; line ends stay. */
export function visible(text: string): string {
  return text.replace(/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
}

/** As `visible`, and line ends become `?` as well: for what has to stay on its line. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll('\n', '?')
}
