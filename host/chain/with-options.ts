/**
 * What stands after `with` in a line of the filter list: the host's options for the line, and the filter's settings.
 *
 * Pure: no clock, socket, file or logger.
 */
import type { OnError } from '../../courier-compat/filter.ts'
import { quotedUnlessSecret } from '../../courier-compat/secret-name.ts'
import { checkSetting } from '../../courier-compat/setting/value.ts'
import type { SettingSchema, SettingSchemas, SettingValue } from '../../courier-compat/setting.ts'
import { cureOf, keywords, order, remark } from './list-words.ts'
import type { Remark } from './list-words.ts'

/** The host's own options; every other name after `with` is a setting of the filter, which may not declare these. */
export const lineOptions = {
  on_error: {
    type: 'choice',
    default: 'defer',
    choices: ['defer', 'pass'],
    text: 'What a failure of this filter means; where it is not written the filter itself says, or it is defer.',
  },
  time_limit: {
    type: 'duration',
    default: null,
    min: '10ms',
    max: '10m',
    text: 'How long this filter may take over one message; [chain] time_limit unless written.',
  },
  dry_run: {
    type: 'switch',
    default: false,
    text: 'Run the filter and log what it says, but let nothing of it count.',
  },
  rerun: {
    type: 'switch',
    default: true,
    text: 'Whether this filter may see a message again that was in hand when a thread was lost.',
  },
} as const satisfies SettingSchemas

/** The options of one line, checked, and the filter's settings as written, to be checked where the filter is loaded. */
export interface WithOptions {
  /** `null`: not written, the filter itself says. */
  readonly onError: OnError | null
  /** `null`: not written, the host's default holds. */
  readonly timeLimitMs: number | null
  readonly dryRun: boolean
  readonly rerun: boolean
  readonly settings: Readonly<Record<string, string>>
}

/** Of a line without `with`. */
export const noOptions: WithOptions = Object.freeze({
  onError: null,
  timeLimitMs: null,
  dryRun: lineOptions.dry_run.default,
  rerun: lineOptions.rerun.default,
  settings: Object.freeze({}),
})

/**
 * Reads what stands after `with`.
 *
 * Shape:  `key=value` separated by blanks; a value is a word, or stands in double quotes, where `\"` is a quote and `\\` a
 *         backslash. In a plain word a backslash is a backslash.
 * Errors: `problems`; after a fault in quotes, or a comment, the rest of the line is not looked at.
 */
export function readWith(text: string): { readonly options: WithOptions; readonly problems: readonly Remark[] } {
  const pairs = new Map<string, string>()
  const problems = readPairs(text, pairs)
  return { options: optionsIn(pairs, problems), problems }
}

const pairPattern = /([a-z][a-z0-9_]*)=(?:"((?:[^"\\]|\\["\\])*)"|([^ \t"]+))(?=[ \t]|$)/y

function readPairs(text: string, pairs: Map<string, string>): Remark[] {
  const problems: Remark[] = []
  let isTold = false
  let offset = 0
  for (;;) {
    offset += text.slice(offset).search(/[^ \t]|$/)
    if (offset === text.length) break
    pairPattern.lastIndex = offset
    const match = pairPattern.exec(text)
    if (match === null) {
      const [stray = ''] = /^[^ \t]+/.exec(text.slice(offset)) ?? []
      const isLoose = !stray.slice(1).includes('=') && !keywords.includes(stray) && cureOf(stray) === null
      // `key = value` is one mistake, not three.
      if (!isLoose || !isTold) problems.push(pairFault(stray, text.slice(0, offset)))
      isTold ||= isLoose || stray.endsWith('=')
      if (stray.includes('"') || stray.startsWith('#')) return problems
      offset += stray.length
      continue
    }
    const [whole, key = '', inQuotes, plain = ''] = match
    if (pairs.has(key)) problems.push(remark(`${key} stands twice after "with"`, 'take one out'))
    // A value that ends so was meant to end before the comma.
    if (plain.endsWith(','))
      problems.push(remark(`the value of ${key} ends in a comma`, 'separate settings with blanks'))
    pairs.set(key, inQuotes === undefined ? plain : inQuotes.replace(/\\(.)/g, '$1'))
    offset += whole.length
  }
  if (pairs.size === 0 && problems.length === 0) problems.push(remark('"with" has nothing after it', order))
  return problems
}

function pairFault(word: string, before: string): Remark {
  if (keywords.includes(word)) return remark(`"${word}" stands after "with"`, order)
  const equals = word.indexOf('=')
  if (equals <= 0 || word.startsWith('#')) {
    // It may well be the rest of the value before it.
    const told = quotedUnlessSecret(word, 'a word', before)
    return remark(`${told} after "with" is not key=value`, cureOf(word) ?? 'write no blanks around "="')
  }
  const key = word.slice(0, equals)
  if (!/^[a-z][a-z0-9_]*$/.test(key))
    return remark(`${quotedUnlessSecret(key, 'a word', before)} is no name of a setting`, 'names are in snake_case')
  if (equals === word.length - 1) {
    return remark(`${key} has no value`, `write no blanks around "=", and ${key}="" for an empty text`)
  }
  const cure =
    'close them before a blank or the end of the line, and write \\" and \\\\ for a quote and a backslash inside'
  return remark(`the quotes in the value of ${key} are not right`, cure)
}

function optionsIn(pairs: ReadonlyMap<string, string>, problems: Remark[]): WithOptions {
  const taken = new Map<string, SettingValue>()
  for (const [key, schema] of Object.entries<SettingSchema>(lineOptions)) {
    const written = pairs.get(key)
    if (written === undefined) continue
    const checked = checkSetting(schema, written)
    if ('problem' in checked) problems.push(remark(`${key}: ${checked.problem}`))
    else taken.set(key, checked.value)
  }
  return {
    onError: (taken.get('on_error') ?? null) as OnError | null,
    timeLimitMs: (taken.get('time_limit') ?? null) as number | null,
    dryRun: (taken.get('dry_run') ?? noOptions.dryRun) as boolean,
    rerun: (taken.get('rerun') ?? noOptions.rerun) as boolean,
    settings: Object.freeze(Object.fromEntries([...pairs].filter(([key]) => !Object.hasOwn(lineOptions, key)))),
  }
}
