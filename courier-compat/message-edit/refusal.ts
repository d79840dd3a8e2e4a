/** Why a part of a message was not edited: an error that a filter can catch, to do something else instead. */

/** Every reason, and what it means. */
export const refusalReasons = {
  signed: 'it is inside of a multipart/signed: the signature would no longer fit',
  encrypted: 'it is encrypted, or inside of a multipart/encrypted',
  'not-text': 'it is no text/plain or text/html',
  'not-a-leaf': 'it has parts of its own',
  charset: 'its character set is unknown, and so is how to write text in it',
  encoding: 'its transfer encoding is unknown',
  malformed: 'it is written so that readers read it differently, or not at all',
  overlap: 'another edit of this message has it in hand',
  'last-part': 'a multipart needs a part, and it is the last one',
  message: 'it is the message itself',
} as const

/** Why an edit was not done. */
export type RefusalReason = keyof typeof refusalReasons

/**
 * An edit of a part that is not done, because it would break the message or another edit. Nothing of it was done.
 *
 *     try {
 *       await message.appendText(part, footer)
 *     } catch (thrown) {
 *       if (!(thrown instanceof EditRefused)) throw thrown
 *       message.wrap({ after: [{ content: footer }] })
 *     }
 */
export class EditRefused extends Error {
  override readonly name = 'EditRefused'
  readonly reason: RefusalReason
  /** `Part.path` of the part. */
  readonly part: string

  constructor(reason: RefusalReason, part: string, detail: string | null = null) {
    const what = part === '' ? 'the message' : `part ${part}`
    super(`${what} cannot be edited so: ${refusalReasons[reason]}${detail === null ? '' : ` (${detail})`}`)
    this.reason = reason
    this.part = part
  }
}

/** Thrown by what decodes a part; whoever knows which part it is makes an `EditRefused` of it. */
export class MalformedContent extends Error {
  override readonly name = 'MalformedContent'
}
