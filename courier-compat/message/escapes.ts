/**
 * Escapes in header fields, on latin1 text, one character an octet. Pure.
 *
 * In place on octets: text of nothing but escapes, hundreds of thousands of them, must not become as many strings.
 */

/** `%41` or `=41` with its two hexadecimal digits becomes the octet; what is none stays. `onOdd`: there was such. */
export function unescapeHex(text: string, mark: '%' | '=', onOdd: () => void): string {
  if (!text.includes(mark)) return text
  const octets = Buffer.from(text, 'latin1')
  const code = mark.charCodeAt(0)
  let length = 0
  let isOdd = false
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at] ?? 0
    if (octet === code) {
      const high = hexDigit(octets[at + 1])
      const low = hexDigit(octets[at + 2])
      if (high !== -1 && low !== -1) {
        octets[length++] = (high << 4) | low
        at += 2
        continue
      }
      isOdd = true
    }
    octets[length++] = octet
  }
  if (isOdd) onOdd()
  return octets.toString('latin1', 0, length)
}

/** A backslash goes, and what follows it stays; with `only`, before one of these characters alone. */
export function unescapeBackslashes(text: string, only: string | null = null): string {
  const octets = Buffer.from(text, 'latin1')
  let length = 0
  for (let at = 0; at < octets.length; at++) {
    const isEscape = octets[at] === 0x5c && at + 1 < octets.length
    if (isEscape && (only === null || only.includes(String.fromCharCode(octets[at + 1] ?? 0)))) at++
    octets[length++] = octets[at] ?? 0
  }
  return octets.toString('latin1', 0, length)
}

/** The digit's value, -1 for what is none. */
export function hexDigit(octet: number | undefined): number {
  if (octet === undefined) return -1
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30
  const letter = octet | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
