/**
 * `nodefilter quarantine release --mail`: run by Courier for a message to a release address.
 *
 * Source: spec pythonfilter 1.12; spec courier 7.3 (environment, and what the exit status means to Courier).
 */
import type { Quarantine } from '../../../courier-compat/quarantine.ts'
import { exitCodes, type CommandIo } from '../command.ts'
import { visibleLine } from '../wrap.ts'

/** Courier's word for "bounce this": the requester is told, by Courier. */
const bounce = exitCodes.unavailable

/** A longer header section than this has no field that counts. */
const headOctets = 64 * 1024

/**
 * Answers the request. Whoever holds no good token is not told so: the sender of a request is not authenticated, and an
 * answer would go to whom a stranger named.
 */
export async function releaseByMail(
  quarantine: Quarantine,
  request: { readonly word: string; readonly sender: string; readonly oldAddresses: boolean },
  stdin: NodeJS.ReadableStream,
  io: CommandIo,
): Promise<number> {
  const isAutomatic = isAutomaticMessage(await readHead(stdin))
  const result = await quarantine.releaseByMail({ ...request, isAutomatic })
  // Courier mails what stands here to the requester, and logs it.
  const say = (what: string): void => io.err(`nodefilter quarantine: ${what}: ${visibleLine(result.text)}\n`)
  switch (result.outcome) {
    case 'released':
      return exitCodes.ok
    case 'refused':
      say('nothing was released')
      return exitCodes.ok
    case 'failed':
      say('the message was not released')
      return result.isTemporary ? exitCodes.tempFail : bounce
    case 'unknown':
    case 'already':
      say('an administrator has to look at this')
      return exitCodes.ok
  }
}

/** The beginning of the message; all of it is read, since Courier waits until it is. */
async function readHead(stdin: NodeJS.ReadableStream): Promise<string> {
  let head = ''
  for await (const piece of stdin) {
    if (head.length < headOctets) head += Buffer.from(piece).toString('latin1').slice(0, headOctets)
  }
  return head
}

/** True for what a program sent without anybody's doing (RFC 3834 5). */
function isAutomaticMessage(head: string): boolean {
  const end = /\r?\n\r?\n/.exec(head)?.index ?? head.length
  const value = /^auto-submitted[ \t]*:[ \t]*([a-z-]*)/im.exec(head.slice(0, end))?.[1]
  return value !== undefined && value.toLowerCase() !== 'no'
}
