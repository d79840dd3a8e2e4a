/**
 * Writes pairs for tests: a data file and its control files, named and laid out as Courier has them when filters run.
 *
 * Source: spec courier 4.1 (names, modes), 4.4 and 4.5 (records and their order).
 */
import { chmodSync, mkdtempSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** An address alone, or with what else its three records and its completion say. */
export type PairRecipient = string | Buffer | PairRecipientDetail

export interface PairRecipientDetail {
  readonly address: string | Buffer
  readonly original?: string | Buffer
  /** NOTIFY flags: a subset of `SFD`, `N`, or `''` (the default). */
  readonly dsn?: string
  /** Already completed, as the alias itself is after it was expanded. */
  readonly done?: boolean
}

/** What a pair says. Everything has a default; `null` leaves the record out. */
export interface PairOptions {
  /** `''` is the null sender. Default `sender@example.net`. */
  readonly sender?: string | Buffer | null
  /** All in one control file. Default one recipient, `user@example.org`. */
  readonly recipients?: readonly PairRecipient[]
  /** Instead of `recipients`: one list for each control file, in order. */
  readonly files?: readonly (readonly PairRecipient[])[]
  /** Where the client is, as Courier writes it. Default `::ffff:203.0.113.9`. */
  readonly ip?: string | null
  /** SMTP AUTH user. Default: none. */
  readonly authUser?: string | null
  /** Default `smtp`. */
  readonly source?: string | null
  /** Received-From-MTA. Default names `helo.example.net` and 203.0.113.9. */
  readonly receivedFrom?: string | null
  /** Default: made of the control file's inode, as Courier makes it. */
  readonly id?: string | null
  /** Whole records, without LF, put at the end of every control file: `'T'`, `'8'`, `'vexample.org'`. */
  readonly extra?: readonly (string | Buffer)[]
  /** The data file, byte for byte. Default a small message. LF line ends are the test's own care. */
  readonly content?: string | Buffer
}

/** The arguments of `doFilter`. */
export interface Pair {
  readonly bodyPath: string
  readonly controlPaths: string[]
}

/** What the data file holds unless the test says otherwise. */
export const defaultContent = [
  'Received: from helo.example.net (rdns.example.net [203.0.113.9])',
  '  by mx.example.org with ESMTP; Tue, 01 Dec 2026 12:00:00 +0000',
  'From: <sender@example.net>',
  'To: <user@example.org>',
  'Subject: x',
  '',
  'text',
  '',
].join('\n')

/**
 * Writes one pair into a new folder below `dir` (which must exist: `t.testdir()` gives one that tap removes).
 *
 * Shape:  data file `D<inode>`; one control file is named `<time>.<pid>.<host>`, several `C<inode>.1`, `C<inode>.2`;
 *         mode 0660. Records stand in Courier's order; a recipient that is `done` has its `I` and `S` records.
 *
 *     const { bodyPath, controlPaths } = makePair(t.testdir(), { recipients: [{ address: 'a@example.org', dsn: 'SFD' }] })
 */
export function makePair(dir: string, options: PairOptions = {}): Pair {
  const folder = mkdtempSync(join(dir, 'pair-'))
  const files = options.files ?? [options.recipients ?? ['user@example.org']]
  const unnamed = files.map((_, index) => {
    const path = join(folder, `new-${index}`)
    writeFileSync(path, '')
    return path
  })
  const inode = unnamed[0] === undefined ? 0 : statSync(unnamed[0]).ino
  const controlPaths = unnamed.map((path, index) => {
    writeFileSync(path, controlContent(options, files[index] ?? [], statSync(path).ino))
    const name = files.length === 1 ? '1796126400.4242.mx.example.org' : `C${inode}.${index + 1}`
    chmodSync(path, 0o660)
    renameSync(path, join(folder, name))
    return join(folder, name)
  })
  const bodyPath = join(folder, `D${inode}`)
  writeFileSync(bodyPath, options.content ?? defaultContent)
  chmodSync(bodyPath, 0o660)
  return { bodyPath, controlPaths }
}

function controlContent(options: PairOptions, recipients: readonly PairRecipient[], inode: number): Buffer {
  const lines: Buffer[] = []
  const put = (key: string, value: string | Buffer | null) => {
    if (value !== null) lines.push(Buffer.concat([Buffer.from(key), Buffer.from(value), Buffer.from('\n')]))
  }
  const hex = (value: number, digits: number) => value.toString(16).toUpperCase().padStart(digits, '0')
  const ip = options.ip === undefined ? '::ffff:203.0.113.9' : options.ip
  put('s', options.sender === undefined ? 'sender@example.net' : options.sender)
  put('f', orDefault(options.receivedFrom, 'dns; helo.example.net (rdns.example.net [203.0.113.9])'))
  put('e', '')
  put('t', '')
  put('M', orDefault(options.id, `${hex(inode, 16)}.000000006B0E9A80.00001092`))
  for (const [index, entry] of recipients.entries()) {
    const recipient: PairRecipientDetail =
      typeof entry === 'string' || Buffer.isBuffer(entry) ? { address: entry } : entry
    put('r', recipient.address)
    put('R', recipient.original ?? '')
    put('N', recipient.dsn ?? '')
    if (recipient.done === true) {
      put('I', `${index} R 250 Ok - delivered to alias.`)
      put('S', `${index} 1796126400 r`)
    }
  }
  put('i', orDefault(options.authUser, null))
  put('O', ip === null ? null : `TCPREMOTEIP=${ip}`)
  put('u', orDefault(options.source, 'smtp'))
  put('E', '1796731200')
  put('p', '1796155200')
  put('W', '1796140800')
  for (const record of options.extra ?? []) put('', record)
  return Buffer.concat(lines)
}

function orDefault<Value>(value: Value | undefined, fallback: Value): Value {
  return value === undefined ? fallback : value
}
