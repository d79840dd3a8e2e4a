/** Plain tables for the terminal. Pure. */

/** Formats rows under a heading; columns are as wide as their widest cell, numbers to the right. */
export function formatTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        /^[0-9.]+$/.test(cell) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [format(heading), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(format)].join('\n') + '\n'
}
