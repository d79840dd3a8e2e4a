/**
 * Why a text is no address, or no list of addresses.
 *
 * Pure: no clock, socket, file or logger.
 */

/**
 * `limit`:     it is longer, or has more in it, than is read.
 * `ambiguous`: other programs read an address out of it, and not all of them the same.
 * `malformed`: programs read none out of it, or all the same one, letters aside that nobody can decode.
 */
export type RefusalWeight = 'limit' | 'ambiguous' | 'malformed'

/** Every reason, with its weight and the sentence that tells it. */
export const refusalReasons = {
  'too-long': ['limit', 'there is more text than is read'],
  'too-many': ['limit', 'there are more addresses or words than are read'],
  'too-deep': ['limit', 'comments are nested deeper than is read'],
  'long-local-part': ['limit', 'the part before the @ is longer than allowed'],
  'long-domain': ['limit', 'the domain, or a label of it, is longer than allowed'],

  'line-end': ['ambiguous', 'there is a CR, LF or NUL in it'],
  'open-quote': ['ambiguous', 'a quote is opened and not closed'],
  'open-comment': ['ambiguous', 'a comment is opened and not closed'],
  'open-bracket': ['ambiguous', 'an angle bracket is opened and not closed'],
  'open-group': ['ambiguous', 'a group has no ; at its end'],
  'nested-group': ['ambiguous', 'a group within a group'],
  stray: ['ambiguous', 'a character that may not stand there'],
  route: ['ambiguous', 'a route of mail servers before the address'],
  'several-at': ['ambiguous', 'more than one @ that is not in quotes'],
  'name-with-at': ['ambiguous', 'a name with an @ that is not in quotes, before another address'],
  'text-beside': ['ambiguous', 'text beside an address that belongs neither to it nor to a name'],
  'local-part': ['ambiguous', 'a part before the @ that cannot be read for certain'],
  'encoded-word': ['ambiguous', 'an encoded word in the place of an address'],
  domain: ['ambiguous', 'a domain that cannot be read for certain'],
  'domain-literal': ['ambiguous', 'square brackets with something other than an IP address'],
  'not-utf8': ['ambiguous', 'a domain with octets beyond ASCII that are not UTF-8'],
  'comment-or-blank': ['ambiguous', 'a comment or a blank where only an address may stand'],

  'local-dots': ['malformed', 'a part before the @ with a dot at an end of it, or two dots in a row'],
  'local-octets': ['malformed', 'a part before the @ with octets beyond ASCII that are not UTF-8'],
  'no-address': ['malformed', 'there is no address'],
  'no-at': ['malformed', 'there is no @ in it'],
  'no-local-part': ['malformed', 'there is nothing before the @'],
  'no-domain': ['malformed', 'there is nothing after the @'],
} as const satisfies Readonly<Record<string, readonly [RefusalWeight, string]>>

/** Why there is no answer. */
export type RefusalReason = keyof typeof refusalReasons

/** No answer, and why there is none. */
export interface Refusal {
  readonly ok: false
  readonly reason: RefusalReason
  readonly weight: RefusalWeight
  /** The reason as a sentence for a log line; never text of the message. */
  readonly text: string
  /** Where: in octets if octets were given, else in characters of the text. */
  readonly at: number
}

/** Makes a refusal. */
export function refuse(reason: RefusalReason, at: number): Refusal {
  const [weight, text] = refusalReasons[reason]
  return { ok: false, reason, weight, text, at }
}
