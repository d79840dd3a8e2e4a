/**
 * Courier's own configuration, for filters: who this machine is, which domains are its own, what a client may do.
 *
 * Everything is read from Courier's files as they are at the moment of the question, through a cache that looks at each
 * file's date. A file that is missing has Courier's own default, and a missing database no entries; a file that is there
 * and cannot be read is an error, never "no entry".
 *
 * Source: seed README.developers "courier.config"; spec courier 5; spec pythonfilter 1.9.
 */
import { reverse as reverseDns } from 'node:dns/promises'
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { openFileCache } from '../file-cache.ts'
import { databaseLimits, openDatabases } from '../gdbm/databases.ts'
import { findAlias } from './aliases.ts'
import { asciiDomain, canonicalDomain } from './domain.ts'
import { findHostedDomain } from './hosteddomains.ts'
import { findCourierFolders, runProgram, searchPath, type ProgramRunner } from './layout.ts'
import { domainListOf, isListed, parseDomainList } from './locals.ts'
import { dsnfromFor, meFrom, oneLineFiles, oneLineValue } from './one-line.ts'
import { parseSmtpaccess, smtpaccessKeys } from './smtpaccess.ts'
import { isAtLeast, parseCourierVersion } from './version.ts'

/** What `openCourierConfig` may be told; everything has the running machine's own value as its default. */
export interface CourierConfigOptions {
  /** Courier's folder of configuration. Default: found by the environment, then by `courier-config`. */
  readonly sysconfdir?: string
  readonly env?: NodeJS.ProcessEnv
  readonly hostName?: string
  readonly runProgram?: ProgramRunner
  /** The names of an address, by the DNS. */
  readonly reverse?: (ip: string) => Promise<string[]>
  readonly nowMs?: () => number
  /** What was read this short a time ago is not looked at again; 0 where it is not said: every change acts at once. */
  readonly trustMs?: number
}

/**
 * One Courier's configuration.
 *
 * Errors: every function throws where a file is there and cannot be read, with its path; those that take an address also
 *         RangeError for what is none.
 */
export interface CourierConfig {
  /** The folder that the answers come from. */
  sysconfdir(): string

  /**
   * The name of this mail server: file `me`, else the host's name. `vhost` is the virtual host of the message (control
   * record `v`), whose own file comes first; so with the three functions after it.
   */
  me(vhost?: string | null): string
  /** The domain of addresses without one: file `defaultdomain`, else `me`. An empty file is an empty domain. */
  defaultdomain(vhost?: string | null): string
  /** The From of Courier's notices: file `dsnfrom`, else one made of `me`, with the address `<@>`. */
  dsnfrom(vhost?: string | null): string
  /**
   * What to say in HELO, in ASCII: file `esmtphelo`, else `me`. Where the file says `*`, it is the DNS name of the
   * connection's own address, or `me` if there is none, or no connection is given (a `net.Socket`, for instance).
   */
  esmtphelo(connection?: { readonly localAddress?: string | undefined } | null, vhost?: string | null): Promise<string>
  /** True if local parts are the same in upper and lower case. */
  locallowercase(): boolean

  /** True if the domain is in `locals`: its accounts are named by the local part alone. Hosted domains are not in it. */
  isLocal(domain: string): boolean
  /** True if the domain is hosted: its accounts are named by the whole address. */
  isHosteddomain(domain: string): boolean
  /**
   * The domain under which a hosted domain's accounts are looked up: itself, the one that it is an alias of, or
   * `.parent` where it is hosted by a wildcard; `null` if it is not hosted.
   */
  hostedDomain(domain: string): string | null

  /**
   * What an alias expands to, one level; `null` for what is no alias, `[]` for an alias of nobody. `module` (`esmtp`,
   * `local`, `uucp`) looks into that module's own aliases first. Courier has expanded the recipients of a message before a
   * filter sees them.
   */
  getAlias(address: string, module?: string | null): string[] | null

  /** The client's entry in the SMTP access file as it stands there, the `*` entry for all others included, or `null`. */
  smtpaccess(ip: string): string | null
  /** A variable of the client's entry: `''` for one without value, `null` where there is none, or the entry denies. */
  getSmtpaccessVal(name: string, ip: string): string | null
  /** True if the client may relay by its address. */
  isRelayed(ip: string): boolean
  /** True if the client is exempt from block lists: `BLOCK` is there and empty. */
  isWhiteblocked(ip: string): boolean
  /** `BLOCK` of the client: the refusal that it hears, `''` if it is exempt from block lists, `null` if neither. */
  getBlockVal(ip: string): string | null

