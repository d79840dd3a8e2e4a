/**
 * A question to the authentication daemon, in octets.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 6 (`PRE . SERVICE USERID`).
 */
import { bytesOf } from '../control/text.ts'
import { quoted } from '../quoted.ts'

/** No account that a mail server knows has a longer name. */
const maxUidOctets = 1000

/**
 * Writes the question which account a name belongs to.
 *
 * Errors: RangeError for a service that is no word, and for a name that would read as something else: it is empty, has
 *         control characters, begins or ends with a blank, is over 1000 octets, or stands for no octets.
 */
export function accountQuestion(service: string, uid: string): Buffer {
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(service)) throw new RangeError(`${quoted(service)} is no name of a service`)
  const octets = bytesOf(uid)
  const refuse = (why: string): never => {
    throw new RangeError(`the name of an account ${why}: ${quoted(uid)}`)
  }
  if (octets.length === 0) refuse('is empty')
  if (octets.length > maxUidOctets) refuse(`is longer than ${maxUidOctets} octets`)
  if (octets.some((octet) => octet < 0x20 || octet === 0x7f)) refuse('has a control character')
  if (octets[0] === 0x20 || octets.at(-1) === 0x20) refuse('begins or ends with a blank')
  return Buffer.concat([Buffer.from(`PRE . ${service} `), octets, Buffer.from('\n')])
}
