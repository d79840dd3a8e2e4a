/**
 * The configuration of this machine's Courier, one function each: what `openCourierConfig()` opens, under the names that
 * filters for pythonfilter know, in camelCase.
 *
 * Nothing happens at import. The folder is found at the first call: by `sysconfdir` and `prefix` in the environment, which
 * Courier sets for its filters, else by `courier-config`. `config/courier-config.ts` says what each function answers and
 * when it throws.
 */
import { openCourierConfig, type CourierConfig } from './config/courier-config.ts'

export { canonicalDomain } from './config/domain.ts'
export { openCourierConfig } from './config/courier-config.ts'
export type { CourierConfig, CourierConfigOptions } from './config/courier-config.ts'
export type { ProgramRunner } from './config/layout.ts'

let trustMs = 0

/**
 * From now on a file that was looked at this short a time ago is not looked at again, so that an administrator's change
 * acts that much later. For hosts: with many messages a second, looking is what most of these functions cost.
 */
export function trustConfiguration(forMs: number): void {
  trustMs = forMs
  machine = null
}

let machine: { readonly of: string; readonly config: CourierConfig } | null = null

/** Found again where the environment names another folder than before. */
function ofMachine(): CourierConfig {
  const of = `${process.env['sysconfdir'] ?? ''}\0${process.env['prefix'] ?? ''}`
  if (machine?.of !== of) machine = { of, config: openCourierConfig({ trustMs }) }
  return machine.config
}

/** Courier's folder of configuration, for instance `/etc/courier`. */
export const sysconfdir: CourierConfig['sysconfdir'] = () => ofMachine().sysconfdir()

/** The name of this mail server. */
export const me: CourierConfig['me'] = (vhost) => ofMachine().me(vhost)

/** The domain of addresses without one. */
export const defaultdomain: CourierConfig['defaultdomain'] = (vhost) => ofMachine().defaultdomain(vhost)

/** The From of Courier's notices. */
export const dsnfrom: CourierConfig['dsnfrom'] = (vhost) => ofMachine().dsnfrom(vhost)

/** What to say in HELO. Asynchronous, since it may ask the DNS. */
export const esmtphelo: CourierConfig['esmtphelo'] = (connection, vhost) => ofMachine().esmtphelo(connection, vhost)

/** True if local parts are the same in upper and lower case. */
export const locallowercase: CourierConfig['locallowercase'] = () => ofMachine().locallowercase()

/** True if the domain is in `locals`. */
export const isLocal: CourierConfig['isLocal'] = (domain) => ofMachine().isLocal(domain)

/** True if the domain is hosted. */
export const isHosteddomain: CourierConfig['isHosteddomain'] = (domain) => ofMachine().isHosteddomain(domain)

/** The domain under which a hosted domain's accounts are looked up, or `null`. */
export const hostedDomain: CourierConfig['hostedDomain'] = (domain) => ofMachine().hostedDomain(domain)

/** What an alias expands to, or `null`. */
export const getAlias: CourierConfig['getAlias'] = (address, module) => ofMachine().getAlias(address, module)

/** The client's entry in the SMTP access file, or `null`. */
export const smtpaccess: CourierConfig['smtpaccess'] = (ip) => ofMachine().smtpaccess(ip)

/** A variable of the client's entry, `''` without a value, `null` where there is none. */
export const getSmtpaccessVal: CourierConfig['getSmtpaccessVal'] = (name, ip) => ofMachine().getSmtpaccessVal(name, ip)

/** True if the client may relay by its address. */
export const isRelayed: CourierConfig['isRelayed'] = (ip) => ofMachine().isRelayed(ip)

/** True if the client is exempt from block lists. */
export const isWhiteblocked: CourierConfig['isWhiteblocked'] = (ip) => ofMachine().isWhiteblocked(ip)

/** The refusal that the client hears, `''` if it is exempt from block lists, `null` if neither. */
export const getBlockVal: CourierConfig['getBlockVal'] = (ip) => ofMachine().getBlockVal(ip)

/** True if Courier has this version or a later one; false where its version is not known. */
export const isMinVersion: CourierConfig['isMinVersion'] = (wanted) => ofMachine().isMinVersion(wanted)
