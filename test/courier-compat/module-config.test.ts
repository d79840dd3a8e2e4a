import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { applyModuleConfig, getModuleConfig, ModuleConfigError } from '../../courier-compat/index.ts'
import { filterSettings } from '../../courier-compat/module-config/filter-settings.ts'
import type { SettingsOwner } from '../../courier-compat/module-config/filter-settings.ts'
import { librarySections, librarySettings } from '../../courier-compat/module-config/library-sections.ts'
import {
  mergeModuleFiles,
  noModuleConfig,
  optionsFor,
  unknownSections,
} from '../../courier-compat/module-config/merge.ts'
import type { ModuleConfig } from '../../courier-compat/module-config/merge.ts'
import { parseModuleConfig } from '../../courier-compat/module-config/parse.ts'
import { tellModuleProblem } from '../../courier-compat/module-config/problem.ts'
import type { ModuleProblem } from '../../courier-compat/module-config/problem.ts'
import { moduleConfigPaths, readModuleConfig } from '../../courier-compat/module-config/read.ts'
import { settingFromPython } from '../../courier-compat/module-config/typed.ts'
import { evaluatePython } from '../../courier-compat/python-value/evaluate.ts'
import { schemaProblems } from '../../courier-compat/setting/declaration.ts'
import type { SettingSchema, SettingSchemas } from '../../courier-compat/setting.ts'
import { cpuTimeOf } from '../helpers/cpu-time.ts'

const told = (problems: readonly ModuleProblem[]): string[] => problems.map(tellModuleProblem)

void t.test('the lines of a file', (t) => {
  const cases: [name: string, text: string, problems: string[], warnings?: string[]][] = [
    ['an empty file', '', []],
    ['comments alone', '# a\n  ; b\n', []],
    ['a section without options', '[s]\n', []],
    ['names are case-sensitive', '[s]\na = 1\n[S]\na = 1', []],
    ['blanks in a name count', '[s]\na = 1\n[ s ]\na = 1', []],
    ['[DEFAULT] in two parts', '[DEFAULT]\na = 1\n[s]\n[DEFAULT]\nb = 1', []],
    [
      'an indented header below an option is a part of its value',
      '[s]\na = 1\n  [t]',
      ['m:3:3: [s] a: "[t]" is indented deeper than the key above it; begin it in the same column as that key'],
    ],
    [
      'the same option in both parts of [DEFAULT]',
      '[DEFAULT]\na = 1\n[s]\n[DEFAULT]\na = 1',
      ['m:5:1: [DEFAULT] a: stands twice, first in line 2; take one out'],
    ],
    [
      '[x] and [x.py]',
      '[x]\na = 1\n\n[x.py]\nb = 1',
      ['m:4:1: [x.py]: is the same section as [x] in line 1; put the options under one header'],
    ],
    [
      'a section under its old and its new name',
      '[ttldb]\n[TtlDb]\n',
      ['m:2:1: [TtlDb]: is the same section as [ttldb] in line 1; put the options under one header'],
      ['m:2:1: [TtlDb]: is called [ttldb] now'],
    ],
    ['an old name of a section', '[Quarantine]\ndays = 1', [], ['m:1:1: [Quarantine]: is called [quarantine] now']],
    ['a comment after a header', '[s] # note\n', []],
    ['a header that is not closed', '[s\na = 1', ['m:1:1: [s]: "[s" is no section; write [name] alone on its line']],
    ['a header without a name', '[]', ['m:1:1: "[]" is no section; write [name] alone on its line']],
    [
      'no key',
      '[s]\n= 1',
      [
        'm:2:1: [s]: there is no key before the value; write key = value, or indent the line deeper than the key it belongs to',
      ],
    ],
    [
      'what is indented below a faulty line is told with it',
      '[s]\nwhat\n  is = this\n  }',
      [
        'm:2:1: [s]: "what" is neither [section] nor key = value; write key = value, or indent the line deeper than the key it belongs to',
      ],
    ],
    [
      'lines of a dict that are not indented',
      "[s]\na = {\n'x': 1,\n}\nb = 2",
      [
        `m:3:1: [s] a: a line that begins with ' is no option; indent it deeper than "a" in line 2 if it belongs to that value`,
      ],
    ],
    [
      'a bracket where no value is open',
      '[s]\n}',
      ['m:2:1: [s]: a line that begins with } is no option; write key = value'],
    ],
    [
      'all problems are told at once, in the order of the lines',
      '[s]\na = foo\nb = 1\nb = [1\nc = 5m\n[t]\nd = 1 +\nwhat',
      [
        'm:2:5: [s] a: "foo" is no value; put text in quotes: \'foo\'',
        'm:4:1: [s] b: stands twice, first in line 3; take one out',
        'm:4:5: [s] b: "[" is never closed; add "]"; every further line of the value, the one with "]" too, is indented deeper than its key',
        `m:5:5: [s] c: "5m" is no number; put a number with a unit in quotes: '5m'`,
        'm:7:8: [t] d: the value ends too early; write what is missing, or put a value of several lines in brackets',
        'm:8:1: [t]: "what" is neither [section] nor key = value; write key = value, or indent the line deeper than the key it belongs to',
      ],
    ],
    [
      'places in values of several lines',
      '[s]\r\n  key =\r\n\r\n     [1,  # one\r\n# note\r\n\t\t\tfoo\r\n      2]',
      ['m:6:4: [s] key: "foo" is no value; put text in quotes: \'foo\''],
    ],
  ]
  for (const [name, text, problems, warnings = []] of cases) {
    const parsed = parseModuleConfig(text, 'm')
    t.strictSame([told(parsed.problems), told(parsed.warnings)], [problems, warnings], name)
  }
  const many = parseModuleConfig('word\n'.repeat(1000), 'm').problems
  t.strictSame([many.length, told(many).at(-1)], [201, 'm:200: there are 801 more problems from here on'], 'a flood')
  t.end()
})

