import fc from 'fast-check'
import t from 'tap'
import { didYouMean, nearMatch } from '../../courier-compat/near-match.ts'
import { quoted } from '../../courier-compat/quoted.ts'
import { schemaProblems } from '../../courier-compat/setting/declaration.ts'
import { checkSetting, checkSettings, settingDefaults } from '../../courier-compat/setting/value.ts'
import type { SettingsOf } from '../../courier-compat/setting/value.ts'
import type { SettingSchema, SettingSchemas } from '../../courier-compat/setting.ts'
import { parseDuration, parseSize } from '../../courier-compat/units.ts'

const text = 'A setting.'
const duration: SettingSchema = { type: 'duration', default: '30s', min: '1s', max: '10m', text }
const openDuration: SettingSchema = { type: 'duration', default: null, text }
const size: SettingSchema = { type: 'size', default: '1MiB', min: '4KiB', max: '2GiB', text }
const openSize: SettingSchema = { type: 'size', default: null, text }
const count: SettingSchema = { type: 'count', default: 5, min: 1, max: 1000, text }
const flag: SettingSchema = { type: 'switch', default: true, text }
const choice: SettingSchema = { type: 'choice', default: 'defer', choices: ['defer', 'pass'], text }
const words: SettingSchema = { type: 'text', default: null, text }
const path: SettingSchema = { type: 'path', default: null, text }
const list: SettingSchema = { type: 'list', default: [], text }

const noDuration = 'duration: write a whole number and its unit, as in 500ms, 30s, 5m, 24h, 7d'
const noSize = 'size: write a whole number of octets, or one with KiB, MiB or GiB, as in 512, 64KiB, 10MiB'
const oneComma = 'has an empty word in its list: write words with one comma between each two'

const good: [SettingSchema, unknown, unknown][] = [
  [openDuration, '500ms', 500],
  [openDuration, '30s', 30_000],
  [openDuration, '5m', 300_000],
  [openDuration, '24h', 86_400_000],
  [openDuration, '7d', 604_800_000],
  [openDuration, '0s', 0],
  [openDuration, null, null],
  [duration, '1s', 1000],
  [duration, '1000ms', 1000],
  [duration, '10m', 600_000],
  [openSize, '512', 512],
  [openSize, 512, 512],
  [openSize, '64KiB', 65_536],
  [openSize, '10MiB', 10_485_760],
  [openSize, '2GiB', 2_147_483_648],
  [size, '4096', 4096],
  [count, '1', 1],
  [count, 1000, 1000],
  [flag, 'yes', true],
  [flag, 'no', false],
  [flag, false, false],
  [choice, 'pass', 'pass'],
  [words, '', ''],
  [words, 'two\nlines', 'two\nlines'],
  [words, null, null],
  [path, '/run/clamd.ctl', '/run/clamd.ctl'],
  [list, '', []],
  [list, 'one', ['one']],
  [list, ' a,b , c ', ['a', 'b', 'c']],
  [list, ['a', 'b,c'], ['a', 'b,c']],
]

const bad: [SettingSchema, unknown, string][] = [
  [duration, '30', `"30" is no ${noDuration}`],
  [duration, 30, `30 is no ${noDuration}`],
  [duration, '1.5h', `"1.5h" is no ${noDuration}`],
  [duration, '30 s', `"30 s" is no ${noDuration}`],
  [duration, '-1s', `"-1s" is no ${noDuration}`],
  [duration, '5M', `"5M" is no ${noDuration}`],
  [duration, '', `"" is no ${noDuration}`],
  [duration, '999999999999999d', `"999999999999999d" is no ${noDuration}`],
  [duration, '999ms', '"999ms" is below the minimum, 1s'],
  [duration, '11m', '"11m" is above the maximum, 10m'],
  [duration, null, 'has no value'],
  [duration, undefined, `a value of another kind is no ${noDuration}`],
  [size, '64KB', `"64KB" is no ${noSize}`],
  [size, '64k', `"64k" is no ${noSize}`],
  [size, 4096.5, `4096.5 is no ${noSize}`],
  [size, '4095', '"4095" is below the minimum, 4KiB'],
  [size, '3GiB', '"3GiB" is above the maximum, 2GiB'],
  [count, '1.0', '"1.0" is no whole number'],
  [count, '1e3', '"1e3" is no whole number'],
  [count, Number.NaN, 'NaN is no whole number'],
  [count, true, 'true is no whole number'],
  [count, '0', '"0" is below the minimum, 1'],
  [count, '-7', '"-7" is below the minimum, 1'],
  [count, 1001, '1001 is above the maximum, 1000'],
  [flag, 'true', '"true" is neither yes nor no'],
  [flag, 'Yes', '"Yes" is neither yes nor no'],
  [flag, 1, '1 is neither yes nor no'],
  [choice, 'reject', '"reject" is not one of defer, pass'],
  [choice, 'Pass', '"Pass" is not one of defer, pass; did you mean "pass"?'],
  [choice, 'defre', '"defre" is not one of defer, pass; did you mean "defer"?'],
  [choice, null, 'has no value'],
  [words, 5, '5 is no text'],
  [words, 'a\0b', '"a\\u0000b" contains a NUL'],
  [path, 'run/clamd.ctl', '"run/clamd.ctl" is no absolute path: it begins with /'],
  [path, '', '"" is no absolute path: it begins with /'],
  [path, '/a\0', '"/a\\u0000" is no absolute path: it begins with /'],
  [list, 'a,,b', oneComma],
  [list, 'a,', oneComma],
  [list, [''], oneComma],
  [list, ['a', 1], 'is a list with something else than words in it'],
  [list, { a: 1 }, 'a value of another kind is no list: write words separated by commas'],
]

