/**
 * The daemon's answer: octets, as they come in -> an account.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 6 (attributes); spec pythonfilter 3.5.
 */
import { textOf } from '../control/text.ts'

/** An account of this machine. Text that is not UTF-8 has the form that addresses in control files have. */
export interface Account {
  /** What the account is known as, the name asked for in most set-ups. */
  readonly address: string | null
  /** The system account whose user and group these are; where it is given, `uid` is not. */
  readonly username: string | null
  readonly uid: number | null
  readonly gid: number | null
  readonly home: string | null
  /** As it is set, for instance `./Maildir`: below `home` where it is relative. */
  readonly maildir: string | null
  readonly name: string | null
  /** For instance `1000000S,100C`: octets and messages, either of which may be missing. */
  readonly quota: string | null
  /** `disableimap=1,sharedgroup=x` by name; a name without `=` has `''`. */
  readonly options: ReadonlyMap<string, string>
  /**
   * All that was answered, by the daemon's own names (`HOME`, `MAILDIR`); of a name that comes twice the last. Without
   * passwords and their hashes: whoever has no business with them shall not log them by accident.
   */
  readonly all: ReadonlyMap<string, string>
}

/** How far an answer has come. */
export type AnswerState =
  | { readonly kind: 'more' }
  | { readonly kind: 'found'; readonly account: Account }
  | { readonly kind: 'unknown' }
  /** What came is no answer. */
  | { readonly kind: 'garbage'; readonly text: string }

/** A longer answer is none. */
export const maxAnswerOctets = 64 * 1024

const lf = 0x0a
const secret: ReadonlySet<string> = new Set(['PASSWD', 'PASSWD2'])

/** Reads an answer piece by piece; the pieces may end anywhere. Nothing may be added after a kind other than `more`. */
export function openAnswer(): { add(piece: Buffer): AnswerState; isEmpty(): boolean } {
  const attributes = new Map<string, string>()
  let rest: Buffer[] = []
  let octets = 0

  const read = (line: Buffer): AnswerState => {
    const text = textOf(line)
    if (text === 'FAIL') return { kind: 'unknown' }
    if (text === '.') return attributes.size === 0 ? garbage('no attributes') : found(attributes)
    const at = line.indexOf('=')
    if (at < 1) return garbage('a line that is no attribute')
    attributes.set(textOf(line.subarray(0, at)), textOf(line.subarray(at + 1)))
    return more
  }
  return {
    isEmpty: () => octets === 0,
    add(piece) {
      let from = 0
      for (let at = piece.indexOf(lf); at !== -1; at = piece.indexOf(lf, from)) {
        if (octets + at >= maxAnswerOctets) break
        const state = read(Buffer.concat([...rest, piece.subarray(from, at)]))
        if (state.kind !== 'more') return state
        rest = []
        from = at + 1
      }
      octets += piece.length
      if (octets > maxAnswerOctets) return garbage(`more than ${maxAnswerOctets} octets`)
      rest.push(piece.subarray(from))
      return more
    },
  }
}

const more: AnswerState = { kind: 'more' }

const garbage = (text: string): AnswerState => ({ kind: 'garbage', text })

function found(attributes: ReadonlyMap<string, string>): AnswerState {
  const all = new Map([...attributes].filter(([name]) => !secret.has(name)))
  const text = (name: string): string | null => all.get(name) ?? null
  const number = (name: string): number | null => {
    const value = text(name)
    return value !== null && /^[0-9]{1,10}$/.test(value) ? Number(value) : null
  }
  const account: Account = {
    ...{ address: text('ADDRESS'), username: text('USERNAME'), uid: number('UID'), gid: number('GID') },
    ...{ home: text('HOME'), maildir: text('MAILDIR'), name: text('NAME'), quota: text('QUOTA') },
    ...{ options: optionsIn(text('OPTIONS') ?? ''), all },
  }
  return { kind: 'found', account }
}

function optionsIn(text: string): ReadonlyMap<string, string> {
  const options = new Map<string, string>()
  for (const option of text.split(',')) {
    const at = option.indexOf('=')
    const name = at === -1 ? option : option.slice(0, at)
    if (name !== '') options.set(name, at === -1 ? '' : option.slice(at + 1))
  }
  return options
}