void t.test('a problem and an option know their places', (t) => {
  const [problem] = parseModuleConfig('[s.py]\na = open("x")', 'm').problems
  t.strictSame(problem, {
    ...{ file: 'm', line: 2, column: 5, section: 's.py', key: 'a', token: 'open', reason: 'call' },
    text: '[s.py] a: "open" is called here, and calls are not accepted',
    cure: 'write the value itself',
  })
  const [option] = parseModuleConfig('[s]\n  some key :\n\n    7', 'm').sections[0]?.options ?? []
  t.strictSame(option, {
    ...{ key: 'some key', value: { kind: 'int', value: 7 }, section: 's', file: 'm' },
    ...{ line: 2, column: 3, valueLine: 4, valueColumn: 5 },
  })
  t.end()
})

/** Merges texts as files called `1`, `2`, ... through JSON, as the host hands them to its threads. */
function merged(...texts: readonly string[]): ModuleConfig {
  const files = texts.map((text, index) => parseModuleConfig(text, String(index + 1)))
  for (const { problems } of files) t.strictSame(problems, [])
  return JSON.parse(JSON.stringify(mergeModuleFiles(files))) as ModuleConfig
}

void t.test('several files', (t) => {
  const config = merged(
    '[DEFAULT]\nz = 1\ny = 1\n[x]\na = 1\nb = 1\n[TtlDb]\ntype = "dbm"',
    '[DEFAULT]\nz = 2\n[x.py]\nb = 2\n[one]\na = 3\n[ttldb]\ndir = "/var/x"',
  )
  const options = (name: string, alias?: string): string[] =>
    optionsFor(config, name, alias).map(
      ({ key, file, line, isDefault }) => `${key} ${file}:${line}${isDefault ? ' default' : ''}`,
    )
  const defaults = ['y 1:3 default', 'z 2:2 default']
  t.strictSame(options('x'), [...defaults, 'a 1:5', 'b 2:4'], '[x.py] goes over [x] of the file before')
  t.strictSame(options('x.py'), options('x'), 'either name finds it')
  t.strictSame(options('x', 'one'), [...defaults, 'a 1:5', 'b 2:4', 'a 2:6'], 'an instance has its own after those')
  t.strictSame(options('ttldb'), [...defaults, 'type 1:8', 'dir 2:8'], 'an old name of a section is the section')
  t.strictSame(options('none'), [], '[DEFAULT] makes no section')
  const old = mergeModuleFiles([
    parseModuleConfig('[python]\na = 1\n[greylist.py]\nb = 2', '/etc/pythonfilter-modules.conf'),
  ])
  t.strictSame(
    optionsFor(old, 'python', 'greylist').map(({ key }) => key),
    ['a'],
    "pythonfilter's section for a module of its own is not that of an instance of ours",
  )
  t.strictSame(mergeModuleFiles([]), noModuleConfig)
  t.end()
})

