/**
 * Writes messages into a spool folder as Courier has them when its filters are asked.
 *
 * Source: spec courier 4.1 (names, modes), 4.2 (data file), 4.4 and 4.5 (control records and their order), 4.7 (several
 * control files).
 */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A message as a client hands it to the mail server. */
export interface Submission {
  /** Lines ended by LF or CRLF. */
  readonly message: Buffer
  readonly sender: string
  readonly recipients: readonly string[]
  readonly clientIp: string
  readonly helo: string
  /** SMTP AUTH user. */
  readonly authUser: string | null
}

/** Where the message now lies. */
export interface SpooledPair {
  readonly bodyPath: string
  readonly controlPaths: readonly string[]
  /** The id in the first control file (`M`), which is the one that logs show. */
  readonly queueId: string
}

/** Courier's default: a message with more recipients has several control files. */
const recipientsPerFile = 100

/** The server that took the message. */
const serverName = 'mx.example.org'

/**
 * Writes one message below `spool`. `number` tells it from others written in the same second.
 * Errors: those of the file system; RangeError for an address with a line end.
 */
export function spoolMessage(spool: string, submission: Submission, number: number, now: Date): SpooledPair {
  const second = Math.floor(now.getTime() / 1000)
  const folder = join(spool, String(Math.floor(second / 10_000)))
  mkdirSync(folder, { recursive: true, mode: 0o770 })
  const message = withLineFeeds(submission.message)

  const batches: (readonly string[])[] = []
  for (let at = 0; at === 0 || at < submission.recipients.length; at += recipientsPerFile) {
    batches.push(submission.recipients.slice(at, at + recipientsPerFile))
  }
  let firstInode = 0
  let queueId = ''
  const controlPaths = batches.map((recipients, index) => {
    const made = join(folder, `${second}.${number}${index === 0 ? '' : `-${index}`}.${serverName}`)
    const descriptor = openSync(made, 'wx', 0o660)
    const inode = fstatSync(descriptor).ino
    const id = [hex(inode, 16), hex(second, 16), hex(number, 8)].join('.')
    writeFileSync(descriptor, controlRecords(submission, recipients, id, second, message))
    closeSync(descriptor)
    if (index === 0) [firstInode, queueId] = [inode, id]
    if (batches.length === 1) return made
    const named = join(folder, `C${firstInode}.${index + 1}`)
    renameSync(made, named)
    return named
  })

  const bodyPath = join(folder, `D${firstInode}`)
  const trace = receivedField(submission, queueId, now)
  writeFileSync(bodyPath, Buffer.concat([Buffer.from(trace), message]), { mode: 0o660, flag: 'wx' })
  return { bodyPath, controlPaths, queueId }
}

function controlRecords(
  { sender, clientIp, helo, authUser }: Submission,
  recipients: readonly string[],
  id: string,
  second: number,
  message: Buffer,
): string {
  if ([sender, ...recipients].some((address) => /[\r\n]/.test(address))) {
    throw new RangeError('an address with a line end cannot be in a control file')
  }
  const bodyAt = message.indexOf('\n\n')
  const [header, body] = bodyAt === -1 ? [message, ''] : [message.subarray(0, bodyAt), message.subarray(bodyAt)]
  const records = [
    `s${sender}`,
    `fdns; ${helo} (${helo} [${clientIp}])`,
    ...['e', 't', `M${id}`],
    ...recipients.flatMap((address) => [`r${address}`, 'R', 'N']),
    ...(hasEightBit(header) ? ['m'] : []),
    ...(hasEightBit(body) ? ['8'] : []),
    ...(authUser === null ? [] : [`i${authUser}`, 'ORELAYCLIENT=']),
    `OTCPREMOTEIP=${clientIp.includes(':') ? clientIp : `::ffff:${clientIp}`}`,
    authUser === null ? 'usmtp' : 'uauthsmtp',
    // When it is given up, by mail and by fax, and when its sender is warned.
    ...[`E${second + 7 * 86_400}`, `p${second + 8 * 3600}`, `W${second + 4 * 3600}`],
    ...(authUser === null ? ['T'] : []),
  ]
  return `${records.join('\n')}\n`
}

function receivedField({ clientIp, helo, authUser }: Submission, id: string, now: Date): string {
  const date = now.toUTCString().replace('GMT', '+0000')
  return [
    `Received: from ${helo} (${helo} [${clientIp}])`,
    ...(authUser === null ? [] : [`  (AUTH: PLAIN ${authUser})`]),
    `  by ${serverName} with ${authUser === null ? 'ESMTP' : 'ESMTPA'}; ${date}`,
    `  id ${id}`,
    '',
  ].join('\n')
}

/** LF line ends, and one after the last line. */
function withLineFeeds(message: Buffer): Buffer {
  const text = message.toString('latin1').replaceAll('\r\n', '\n')
  return Buffer.from(text.endsWith('\n') ? text : `${text}\n`, 'latin1')
}

function hasEightBit(part: Buffer | string): boolean {
  return typeof part !== 'string' && part.some((octet) => octet > 0x7f)
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0')
}