  /** Courier's version, for instance `1.0.16`; `null` where its program does not tell. Asked until it is known. */
  version(): string | null
  /** True if Courier has this version or a later one; false where its version is not known. */
  isMinVersion(wanted: string): boolean
}

const smallFileLimits = { fileOctets: 16 * 1024 * 1024, totalOctets: 32 * 1024 * 1024, files: 64 } as const

/** Opens a Courier's configuration. Nothing is read before the first question. */
export function openCourierConfig(options: CourierConfigOptions = {}): CourierConfig {
  const {
    env = process.env,
    runProgram: run = runProgram,
    reverse = reverseDns,
    nowMs = Date.now,
    trustMs = 0,
  } = options
  const folders = findCourierFolders(env, run)
  const databases = openDatabases({ ...databaseLimits, trustMs }, nowMs)
  const values = openFileCache(oneLineValue, { ...smallFileLimits, trustMs }, nowMs)
  const lists = openFileCache(parseDomainList, { ...smallFileLimits, trustMs }, nowMs)
  let foundVersion: string | null = null

  const sysconfdir = () => options.sysconfdir ?? folders.sysconfdir()
  const path = (name: string) => join(sysconfdir(), name)
  let host = { name: '', untilMs: -1 }
  const hostName = (): string => {
    const atMs = performance.now()
    if (atMs > host.untilMs) host = { name: canonicalDomain(options.hostName ?? hostname()), untilMs: atMs + trustMs }
    return host.name
  }
  const lookupIn = (name: string) => {
    const database = databases.open(path(name))
    return (key: string): Buffer | null => database?.lookup(key) ?? null
  }

  const oneLine = (name: string, vhost: string | null): string | null => {
    for (const file of oneLineFiles(name, vhost)) {
      const value = values.read(path(file))
      if (value !== null) return value
    }
    return null
  }

  const me = (vhost: string | null = null) => meFrom(oneLine('me', vhost), hostName())
  const defaultdomain = (vhost: string | null = null) => oneLine('defaultdomain', vhost) ?? me(vhost)
  const locallowercase = () => existsSync(path('locallowercase'))

  const isLocal = (domain: string) => {
    const list = lists.read(path('locals')) ?? domainListOf(me())
    return isListed(list, domain, hostName())
  }
  const hostedDomain = (domain: string) => findHostedDomain(domain, lookupIn('hosteddomains.dat'))

  const smtpaccess = (ip: string): string | null => {
    const lookup = lookupIn('smtpaccess.dat')
    for (const key of smtpaccessKeys(ip)) {
      const value = lookup(key)
      if (value !== null) return value.toString('utf8')
    }
    return null
  }
  const getSmtpaccessVal = (name: string, ip: string): string | null => {
    const entry = smtpaccess(ip)
    return entry === null ? null : (parseSmtpaccess(entry)?.get(name) ?? null)
  }

  const version = () => {
    foundVersion ??= parseCourierVersion(run(join(folders.sbindir(), 'courier'), ['--version'], searchPath(env)) ?? '')
    return foundVersion
  }

  return {
    ...{ sysconfdir, me, defaultdomain, locallowercase, isLocal, hostedDomain, smtpaccess, getSmtpaccessVal, version },
    dsnfrom: (vhost = null) => oneLine('dsnfrom', vhost) ?? dsnfromFor(me(vhost)),

    async esmtphelo(connection = null, vhost = null) {
      const value = oneLine('esmtphelo', vhost) ?? me(vhost)
      if (value !== '*') return asciiDomain(value)
      const address = connection?.localAddress
      const [name] = address === undefined ? [] : await reverse(address).catch(() => [])
      return asciiDomain(name ?? me(vhost))
    },

    isHosteddomain: (domain) => hostedDomain(domain) !== null,

    getAlias(address, module = null) {
      if (module !== null && !/^[a-z0-9]+$/.test(module)) throw new RangeError(`"${module}" is no module of Courier`)
      const names = module === null ? ['aliases.dat'] : [`aliases-${module}.dat`, 'aliases.dat']
      const facts = { isLocal, defaultdomain: defaultdomain(), me: me(), locallowercase: locallowercase() }
      return findAlias(address, names.map(lookupIn), facts)
    },

    isRelayed: (ip) => getSmtpaccessVal('RELAYCLIENT', ip) !== null,
    isWhiteblocked: (ip) => getSmtpaccessVal('BLOCK', ip) === '',
    getBlockVal: (ip) => getSmtpaccessVal('BLOCK', ip),

    isMinVersion: (wanted) => isAtLeast(version() ?? '', wanted),
  }
}