void t.test('sections that belong to nobody', (t) => {
  const files = ['/etc/pythonfilter-modules.conf', '/etc/nodefilter/modules.conf'].map((file) =>
    parseModuleConfig('[greylst.py]\n[spam]\n[quarantine]\n[greylist]', file),
  )
  const { problems, warnings } = unknownSections(mergeModuleFiles(files), ['greylist', ...Object.keys(librarySections)])
  t.strictSame(told(problems), [
    '/etc/nodefilter/modules.conf:1: [greylst.py] belongs to no filter in the list; did you mean "greylist"?',
    '/etc/nodefilter/modules.conf:2: [spam] belongs to no filter in the list',
  ])
  t.equal(problems[0]?.reason, 'unknown-section')
  t.equal(warnings.length, 2, "pythonfilter's own file may have sections that pythonfilter ignores")
  t.end()
})

const text = 'A setting.'
const types = {
  plain: { type: 'duration', default: '1s', text },
  seconds: { type: 'duration', default: '1s', unit: 's', text },
  days: { type: 'duration', default: null, unit: 'd', text },
  size: { type: 'size', default: '1KiB', text },
  count: { type: 'count', default: 1, min: -5, max: 10, text },
  number: { type: 'number', default: 1, min: 0, max: 10, text },
  flag: { type: 'switch', default: false, text },
  choice: { type: 'choice', default: 'a', choices: ['a', 'b'], text },
  words: { type: 'text', default: '', text },
  maybe: { type: 'text', default: null, text },
  path: { type: 'path', default: '/', text },
  list: { type: 'list', default: [], text },
  texts: { type: 'table', default: {}, values: 'text', text },
  lists: { type: 'table', default: {}, values: 'list', text },
} as const satisfies Readonly<Record<string, SettingSchema>>