void t.test('a value is right, or it is a problem that says why', (t) => {
  for (const [schema, raw, value] of good) {
    t.strictSame(checkSetting(schema, raw), { value }, `${schema.type}: ${JSON.stringify(raw)} is right`)
  }
  for (const [schema, raw, problem] of bad) {
    t.strictSame(checkSetting(schema, raw), { problem }, `${schema.type}: ${JSON.stringify(raw)} is wrong`)
  }
  t.end()
})

const table = {
  wait: duration,
  max_waiting: { type: 'count', default: 5, min: 1, max: 1000, text },
  on_failure: { type: 'choice', default: 'defer', choices: ['defer', 'pass'], text },
  zones: { type: 'list', default: ['a', 'b'], text },
  folder: { type: 'path', default: null, text },
  strict: { type: 'switch', default: false, text },
} as const satisfies SettingSchemas

void t.test('a table of settings', (t) => {
  const defaults = settingDefaults(table)
  t.strictSame(
    { ...defaults },
    { wait: 30_000, max_waiting: 5, on_failure: 'defer', zones: ['a', 'b'], folder: null, strict: false },
    'the defaults are values, not what was written',
  )
  // The compiler checks the types; each of these lines would not compile if a type were another.
  const typed: SettingsOf<typeof table> = defaults
  const waiting: number = typed.max_waiting
  const failure: 'defer' | 'pass' = typed.on_failure
  const folder: string | null = typed.folder
  // @ts-expect-error: null is only possible where the default is null
  const nothing: null = typed.max_waiting
  t.strictSame([waiting, failure, folder, nothing, typed.strict, typed.zones.length], [5, 'defer', null, 5, false, 2])

  const checked = checkSettings(table, { max_waiting: '7', wait: undefined, zones: 'x, y' })
  t.strictSame([checked.values.max_waiting, checked.values.wait, checked.values.zones], [7, 30_000, ['x', 'y']])
  t.strictSame(checked.problems, [])
  t.ok(Object.isFrozen(checked.values) && Object.isFrozen(checked.values.zones), 'the values are frozen')

  const raw = JSON.parse('{"max_waiting":0,"maxWaiting":7,"wiat":"1s","__proto__":{"a":1},"constructor":2}') as object
  const faulty = checkSettings(table, { ...raw, ['__proto__']: 1 })
  t.strictSame(
    faulty.problems,
    [
      { key: 'max_waiting', text: '0 is below the minimum, 1' },
      { key: 'maxWaiting', text: 'no such setting; did you mean "max_waiting"?' },
      { key: 'wiat', text: 'no such setting; did you mean "wait"?' },
      { key: '__proto__', text: 'no such setting' },
      { key: 'constructor', text: 'no such setting' },
    ],
    'all problems are told at once, in the order written, and names of Object.prototype are none of ours',
  )
  t.equal(faulty.values.max_waiting, 5, 'where a value is faulty the default stands')
  t.throws(() => settingDefaults({ wait: { ...duration, default: '1h' } }), {
    message: 'default of wait: "1h" is above the maximum, 10m',
  })
  t.end()
})

