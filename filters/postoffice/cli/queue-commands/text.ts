/** Text for a terminal. Pure. */

/** What a stranger wrote, on one line: control characters, line ends, and what turns a line around, become `?`. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
}

/** As `visible`, and line ends stay. */
export function visibleLines(text: string): string {
  return text
    .split('\n')
    .map((line) => visible(line.replace(/\r$/, '')))
    .join('\n')
}

/** Rows under a heading, columns as wide as their widest cell; numbers to the right. Cells are made visible. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(visible))
  const widths = heading.map((title, column) =>
    shown.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), title.length),
  )
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        /^[0-9]+$/.test(cell) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [heading, ...shown].map((row) => `${line(row)}\n`).join('')
}

/** A span in its two largest units: `3 d 4 h`, `12 s`; `-` for none. */
export function spanText(ms: number | null): string {
  if (ms === null) return '-'
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const
  const from = parts.findIndex(([count]) => count > 0)
  if (from < 0) return '0 s'
  return parts
    .slice(from, from + 2)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

/** A point in time, in UTC. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString()
}

/** `1 message`, `2 messages`. */
export function countOf(count: number, what = 'message'): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