void t.test('a value becomes what the declared type takes', (t) => {
  const good: [keyof typeof types, string, unknown, string?][] = [
    ['plain', "'5m'", '5m'],
    ['seconds', '300', '300s'],
    ['seconds', '0', '0s'],
    ['seconds', '60*5.0', '300s', '300.0 counts as 300; for a whole result divide with //'],
    ['seconds', "'5m'", '5m'],
    ['days', '14', '14d'],
    ['days', 'None', null],
    ['size', '512', 512],
    ['size', '10.0', 10, '10.0 counts as 10; for a whole result divide with //'],
    ['size', "'64KiB'", '64KiB'],
    ['count', '7', 7],
    ['count', '-5', -5],
    ['count', '6/2', 3, '3.0 counts as 3; for a whole result divide with //'],
    ['count', 'True', 1, 'True counts as 1'],
    ['count', "'5432'", '5432', 'the whole number 5432 stands in quotes'],
    ['number', '7.5', 7.5],
    ['number', '7', 7],
    ['number', 'False', 0, 'False counts as 0'],
    ['flag', 'True', true],
    ['flag', '0', false],
    ['flag', '1', true],
    ['choice', "'b'", 'b'],
    ['words', "''", ''],
    ['maybe', 'None', null],
    ['path', "'/run/x'", '/run/x'],
    ['list', "['a', 'b']", ['a', 'b']],
    ['list', "'a', 'b'", ['a', 'b']],
    ['list', "{'a'}", ['a']],
    ['list', '()', []],
    ['texts', "{'': 'x', '__proto__': 'y'}", { '': 'x', ['__proto__']: 'y' }],
    ['texts', '{}', {}],
    ['lists', "{'a': ['b', 'c'], 'd': ()}", { a: ['b', 'c'], d: [] }],
  ]
  for (const [key, written, raw, ...warnings] of good) {
    const result = evaluatePython(written)
    if (!('value' in result)) t.fail(written)
    else t.same(settingFromPython(types[key], result.value), { raw, warnings }, `${key} = ${written}`)
  }
  const bad: [keyof typeof types, string, string][] = [
    ['plain', '300', "300 is no duration; write its unit, in quotes: '300s', '5m', '24h'"],
    ['plain', 'None', 'None is no value for it; take the line out for the default'],
    [
      'seconds',
      '1.5',
      "1.5 is no positive whole number of seconds; write a whole number of seconds, or a smaller unit, in quotes: '30s'",
    ],
    ['seconds', '-1', '-1 is below zero; write a whole number of seconds'],
    ['seconds', 'True', 'True is no duration; write a whole number of seconds'],
    ['seconds', '[1]', 'a list is no positive whole number of seconds; write a whole number of seconds'],
    ['size', '-1', "-1 is below zero; write a whole number, or a text such as '64KiB'"],
    ['size', '1.5', "1.5 is no whole number of octets; write a whole number, or a text such as '64KiB'"],
    ['count', '0.5', '0.5 is no whole number; write a whole number'],
    ['count', "'five'", '"five" is no whole number; write a whole number'],
    ['number', "'7.5'", '"7.5" is no number; write a number without quotes'],
    ['flag', '2', '2 is neither True nor False; write True or False'],
    ['flag', '1.0', '1.0 is neither True nor False; write True or False'],
    ['flag', "'no'", '"no" is neither True nor False; write True or False'],
    ['choice', '1', "1 is no text; write it in quotes: '1'"],
    ['words', '5', "5 is no text; write it in quotes: '5'"],
    ['words', 'None', 'None is no value for it; take the line out for the default'],
    ['words', "['a']", 'a list is no text'],
    ['path', '{}', 'a dict is no text'],
    ['list', "'a'", `"a" is a text, not a list; write it in square brackets: ['a']`],
    ['list', '7', "7 is no list; write ['...', '...']"],
    ['list', "['a', 1]", '1 in the list is no text; write texts in quotes'],
    ['texts', "['a']", "a list is no dict; write {'key': ...}"],
    ['texts', "{1: 'a'}", 'the key 1 in it is no text; write keys in quotes'],
    ['texts', "{'a': None}", 'the value of "a" in it, None, is no text; write texts in quotes'],
    ['lists', "{'a': 'b'}", `the value of "a" in it: "b" is a text, not a list; write it in square brackets: ['b']`],
    ['lists', "{'a': [2]}", 'the value of "a" in it: 2 in the list is no text; write texts in quotes'],
  ]
  for (const [key, written, problem] of bad) {
    const result = evaluatePython(written)
    const converted = 'value' in result ? settingFromPython(types[key], result.value) : null
    if (converted === null || !('problem' in converted)) t.fail(`${key} = ${written} is accepted`)
    else {
      const { text, cure, reason } = converted.problem
      t.equal(cure === null ? text : `${text}; ${cure}`, problem, `${key} = ${written}`)
      t.equal(reason, problem.includes('below zero') ? 'range' : 'type')
    }
  }
  t.end()
})

const schemas = {
  wait: { type: 'duration', default: '5m', unit: 's', min: '1s', max: '1h', was: ['greylistTime', 'waitTime'], text },
  zones: { type: 'list', default: ['zen.example'], text },
  strict: { type: 'switch', default: false, text },
  limit: { type: 'count', default: 5, min: 1, max: 10, text },
} as const satisfies SettingSchemas

