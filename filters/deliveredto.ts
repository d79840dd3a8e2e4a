/**
 * deliveredto: refuse a message that was delivered here before and has come back.
 *
 * Reads:    the fields `Delivered-To`, the recipients, the source; Courier's `locals` and `hosteddomains.dat`. Never the
 *           body.
 * Keeps:    nothing.
 * Verdicts: pass; reject 501 5.4.6.
 * Source:   spec pythonfilter 2.7; RFC 9228 (what the field says, and that the newest stands first).
 *
 * Every mail server writes the address into the message when it delivers it. With `match = domain` an address in any
 * domain of ours is a loop. That also refuses what one account of ours has sent through another server to a second one;
 * `match = recipient` looks for the recipients of this message alone.
 *
 * A forward by a `.courier` file has had its first delivery here just now, and Courier bounces it at any refusal (spec
 * courier 3): there only a recipient counts, whatever `match` says. Courier's own notices are never refused.
 */
import {
  canonicalDomain,
  fieldsNamed,
  isHosteddomain,
  isLocal,
  locallowercase,
  pass,
  readControl,
  readHeaderSection,
  reject,
} from '../courier-compat/index.ts'
import type { ControlFacts, DoFilter, Edits, InitFilter, OnError, SettingSchemas } from '../courier-compat/index.ts'

/** A loop that is let pass comes back and comes back; a deferred message comes once more. */
export const onError: OnError = 'defer'

export const edits: Edits = 'library'

export const about = 'refuses a message that was delivered here before and has come back'

export const settings = {
  match: {
    type: 'choice',
    choices: ['domain', 'recipient'],
    default: 'domain',
    text: 'Which addresses are a loop: all in our local and hosted domains, or the recipients of the message alone.',
  },
  limit: {
    type: 'count',
    default: 1,
    min: 1,
    max: 100,
    text: 'So many fields with such an address make a loop; with 2, one of them may be a detour.',
  },
} as const satisfies SettingSchemas

/** The newest fields stand first, and the ones of a loop among them; more are not looked at. */
const maxFields = 200

interface Options {
  readonly byRecipient: boolean
  readonly limit: number
}

let options: Options = { byRecipient: false, limit: settings.limit.default }

export const initFilter: InitFilter = ({ settings: values }) => {
  options = { byRecipient: values['match'] === 'recipient', limit: Number(values['limit'] ?? settings.limit.default) }
}

export const doFilter: DoFilter = (bodyPath, controlPaths, { log }) => {
  const delivered = fieldsNamed(readHeaderSection(bodyPath), 'Delivered-To')
    .slice(0, maxFields)
    .flatMap(({ value }) => addressIn(value) ?? [])
  if (delivered.length === 0) return pass()

  const facts = readControl(controlPaths)
  if (facts.source.endsWith('/dsn')) return pass()
  const isLoop = options.byRecipient || isForward(facts) ? recipientCheck(facts) : isOurs
  const loops = delivered.filter(isLoop)
  const [newest] = loops
  if (newest === undefined || loops.length < options.limit) return pass()
  log.info(`mail loop: Delivered-To <${newest.local}@${newest.domain}>, ${loops.length} such fields`)
  return reject('5.4.6', 'Mail loop: this message already has a Delivered-To of ours', 501)
}

interface Address {
  readonly local: string
  readonly domain: string
}

/** The address in a field: as it is, or in angle brackets; `null` without a domain. */
function addressIn(value: string): Address | null {
  const text = (/<([^<>]*)>/.exec(value)?.[1] ?? value).trim()
  const at = text.lastIndexOf('@')
  const domain = text.slice(at + 1).replace(/\.$/, '')
  return at === -1 || domain === '' ? null : { local: text.slice(0, at), domain: canonicalDomain(domain) }
}

function isOurs({ domain }: Address): boolean {
  return isLocal(domain) || isHosteddomain(domain)
}

/** Submitted on this machine, but not by a client: what a `.courier` file forwards. */
function isForward({ source, clientIp }: ControlFacts): boolean {
  return source === 'local' && clientIp === null
}

function recipientCheck({ recipients }: ControlFacts): (address: Address) => boolean {
  const isCaseless = locallowercase()
  // All local domains have the same accounts.
  const keyOf = ({ local, domain }: Address) =>
    `${isCaseless ? local.toLowerCase() : local}@${isLocal(domain) ? '' : domain}`
  const keys = new Set(recipients.flatMap(({ address }) => addressIn(address) ?? []).map(keyOf))
  return (address) => keys.has(keyOf(address))
}
