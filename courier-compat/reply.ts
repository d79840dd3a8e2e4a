/**
 * SMTP-style replies as values: parsed from what a filter returns, made by the helpers, never passed on as raw text.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 5321 section 4.2 (replies), RFC 3463 (enhanced status), seed README.developers (which first digit means
 *         what), spec courier 2.3 (why nothing unchecked may reach Courier: an unexpected first digit is an acceptance).
 */

/** A checked reply. `lines` hold the text alone: printable ASCII, without code and status, at least one. */
export interface Reply {
  readonly code: number
  /** RFC 3463, for instance `4.3.0`; `null` where the filter gave none. */
  readonly status: string | null
  readonly lines: readonly string[]
}

/**
 * What a message hears. `pass` decides nothing; `accept` skips the rest of our chain, with `skipOthers` also the mail
 * server's other filters; `defer` is 4yz, `reject` is 5yz.
 */
export type Verdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'accept'; readonly skipOthers: boolean; readonly reply: Reply }
  | { readonly kind: 'defer' | 'reject'; readonly reply: Reply }

/** The limits that keep a reply within what a mail server passes on unharmed. */
export const replyLimits = {
  /** RFC 5321 4.5.3.1.5: 512 octets with CRLF. */
  lineOctets: 510,
  /** More text lines than this are cut: no client shows them, every hop copies them. */
  lines: 50,
  /** A longer string is not looked at: it is no reply but a mistake. */
  textChars: 65_536,
} as const

/** The result of parsing: a verdict, or why the value is none. */
export type ParsedReply = { readonly verdict: Verdict } | { readonly malformed: string }

const replyLine = /^([0-9])([0-9]{2})(?:([ -])(.*))?$/s
const statusPrefix = /^([245])\.([0-9]{1,3})\.([0-9]{1,3})(?: |$)/

/**
 * Reads what a filter returned.
 *
 * Shape:  `''` and `undefined` pass. Lines end in LF or CRLF, one final line end is tolerated; all carry one code; all
 *         but the last have `-` after it. Control characters and non-ASCII become `?`; long lines and many lines are cut.
 * Errors: `malformed` with the reason for anything else: another type, a first digit other than 0, 2, 4, 5, disagreeing
 *         codes, a missing last line, an enhanced status of another class than the code (RFC 2034 section 4).
 */
export function parseReply(value: unknown): ParsedReply {
  if (value === undefined || value === '') return { verdict: { kind: 'pass' } }
  if (typeof value !== 'string')
    return { malformed: `returned ${value === null ? 'null' : typeof value}, not a string` }
  if (value.length > replyLimits.textChars) return { malformed: `returned ${value.length} characters of text` }

  const rows = value.replace(/\r?\n$/, '').split(/\r?\n/)
  const texts: string[] = []
  let code: string | null = null
  let status: string | null = null
  for (const [index, row] of rows.entries()) {
    const match = replyLine.exec(row)
    if (match === null) return { malformed: `returned "${excerpt(value)}", which is no reply: a line is CODE TEXT` }
    const rowCode = `${match[1] ?? ''}${match[2] ?? ''}`
    code ??= rowCode
    if (rowCode !== code) return { malformed: `returned a reply with the codes ${code} and ${rowCode}` }
    const isLast = index === rows.length - 1
    if ((match[3] === '-') === isLast) {
      return {
        malformed: isLast
          ? 'returned a reply without its last line'
          : 'returned a reply that goes on after its last line',
      }
    }
    const found = statusPrefix.exec(match[4] ?? '')
    if (found !== null && index === 0) status = found[0].trimEnd()
    texts.push(
      found !== null && found[0].trimEnd() === status ? (match[4] ?? '').slice(found[0].length) : (match[4] ?? ''),
    )
  }
  if (code === null) return { malformed: 'returned an empty reply' }
  if (status !== null && !code.startsWith('0') && status[0] !== code[0]) {
    return { malformed: `returned code ${code} with the status ${status} of another class` }
  }
  return verdictFor(code, status, texts)
}

function verdictFor(code: string, status: string | null, texts: readonly string[]): ParsedReply {
  const reply = makeReply(Number(code), status, texts)
  switch (code.charAt(0)) {
    case '0':
      return { verdict: { kind: 'accept', skipOthers: true, reply } }
    case '2':
      return { verdict: { kind: 'accept', skipOthers: false, reply } }
    case '4':
      return { verdict: { kind: 'defer', reply } }
    case '5':
      return { verdict: { kind: 'reject', reply } }
    default:
      // A mail server would take 1xx, 3xx, 6xx .. 9xx for an acceptance (spec courier 2.3).
      return { malformed: `returned the code ${code}; a reply begins with 0, 2, 4 or 5` }
  }
}

