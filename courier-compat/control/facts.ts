/**
 * What the host tells filters of a message, and logs: everything that one reading of the control files gives.
 *
 * This runs for every message, so the usual file, of plain ASCII and with nobody delivered to yet, is read as text and in
 * one go; any other takes the way through its records, with the same result.
 *
 * Pure: no clock, socket, file or logger.
 */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { maxRecords, parseControl, recipientsOf, valuesOf, type ControlRecords } from './records.ts'
import { malformedPrefix, textOf } from './text.ts'
import type { Recipient } from '../filter.ts'

/** What the host tells filters of a message, and logs: everything that one reading of the control files gives. */
export interface ControlFacts {
  /** Queue id of the first control file (`M`), or `''`. */
  readonly id: string
  /** `null` for the null sender, and where there is no `s` record at all. */
  readonly sender: string | null
  /** Those still to be delivered to, over all files. */
  readonly recipients: readonly Recipient[]
  readonly authUser: string | null
  readonly clientIp: string | null
  /** The text of a client address that is none; `null` if it is one, or absent. */
  readonly invalidClientIp: string | null
  /** Where the message came from (`u`), or `''`. */
  readonly source: string
  /** Received-From-MTA (`f`), or `null`. */
  readonly receivedFrom: string | null
  /** The client may relay: by its address or by authentication. */
  readonly relayClient: boolean
}

/** The values that the facts are made of, of one file or of several. */
interface Values {
  id: string | null
  sender: string | null
  authUser: string | null
  source: string | null
  receivedFrom: string | null
  readonly environment: string[]
  readonly recipients: Recipient[]
}

/**
 * The facts in contents that were read already, one for each control file in order: octets, or a text of one character an
 * octet (latin1).
 * Errors: as `parseControl`.
 */
export function parseControlFacts(contents: readonly (string | Buffer)[]): ControlFacts {
  const values = noValues()
  for (const content of contents) {
    if (typeof content !== 'string') addRecords(values, parseControl(content))
    else if (!addPlain(values, content)) addRecords(values, parseControl(Buffer.from(content, 'latin1')))
  }
  return factsOf(values)
}

/** The facts in the records of each control file, in order. */
export function factsOfRecords(all: readonly ControlRecords[]): ControlFacts {
  const values = noValues()
  for (const records of all) addRecords(values, records)
  return factsOf(values)
}

function noValues(): Values {
  return { id: null, sender: null, authUser: null, source: null, receivedFrom: null, environment: [], recipients: [] }
}

function factsOf({ id, sender, authUser, source, receivedFrom, environment, recipients }: Values): ControlFacts {
  const ipText = clientIpText(environment)
  const clientIp = ipText === null ? null : canonicalIp(ipText)
  return {
    id: id ?? '',
    sender: sender === '' ? null : sender,
    recipients,
    authUser,
    clientIp,
    invalidClientIp: clientIp === null ? ipText : null,
    source: source ?? '',
    receivedFrom,
    relayClient: environment.some((line) => line.startsWith('RELAYCLIENT=')),
  }
}

function addRecords(values: Values, records: ControlRecords): void {
  const first = (key: string): string | null => {
    const [value] = valuesOf(records, key)
    return value === undefined ? null : textOf(value)
  }
  values.id ??= first('M')
  values.sender ??= first('s')
  values.authUser ??= first('i')
  values.source ??= first('u')
  values.receivedFrom ??= first('f')
  for (const value of valuesOf(records, 'O')) values.environment.push(textOf(value))
  for (const { address, original, dsn, done } of recipientsOf(records)) {
    if (done) continue
    values.recipients.push({ address: textOf(address), original: textOf(original), dsn: textOf(dsn) })
  }
}

/** What is not plain: octets whose text is not themselves, CR, and records that say who has been delivered to. */
const notPlain = /[^\x00-\x0c\x0e-\x7f]|\n[SF]|^[SF]/

/** As `addRecords`, from the text of a file that is plain. Answers false, and adds nothing, for one that is not. */
function addPlain(values: Values, content: string): boolean {
  if (notPlain.test(content) || content.includes(malformedPrefix)) return false
  const addresses: string[] = []
  const originals: string[] = []
  const dsns: string[] = []
  // Every record has two octets at least, its type and its line end.
  if (content.length > 2 * maxRecords) return false
  for (let start = 0; start < content.length;) {
    const found = content.indexOf('\n', start)
    const end = found === -1 ? content.length : found
    switch (end === start ? '' : content.charAt(start)) {
      case 'M':
        values.id ??= content.slice(start + 1, end)
        break
      case 's':
        values.sender ??= content.slice(start + 1, end)
        break
      case 'i':
        values.authUser ??= content.slice(start + 1, end)
        break
      case 'u':
        values.source ??= content.slice(start + 1, end)
        break
      case 'f':
        values.receivedFrom ??= content.slice(start + 1, end)
        break
      case 'O':
        values.environment.push(content.slice(start + 1, end))
        break
      case 'r':
        addresses.push(content.slice(start + 1, end))
        break
      case 'R':
        originals.push(content.slice(start + 1, end))
        break
      case 'N':
        dsns.push(content.slice(start + 1, end))
        break
    }
    start = end + 1
  }
  for (let index = 0; index < addresses.length; index++) {
    values.recipients.push({
      address: addresses[index] ?? '',
      original: originals[index] ?? '',
      dsn: dsns[index] ?? '',
    })
  }
  return true
}

/** The text of the client's address in the environment (records `O`), `null` where it is not there. */
export function clientIpText(environment: readonly string[]): string | null {
  const name = 'TCPREMOTEIP='
  return environment.find((line) => line.startsWith(name))?.slice(name.length) ?? null
}

/** An address as one writes it; `null` for what is none. */
export function canonicalIp(text: string): string | null {
  // The form in which Courier writes IPv4, and so by far the most frequent one.
  const mapped = text.startsWith('::ffff:') ? text.slice('::ffff:'.length) : text
  if (isIP(mapped) === 4) return mapped
  if (isIP(text) === 0 || text.includes('%')) return null
  // ipaddr.js takes any `::a.b.c.d` for a mapped address; in hexadecimal it looks at the groups before it.
  const inGroups = text.includes(':') ? text.replace(/[0-9.]+$/, dottedToGroups) : text
  return ipaddr.process(inGroups).toString()
}

function dottedToGroups(tail: string): string {
  if (!tail.includes('.')) return tail
  const [a = 0, b = 0, c = 0, d = 0] = tail.split('.').map(Number)
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}
