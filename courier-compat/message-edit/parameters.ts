/**
 * Writes parameters of Content-Type and Content-Disposition.
 *
 * Pure. Values are worked on as latin1 text, one character an octet, so that nothing of them changes but what is meant.
 * Source: RFC 2045 5.1, RFC 2231 3 and 4, RFC 2183 2.
 */

/** Octets of a parameter's value in one piece. */
const pieceOctets = 56

/** True for what can stand without quotes. */
function isToken(text: string): boolean {
  return /^[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+$/.test(text)
}

/**
 * One parameter: `; name=value`, quoted or encoded where it must be, in pieces where it is long.
 * Errors: RangeError for control characters, which no reader shows alike, and for half of a surrogate pair.
 */
export function parameter(name: string, value: string): string {
  if (/[\0-\x1f\x7f-\x9f\u2028\u2029]/.test(value)) throw new RangeError(`the ${name} holds control characters`)
  if (!value.isWellFormed()) throw new RangeError(`the ${name} holds half of a surrogate pair`)
  // What looks like an encoded word is decoded by many readers, quotes or not.
  const isPlain = /^[ -~]*$/.test(value) && !value.includes('=?')
  if (isPlain && value.length <= pieceOctets) {
    return isToken(value) ? `; ${name}=${value}` : `; ${name}="${value.replaceAll(/["\\]/g, '\\$&')}"`
  }
  const encoded = [...Buffer.from(value)].map((octet) => {
    const character = String.fromCharCode(octet)
    return /[A-Za-z0-9._-]/.test(character) ? character : `%${octet.toString(16).toUpperCase().padStart(2, '0')}`
  })
  const pieces: string[] = []
  let piece = ''
  for (const each of encoded) {
    if (piece.length + each.length > pieceOctets) {
      pieces.push(piece)
      piece = ''
    }
    piece += each
  }
  pieces.push(piece)
  if (pieces.length === 1) return `; ${name}*=utf-8''${piece}`
  return pieces.map((each, index) => `; ${name}*${index}*=${index === 0 ? "utf-8''" : ''}${each}`).join('')
}

/**
 * A field's value with another value for this parameter, added where there was none. Everything else stays.
 *
 * Shape: all that the value has for the name goes: `charset`, `charset*`, `charset*0*`.
 */
export function withParameter(value: string, name: string, content: string): string {
  const kept = segmentsOf(value).filter((segment, index) => index === 0 || nameOf(segment) !== name)
  const rest = kept.join(';')
  let end = rest.length
  while (end > 0 && /[\s;]/.test(rest[end - 1] ?? '')) end--
  return rest.slice(0, end) + parameter(name, content)
}

/** What stands between semicolons that are not in quotes or comments. */
function segmentsOf(value: string): string[] {
  const segments: string[] = []
  let start = 0
  let isQuoted = false
  let comments = 0
  for (let at = 0; at < value.length; at++) {
    const character = value[at]
    if (character === '\\' && (isQuoted || comments > 0)) at++
    else if (comments === 0 && character === '"') isQuoted = !isQuoted
    else if (!isQuoted && character === '(') comments++
    else if (!isQuoted && character === ')' && comments > 0) comments--
    else if (!isQuoted && comments === 0 && character === ';') {
      segments.push(value.slice(start, at))
      start = at + 1
    }
  }
  segments.push(value.slice(start))
  return segments
}

/** Without the number and mark of RFC 2231, and without comments before it. */
function nameOf(segment: string): string {
  let start = 0
  for (let depth = 0; start < segment.length; start++) {
    const character = segment[start] ?? ''
    if (character === '(') depth++
    else if (character === ')' && depth > 0) depth--
    else if (depth === 0 && !/\s/.test(character)) break
  }
  const equals = segment.indexOf('=', start)
  const name = segment.slice(start, equals === -1 ? undefined : equals)
  const star = name.indexOf('*')
  return (star === -1 ? name : name.slice(0, star)).trim().toLowerCase()
}