/** Makes a reply from parts, cutting and cleaning its text so that it can stand on a wire. */
export function makeReply(code: number, status: string | null, texts: readonly string[]): Reply {
  const room = textRoom(status)
  const lines = texts.slice(0, replyLimits.lines).map((text) => printable(text).slice(0, room))
  return { code, status, lines: lines.length === 0 ? [''] : lines }
}

/** Octets that a line has for its text, beside the code and the status. */
function textRoom(status: string | null): number {
  return replyLimits.lineOctets - 4 - (status === null ? 0 : status.length + 1)
}

/** True for a value that `makeReply` could have made: the check for replies that come from another process. */
export function isReply(value: unknown): value is Reply {
  if (typeof value !== 'object' || value === null) return false
  const { code, status, lines } = value as Record<string, unknown>
  if (typeof code !== 'number' || !Number.isInteger(code)) return false
  if (status !== null && !(typeof status === 'string' && /^[245]\.[0-9]{1,3}\.[0-9]{1,3}$/.test(status))) return false
  if (!Array.isArray(lines) || lines.length === 0 || lines.length > replyLimits.lines) return false
  // A spread, since `every` alone would leave out the holes of a sparse array.
  const room = textRoom(status)
  return [...(lines as unknown[])].every(
    (line) => typeof line === 'string' && line.length <= room && !/[^ -~]/.test(line),
  )
}

/** True for a verdict whose kind and code agree: a code that accepts can never travel as a refusal, nor the reverse. */
export function isVerdict(value: unknown): value is Verdict {
  if (typeof value !== 'object' || value === null) return false
  const { kind, skipOthers, reply } = value as Record<string, unknown>
  if (kind === 'pass') return true
  if (!isReply(reply)) return false
  const firstDigit = Math.floor(reply.code / 100)
  switch (kind) {
    case 'accept':
      return typeof skipOthers === 'boolean' && firstDigit === (skipOthers ? 0 : 2)
    case 'defer':
      return firstDigit === 4
    case 'reject':
      return firstDigit === 5
    default:
      return false
  }
}

/**
 * Writes a reply as text: one element per line, code and status on each, `-` after the code on all but the last.
 * Units: a line is at most `replyLimits.lineOctets` octets; the caller adds its protocol's line end.
 */
export function replyLines(reply: Reply): string[] {
  const code = String(reply.code).padStart(3, '0')
  const status = reply.status === null ? '' : `${reply.status} `
  const last = reply.lines.length - 1
  return reply.lines.map((text, index) => `${code}${index === last ? ' ' : '-'}${status}${text}`)
}

/** No decision: the next filter speaks. */
export function pass(): string {
  return ''
}

/**
 * Accepts and skips the rest of this host's chain; with `skipOthers` the mail server's other filters as well.
 * The text is cleaned and cut to one line; what looks like a status of another class in front of it stays text.
 */
export function accept(text = 'Ok', options: { skipOthers?: boolean } = {}): string {
  const claimed = statusPrefix.exec(printable(text))?.[1] ?? '2'
  const code = options.skipOthers === true ? 0 : 200
  return replyLines(makeReply(code, claimed === '2' ? null : '2.0.0', [text])).join('\n')
}

/**
 * Refuses for now (4yz): the sender tries again.
 * Errors: RangeError if `status` is not of class 4 or `code` not 4yz; text is cleaned, never refused.
 */
export function defer(status: string, text: string | readonly string[], code = 451): string {
  return refusal(4, code, status, text)
}

/** Refuses for good (5yz). Errors: as `defer`, of class 5. */
export function reject(status: string, text: string | readonly string[], code = 550): string {
  return refusal(5, code, status, text)
}

function refusal(digit: 4 | 5, code: number, status: string, text: string | readonly string[]): string {
  if (!Number.isInteger(code) || Math.floor(code / 100) !== digit) {
    throw new RangeError(`reply code ${code} is not ${digit}yz`)
  }
  if (!new RegExp(`^${digit}\\.[0-9]{1,3}\\.[0-9]{1,3}$`).test(status)) {
    throw new RangeError(`enhanced status "${status}" is not of the form ${digit}.y.z (RFC 3463)`)
  }
  return replyLines(makeReply(code, status, typeof text === 'string' ? text.split(/\r?\n/) : text)).join('\n')
}

function printable(text: string): string {
  return text.replace(/\t/g, ' ').replace(/[^ -~]/g, '?')
}

function excerpt(text: string): string {
  return printable(text.slice(0, 60)) + (text.length > 60 ? '...' : '')
}