function settle(config: ModuleConfig, owner: Partial<SettingsOwner> = {}): [object, string[], string[]] {
  const line = { name: 'greylist', alias: 'greylist', written: {}, file: 'filters.conf', line: 3, ...owner }
  const { values, problems, warnings } = filterSettings(schemas, config, line)
  return [{ ...values }, told(problems), told(warnings)]
}

void t.test('the settings of a filter', (t) => {
  const defaults = { wait: 300_000, zones: ['zen.example'], strict: false, limit: 5 }
  t.strictSame(settle(noModuleConfig), [defaults, [], []], 'nothing written')

  const config = merged(
    "[DEFAULT]\nstrict = 1\nother = 'x'\n[greylist.py]\nwait = 60\nlimit = 7",
    "[greylist]\ngreylistTime = 120\n[strict_one]\nwait = '10m'\nzones = ['a.example', 'b.example']",
  )
  t.strictSame(
    settle(config),
    [
      { ...defaults, strict: true, wait: 120_000, limit: 7 },
      [],
      ['2:2:1: [greylist] greylistTime: is called wait now'],
    ],
    'an old name in a later file wins; of [DEFAULT] only what the filter declares',
  )
  t.strictSame(
    settle(config, { alias: 'strict_one', written: { limit: '9' } }),
    [{ strict: true, wait: 600_000, limit: 9, zones: ['a.example', 'b.example'] }, [], []],
    'an instance, and "with" over all of it',
  )
  t.strictSame(settle(config, { name: 'other', alias: 'other' }), [defaults, [], []], 'no section, not even [DEFAULT]')
  t.strictSame(
    settle(merged('[greylist]\nwait = foo'.replace('foo', "'never'")), { written: { waitTime: '1m' } }),
    [{ ...defaults, wait: 60_000 }, [], ['filters.conf:3: filter "greylist": waitTime: is called wait now']],
    'what is overridden is not checked',
  )

  const faulty = merged(
    "[greylist.py]\nlimit = 11\nzones = 'zen.example'\nwiat = 1\nwait = 0\ngreylistTime = 5\nstrict =\n  'no'\ndoDebug = 1\n__proto__ = 1",
  )
  t.strictSame(
    settle(faulty, { written: { liimt: '1' } }),
    [
      { ...defaults, wait: 5000 },
      [
        '1:4:1: [greylist.py] wiat: no such setting; did you mean "wait"?',
        '1:6:1: [greylist.py] greylistTime: is the old name of wait, which is set as well; take one out',
        '1:10:1: [greylist.py] __proto__: no such setting',
        '1:3:9: [greylist.py] zones: "zen.example" is a text, not a list; write it in square brackets: [\'zen.example\']',
        '1:8:3: [greylist.py] strict: "no" is neither True nor False; write True or False',
        'filters.conf:3: filter "greylist": liimt: no such setting; did you mean "limit"?',
        '1:2:9: [greylist.py] limit: 11 is above the maximum, 10',
      ],
      [
        '1:9:1: [greylist.py] doDebug: does nothing any more; take it out',
        '1:6:1: [greylist.py] greylistTime: is called wait now',
      ],
    ],
    'all problems at once',
  )
  const { problems } = filterSettings(schemas, faulty, {
    name: 'greylist',
    alias: 'g',
    written: {},
    file: '',
    line: null,
  })
  t.strictSame(
    problems.map(({ key, reason }) => `${key ?? ''} ${reason}`),
    [
      'wiat unknown-option',
      'greylistTime unknown-option',
      '__proto__ unknown-option',
      'zones type',
      'strict type',
      'limit range',
    ],
  )
  const owner = { name: 'greylist', alias: 'greylist', written: { x: '1' }, file: 'filters.conf', line: 3 }
  t.strictSame(
    told(filterSettings(null, faulty, owner).problems),
    ['filters.conf:3: filter "greylist": x: no such setting'],
    'a filter that declares nothing may read its section itself',
  )
  t.equal(filterSettings({}, faulty, owner).problems.length, 8, 'one that declares an empty table has no settings')
  const both = settle(noModuleConfig, { written: { wait: '1m', waitTime: '2m' } })
  t.strictSame(both[1], ['filters.conf:3: filter "greylist": waitTime: is the old name of wait, which is set as well'])
  t.end()
})

