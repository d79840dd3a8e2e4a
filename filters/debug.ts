/**
 * debug: write to the log what the filters are given.
 *
 * Reads:    the process, the data file's and control files' metadata, the envelope, the client. Never the content.
 * Keeps:    nothing.
 * Verdicts: pass.
 * Source:   spec pythonfilter 2.6.
 */
import { lstatSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { pass, readControl, readRecipients } from '../courier-compat/index.ts'
import type {
  ControlFacts,
  DoFilter,
  Edits,
  InitFilter,
  OnError,
  SettingSchemas,
  SettingValue,
} from '../courier-compat/index.ts'

/** An observer: its errors are nobody's refusal. */
export const onError: OnError = 'pass'

export const edits: Edits = 'library'

export const about = 'writes to the log what the filters are given'

export const settings = {
  fields: {
    type: 'list',
    default: ['process', 'body', 'control', 'envelope', 'client'],
    text: 'What is written: any of process, body, control, envelope, client.',
  },
  redact: {
    type: 'choice',
    choices: ['none', 'local_part', 'all'],
    default: 'none',
    text: 'What becomes ***: nothing, the local part of addresses and user names, or addresses, user names and hosts.',
  },
  senders: {
    type: 'list',
    default: [],
    text: 'Only messages from these: address, @domain, or <> for the null sender. Empty: from anybody.',
  },
  recipients: {
    type: 'list',
    default: [],
    text: 'Only messages to at least one of these: address or @domain. Empty: to anybody.',
  },
  clients: {
    type: 'list',
    default: [],
    text: 'Only messages from these clients: IP address, or network as in 192.0.2.0/24. Empty: from any.',
  },
} as const satisfies SettingSchemas

interface Options {
  readonly fields: ReadonlySet<string>
  readonly redact: string
  readonly senders: readonly string[]
  readonly recipients: readonly string[]
  readonly clients: BlockList | null
}

let options = optionsFrom({})

/** Errors: Error for a field or client that is none, since a misspelt one would look like "nothing to see". */
export const initFilter: InitFilter = (setup) => {
  options = optionsFrom(setup.settings)
}

export const doFilter: DoFilter = (bodyPath, controlPaths, { id, attempt, log }) => {
  const facts = readControl(controlPaths)
  if (!isWanted(facts)) return pass()

  const { fields } = options
  log.info(`message ${id}, attempt ${attempt}`)
  if (fields.has('process')) log.info(`process: ${describeProcess()}`)
  if (fields.has('body')) log.info(`body: ${describeFile(bodyPath)}`)
  if (fields.has('control')) {
    for (const [index, path] of controlPaths.entries()) {
      log.info(`control ${index + 1} of ${controlPaths.length}: ${describeFile(path)}`)
    }
  }
  if (fields.has('envelope')) {
    log.info(`sender: <${hideAddress(facts.sender ?? '')}>`)
    for (const { address, original, dsn, done } of readRecipients(controlPaths)) {
      const place = `original "${hideAddress(original)}", notify "${dsn}"${done ? ', done' : ''}`
      log.info(`recipient: <${hideAddress(address)}>, ${place}`)
    }
  }
  if (fields.has('client')) log.info(`client: ${describeClient(facts)}`)
  return pass()
}

function optionsFrom(values: Readonly<Record<string, SettingValue>>): Options {
  const words = (name: keyof typeof settings): readonly string[] => {
    const value = values[name] ?? settings[name].default
    return Array.isArray(value) ? (value as readonly string[]) : []
  }
  const redact = values['redact']
  const known: readonly string[] = settings.fields.default
  const unknown = words('fields').find((field) => !known.includes(field))
  if (unknown !== undefined) throw new Error(`fields: there is no "${unknown}", only ${known.join(', ')}`)
  return {
    fields: new Set(words('fields')),
    redact: typeof redact === 'string' ? redact : settings.redact.default,
    senders: words('senders').map((word) => word.toLowerCase()),
    recipients: words('recipients').map((word) => word.toLowerCase()),
    clients: words('clients').length === 0 ? null : networksOf(words('clients')),
  }
}

function networksOf(words: readonly string[]): BlockList {
  const networks = new BlockList()
  for (const word of words) {
    const match = /^([^/]+)(?:\/([0-9]{1,3}))?$/.exec(word)
    const ip = match?.[1] ?? ''
    const family = isIP(ip)
    const bits = Number(match?.[2] ?? (family === 4 ? 32 : 128))
    if (family === 0 || bits > (family === 4 ? 32 : 128)) {
      throw new Error(`clients: "${word}" is neither an IP address nor a network such as 192.0.2.0/24`)
    }
    networks.addSubnet(ip, bits, family === 4 ? 'ipv4' : 'ipv6')
  }
  return networks
}

/** Each setting that names something must be met. */
function isWanted({ sender, recipients, clientIp }: ControlFacts): boolean {
  const { senders, clients } = options
  if (senders.length > 0 && !matches(senders, sender ?? '<>')) return false
  if (options.recipients.length > 0 && !recipients.some(({ address }) => matches(options.recipients, address)))
    return false
  if (clients === null) return true
  return clientIp !== null && clients.check(clientIp, isIP(clientIp) === 4 ? 'ipv4' : 'ipv6')
}

function matches(words: readonly string[], address: string): boolean {
  const folded = address.toLowerCase()
  const at = folded.lastIndexOf('@')
  return words.includes(folded) || (at !== -1 && words.includes(folded.slice(at)))
}

function describeProcess(): string {
  const ids = [process.getuid, process.geteuid, process.getgid, process.getegid].map((get) => get?.() ?? '-')
  const [uid, euid, gid, egid] = ids
  const groups = process.getgroups?.().join(' ') ?? '-'
  return `pid ${process.pid} in ${process.cwd()}, uid ${uid} (effective ${euid}), gid ${gid} (effective ${egid}), groups ${groups}`
}

/** As `stat` shows it. A link is shown itself, not what it leads to. */
function describeFile(path: string): string {
  const { mode, uid, gid, size, nlink, ino, mtime } = lstatSync(path)
  const permissions = mode.toString(8).padStart(7, '0')
  return `${path}: mode ${permissions}, owner ${uid}:${gid}, ${size} octets, ${nlink} links, inode ${ino}, modified ${mtime.toISOString()}`
}

function describeClient(facts: ControlFacts): string {
  const hidesHosts = options.redact === 'all'
  const ip = facts.clientIp ?? (facts.invalidClientIp === null ? 'none' : `"${facts.invalidClientIp}" (no address)`)
  const user = facts.authUser === null ? 'none' : `"${hideAddress(facts.authUser)}"`
  const mta = facts.receivedFrom ?? 'none'
  const relay = facts.relayClient ? 'may relay' : 'may not relay'
  return `ip ${hidesHosts ? '***' : ip}, user ${user}, source "${facts.source}", ${relay}, mta "${hidesHosts ? '***' : mta}"`
}

function hideAddress(address: string): string {
  if (address === '' || options.redact === 'none') return address
  const at = address.lastIndexOf('@')
  return options.redact === 'all' || at === -1 ? '***' : `***${address.slice(at)}`
}
