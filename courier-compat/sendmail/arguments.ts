/**
 * The arguments of Courier's `sendmail`: an envelope -> words that can mean nothing else.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 7.1 (options); RFC 3461 4.1, 4.3, 4.4 (NOTIFY, RET, ENVID).
 */
import { bytesOf } from '../control/text.ts'
import { quoted } from '../quoted.ts'

/** When, and with how much of the message, the sender is told what became of it. */
export interface DsnRequest {
  /** Courier's words; without it, failures and delays are told. */
  readonly notify?: 'never' | readonly ('success' | 'fail' | 'delay')[]
  /** The whole message, or its header section, in a notice of failure. */
  readonly return?: 'full' | 'hdrs'
  /** Comes back in the notice. Up to 100 printable ASCII characters; Courier encodes it. */
  readonly envelopeId?: string
}

/** Who sends to whom. */
export interface SubmissionEnvelope {
  /** `''` is the null sender. */
  readonly sender: string
  readonly recipients: readonly string[]
  readonly dsn?: DsnRequest
}

/**
 * How many recipients one submission may have: Courier takes 100 unless its administrator says otherwise, and of further
 * ones refuses some without a word (spec courier 7.1).
 */
export const maxSendmailRecipients = 100

/** RFC 5321 allows 320; a longer one is none. */
const maxAddressOctets = 1000

/**
 * Writes the arguments: `-f` always, since without it the sender would be whoever runs the program; at least one
 * recipient, since without any they would be taken out of the message.
 *
 * Errors: RangeError for no recipient, more than `maxSendmailRecipients`, an address that cannot be one word of an
 *         argument list, and DSN values that Courier does not know.
 */
export function sendmailArguments({ sender, recipients, dsn = {} }: SubmissionEnvelope): string[] {
  if (recipients.length === 0) throw new RangeError('a submission needs a recipient')
  if (recipients.length > maxSendmailRecipients) {
    throw new RangeError(`${recipients.length} recipients are more than the ${maxSendmailRecipients} of one submission`)
  }
  if (sender !== '') checkAddress('the sender', sender)
  for (const recipient of recipients) {
    checkAddress('a recipient', recipient)
    // Courier's own end of options is a lone "-", and after it such a word is an address; one more reader is one too many.
    if (recipient.startsWith('-')) throw new RangeError(`a recipient begins with "-": ${quoted(recipient)}`)
  }
  // In one word where there is one, so that a sender that begins with "-" is no option.
  const from = sender === '' ? ['-f', ''] : [`-f${sender}`]
  return [...from, ...dsnArguments(dsn), '-', ...recipients]
}

function dsnArguments({ notify, return: extent, envelopeId }: DsnRequest): string[] {
  const words: string[] = []
  if (notify !== undefined) {
    const list = notify === 'never' ? ['never'] : [...notify]
    const isKnown = list.length > 0 && (notify === 'never' || list.every((word) => notifyWords.includes(word)))
    if (!isKnown) throw new RangeError(`dsn.notify is "never", or a list of ${notifyWords.join(', ')}`)
    words.push('-N', list.join(','))
  }
  if (extent !== undefined) {
    // A caller in JavaScript may hand in anything.
    if (!['full', 'hdrs'].includes(extent)) throw new RangeError('dsn.return is "full" or "hdrs"')
    words.push('-R', extent)
  }
  if (envelopeId !== undefined) {
    if (!/^[!-~]{1,100}$/.test(envelopeId))
      throw new RangeError('dsn.envelopeId is 1 to 100 printable ASCII characters')
    words.push('-V', envelopeId)
  }
  return words
}

const notifyWords: readonly string[] = ['success', 'fail', 'delay']

function checkAddress(what: string, address: string): void {
  const refuse = (why: string): never => {
    throw new RangeError(`${what} ${why}: ${quoted(address)}`)
  }
  if (typeof address !== 'string' || address === '') throw new RangeError(`${what} is empty`)
  // An argument is text, and octets that are not UTF-8 cannot be one.
  if (!address.isWellFormed() || bytesOf(address).toString() !== address) refuse('stands for no UTF-8')
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(address)) refuse('has a control character')
  if (Buffer.byteLength(address) > maxAddressOctets) refuse(`is longer than ${maxAddressOctets} octets`)
}
