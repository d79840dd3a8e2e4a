/** Characters that have no place in an address, since they cannot be seen or are taken for others. */

const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Z}\ufffd]/u
// What programs that fold compatible characters may take for a sign of ours; the ideographic full stop is a dot in IDNA.
const sign = /[@.,:;<>()[\]"\\\s\u3002]/

/**
 * True if the characters beyond ASCII are what they seem: no control characters, none that are invisible or blank, no half
 * of a surrogate pair, no sign for what could not be decoded (U+FFFD), and none that compatibility folding (NFKC) turns into
 * a sign of address syntax, such as the full-width @. Pure.
 */
export function isUnmistakable(text: string): boolean {
  const beyondAscii = text.replace(/\p{ASCII}+/gu, '')
  return beyondAscii === '' || (!unseen.test(beyondAscii) && !sign.test(beyondAscii.normalize('NFKC')))
}
