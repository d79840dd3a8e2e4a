/**
 * Hosted domains: domains whose accounts have the full address as their name.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 5.4.
 */
import { canonicalDomain } from './domain.ts'

/** Courier tries the domain itself and this many of its ends. */
const maxWildcards = 5

/** The keys that are looked up for a domain, in order: itself, then its ends from each dot on. */
export function hostedDomainKeys(domain: string): string[] {
  const name = canonicalDomain(domain)
  if (name === '') return []
  const keys = [name]
  for (let dot = name.indexOf('.', 1); dot !== -1 && keys.length <= maxWildcards; dot = name.indexOf('.', dot + 1)) {
    keys.push(name.slice(dot))
  }
  return keys
}

/**
 * The domain under which a hosted domain's accounts are kept, or `null` if it is not hosted.
 *
 * Shape: `hosted.example.org` is itself; an alias is the domain it stands for; `x.wild.example.org`, hosted by
 *        `.wild.example.org`, is `.wild.example.org`.
 */
export function findHostedDomain(domain: string, lookup: (key: string) => Buffer | null): string | null {
  for (const key of hostedDomainKeys(domain)) {
    const value = lookup(key)?.toString('utf8')
    if (value !== undefined) return value === '1' || value === '' ? key : value
  }
  return null
}
