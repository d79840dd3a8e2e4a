/** The arguments of a queue command: options and words, checked. Pure. */
import type { ParseArgsConfig } from 'node:util'
import { commonOptions, parseArguments } from '../arguments.ts'

/** Which depot; every queue command takes these. */
export const storeOptions = { ...commonOptions, store: { type: 'string' } } as const

type Options = NonNullable<ParseArgsConfig['options']>

/** What stands on the command line. */
export interface Words {
  /** Those that are not options. */
  readonly words: readonly string[]
  /** The value of an option, `null` without it. */
  readonly text: (name: string) => string | null
  /** A switch. */
  readonly is: (name: string) => boolean
}

/** Reads arguments. Shape: what is wrong, in words, where something is. `names` are what the words mean, `[NAME]` need not be there. */
export function readWords(args: readonly string[], options: Options, names: readonly string[]): Words | string {
  const parsed = parseArguments(args, { ...storeOptions, ...options })
  if (typeof parsed === 'string') return parsed
  const { positionals: words, values } = parsed
  const missing = names[words.length]
  if (missing !== undefined && !missing.startsWith('[')) return `${missing} is missing`
  const more = words[names.length]
  if (more !== undefined) return `unexpected argument ${JSON.stringify(more)}`
  const given = new Map<string, unknown>(Object.entries(values))
  return {
    words,
    text: (name) => {
      const value = given.get(name)
      return typeof value === 'string' ? value : null
    },
    is: (name) => given.get(name) === true,
  }
}

/** The first word, where it is one of these, and the arguments without it; options that every command takes may stand before it. */
export function splitVerb<const V extends string>(
  args: readonly string[],
  verbs: readonly V[],
): { readonly verb: V | null; readonly rest: readonly string[] } {
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? ''
    if (word === '-C' || word === '--config' || word === '--store') at++
    else if (!word.startsWith('-')) {
      const verb = verbs.find((one) => one === word) ?? null
      return { verb, rest: verb === null ? args : args.filter((_, index) => index !== at) }
    }
  }
  return { verb: null, rest: args }
}

/** A number of an option, `otherwise` without it; or what is wrong. */
export function numberOf<const D extends number | null>(
  { text }: Words,
  name: string,
  otherwise: D,
  least: number,
  most: number,
): number | D | string {
  const given = text(name)
  if (given === null) return otherwise
  const number = /^[0-9]{1,15}(\.[0-9]{1,6})?$/.test(given) ? Number(given) : Number.NaN
  if (number >= least && number <= most) return number
  return `--${name} ${given}: a number from ${least} to ${most} is wanted`
}

/** The token of a lease, or what is wrong. */
export function tokenOf(word: string): number | string {
  const token = /^[1-9][0-9]{0,15}$/.test(word) ? Number(word) : Number.NaN
  return Number.isSafeInteger(token) ? token : `${JSON.stringify(word)} is no token`
}

/** The value of an option that is one of a few words, or what is wrong. */
export function choiceOf<const C extends string, const D extends C | null>(
  { text }: Words,
  name: string,
  choices: readonly C[],
  otherwise: D,
): { readonly value: C | D } | string {
  const given = text(name)
  if (given === null) return { value: otherwise }
  const value = choices.find((choice) => choice === given)
  return value === undefined ? `--${name} ${given}: ${choices.join(', ')} is wanted` : { value }
}
