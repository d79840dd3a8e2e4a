/** Numbers as people read them. Pure. */

/** `0.35`, `12.00`, `123`: milliseconds, without their unit. */
export function msText(ms: number): string {
  return ms.toFixed(ms < 100 ? 2 : 0)
}

/** The two largest units: `3 d 4 h`, `12 s`. */
export function spanText(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const parts: [count: number, unit: string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ]
  const from = Math.max(
    0,
    parts.findIndex(([count]) => count > 0),
  )
  const shown = seconds === 0 ? parts.slice(-1) : parts.slice(from, from + 2)
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ')
}

/** `1 message`, `2 messages`. */
export function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** `88 MiB`; `-` where it is not known. */
export function mebibytesText(octets: number | null): string {
  return octets === null ? '-' : `${Math.round(octets / 2 ** 20)} MiB`
}