void t.test("a module's table of declarations", (t) => {
  const cases: [string, unknown, string[]][] = [
    ['a sound table', table, []],
    ['an empty table', {}, []],
    ['null', null, ['settings is not an object of declarations, name: { type, default, text }']],
    ['an array', [duration], ['settings is not an object of declarations, name: { type, default, text }']],
    ['a class instance', new Map(), ['settings is not an object of declarations, name: { type, default, text }']],
    ['a bare default', { wait: '30s' }, ['settings, "wait": is not a declaration, { type, default, text }']],
    ['camelCase', { maxWait: duration }, ['settings, "maxWait": the name is not in snake_case']],
    ['a reserved name', { dry_run: flag }, ['settings, "dry_run": the name is kept for an option of the host']],
    [
      'an unknown type',
      { wait: { type: 'durations', default: null, text }, n: { type: 7 } },
      [
        'settings, "wait": type "durations" is not one of duration, size, count, number, switch, choice, text, path, list, table; did you mean "duration"?',
        'settings, "n": type 7 is not one of duration, size, count, number, switch, choice, text, path, list, table',
      ],
    ],
    [
      'a mistyped property, and no text',
      { wait: { type: 'duration', default: '1s', maxx: '2s' } },
      [
        'settings, "wait": a duration has no property "maxx"; did you mean "max"?',
        'settings, "wait": text is not one line of text',
      ],
    ],
    ['two lines of text', { a: { ...flag, text: 'a\nb' } }, ['settings, "a": text is not one line of text']],
    [
      'bounds of another kind',
      { a: { type: 'duration', default: '1s', min: 5, max: '1 h', text }, b: { type: 'count', default: 1, text } },
      [
        'settings, "a": min 5 is no bound',
        'settings, "a": max "1 h" is no bound',
        'settings, "b": min a value of another kind is no bound',
        'settings, "b": max a value of another kind is no bound',
      ],
    ],
    ['bounds crossed', { a: { ...size, min: '1GiB', max: '1KiB' } }, ['settings, "a": min is above max']],
    [
      'one choice',
      { a: { ...choice, choices: ['defer'] } },
      ['settings, "a": choices is not a list of two or more different words'],
    ],
    ['no default', { a: { type: 'text', text } }, ['settings, "a": has no default (null: not set)']],
    ['a secret', { a: { type: 'text', default: null, secret: true, text } }, []],
    [
      'a secret that everybody knows',
      { a: { type: 'text', default: 'hunter2', secret: true, text } },
      ['settings, "a": a secret has no default but null: what stands in the code is known'],
    ],
    [
      'a secret in words',
      { a: { type: 'text', default: null, secret: 'yes', text } },
      ['settings, "a": secret "yes" is neither true nor false'],
    ],
    [
      'a secret that is no text',
      { a: { type: 'path', default: null, secret: true, text } },
      ['settings, "a": a path has no property "secret"'],
    ],
    ['a null switch', { a: { ...flag, default: null } }, ['settings, "a": a switch cannot be null']],
    [
      'a default as text',
      { a: { ...flag, default: 'yes' } },
      ['settings, "a": default "yes" is not written as a switch is declared'],
    ],
    [
      'a list as text',
      { a: { ...list, default: 'a,b' } },
      ['settings, "a": default "a,b" is not written as a list is declared'],
    ],
    [
      'a default in ms',
      { a: { ...duration, default: 5 } },
      ['settings, "a": default 5 is not written as a duration is declared'],
    ],
    ['a default out of bounds', { a: { ...count, default: 0 } }, ['settings, "a": default: 0 is below the minimum, 1']],
    [
      'a default that is no choice',
      { a: { ...choice, default: 'drop' } },
      ['settings, "a": default: "drop" is not one of defer, pass'],
    ],
  ]
  for (const [name, schemas, problems] of cases) t.strictSame(schemaProblems(schemas, ['dry_run']), problems, name)
  t.end()
})

void t.test('the name that was meant', (t) => {
  const names = ['max_waiting', 'deadline', 'grace', 'dry_run', 'w']
  const cases: [string, string | null][] = [
    ['maxWaiting', 'max_waiting'],
    ['max-waiting', 'max_waiting'],
    ['deadlien', 'deadline'],
    ['GRACE', 'grace'],
    ['gracie', 'grace'],
    ['dryrun', 'dry_run'],
    ['e', null],
    ['W', 'w'],
    ['time_limit', null],
    ['', null],
    ['x'.repeat(65), null],
  ]
  for (const [word, name] of cases) t.equal(nearMatch(word, names), name, `${word} -> ${String(name)}`)
  t.equal(didYouMean('grce', names), 'did you mean "grace"?')
  t.equal(quoted('a"b\u00a0\u202e\r\n'), String.raw`"a\"b\u00a0\u202e\r\n"`, 'what cannot be seen is written out')
  t.equal(quoted('x'.repeat(61)), `"${'x'.repeat(60)}..."`)
  t.end()
})

void t.test('whatever is written, the check answers, and what it lets through is within bounds', (t) => {
  const schemas = [duration, size, count, flag, choice, words, path, list]
  const raw = fc.oneof(fc.anything(), fc.string(), fc.stringMatching(/^[0-9]{1,17}(?:ms|s|m|h|d|KiB|MiB|GiB|)$/))
  const answers = fc.property(fc.constantFrom(...schemas), raw, (schema, value) => {
    const checked = checkSetting(schema, value)
    if ('problem' in checked) return checked.problem !== '' && !/[\r\n]/.test(checked.problem)
    if (schema.type === 'duration' || schema.type === 'size') {
      const parse = schema.type === 'size' ? parseSize : parseDuration
      const [least, most] = [parse(schema.min ?? '') ?? Number.NaN, parse(schema.max ?? '') ?? Number.NaN]
      return Number(checked.value) >= least && Number(checked.value) <= most
    }
    if (schema.type === 'count') return Number(checked.value) >= schema.min && Number(checked.value) <= schema.max
    return true
  })
  t.doesNotThrow(() => fc.assert(answers))
  const tables = fc.property(fc.oneof(fc.anything(), fc.dictionary(fc.string(), fc.anything())), (value) =>
    schemaProblems(value).every((problem) => problem.startsWith('settings')),
  )
  t.doesNotThrow(() => fc.assert(tables))
  t.end()
})