void t.test('the sections of the library', (t) => {
  for (const section of Object.values(librarySections)) t.strictSame(schemaProblems(section), [])
  const none = librarySettings(noModuleConfig)
  t.strictSame([none.problems, none.warnings], [[], []])
  t.match(none, { ttldb: { type: 'dbm', dir: null }, quarantine: { days: 14, notify_recipient: true } })
  t.match(none.authdaemon, { socket_path: '/var/spool/authdaemon/socket', read_timeout: 30_000 })

  const settings = librarySettings(
    merged(
      "[TtlDb]\ntype = 'psycopg2'\nhost = 'localhost'\nport = '5432'\ndb = 'p'\nuser = 'p'\npassword = ''",
      "[Quarantine]\nsiteid = 'a'\ndir = '/var/q'\ndays = 7\nnotifyRecipient = 0\nalsoNotify = ''\nuser_release = 1\n" +
        "[authdaemon.py]\nsocketPath = '/run/x'\nTIMEOUT_READ = 5",
    ),
  )
  t.strictSame(settings.problems, [])
  t.strictSame(
    { ...settings.ttldb },
    { type: 'psycopg2', dir: null, host: 'localhost', port: 5432, db: 'p', user: 'p', password: '' },
  )
  t.strictSame(
    { ...settings.quarantine },
    { siteid: 'a', dir: '/var/q', days: 7, notify_recipient: false, also_notify: '', user_release: true },
  )
  t.match(settings.authdaemon, { socket_path: '/run/x', read_timeout: 5000, write_timeout: 10_000 })
  t.equal(settings.warnings.length, 5, 'the quoted port and four old names')
  const faulty = librarySettings(merged("[ttldb]\ntype = 'sqlite'\n[quarantine]\ndyas = 1"))
  t.strictSame(told(faulty.problems), [
    '1:2:8: [ttldb] type: "sqlite" is not one of dbm, psycopg2, pg, mysql',
    '1:4:1: [quarantine] dyas: no such setting; did you mean "days"?',
  ])
  t.end()
})

void t.test('U24: settings as plain values, by section', (t) => {
  const folder = t.testdir({
    'modules.conf':
      "[test1]\nname1 = 'value1'\nname2='value2'\n[test2]\nname3 = 'value3'\nname4 = 'value4'\n" +
      "[test3]\natuple=(1,2,3)\nalist = [1, 2, 3]\nadict = {'a': 'b',\n    'c': 'd'}\n",
  })
  const paths = [join(folder, 'none.conf'), join(folder, 'modules.conf')]
  const values = getModuleConfig('test1', paths)
  t.equal(Object.getPrototypeOf(values), null, 'names of Object.prototype are not in it')
  t.strictSame({ ...values }, { name1: 'value1', name2: 'value2' })
  t.strictSame({ ...getModuleConfig('test2', paths) }, { name3: 'value3', name4: 'value4' })
  t.same(getModuleConfig('test3', paths), { atuple: [1, 2, 3], alist: [1, 2, 3], adict: { a: 'b', c: 'd' } })
  t.strictSame({ ...getModuleConfig('test4', paths) }, {})
  const namespace = { name1: 'before', other: 1 }
  applyModuleConfig('test1', namespace, paths)
  t.strictSame(namespace, { name1: 'value1', name2: 'value2', other: 1 })
  t.end()
})

