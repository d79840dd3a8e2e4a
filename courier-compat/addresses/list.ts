/**
 * Reads the addresses of a header field: mailboxes and groups.
 *
 * Pure: no clock, socket, file or logger. One pass, no recursion: time and memory grow with the text, and limits bound them.
 * Source: RFC 5322 3.4, RFC 6532, RFC 6854 (groups in From). Of the obsolete forms of RFC 5322 4.4 only empty places in a list
 * and dots in names: on those programs agree.
 */
import { readAddrSpec, type AddrSpecRules } from './addr-spec.ts'
import type { Address } from './address.ts'
import { addressLimits, type AddressLimits } from './limits.ts'
import { commentOf, nameOf } from './name.ts'
import { refuse, type Refusal } from './refusal.ts'
import { createScanner, type Scanner, type Token } from './scanner.ts'
import { openSource } from './source.ts'

/** An address as it stands in a header field. */
export interface Mailbox {
  readonly kind: 'mailbox'
  /** The display name, decoded; `null` without one. Whatever the sender wrote: never an address to act on. */
  readonly name: string | null
  /** Comments beside it, decoded, with a blank between them; `null` without one. */
  readonly comment: string | null
  readonly address: Address
  /** The name of the group that it stands in. */
  readonly group: string | null
}

/** A named list of mailboxes, which may be empty: `undisclosed-recipients:;`. */
export interface Group {
  readonly kind: 'group'
  readonly name: string
  readonly mailboxes: readonly Mailbox[]
}

/** What a header field says. */
export interface AddressList {
  readonly ok: true
  /** In order, groups as they stand. */
  readonly entries: readonly (Mailbox | Group)[]
  /** In order, those in groups among them. */
  readonly mailboxes: readonly Mailbox[]
}

/**
 * Reads the unfolded value of a field such as To: `HeaderField.valueBytes`, or text.
 *
 * Shape: an answer for all of it or a refusal, never a part. A value without any address is an empty list. Of several
 *        faults the first is told that is not merely `malformed`.
 */
export function parseAddressList(
  input: string | Uint8Array,
  limits: AddressLimits = addressLimits,
): AddressList | Refusal {
  const source = openSource(input, limits)
  if (!source.ok) return source
  const list = new ListReader(createScanner(source.text, limits), { limits, isUtf8: source.isUtf8 }).read()
  if (list.ok) return list
  // Where there is no @ nobody reads an address, unless by decoding one first.
  const isVain = list.weight === 'ambiguous' && !/@|=\?/.test(source.text)
  return source.placed(isVain ? { ...list, weight: 'malformed' } : list)
}

/** The state between two words of a list. Each step answers a refusal, or `null` to go on. */
class ListReader {
  readonly #scanner: Scanner
  readonly #rules: AddrSpecRules
  readonly #entries: (Mailbox | Group)[] = []
  readonly #mailboxes: Mailbox[] = []
  #group: { readonly name: string; readonly start: number; readonly mailboxes: Mailbox[] } | null = null
  /** A group has ended, and no comma stands yet between it and what comes. */
  #isAfterGroup = false
  /** Of the entry that is being read: its words, and the address in angle brackets after them. */
  #words: Token[] = []
  #angle: Address | Refusal | null = null
  #malformed: Refusal | null = null

  constructor(scanner: Scanner, rules: AddrSpecRules) {
    this.#scanner = scanner
    this.#rules = rules
  }

