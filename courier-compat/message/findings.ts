/**
 * What a reader of messages has to say beyond what it read: limits that were passed, and places where two readers of mail
 * may see two different messages.
 *
 * A finding is a result, not an error: the message is read as far as it goes, and policy decides.
 * Source: spec reliability 2.6 and 6 D, E; CVE-2024-28054 for why ambiguity matters.
 */

/**
 * `limit`:     not all was read; what was not read is unknown, never clean.
 * `ambiguous`: readers differ, or may differ, on what the message says or carries.
 * `notice`:    against the standards, but read alike by everybody that we know.
 */
export type Weight = 'limit' | 'ambiguous' | 'notice'

/** Every kind of finding, with its weight and the sentence that tells it. */
export const findingKinds = {
  'limit-octets': ['limit', 'the message is larger than what is read'],
  'limit-header-section': ['limit', 'a header section is larger than what is read'],
  'limit-field': ['limit', 'a header field is larger than what is read'],
  'limit-fields': ['limit', 'there are more header fields than are read'],
  'limit-line': ['limit', 'a line is longer than allowed'],
  'limit-depth': ['limit', 'parts are nested deeper than is read'],
  'limit-parts': ['limit', 'there are more parts than are read'],
  'limit-encoded-words': ['limit', 'a header field has more encoded words than are decoded'],
  'limit-parameters': ['limit', 'a header field has more parameters than are read'],
  'limit-addresses': ['limit', 'a header field has more addresses than are read'],
  'limit-decoded': ['limit', 'a part decodes to more than is read'],

  'duplicate-field': ['ambiguous', 'a field that may stand once stands more often'],
  'duplicate-parameter': ['ambiguous', 'a parameter stands more than once, with different values'],
  'two-boundaries': ['ambiguous', 'a multipart has two different boundaries'],
  'no-boundary': ['ambiguous', 'a multipart has no boundary, or an empty one'],
  'odd-boundary': [
    'ambiguous',
    'a boundary that not all read: too long, with a comment or a line end in it, of odd octets without quotes, or encoded',
  ],
  'boundary-prefix': ['ambiguous', 'a line is a boundary only for those who compare its beginning'],
  'boundary-after-end': ['ambiguous', 'a boundary stands again after it has ended its multipart'],
  'hidden-multipart': ['ambiguous', 'a content type that cannot be read, and that some may take for a multipart'],
  'bad-parameter': ['ambiguous', 'a boundary or a file name that readers read differently'],
  'two-file-names': ['ambiguous', 'a part has names with different extensions'],
  'bad-file-name': ['ambiguous', 'a file name with octets that hide or end it'],
  'unknown-encoding': ['ambiguous', 'a transfer encoding that nobody knows'],
  'encoded-multipart': [
    'ambiguous',
    'a multipart or message with a transfer encoding: some readers decode it, some do not',
  ],
  'bad-base64': ['ambiguous', 'base64 with octets that are none, or with text after its end'],
  'bad-quoted-printable': ['ambiguous', 'quoted-printable with sequences that are none'],
  'bad-uuencode': ['ambiguous', 'uuencode without its begin or end, or with lines that are none'],
  'dangerous-charset': ['ambiguous', 'a character set in which plain ASCII can hide, such as UTF-7'],
  'bad-encoded-word': ['ambiguous', 'an encoded word that cannot be decoded'],
  'hidden-line-end': ['ambiguous', 'an encoded word or parameter that holds a line end or NUL'],
  'space-before-colon': ['ambiguous', 'a field name with blanks before its colon'],
  'no-field': ['ambiguous', 'a line in a header section that is no field'],
  'leading-blank': ['ambiguous', 'a header section that begins with a blank'],
  'bare-cr': ['ambiguous', 'a CR without LF after it'],
  nul: ['ambiguous', 'an octet 0'],
  'bad-address': ['ambiguous', 'a From, Sender or Reply-To whose addresses cannot be read for certain'],

  // What they hide is told by another kind; alone they change neither the parts nor their names.
  'bad-content-type': ['notice', 'a content type that cannot be read'],
  'odd-parameter': ['notice', 'a parameter that cannot be read, of those that name neither boundary nor file'],
  'other-file-name': ['notice', 'a part has names that differ from each other, with the same extension'],
  'path-in-file-name': ['notice', 'a file name with separators of paths in it'],
  'odd-recipient': ['notice', 'a To or Cc whose addresses cannot be read for certain'],
  'unknown-charset': ['notice', 'a character set that is not known'],
  // Mail programs take such a message apart all the same; tools for mail servers may not.
  'no-mime-version': ['notice', 'parts in a message without MIME-Version: some readers see one text'],
  'parted-status': ['notice', 'a report whose groups of fields some readers count as parts'],
  // Cut off messages and careless programs have it in one message of twenty, and all readers let what is around it end it.
  'unterminated-multipart': ['notice', 'a multipart ends without its last boundary'],
  // Readers look for the innermost boundary first, and so find the longer one.
  'similar-boundary': ['notice', 'a boundary is the beginning of one within its multipart'],
  'repeated-field': [
    'notice',
    'a field that may stand once stands more often: with the same value, or one by which mail is not judged',
  ],
  'mixed-line-ends': ['notice', 'some lines end with CRLF and some with LF'],
  'eight-bit-header': ['notice', 'octets beyond ASCII in a header section that is not UTF-8'],
  'bad-text': ['notice', 'a text that is not valid in its character set'],
  'no-header': ['notice', 'a message without any header field'],
  empty: ['notice', 'a message without any octet'],
} as const satisfies Readonly<Record<string, readonly [Weight, string]>>

/** The name of a kind. */
export type FindingKind = keyof typeof findingKinds

/** One finding. */
export interface Finding {
  readonly kind: FindingKind
  readonly weight: Weight
  /** A sentence for a log line; never text of the message. */
  readonly text: string
  /** `Part.path` of the part it is about. */
  readonly part: string
  /** Where in the message, in octets; `null` where it is about the part as a whole. */
  readonly offset: number | null
}

/** Makes a finding. */
export function finding(kind: FindingKind, part: string, offset: number | null = null): Finding {
  const [weight, text] = findingKinds[kind]
  return { kind, weight, text, part, offset }
}
