/** The arguments of a command, by Node's own reader. Pure. */
import { parseArgs, type ParseArgsConfig } from 'node:util'

/** What every command takes. `--help` is answered before a command hears of it. */
export const commonOptions = {
  config: { type: 'string', short: 'C' },
  verbose: { type: 'boolean', short: 'v' },
  json: { type: 'boolean' },
} as const

type Options = NonNullable<ParseArgsConfig['options']>
type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: O; allowPositionals: true; strict: true }>
>

/**
 * Reads arguments: `parseArguments(args, { ...commonOptions, max: { type: 'string' } })`.
 * Shape: `values` by option name, `positionals` the rest; or, where something is wrong, what in words.
 */
export function parseArguments<const O extends Options>(args: readonly string[], options: O): Parsed<O> | string {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (error) {
    if (!(error instanceof TypeError) || !('code' in error)) throw error
    // The first sentence says what is wrong; the others are advice to programmers.
    const [first = ''] = error.message.split(/\. |\n/)
    return first.charAt(0).toLowerCase() + first.slice(1)
  }
}

/** The whole number of an option, or what is wrong with it. */
export function wholeNumber(name: string, text: string, least: number, most: number): number | string {
  const number = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN
  return number >= least && number <= most
    ? number
    : `--${name} ${text}: a whole number from ${least} to ${most} is wanted`
}
