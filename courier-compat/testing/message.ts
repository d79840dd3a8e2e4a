/**
 * Messages for tests: header fields, text, HTML and attachments -> octets.
 *
 * Pure: no clock, socket, file or logger. The same parts always make the same message.
 * Source: RFC 5322; RFC 2045 6.7 (quoted-printable) and 6.8 (base64); RFC 2046 5.1 (multipart); RFC 2231 (file names).
 */
import { fieldBytes } from '../header/value.ts'

/** How a part's octets go out. */
export type TestEncoding = '7bit' | '8bit' | 'quoted-printable' | 'base64'

/** One attachment. */
export interface TestAttachment {
  /** Default: without a name. */
  readonly name?: string
  /** Default `application/octet-stream`. With its parameters: `text/plain; charset=utf-8`. */
  readonly type?: string
  /** Text goes out in UTF-8. */
  readonly content: string | Uint8Array
  readonly disposition?: 'attachment' | 'inline'
  /** Default `base64`, but `8bit` for `message/rfc822`, which may have no other. */
  readonly encoding?: TestEncoding
}

/** What a message is made of; everything has a default. */
export interface TestMessageParts {
  /**
   * Fields by name: one value, several, or `null` for none. They take the place of the default ones, From, To, Subject, Date
   * and Message-ID, and of those that the parts make. Text beyond ASCII becomes encoded words.
   */
  readonly headers?: Readonly<Record<string, string | Uint8Array | readonly (string | Uint8Array)[] | null>>
  /** Default `text\n`, where there is no HTML. Octets go out as they are, in `charset`. */
  readonly text?: string | Uint8Array
  /** With `text` as well: both, as alternatives. */
  readonly html?: string | Uint8Array
  readonly attachments?: readonly TestAttachment[]
  /** Of text and HTML. Default `utf-8`. Text can be given in `utf-8`, `iso-8859-1` and `us-ascii`, in others octets only. */
  readonly charset?: string
  /** Of text and HTML. Default: the plainest that carries them, `7bit` or `quoted-printable`. */
  readonly encoding?: TestEncoding
}

/** A part: its own fields, and its octets as they stand in the message. */
interface Part {
  readonly fields: readonly (readonly [string, string])[]
  readonly body: Buffer
}

const defaultFields: readonly (readonly [string, string])[] = [
  ['From', 'Sender <sender@example.com>'],
  ['To', 'recipient@example.org'],
  ['Subject', 'test'],
  ['Date', 'Tue, 01 Dec 2026 12:00:00 +0000'],
  ['Message-ID', '<test@example.com>'],
]

/**
 * Makes a message with LF line ends.
 * Errors: RangeError for a name or value that no field can have, and for text that its charset or encoding cannot carry.
 */
export function makeMessage(parts: TestMessageParts = {}): Buffer {
  const { headers = {}, attachments = [] } = parts
  const texts = textParts(parts)
  const content = texts.length > 1 ? multipart('alternative', texts) : (texts[0] ?? textPart('plain', '', parts))
  const whole = attachments.length === 0 ? content : multipart('mixed', [content, ...attachments.map(attachmentPart)])
  const given = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  const made = [...defaultFields, ['MIME-Version', '1.0'] as const, ...whole.fields]
  const fields = [
    ...made.filter(([name]) => !given.has(name.toLowerCase())),
    ...Object.entries(headers).flatMap(([name, value]) => listOf(value).map((each) => [name, each] as const)),
  ]
  const section = fields.map(([name, value]) => fieldBytes(name, value, '\n'))
  return Buffer.concat([...section, Buffer.from('\n'), whole.body])
}

function listOf(
  value: string | Uint8Array | readonly (string | Uint8Array)[] | null,
): readonly (string | Uint8Array)[] {
  if (value === null) return []
  return typeof value === 'string' || value instanceof Uint8Array ? [value] : value
}

function textParts(parts: TestMessageParts): Part[] {
  const { html } = parts
  const text = parts.text ?? (html === undefined ? 'text\n' : undefined)
  return [
    ...(text === undefined ? [] : [textPart('plain', text, parts)]),
    ...(html === undefined ? [] : [textPart('html', html, parts)]),
  ]
}

