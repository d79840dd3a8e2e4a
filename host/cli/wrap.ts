/** Text for a terminal. Pure. */

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

/** JSON in printable ASCII: what a terminal may obey is escaped, which any reader of JSON undoes. On one line unless indented. */
export function asciiJson(value: unknown, indent = 0): string {
  const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(value, null, indent).replace(/[^ -~\n]/g, escape)
}