void t.test('plain values of every kind, and names that are none', (t) => {
  const folder = t.testdir({
    'a.conf':
      "[DEFAULT]\nd = 1.0\n[x.py]\nn = None\nb = True\ns = {1, 'a'}\nm = {1: 'i', (1, 2): 't'}\ne = {}\np = {'__proto__': {'polluted': 1}}\n",
    'bad.conf': '[x]\na = foo\n[y]\nb = (\n',
    'proto.conf': "[x]\n__proto__ = {'polluted': 1}\nconstructor = 1\n",
  })
  const path = (name: string): string[] => [join(folder, name)]
  const values = getModuleConfig('x', path('a.conf'))
  t.strictSame([values['d'], values['n'], values['b']], [1, null, true], '[DEFAULT] is in it')
  t.strictSame(values['s'], new Set([1, 'a']))
  t.strictSame(
    values['m'],
    new Map<unknown, unknown>([
      [1, 'i'],
      [[1, 2], 't'],
    ]),
  )
  for (const key of ['e', 'p']) t.equal(Object.getPrototypeOf(values[key]), null)
  t.strictSame(Object.keys(values['p'] as object), ['__proto__'])

  const error = t.throws(() => getModuleConfig('z', [...path('bad.conf'), ...path('a.conf')])) as ModuleConfigError
  t.ok(error instanceof ModuleConfigError)
  t.match(error.message, /bad\.conf:2:5: \[x\] a: "foo" is no value.*\n.*bad\.conf:4:5: \[y\] b: "\(" is never closed/)
  t.equal(error.problems.length, 2)

  const namespace = {}
  t.throws(() => applyModuleConfig('x', namespace, path('proto.conf')), {
    message: '[x] __proto__: no setting has this name',
  })
  t.strictSame(
    [Object.keys(namespace), Object.getPrototypeOf(namespace), 'polluted' in {}],
    [[], Object.prototype, false],
  )
  const sealed = Object.seal({ d: 0, n: 0, b: 0, s: 0, m: 0, e: 0, p: 0 })
  applyModuleConfig('x', sealed, path('a.conf'))
  t.equal(sealed.d, 1, 'an object with just these names takes them')
  t.throws(() => applyModuleConfig('x', Object.freeze({}), path('a.conf')), TypeError)
  t.end()
})

void t.test('files that cannot be read', (t) => {
  const folder = t.testdir({ 'ok.conf': '[s]\na = 1\n', 'bad.conf': '[s]\na = foo\nb = 2\n' })
  const place = (name: string): string => join(folder, name)
  writeFileSync(place('long.conf'), `#${' '.repeat(2 ** 20)}`)
  writeFileSync(place('full.conf'), `#${' '.repeat(2 ** 20 - 1)}`)
  mkdirSync(place('folder.conf'))
  symlinkSync(place('ok.conf'), place('link.conf'))
  t.equal(spawnSync('mkfifo', [place('fifo.conf')]).status, 0)
  const cases: [string, string[]][] = [
    ['none.conf', []],
    ['ok.conf/none.conf', []],
    ['full.conf', []],
    ['link.conf', []],
    ['long.conf', ['cannot be read: it is longer than 1048576 octets']],
    ['folder.conf', ['cannot be read: it is no regular file']],
    ['fifo.conf', ['cannot be read: it is no regular file']],
  ]
  for (const [name, problems] of cases) {
    t.strictSame(
      told(readModuleConfig([place(name)]).problems),
      problems.map((text) => `${place(name)}: ${text}`),
      name,
    )
  }
  const read = readModuleConfig([place('ok.conf'), place('bad.conf'), place('none.conf')])
  t.strictSame(read.files, [place('ok.conf'), place('bad.conf')])
  t.equal(read.problems.length, 1)
  t.strictSame(
    optionsFor(read.config, 's').map(({ key, file }) => [key, file]),
    [['a', place('ok.conf')]],
    'of a broken file nothing is applied, its sound lines neither',
  )
  const refused = Object.assign(new Error('no'), { code: 'EACCES' })
  const throwing = readModuleConfig(['/x'], () => {
    throw refused
  })
  t.strictSame(told(throwing.problems), ["/x: cannot be read: permission denied; let the mail server's user read it"])
  t.strictSame(
    moduleConfigPaths(() => false),
    ['/etc/pythonfilter-modules.conf', '/usr/local/etc/pythonfilter-modules.conf'],
  )
  t.strictSame(
    moduleConfigPaths(() => true, { NODEFILTER_MODULES: '/a/modules.conf:/b/modules.conf' }),
    ['/a/modules.conf', '/b/modules.conf'],
    'a filter reads what its host has read',
  )
  t.strictSame(
    moduleConfigPaths(() => true, { NODEFILTER_MODULES: '' }),
    [],
    'nothing, where the host has no file',
  )
  t.equal(moduleConfigPaths((folder) => folder.startsWith('/usr')).at(-1), '/usr/local/etc/nodefilter/modules.conf')
  t.end()
})

