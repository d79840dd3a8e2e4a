/**
 * Reads one addr-spec out of its words: what stands around the @, and nothing else.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 5322 3.4.1 without its obsolete forms, in which comments and blanks part what others glue together; RFC 6532.
 */
import { dotAtom, type Address } from './address.ts'
import { canonicalDomainName, canonicalLiteral } from './domain-name.ts'
import type { AddressLimits } from './limits.ts'
import { refuse, type Refusal } from './refusal.ts'
import type { Token } from './scanner.ts'
import { isUnmistakable } from './unmistakable.ts'

/** What an addr-spec is read with. */
export interface AddrSpecRules {
  readonly limits: AddressLimits
  /** The text was made of octets that are not UTF-8: nobody knows what they mean. */
  readonly isUtf8: boolean
}

/** Reads the address that these words are. `at` is the place to tell where there are none. */
export function readAddrSpec(words: readonly Token[], rules: AddrSpecRules, at: number): Address | Refusal {
  const [first, second, third, fourth] = words
  if (first === undefined) return refuse('no-address', at)
  const ats = words.filter(({ kind }) => kind === '@')
  if (ats.length === 0) return refuse('no-at', first.start)
  if (ats[1] !== undefined) return refuse('several-at', ats[1].start)
  if (first.kind === '@') return refuse('no-local-part', first.start)
  if (words.at(-1)?.kind === '@') return refuse('no-domain', words.at(-1)?.end ?? at)
  if (second?.kind !== '@' || third === undefined || fourth !== undefined) {
    return refuse('text-beside', (second?.kind === '@' ? fourth : second)?.start ?? at)
  }
  const local = readLocal(first, rules)
  if (typeof local !== 'string') return local
  const domain = readDomain(third, rules)
  return typeof domain === 'string' ? { local, domain } : domain
}

const withDots = /^[\w!#$%&'*+\-/=?^`{|}~.]+$/
// Some programs decode it, and then see another address.
const encodedWord = /=\?[^?]*\?[bq]\?/i

function readLocal({ kind, value, start }: Token, { limits, isUtf8 }: AddrSpecRules): string | Refusal {
  if (Buffer.byteLength(value) > limits.localOctets) return refuse('long-local-part', start)
  const isRight = kind === 'quoted' ? value !== '' && !/[\0-\x1f\x7f]/.test(value) : dotAtom.test(value)
  if (!isRight) return refuse(kind === 'text' && withDots.test(value) ? 'local-dots' : 'local-part', start)
  if (encodedWord.test(value)) return refuse('encoded-word', start)
  if (!isUtf8 && !isAscii(value)) return refuse('local-octets', start)
  return isUnmistakable(value) ? value : refuse('local-part', start)
}

function readDomain({ kind, value, start }: Token, { isUtf8 }: AddrSpecRules): string | Refusal {
  if (kind === 'literal') return canonicalLiteral(value) ?? refuse('domain-literal', start)
  if (kind !== 'text') return refuse('domain', start)
  if (encodedWord.test(value)) return refuse('encoded-word', start)
  if (!isUtf8 && !isAscii(value)) return refuse('not-utf8', start)
  const domain = canonicalDomainName(value)
  return typeof domain === 'string' ? domain : refuse(domain.fault, start)
}

function isAscii(text: string): boolean {
  return /^\p{ASCII}*$/u.test(text)
}
