/**
 * Sizes as the post office's ini file writes them: `500m`, `64kb`, `1024`.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 2.2.
 */

const factors: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['k', 2 ** 10],
  ['kb', 2 ** 10],
  ['m', 2 ** 20],
  ['mb', 2 ** 20],
  ['g', 2 ** 30],
  ['gb', 2 ** 30],
])

/** Digits and a unit -> octets; `null` for anything else: a blank, a fraction, a sign, another unit. */
export function parsePostofficeSize(text: string): number | null {
  const [, digits, unit = ''] = /^([0-9]{1,15})([a-z]*)$/i.exec(text) ?? []
  const factor = factors.get(unit.toLowerCase())
  if (digits === undefined || factor === undefined) return null
  const octets = Number(digits) * factor
  return Number.isSafeInteger(octets) ? octets : null
}