function textPart(subtype: 'plain' | 'html', text: string | Uint8Array, parts: TestMessageParts): Part {
  const charset = parts.charset ?? 'utf-8'
  const octets = typeof text === 'string' ? encodeText(text, charset) : Buffer.from(text)
  const isPlain = octets.every((octet) => octet < 0x80 && octet !== 0x0d) && longestLine(octets) <= 998
  const encoding = parts.encoding ?? (isPlain ? '7bit' : 'quoted-printable')
  return {
    fields: [
      ['Content-Type', `text/${subtype}; charset=${charset}`],
      ['Content-Transfer-Encoding', encoding],
    ],
    body: encodeBody(octets, encoding),
  }
}

function attachmentPart(attachment: TestAttachment): Part {
  const { name, type = 'application/octet-stream', content, disposition = 'attachment' } = attachment
  const encoding = attachment.encoding ?? (/^message\/rfc822\b/i.test(type) ? '8bit' : 'base64')
  return {
    fields: [
      ['Content-Type', type],
      ['Content-Disposition', name === undefined ? disposition : `${disposition}; ${fileName(name)}`],
      ['Content-Transfer-Encoding', encoding],
    ],
    body: encodeBody(Buffer.from(content), encoding),
  }
}

function fileName(name: string): string {
  if (/^[ -~]*$/.test(name)) return `filename="${name.replace(/["\\]/g, '\\$&')}"`
  // Everything but what RFC 2231 allows as it is; this one leaves four such characters alone that it must not.
  const octets = encodeURIComponent(name).replace(/['()*]/g, (each) => `%${each.charCodeAt(0).toString(16)}`)
  return `filename*=utf-8''${octets}`
}

function multipart(subtype: 'alternative' | 'mixed', parts: readonly Part[]): Part {
  const boundary = freeBoundary(subtype, parts)
  const pieces = parts.flatMap(({ fields, body }) => [
    Buffer.from(`--${boundary}\n`),
    ...fields.map(([name, value]) => fieldBytes(name, value, '\n')),
    Buffer.from('\n'),
    body,
    // The line end before a boundary is the boundary's.
    Buffer.from('\n'),
  ])
  return {
    fields: [['Content-Type', `multipart/${subtype}; boundary="${boundary}"`]],
    body: Buffer.concat([...pieces, Buffer.from(`--${boundary}--\n`)]),
  }
}

function freeBoundary(word: string, parts: readonly Part[]): string {
  for (let number = 0; ; number++) {
    const boundary = `=_${word}_${number}`
    if (!parts.some(({ body }) => body.includes(boundary))) return boundary
  }
}

function encodeText(text: string, charset: string): Buffer {
  const name = charset.toLowerCase()
  const limit = name === 'us-ascii' ? 0x7f : name === 'iso-8859-1' ? 0xff : name === 'utf-8' ? Infinity : -1
  if (limit === -1) throw new RangeError(`text in ${charset} is given as octets`)
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > limit) throw new RangeError(`${charset} has no "${text.charAt(at)}"`)
  }
  return Buffer.from(text, name === 'utf-8' ? 'utf8' : 'latin1')
}

function encodeBody(octets: Buffer, encoding: TestEncoding): Buffer {
  switch (encoding) {
    case '7bit':
      if (octets.some((octet) => octet > 0x7f)) throw new RangeError('7bit does not carry octets beyond ASCII')
      return octets
    case '8bit':
      return octets
    case 'base64':
      return Buffer.from(octets.toString('base64').replace(/.{76}(?=.)/g, '$&\n') + '\n')
    case 'quoted-printable':
      return Buffer.from(octets.toString('latin1').split('\n').map(quotedPrintableLine).join('\n'))
  }
}

function quotedPrintableLine(line: string): string {
  const encoded = line.replace(/[^ -<>-~\t]|[ \t]$/g, (char) => {
    return `=${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
  })
  return softBroken(encoded)
}

/** Lines of at most 76 characters; a break never cuts an escape. */
function softBroken(encoded: string): string {
  const lines: string[] = []
  for (let at = 0; at < encoded.length;) {
    if (encoded.length - at <= 76) {
      lines.push(encoded.slice(at))
      break
    }
    let end = at + 75
    const escape = encoded.lastIndexOf('=', end - 1)
    if (escape > end - 3) end = escape
    lines.push(encoded.slice(at, end))
    at = end
  }
  return lines.join('=\n')
}

function longestLine(octets: Buffer): number {
  let longest = 0
  for (let at = 0; at <= octets.length;) {
    const found = octets.indexOf(0x0a, at)
    const end = found === -1 ? octets.length : found
    longest = Math.max(longest, end - at)
    at = end + 1
  }
  return longest
}