void t.test('whatever a file holds, there is an answer, and every place in it exists', (t) => {
  const line = fc.constantFrom(
    ...[
      '[s]',
      '[s.py]',
      '[DEFAULT]',
      '[',
      '[]',
      'a = 1',
      'b: "x"',
      'c =',
      '  [1,',
      '  2]',
      '}',
      '  }',
      'd = {',
      "'e': 1,",
    ],
    ...[
      '# note',
      '  ; note',
      '',
      '   ',
      'f = foo',
      "g = '''x",
      "  y'''",
      '= 1',
      'word',
      '__proto__ = 1',
      'h = 1 \\',
      '\ufeff[t]',
      '\0',
    ],
  )
  const lines = fc.array(fc.oneof({ weight: 5, arbitrary: line }, fc.string({ unit: 'binary' })), { maxLength: 15 })
  const end = fc.constantFrom('\n', '\r\n', '\r')
  fc.assert(
    fc.property(lines, end, (rows, end) => {
      const file = rows.join(end)
      const parsed = parseModuleConfig(file, 'm')
      const physical = file.replace(/^\ufeff/, '').split(/\r\n|\r|\n/)
      for (const { line, column } of [...parsed.problems, ...parsed.warnings]) {
        const length = physical[(line ?? 0) - 1]?.length
        if (length === undefined || column === null || column < 1 || column > length + 1)
          throw new Error(`${line}:${column}`)
      }
      if (parsed.problems.length > 0 && parsed.sections.length > 0) throw new Error('something is applied')
      const config = mergeModuleFiles([parsed])
      filterSettings(schemas, config, { name: 's', alias: 'greylist', written: {}, file: 'f', line: 1 })
    }),
    { numRuns: 2000 },
  )
  t.pass('2000 files')
  t.end()
})

void t.test('a file of 1 MiB is read in a moment', (t) => {
  const octets = 2 ** 20
  const rows = Array.from({ length: octets / 16 }, (_, index) => `k${String(index).padStart(8, '0')}='x'`)
  const files: [string, string, boolean][] = [
    ['many options', `[s]\n${rows.join('\n')}`, true],
    ['many sections', rows.map((row) => `[${row.slice(0, 9)}]`).join('\n'), true],
    ['many values at fault', `[s]\n${rows.join('\n').replaceAll("'x'", 'foo')}`, false],
    ['one long value', `[s]\na = [\n${"  'some words',\n".repeat(octets / 20)}  ]`, true],
    ['blank lines in a value', `[s]\na = (${'\n'.repeat(octets)}  1)`, true],
    ['nothing but words', 'word\n'.repeat(octets / 5), false],
    ['one key again and again', `[s]\n${'a=1\n'.repeat(octets / 4)}`, false],
    ['values that grow', `[s]\n${rows.map((row) => row.replace("'x'", "'x'*65536")).join('\n')}`, false],
  ]
  for (const [name, text, isSound] of files) {
    const { result, tookMs } = cpuTimeOf(() => parseModuleConfig(text, 'm'))
    t.ok(tookMs < 5000, `${name}: ${Math.round(tookMs)} ms`)
    t.equal(result.problems.length === 0, isSound, name)
  }
  t.end()
})
