/**
 * Courier's aliases: what an address is delivered to instead.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 5.5; keys, order and virtual domains compared with what `aliaslookup` of Courier 1.0.16 answers.
 */
import { textOf } from '../control/text.ts'
import { canonicalDomain, splitAddress } from './domain.ts'

/** One alias file: the value of a key, or `null`. */
export type AliasLookup = (key: string) => Buffer | null

/** What the search depends on. */
export interface AliasFacts {
  readonly isLocal: (domain: string) => boolean
  readonly defaultdomain: string
  readonly me: string
  readonly locallowercase: boolean
}

/** An alias has no more octets than this; a file that says otherwise is damaged. */
const maxOctets = 16 * 1024 * 1024

/**
 * The addresses that an alias expands to, one level; `null` if there is none. `[]` is an alias for nobody.
 * `files` are searched in order, in each first for the address, then for its domain (`@virtual.example.org: account`).
 * Errors: what the lookups throw; Error for an alias that is longer than any can be.
 */
export function findAlias(address: string, files: readonly AliasLookup[], facts: AliasFacts): string[] | null {
  const { local, domain } = canonicalAlias(address, facts)
  for (const lookup of files) {
    const exact = membersOf(`${local}@${domain}`, lookup)
    if (exact !== null) return exact
    if (/[!%]/.test(local)) continue
    const virtual = membersOf(`@${domain}`, lookup)
    if (virtual !== null) return virtual.map((member) => virtualMember(member, local, facts.me))
  }
  return null
}

/**
 * The form of an address that keys have: the domain in lower case; no domain, and every local one (not a hosted one),
 * is `defaultdomain`. The local part keeps its case, except `postmaster`, and except where local parts are caseless.
 */
export function canonicalAlias(
  address: string,
  facts: AliasFacts,
): { readonly local: string; readonly domain: string } {
  const { local, domain } = splitAddress(address)
  const lower = local.toLowerCase()
  const isAtHome = domain === null || domain === '' || facts.isLocal(domain)
  return {
    local: facts.locallowercase || lower === 'postmaster' ? lower : local,
    domain: canonicalDomain(isAtHome ? facts.defaultdomain : domain),
  }
}

/** A record holds some 512 octets; the ones after it have the key and a number, its last hexadecimal digit first. */
function membersOf(key: string, lookup: AliasLookup): string[] | null {
  const first = lookup(key)
  if (first === null) return null
  const members = linesOf(first)
  let octets = first.length
  for (let number = 1; ; number++) {
    const more = lookup(`${key}\n${reversedHex(number)}`)
    if (more === null) return members
    octets += more.length
    if (octets > maxOctets) throw new Error(`the alias <${key}> has more than ${maxOctets} octets`)
    members.push(...linesOf(more))
  }
}

function reversedHex(number: number): string {
  let digits = ''
  for (let rest = number; rest > 0; rest = Math.floor(rest / 16)) digits += (rest % 16).toString(16).toUpperCase()
  return digits
}

function linesOf(value: Buffer): string[] {
  const lines: string[] = []
  for (let start = 0; start < value.length;) {
    const found = value.indexOf(0x0a, start)
    const end = found === -1 ? value.length : found
    if (end > start) lines.push(textOf(value.subarray(start, end)))
    start = end + 1
  }
  return lines
}

/** `account` and the local part make `account-local`; `host!` makes `host!local`, the way of UUCP. */
function virtualMember(member: string, local: string, me: string): string {
  return `${member}${member.endsWith('!') ? '' : '-'}${local}@${me}`
}
