/**
 * Writes addresses for header fields.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 5322 3.2.3 to 3.2.5 (atoms, quoted strings, phrases), RFC 2047 5 (encoded words in phrases).
 */
import { encodedRun } from '../header/value.ts'
import { canonical, type Address } from './address.ts'
import { parseAddress } from './single.ts'

/** What is to be written. */
export interface Addressee {
  /** Text as people are to see it, from wherever: nothing in it can end the name or begin an address. */
  readonly name?: string | null
  /** An address that was read, or the text of one. */
  readonly address: Address | string
}

/**
 * An address with its name, for the value of a field such as To: `header.add('To', formatAddress(...))`; several with `, `
 * between them.
 *
 * Shape:  one line. The name stands as it is, in quotes, or in encoded words, whichever it needs; read again it is the same
 *         text, but for blanks at both ends, control characters and the line ends of Unicode (each is a blank), and halves
 *         of surrogate pairs (U+FFFD). Without a name the address stands alone. Where `needsUtf8(address)`, the field must be
 *         written with `{ encoding: 'utf8' }`.
 * Errors: RangeError for an address that `parseAddress` refuses.
 */
export function formatAddress({ name = null, address }: Addressee): string {
  // Read again even if it was read before: it may have been put together by hand.
  const written = canonical(read(typeof address === 'string' ? address : canonical(address)))
  const phrase = phraseOf(name ?? '')
  return phrase === '' ? written : `${phrase} <${written}>`
}

function read(text: string): Address {
  const result = parseAddress(text)
  if (!result.ok) throw new RangeError(`no address to write: ${result.text}`)
  return result.address
}

const atoms = /^[\w!#$%&'*+\-/=?^`{|}~]+(?: [\w!#$%&'*+\-/=?^`{|}~]+)*$/

/** No line of a message may be longer than 998 octets, and a word is not parted; encoded words can be. */
const maxWordOctets = 200

function phraseOf(name: string): string {
  const text = name
    .toWellFormed()
    .replace(/[\p{Cc}\u2028\u2029]/gu, ' ')
    .trim()
  const needsWords = /[^ -~]|=\?/.test(text) || text.split(' ').some((word) => word.length > maxWordOctets)
  if (needsWords) return encodedRun(text, maxFieldName)
  return text === '' || atoms.test(text) ? text : `"${text.replace(/["\\]/g, '\\$&')}"`
}

/** Room for the field's name and colon in the first line. */
const maxFieldName = 20
