/**
 * Reads one address that stands alone: in an envelope, a setting, a command.
 *
 * Pure: no clock, socket, file or logger.
 */
import { readAddrSpec } from './addr-spec.ts'
import { canonical, type Address } from './address.ts'
import { addressLimits, type AddressLimits } from './limits.ts'
import { refuse, type Refusal } from './refusal.ts'
import { createScanner, type Token } from './scanner.ts'
import { openSource } from './source.ts'

/** How `parseAddress` reads. */
export interface AddressOptions {
  /** `<bob@example.org>` is read as well; with the default `false` it is refused. */
  readonly brackets?: boolean
  readonly limits?: AddressLimits
}

/** The answer to "what address is this". */
export type AddressResult = { readonly ok: true; readonly address: Address } | Refusal

/**
 * Reads one address: no name, no comment, no blank around it.
 *
 * Shape: an answer or a refusal. The null sender (`''`, `<>`) is refused with `no-address`.
 */
export function parseAddress(
  input: string | Uint8Array,
  { brackets = false, limits = addressLimits }: AddressOptions = {},
): AddressResult {
  const source = openSource(input, limits)
  if (!source.ok) return source
  const words = wordsOf(source.text, limits)
  if (!Array.isArray(words)) return source.placed(words)
  const isBracketed = brackets && words[0]?.kind === '<' && words.at(-1)?.kind === '>'
  const address = readAddrSpec(isBracketed ? words.slice(1, -1) : words, { limits, isUtf8: source.isUtf8 }, 0)
  return 'ok' in address ? source.placed(address) : { ok: true, address }
}

/** More than any address has: brackets, local part, @, domain. */
const maxWords = 5

/** The words of an address without comments and blanks, or why it cannot be one. */
function wordsOf(text: string, limits: AddressLimits): Token[] | Refusal {
  const scanner = createScanner(text, limits)
  const words: Token[] = []
  for (let end = 0; ;) {
    const token = scanner.next()
    if ('ok' in token) return token
    if (token.start !== end) return refuse('comment-or-blank', end)
    if (token.kind === 'end') return words
    if (words.length === maxWords) return refuse('text-beside', token.start)
    words.push(token)
    end = token.end
  }
}

/** The domain of an address in its canonical form; `null` for the null sender and for what cannot be read. */
export function domainOf(address: string | null): string | null {
  const result = parseAddress(address ?? '', { brackets: true })
  return result.ok ? result.address.domain : null
}

/** How addresses are compared. */
export interface SameAddressOptions {
  /** Local parts are the same in upper and lower case: what `locallowercase()` answers, and for local domains only. */
  readonly localLowercase?: boolean
}

/**
 * True if both are the same address: the same domain however it is written, the same local part octet for octet, its
 * quotes and backslashes undone. `postmaster` has no letter case anywhere. Text that cannot be read is the same as itself.
 */
export function sameAddress(a: Address | string, b: Address | string, options: SameAddressOptions = {}): boolean {
  return identityOf(a, options) === identityOf(b, options)
}

/** A text that is the same for the same addresses (see `sameAddress`), for keys of maps. */
export function identityOf(address: Address | string, { localLowercase = false }: SameAddressOptions = {}): string {
  if (typeof address === 'string') {
    const result = parseAddress(address, { brackets: true })
    // A blank in front: no address that can be read begins with one.
    return result.ok ? identityOf(result.address, { localLowercase }) : ` ${address}`
  }
  const lower = address.local.toLowerCase()
  const isCaseless = localLowercase || lower === 'postmaster'
  return canonical(isCaseless ? { ...address, local: lower } : address)
}