  read(): AddressList | Refusal {
    for (;;) {
      const token = this.#scanner.next()
      if ('ok' in token) return token
      const refusal = this.#step(token)
      if (refusal !== null) return refusal
      if (token.kind === 'end') break
    }
    if (this.#group !== null) return refuse('open-group', this.#group.start)
    return this.#malformed ?? { ok: true, entries: this.#entries, mailboxes: this.#mailboxes }
  }

  #step(token: Token): Refusal | null {
    switch (token.kind) {
      case 'text':
      case 'quoted':
      case 'literal':
      case '@':
        if (this.#isComplete()) return refuse('text-beside', token.start)
        if (this.#words.length === this.#rules.limits.words) return refuse('too-many', token.start)
        this.#words.push(token)
        return null
      case '<':
        return this.#isComplete() ? refuse('text-beside', token.start) : this.#readAngle(token)
      case '>':
        return refuse('stray', token.start)
      case ':':
        return this.#beginGroup(token)
      case ';':
        return this.#endEntry(token) ?? this.#endGroup(token)
      case ',':
      case 'end':
        return this.#endEntry(token)
    }
  }

  /** Nothing may follow but a comma, a semicolon or the end. */
  #isComplete(): boolean {
    return this.#angle !== null || this.#isAfterGroup
  }

  #readAngle(open: Token): Refusal | null {
    const angle = readInAngle(this.#scanner, this.#rules, open)
    if ('ok' in angle && angle.weight !== 'malformed') return angle
    if (!isName(this.#words, angle, this.#rules)) return refuse('name-with-at', this.#words[0]?.start ?? open.start)
    this.#angle = angle
    return null
  }

  #beginGroup({ start }: Token): Refusal | null {
    if (this.#group !== null) return refuse('nested-group', start)
    const name = nameOf(this.#words)
    if (this.#isComplete() || name === null || this.#words.some(isAt)) return refuse('stray', start)
    this.#group = { name, start, mailboxes: [] }
    this.#words = []
    this.#scanner.takeComments()
    return null
  }

  #endGroup({ start }: Token): Refusal | null {
    if (this.#group === null) return refuse('stray', start)
    if (this.#entries.length === this.#rules.limits.addresses) return refuse('too-many', start)
    this.#entries.push({ kind: 'group', name: this.#group.name, mailboxes: this.#group.mailboxes })
    this.#group = null
    this.#isAfterGroup = true
    this.#scanner.takeComments()
    return null
  }

  #endEntry({ start }: Token): Refusal | null {
    this.#isAfterGroup = false
    if (this.#angle === null && this.#words.length === 0) return null
    const address = this.#angle ?? readAddrSpec(this.#words, this.#rules, start)
    if ('ok' in address) {
      if (address.weight !== 'malformed') return address
      // Told only if nothing worse comes: or what is worse could be hidden behind it.
      this.#malformed ??= address
    } else {
      if (this.#mailboxes.length === this.#rules.limits.addresses) return refuse('too-many', start)
      const name = this.#angle === null ? null : nameOf(this.#words)
      const comment = commentOf(this.#scanner.takeComments())
      const mailbox: Mailbox = { kind: 'mailbox', name, comment, address, group: this.#group?.name ?? null }
      this.#mailboxes.push(mailbox)
      ;(this.#group?.mailboxes ?? this.#entries).push(mailbox)
    }
    this.#words = []
    this.#angle = null
    return null
  }
}

/** The address up to `>`; `open` is the `<`. */
function readInAngle(scanner: Scanner, rules: AddrSpecRules, open: Token): Address | Refusal {
  const words: Token[] = []
  for (;;) {
    const token = scanner.next()
    if ('ok' in token) return token
    switch (token.kind) {
      case 'text':
      case 'quoted':
      case 'literal':
      case '@':
        if (words.length === rules.limits.words) return refuse('too-many', token.start)
        words.push(token)
        break
      case '>':
        return readAddrSpec(words, rules, token.start)
      case ',':
      case ':':
        return refuse(words[0]?.kind === '@' ? 'route' : 'stray', token.start)
      case '<':
      case ';':
        return refuse('stray', token.start)
      case 'end':
        return refuse('open-bracket', open.start)
    }
  }
}

/**
 * True if these words before the angle brackets are a name to everybody. One with an @ is an address to some; only where
 * it is the very same one does that make no difference.
 */
function isName(words: readonly Token[], angle: Address | Refusal, rules: AddrSpecRules): boolean {
  if (!words.some(isAt)) return true
  const address = readAddrSpec(words, rules, 0)
  return !('ok' in address) && !('ok' in angle) && address.local === angle.local && address.domain === angle.domain
}

function isAt({ kind }: Token): boolean {
  return kind === '@'
}
