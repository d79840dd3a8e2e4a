/** `nodefilter migrate`, on installations of pythonfilter made of a few files each. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { filterSettings } from '../../courier-compat/module-config/filter-settings.ts'
import { readModuleConfig } from '../../courier-compat/module-config/read.ts'
import type { SettingSchemas } from '../../courier-compat/setting.ts'
import { guessLayout } from '../../host/cli/courier/layout.ts'
import { runCommand, type CommandRunner } from '../../host/cli/courier/run-command.ts'
import { createMigrateCommand } from '../../host/cli/migrate.ts'
import type { MigrateMachine } from '../../host/cli/migrate/facts.ts'
import { formatCounts, formatItems, type Item } from '../../host/cli/migrate/item.ts'
import { oldFilters } from '../../host/cli/migrate/old-filters.ts'
import { readOwnFilters } from '../../host/cli/migrate/own-filters.ts'
import { planList, type PlannedFilter } from '../../host/cli/migrate/plan-list.ts'
import { planModules } from '../../host/cli/migrate/plan-modules.ts'
import { findPython, mayRun, type PythonInstallation } from '../../host/cli/migrate/python.ts'
import { switchSteps } from '../../host/cli/migrate/steps.ts'
import { bundledFilters } from '../../host/chain/loader.ts'
import { availableFilters } from '../../host/chain/module-file.ts'
import { parseList } from '../../host/chain/list.ts'
import { readConfiguration } from '../../host/config/read.ts'
import { oldFilterTable } from '../../tools/old-filter-table.ts'

const repository = join(import.meta.dirname, '../..')
const module = (name: string, more: Partial<{ fault: string; usesTtlDb: boolean }> = {}) =>
  [name, { file: `/py/pythonfilter/${name}.py`, fault: null, usesTtlDb: false, ...more }] as const
const python: PythonInstallation = {
  interpreter: '/usr/bin/python3',
  path: null,
  folder: '/py/pythonfilter',
  modules: new Map([
    ...['greylist', 'comeagain', 'whitelist_auth', 'mine', 'python', 'debug', 'as'].map((name) => module(name)),
    module('both', { fault: 'it has both spellings; keep one' }),
  ]),
}
const own = new Set(['whitelist_auth', 'nosuccessdsn', 'python', 'debug'])
const inPython = (name: string, words = ''): string => `python as ${name}${words} with module=${name}`

void t.test('each kind of line of a list (spec pythonfilter 1.2)', (t) => {
  for (const { name, text, after, want, says = [] } of [
    { name: 'a filter that nodefilter has', text: 'whitelist_auth', want: ['same', 'whitelist_auth'] },
    { name: 'with blanks before it', text: '  whitelist_auth', want: ['same', 'whitelist_auth'] },
    { name: 'with CRLF', text: 'whitelist_auth\r', want: ['same', 'whitelist_auth'] },
    {
      name: 'a filter that does something otherwise',
      text: 'nosuccessdsn',
      want: ['differs', 'nosuccessdsn'],
      says: [/notices of failure/],
    },
    { name: 'a comment', text: '# greylist', want: [null, '# greylist'] },
    { name: 'an empty line', text: '', want: [null, ''] },
    { name: 'a comment with blanks before it', text: ' # x', want: ['differs', '# x'], says: [/does not start/] },
    { name: 'a line of blanks', text: '  ', want: ['differs', ''], says: [/does not start/] },
    {
      name: 'a filter that nodefilter has not',
      text: 'greylist',
      want: ['python', inPython('greylist')],
      says: [/nodefilter has no filter of this name yet: \/py\/pythonfilter\/greylist\.py runs in a child process/],
    },
    { name: 'a filter of the site', text: 'mine', want: ['python', inPython('mine')], says: [/the site's own filter/] },
    {
      name: 'a filter of the site with the name of a filter that is only ours',
      text: 'python',
      want: ['python', inPython('python')],
    },
    {
      name: 'for',
      text: 'whitelist_auth for greylist',
      after: 'greylist',
      want: ['same', 'whitelist_auth for greylist'],
    },
    {
      name: 'for, under python',
      text: 'greylist for mine',
      after: 'mine',
      want: ['python', inPython('greylist', ' for mine')],
    },
    {
      name: 'for nothing',
      text: 'whitelist_auth for',
      want: ['differs', 'whitelist_auth'],
      says: [/no name after it/],
    },
    {
      name: 'FOR',
      text: 'whitelist_auth FOR greylist',
      want: ['differs', 'whitelist_auth'],
      says: [/everything after "whitelist_auth" is ignored/, /small letters/],
    },
    { name: 'a note', text: 'whitelist_auth # x', want: ['differs', 'whitelist_auth'], says: [/a line of its own/] },
    {
      name: 'for with a comma skipped nothing',
      text: 'whitelist_auth for greylist,mine',
      after: 'greylist\nmine',
      want: ['differs', 'whitelist_auth for none'],
      says: [/separate the names with blanks/, /it skipped nothing/],
    },
    {
      name: 'for with one name beside the comma',
      text: 'whitelist_auth for a,b greylist',
      after: 'greylist',
      want: ['differs', 'whitelist_auth for greylist'],
      says: [/"a,b" after "for" is not in this list/],
    },
    {
      name: 'the words of a note after for are skipped, as they were',
      text: 'whitelist_auth for greylist # not mine',
      after: 'greylist\nmine',
      want: ['differs', 'whitelist_auth for greylist not mine'],
      says: [/begins no comment/],
    },
    {
      name: 'for with a keyword of ours',
      text: 'whitelist_auth for greylist with',
      after: 'greylist',
      want: ['differs', 'whitelist_auth for greylist'],
    },
    {
      name: 'for with a name that is not in the list: nothing else is taken for it',
      text: 'whitelist_auth for gone',
      want: ['differs', 'whitelist_auth for gone'],
      says: [/"gone" after "for" is not in this list$/],
    },
    {
      name: 'a filter that is nowhere',
      text: 'gone',
      want: ['problem', null],
      says: [/"gone" is none of pythonfilter's own, and not in \/py\/pythonfilter; take the line out/],
    },
    {
      name: "a filter of pythonfilter's that is nowhere",
      text: 'quota',
      want: ['problem', null],
      says: [/not in this version of nodefilter/],
    },
    { name: 'a module that cannot run', text: 'both', want: ['problem', null], says: [/both\.py: it has both/] },
    { name: 'no name of a filter', text: '../etc', want: ['problem', null], says: [/no name of a filter/] },
    { name: 'a name that our list keeps for itself', text: 'as', want: ['problem', null], says: [/alias/] },
  ] as readonly ListCase[]) {
    const plan = planList({ file: '/l', text: after === undefined ? `${text}\n` : `${text}\n${after}\n` }, own, python)
    const item = plan.items.find(({ line }) => line === 1)
    const row = /^[ \t]*(?:#|$)/.test(text) ? plan.rows[0] : plan.rows.find((row) => !row.startsWith('#'))
    t.strictSame([item?.kind ?? null, row ?? null], want, `${name}: ${text}`)
    for (const pattern of says) t.match(item?.notes.join('\n'), pattern, name)
    if (item?.kind === 'problem') continue
    t.strictSame(parseList(plan.rows.join('\n'), 'f', 'nodefilter').problems, [], `${name}: the new list is sound`)
  }
  t.end()
})

interface ListCase {
  readonly name: string
  readonly text: string
  /** Lines below it. */
  readonly after?: string
  /** Its kind (`null`: nothing is told) and what is written for it (`null`: nothing). */
  readonly want: readonly [string | null, string | null]
  readonly says?: readonly RegExp[]
}

void t.test('a filter that is listed twice', (t) => {
  const text = 'whitelist_auth for greylist\ngreylist\ngreylist\ngreylist_2\ndebug\ndebug\n'
  const twins: PythonInstallation = { ...python, modules: new Map([...python.modules, module('greylist_2')]) }
  const plan = planList({ file: '/l', text }, own, twins)
  t.strictSame(
    plan.rows.filter((row) => !row.startsWith('#')),
    [
      'whitelist_auth for greylist greylist_3',
      inPython('greylist'),
      'python as greylist_3 with module=greylist',
      inPython('greylist_2'),
      'debug',
      'debug',
    ],
    'under python each has a name of its own, and both are skipped where the name was',
  )
  const { problems, warnings } = parseList(plan.rows.join('\n'), 'f', 'nodefilter')
  t.strictSame([problems.length, warnings.length], [0, 1])
  t.strictSame(
    plan.filters.map(({ alias, runs }) => `${runs} ${alias}`),
    ['own whitelist_auth', 'python greylist', 'python greylist_3', 'python greylist_2', 'own debug', 'own debug'],
  )
  t.end()
})

void t.test('where each line came from stands in the new list', (t) => {
  const text = '# ours\n\nwhitelist_auth\nwhitelist_auth FOR x\n'
  const plan = planList({ file: '/etc/pythonfilter.conf', text }, own, null)
  t.strictSame(plan.rows.slice(0, 5), [
    '# ours',
    '',
    '# /etc/pythonfilter.conf:3',
    'whitelist_auth',
    '# /etc/pythonfilter.conf:4: whitelist_auth FOR x',
  ])
  t.match(plan.rows[5], /^# {3}everything after/)
  t.end()
})

void t.test('another Python, or a folder, is named in the line', (t) => {
  const rows = (more: Partial<PythonInstallation>): readonly string[] =>
    planList({ file: '/l', text: 'mine' }, own, { ...python, ...more }).rows.slice(-1)
  t.strictSame(rows({ interpreter: '/opt/v/bin/python' }), [`${inPython('mine')} interpreter=/opt/v/bin/python`])
  t.strictSame(rows({ interpreter: null, path: '/srv/my py' }), [`${inPython('mine')} path="/srv/my py"`])
  t.strictSame(planList({ file: '/l', text: 'mine' }, own, null).items[0]?.notes, [
    '"mine" is none of pythonfilter\'s own, and no Python installation of pythonfilter was found; name its interpreter with --python',
  ])
  t.end()
})

const planned = (name: string, runs: 'own' | 'python'): PlannedFilter => ({ name, alias: name, runs, line: 1 })
const schemas: ReadonlyMap<string, SettingSchemas> = new Map([
  ['debug', {}],
  ['localsenders', { require_auth: { type: 'switch', default: false, text: 'x', was: ['requireAuth'] } }],
  [
    'ratelimit',
    {
      max_connections: { type: 'count', default: 60, min: 1, max: 1000, text: 'x' },
      interval: { type: 'duration', default: '1m', text: 'x', unit: 'm' },
    },
  ],
  ['privateaddr', { private_rcpts: { type: 'table', values: 'list', default: {}, text: 'x' } }],
] satisfies [string, SettingSchemas][])
const filters = [
  planned('debug', 'own'),
  planned('localsenders', 'own'),
  planned('ratelimit', 'own'),
  planned('privateaddr', 'own'),
  planned('greylist', 'python'),
  planned('mine', 'python'),
]

void t.test('each kind of setting (spec pythonfilter 4)', (t) => {
  for (const [name, text, kind, says] of [
    ['an option that nodefilter has', '[ratelimit.py]\nmax_connections = 10', 'same', null],
    ['a bare number with a unit', '[ratelimit.py]\ninterval = 2', 'same', null],
    ['a number that counts as another', '[ratelimit.py]\nmax_connections = 20/2', 'same', /divide with \/\//],
    [
      'an old name, which pythonfilter 3 ignores',
      '[localsenders.py]\nrequireAuth = True',
      'renamed',
      /written as require_auth; .* takes effect only now/,
    ],
    [
      'an old name that our declaration does not have',
      '[ratelimit.py]\nmaxConnections = 5',
      'renamed',
      /written as max_connections/,
    ],
    ['an option that no filter has', '[localsenders.py]\nrequire_aut = 1', 'unused', /did you mean "require_auth"/],
    [
      "an option of pythonfilter's that nodefilter has not",
      '[ratelimit.py]\nlimit_network = True',
      'differs',
      /left out/,
    ],
    [
      'a value of another type',
      '[localsenders.py]\nrequire_auth = "yes"',
      'problem',
      /neither True nor False; write True/,
    ],
    ['a value out of bounds', '[ratelimit.py]\nmax_connections = 0', 'problem', /below the minimum/],
    ['a section without .py', '[ratelimit]\nmax_connections = 1', 'unused', /reads \[ratelimit\.py\] alone/],
    ['of a filter that is not in the list', '[clamav.py]\naction = "x"', 'unused', /clamav is not in the list/],
    ['a section that nothing has', '[rubbish]\na = 1', 'unused', /belongs to no filter/],
    ['a file of something else', '[rubbish.py]\na = 1', 'stays', /Python filters may use it/],
    ['of a filter under python', '[greylist.py]\ngreylist_time = 1', 'stays', null],
    ['an old name there', '[greylist.py]\ngreylistTime = 1', 'stays', /ignores this name: it is greylist_time now/],
    ['of a filter of the site', '[mine.py]\nanything = {1: 2}', 'stays', null],
    ['the store of tokens', '[ttldb]\ndir = "/x"', 'stays', /for greylist, mine/],
    ['under its old name', '[TtlDb]\ndir = "/x"', 'unused', /reads \[ttldb\] alone/],
    ['the quarantine, which only the site may use', '[quarantine]\ndays = 1', 'stays', /for mine/],
    ['[DEFAULT] for nobody of ours', '[DEFAULT]\nx = 1', 'stays', /with a section of their own/],
    ['a broken value', '[greylist.py]\na = foo', 'problem', /foo/],
    ['a broken file', '[greylist.py]\na', 'problem', /took no setting from either/],
  ] as const) {
    const { items } = planModules([{ file: '/m', text }], filters, schemas)
    t.equal(items[0]?.kind, kind, name)
    const told = `${items[0]?.subject ?? ''}\n${items[0]?.notes.join('\n') ?? ''}`
    if (says === null) t.strictSame(items[0]?.notes, [], name)
    else t.match(told, says, name)
  }
  const none = planModules(
    [{ file: '/m', text: '[ttldb]\ntype = "dbm"\n[a.py]\nb = 1' }],
    [filters[0] as PlannedFilter],
    schemas,
  )
  t.strictSame(
    none.items.map(({ kind }) => kind),
    ['unused', 'unused'],
    'without Python filters nothing stays',
  )
  t.end()
})

void t.test('the new settings', (t) => {
  const first = `# About limits.
[ratelimit.py]
# At most
;   so many.
max_connections: 10 # a minute
interval = (1
    + 1)

[privateaddr.py]
  private_rcpts = {
    # inside
    'a@example.org': [r'.*@example\\.org$'],

    }
[greylist.py]
greylist_time = 1
`
  const second = `[DEFAULT]
interval = 3
[ratelimit.py]
max_connections = 20
[localsenders.py]
requireAuth = True
`
  const plan = planModules(
    [
      { file: '/a', text: first },
      { file: '/b', text: second },
    ],
    filters,
    schemas,
  )
  t.strictSame(
    plan.items.map(({ file, line, kind, subject }) => `${file}:${line} ${kind} ${subject}`),
    [
      '/a:5 unused [ratelimit.py] max_connections',
      '/a:6 same [ratelimit.py] interval',
      '/a:10 same [privateaddr.py] private_rcpts',
      '/a:16 stays [greylist.py] greylist_time',
      '/b:2 stays [DEFAULT] interval',
      '/b:4 same [ratelimit.py] max_connections',
      '/b:6 renamed [localsenders.py] requireAuth',
    ],
  )
  t.match(plan.items[0]?.notes, ['/b:4 says otherwise, and wins'])
  t.equal(
    plan.rows.join('\n'),
    `
[ratelimit]
# /a:6
interval = (1
    + 1)
# /b:4
max_connections = 20

[privateaddr]
# /a:10
private_rcpts = {
    # inside
    'a@example.org': [r'.*@example\\.org$'],

    }

[localsenders]
# /b:6: requireAuth
require_auth = True`,
  )
  const read = readModuleConfig(['/new/modules.conf'], () => plan.rows.join('\n'))
  t.strictSame(read.problems, [])
  const values = [...schemas].map(([name, declared]) => {
    const owner = { name, alias: name, written: {}, file: 'f', line: 1 }
    const { values, problems, warnings } = filterSettings(declared, read.config, owner)
    t.strictSame([...problems, ...warnings], [], `${name}: sound`)
    return values
  })
  t.strictSame(Object.fromEntries(values.flatMap((table) => Object.entries(table))), {
    require_auth: true,
    max_connections: 20,
    interval: 120_000,
    private_rcpts: Object.assign(Object.create(null) as object, { 'a@example.org': ['.*@example\\.org$'] }),
  })

  const limits = planModules([{ file: '/a', text: first }], filters, schemas)
  t.match(limits.rows.slice(0, 6), ['', '[ratelimit]', '# At most', ';   so many.', '# /a:5'], 'comments go with it')
  const common = '[DEFAULT]\ninterval = 3\n[ratelimit.py]\nmax_connections = 1\n[debug.py]\n'
  const shared = planModules([{ file: '/a', text: common }], filters, schemas)
  t.match(shared.items[0], { kind: 'same', notes: ['for ratelimit, which has a section'] })
  t.match(shared.rows.join('\n'), '[ratelimit]\n# /a:2\ninterval = 3\n# /a:4\nmax_connections = 1')
  t.end()
})

void t.test('what kind of store there is', (t) => {
  for (const [text, want] of [
    ['', true],
    ["[ttldb]\ntype = 'dbm'", true],
    ["[ttldb]\ntype = 'mysql'", false],
  ] as const) {
    t.equal(planModules([{ file: '/m', text }], filters, schemas).storeIsFiles, want, text)
  }
  t.end()
})

void t.test('how it is told', (t) => {
  const items: Item[] = [
    { file: '/l', line: 1, kind: 'same', subject: 'a\u001b[1m', notes: [] },
    { file: '/m', line: null, kind: 'problem', subject: '', notes: ['b\nc'] },
  ]
  t.equal(formatItems(items), '/l:1: same     a?[1m\n/m: problem\n    b?c\n')
  t.equal(formatCounts(items), '2 lines and settings: 1 as it is, 1 cannot be moved\n')
  t.equal(formatCounts([]), '0 lines and settings\n')
  t.end()
})

/** A folder with files in it. */
function folder(t: Test, files: Readonly<Record<string, string>> = {}): string {
  const path = mkdtempSync(join(tmpdir(), 'nodefilter-migrate-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), text)
  }
  return path
}

const greylistPy =
  'from pythonfilter import TtlDb\ndef init_filter():\n    pass\ndef do_filter(body, controls):\n    return ""\n'

void t.test('Python is found', async (t) => {
  const top = folder(t, {
    'lib/pythonfilter/__init__.py': '',
    'lib/pythonfilter/greylist.py': greylistPy,
    'lib/pythonfilter/old.py': 'def doFilter(a, b):\n  return ""\n',
    'lib/pythonfilter/both.py': 'def do_filter(a, b):\n  return ""\ndoFilter = do_filter\n',
    'lib/pythonfilter/inits.py': 'def init_filter(): pass\ndef initFilter(): pass\ndef doFilter(a, b): return ""\n',
    'lib/pythonfilter/nothing.py': 'x = 1\n',
    'lib/pythonfilter/star.py': 'from elsewhere import *\n',
    'lib/pythonfilter/sub/__init__.py': '',
    'lib/pythonfilter/sub/mod.py': 'from elsewhere import do_filter\n',
    'lib/pythonfilter/native.cpython-311-x86_64-linux-gnu.so': '',
    'lib/pythonfilter/README.txt': '',
    'filters/plain': '#!/opt/a/bin/python3 -I\nx',
    'filters/env': '#!/usr/bin/env python3.9\nx',
    'filters/sh': '#!/bin/sh\nx',
  })
  const asked: string[] = []
  const knows =
    (who: string): CommandRunner =>
    (file, args, { env }) => {
      t.strictSame([args[0], Object.keys(env)], ['-I', ['PATH']], 'isolated, without the environment')
      asked.push(file)
      const stdout = JSON.stringify(file === who ? ['/real/python', [join(top, 'lib/pythonfilter')]] : ['/other', []])
      return Promise.resolve(
        file === '/gone' ? { status: null, stdout: '', stderr: '' } : { status: 0, stdout, stderr: '' },
      )
    }
  const search = {
    ...{ named: null, scripts: [], places: [], run: knows('python3'), mayRun: () => true },
    env: { PATH: '/bin', HOME: '/x' },
  }
  const found = await findPython({
    ...search,
    scripts: ['gone', 'filters/plain', 'filters/env', 'filters/sh'].map((name) => join(top, name)),
  })
  t.strictSame(asked.splice(0), ['/opt/a/bin/python3', 'python3.9', 'python3'], "the program's own Python first")
  t.match(found, { interpreter: '/real/python', path: null, folder: join(top, 'lib/pythonfilter') })
  t.strictSame(
    [...(found?.modules ?? [])]
      .map(([name, { fault, usesTtlDb }]) => [name, fault?.slice(0, 14) ?? null, usesTtlDb])
      .sort(),
    [
      ['both', 'it has both do', false],
      ['greylist', null, true],
      ['inits', 'it has both in', false],
      ['native', null, false],
      ['nothing', 'it has neither', false],
      ['old', null, false],
      ['star', null, false],
      ['sub', 'it has neither', false],
      ['sub.mod', null, false],
    ],
  )

  t.equal(
    await findPython({ ...search, named: '/gone', places: [join(top, 'l*')] }),
    null,
    'the named one alone counts',
  )
  t.match(
    await findPython({ ...search, run: knows('nobody'), places: ['/nonexistent/*', join(top, 'l*')] }),
    { interpreter: null, path: join(top, 'lib') },
    'a folder where packages lie',
  )
  t.equal(await findPython({ ...search, run: knows('nobody') }), null)
  for (const stdout of ['', '[', '[1, 2]', '["relative", ["relative"]]', '{}']) {
    const run: CommandRunner = () => Promise.resolve({ status: 0, stdout, stderr: '' })
    t.equal(await findPython({ ...search, run }), null, `an answer that is none: ${stdout}`)
  }
})

t.test('an interpreter that a program names is not run where another user can have put it', async (t) => {
  const top = folder(t, {
    'bin/python3': '',
    'open/python3': '',
    'filters/named': '',
    'filters/near': '#!bin/python3\n',
  })
  const own = process.getuid?.() ?? 0
  chmodSync(join(top, 'open'), 0o777)
  writeFileSync(join(top, 'filters/named'), `#!${top}/bin/python3\n`)
  // Folders for temporary files, in which this one lies, are everybody's to write.
  t.notOk(mayRun(join(top, 'bin/python3'), own), 'below a folder that everybody may write')
  t.notOk(mayRun(join(top, 'open/python3'), own))
  t.notOk(mayRun('bin/python3', own), 'a path from wherever the command is run')
  t.notOk(mayRun('/nonexistent/python3', own))
  t.ok(mayRun('python3', own), 'what is in the own PATH may be run')
  t.ok(mayRun(realpathSync('/bin/sh'), 0), "and what is the system's")
  const asked: string[] = []
  const run: CommandRunner = (file) => {
    asked.push(file)
    return Promise.resolve({ status: null, stdout: '', stderr: '' })
  }
  await findPython({
    ...{ named: null, scripts: ['named', 'near'].map((name) => join(top, 'filters', name)), places: [], run, env: {} },
    mayRun: (interpreter) => mayRun(interpreter, own),
  })
  t.strictSame(asked, ['python3'])
})

const realPython = existsSync('/usr/bin/python3')
void t.test(
  'a real Python imports nothing of the package',
  { skip: realPython ? false : 'there is no /usr/bin/python3' },
  async (t) => {
    // A virtual environment, as far as Python looks at one.
    const top = folder(t, { 'venv/pyvenv.cfg': 'home = /usr/bin\ninclude-system-site-packages = false\n' })
    mkdirSync(join(top, 'venv/bin'))
    symlinkSync('/usr/bin/python3', join(top, 'venv/bin/python3'))
    const question = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    const { stdout } = await runCommand(join(top, 'venv/bin/python3'), ['-Ic', question], { env: {}, limitMs: 10_000 })
    const site = stdout.trim()
    // Nothing may be written to the machine's own Python.
    if (!site.startsWith(`${top}/`)) throw new Error(`${site} is not in the virtual environment`)
    mkdirSync(join(site, 'pythonfilter'), { recursive: true })
    const trap = `open(${JSON.stringify(join(top, 'ran'))}, 'w')\n`
    writeFileSync(join(site, 'pythonfilter/__init__.py'), trap)
    writeFileSync(join(site, 'pythonfilter/mine.py'), `${trap}def do_filter(a, b): return ''\n`)
    writeFileSync(join(top, 'program'), `#!${top}/venv/bin/python3\n`)
    const found = await findPython({
      ...{ named: null, scripts: [join(top, 'program')], places: [], run: runCommand, env: {}, mayRun: () => true },
    })
    t.match(found, { interpreter: join(top, 'venv/bin/python3'), path: null, folder: join(site, 'pythonfilter') })
    t.strictSame([...(found?.modules.keys() ?? [])], ['mine'])
    t.notOk(existsSync(join(top, 'ran')), 'nothing of it ran')
  },
)

/** Runs the command on a machine that is a folder. */
function onMachine(top: string, more: Partial<MigrateMachine> = {}) {
  const command = createMigrateCommand({
    run: () => {
      const folders = existsSync(join(top, 'py')) ? [join(top, 'py')] : []
      return Promise.resolve({ status: 0, stdout: JSON.stringify(['/usr/bin/python3', folders]), stderr: '' })
    },
    courier: () =>
      Promise.resolve({ ...guessLayout({}), sysconfdir: join(top, 'courier'), libexecdir: join(top, 'libexec') }),
    folders: [join(top, 'etc'), join(top, 'local')],
    mayRun: () => true,
    packagePlaces: [],
    ownFilters: () => Promise.resolve(new Map([...schemas, ['whitelist_auth', {}]])),
    target: join(top, 'nodefilter'),
    ...more,
  })
  return async (...args: string[]) => {
    const told = { out: '', err: '' }
    const status = await command.run(args, {
      out: (text) => (told.out += text),
      err: (text) => (told.err += text),
      env: {},
    })
    return { status, ...told }
  }
}

const site = {
  'etc/pythonfilter.conf': 'debug\nwhitelist_auth for greylist\nratelimit\ngreylist\n',
  'etc/pythonfilter-modules.conf':
    "[ttldb]\ntype = 'dbm'\n[ratelimit.py]\nmaxConnections = 10\n[greylist.py]\ngreylist_time = 60\n",
  'local/pythonfilter.conf': 'never_read\n',
  'local/pythonfilter-modules.conf': '[ratelimit.py]\ninterval = 2\n',
  'courier/filters/active/pythonfilter': '#!/usr/bin/python3\n',
  'courier/pythonfilter-modules.conf': '[debug.py]\n',
  'py/__init__.py': '',
  'py/greylist.py': greylistPy,
}

void t.test('the command looks', async (t) => {
  const top = folder(t, site)
  const run = onMachine(top)
  const { status, out, err } = await run('--check')
  t.strictSame([status, err], [0, ''])
  const lines = out.replaceAll(top, '').split('\n')
  for (const line of [
    "pythonfilter's list:     /etc/pythonfilter.conf",
    "pythonfilter's settings: /etc/pythonfilter-modules.conf, /local/pythonfilter-modules.conf",
    "pythonfilter's package:  /py (/usr/bin/python3)",
    "Courier's link:          /courier/filters/active/pythonfilter (active)",
    '/etc/pythonfilter.conf:2: same     whitelist_auth for greylist',
    '/etc/pythonfilter.conf:4: python   greylist',
    '/etc/pythonfilter-modules.conf:2: stays    [ttldb] type',
    '/etc/pythonfilter-modules.conf:4: renamed  [ratelimit.py] maxConnections',
    '/etc/pythonfilter-modules.conf:6: stays    [greylist.py] greylist_time',
    '/local/pythonfilter-modules.conf:2: same     [ratelimit.py] interval',
    '/local/pythonfilter.conf: unused',
    '/courier/pythonfilter-modules.conf: unused',
    '10 lines and settings: 3 as it is, 1 under another name, 1 with a difference, 1 under python, 2 left for Python filters, 2 left out',
    'All of it can be moved: "nodefilter migrate" writes it to /nodefilter.',
  ]) {
    t.ok(lines.includes(line), line)
  }
  t.notOk(existsSync(join(top, 'nodefilter')), 'nothing was written')
})

void t.test('the command writes', async (t) => {
  const top = folder(t, site)
  const run = onMachine(top)
  const { status, out, err } = await run()
  t.strictSame([status, err], [0, ''])
  const target = join(top, 'nodefilter')
  t.match(
    out,
    `made ${target}\nwrote ${target}/nodefilter.conf\nwrote ${target}/modules.conf\nwrote ${target}/filters.conf\n`,
  )
  t.match(
    out,
    /1\. esmtpd stop\n.*\n {2}2\. filterctl stop pythonfilter/,
    'greylist keeps a file that pythonfilter has open',
  )
  t.match(out, new RegExp(`nodefilter courier enable -c ${target}`))
  t.match(out.replaceAll('\n', ' '), `Keep ${top}/py, ${top}/etc/pythonfilter-modules.conf and ${top}/local/`)
  const configuration = readConfiguration({ directory: target, sets: [] })
  t.strictSame(configuration.problems, [], 'what was written is sound')
  t.strictSame(
    configuration.list.entries.map(({ name, alias, skips }) => [name, alias, ...skips]),
    [
      ['debug', 'debug'],
      ['whitelist_auth', 'whitelist_auth', 'greylist'],
      ['ratelimit', 'ratelimit'],
      ['python', 'greylist'],
    ],
  )
  const modules = readFileSync(join(target, 'modules.conf'), 'utf8')
  t.match(modules, `\n[ratelimit]\n# ${top}/etc/pythonfilter-modules.conf:4: maxConnections\nmax_connections = 10\n`)
  t.notMatch(modules, /ttldb|greylist/, 'what stays is not there')
  t.equal(statSync(join(target, 'modules.conf')).mode & 0o777, 0o644)

  const again = await run()
  t.equal(again.status, 73)
  t.match(again.err, `${target}/filters.conf is there already`)
  t.equal((await run('--check')).status, 0, 'to look is possible at any time')
  t.match(await run('--to', join(top, 'etc/pythonfilter.conf/x')), { status: 73, err: /ENOTDIR/ })

  chmodSync(join(top, 'etc/pythonfilter-modules.conf'), 0o600)
  t.equal((await run('--to', join(top, 'private'))).status, 0)
  const mode = (name: string): number => statSync(join(top, 'private', name)).mode & 0o777
  t.strictSame([mode('modules.conf'), mode('filters.conf')], [0o600, 0o644], 'a file with passwords stays private')
})

void t.test('what keeps it from moving', async (t) => {
  const empty = await onMachine(folder(t))('--check')
  t.match(empty, {
    status: 66,
    err: /no list of pythonfilter: looked for .*\/etc\/pythonfilter\.conf, .*\/local\/.*, .*\/courier\//,
  })
  const top = folder(t, { 'a/pythonfilter.conf': 'debug\ngone\n', 'b/pythonfilter-modules.conf': 'x\n' })
  const run = onMachine(top)
  const broken = await run('--from', join(top, 'a'), '--from', join(top, 'b'))
  t.match(broken, { status: 78, err: '', out: /3 cannot be moved\n.*Nothing was written/ })
  t.notOk(existsSync(join(top, 'nodefilter')))
  t.match(broken.out, /\/a\/pythonfilter\.conf:2: problem {2}gone\n.*name its interpreter with --python/)
  t.match(broken.out, /\/b\/pythonfilter-modules\.conf:1: problem {2}.*\n.*pythonfilter took no setting/)
  writeFileSync(join(top, 'a/pythonfilter.conf'), Buffer.from([0xff]))
  t.match(await run('--from', join(top, 'a')), { status: 78, out: /pythonfilter\.conf: problem\n.*not UTF-8/ })
  t.match(await run('--nonsense'), { status: 64, err: /--nonsense/ })
  t.match(await run('word'), { status: 64, err: /word/ })
})

void t.test('a list alone, of filters that nodefilter has', async (t) => {
  const top = folder(t, { 'courier/pythonfilter.conf': 'debug\n' })
  const { status, out } = await onMachine(top)()
  t.equal(status, 0)
  t.match(out, /pythonfilter's settings: none\npythonfilter's package: {2}not found\n.*\(not there\)/)
  t.match(out, /Courier does not run pythonfilter at present/)
  t.notMatch(out, /Keep/)
})

void t.test('the steps leave no moment in which mail passes unfiltered', (t) => {
  const facts = { courier: guessLayout({}), directory: null, isActive: true, staying: [] }
  const order = (text: string, title: RegExp): string[] =>
    [
      ...(text.split(/\n(?=\S.*:\n {2}1\.)/).find((part) => title.test(part)) ?? '').matchAll(
        /^ {2}(?:[0-9]\.| {2}) (?:su .* ')?([a-z]+ [a-z]+(?: [a-z]+)?)/gm,
      ),
    ].map(([, words = '']) => words)
  const both = switchSteps({
    ...facts,
    filters: [planned('sentfolder', 'python'), planned('debug', 'own')],
    storeKeepers: [],
  })
  t.strictSame(order(both, /^To switch/), [
    'nodefilter config check',
    'nodefilter check',
    'nodefilter courier enable',
    'from now on',
    'filterctl stop pythonfilter',
    'once the mail',
  ])
  t.strictSame(
    order(both, /^Back/).filter((words) => !/^wait/.test(words)),
    ['filterctl start pythonfilter', 'nodefilter courier disable'],
  )
  t.match(both, /filtered twice:\n {2}sentfolder: the copy is sent twice\n/)
  const stores = switchSteps({ ...facts, filters: [planned('greylist', 'python')], storeKeepers: ['greylist'] })
  const steps = order(stores, /^To switch/).filter((words) => !/^(?:wait|and)/.test(words))
  t.strictSame(steps, [
    'esmtpd stop',
    'filterctl stop pythonfilter',
    'nodefilter config check',
    'nodefilter check',
    'nodefilter courier enable',
    'esmtpd start',
  ])
  t.match(stores, /greylist keeps tokens in files that pythonfilter has open/)
  t.end()
})

void t.test("nodefilter's own filters are looked at, not listed", async (t) => {
  const found = await readOwnFilters()
  t.strictSame([...found.keys()].sort(), availableFilters([bundledFilters]).sort())
  t.match(found.get('python'), { module: { type: 'text' }, interpreter: { default: '/usr/bin/python3' } })
})

void t.test('the page has the filters of this version', (t) => {
  t.equal(oldFilters.length, 26)
  const names = oldFilters.map(({ name }) => name)
  t.strictSame(names, [...names].sort(), 'in the order of their names')
  const page = readFileSync(join(repository, 'docs/from-pythonfilter.md'), 'utf8')
  const table = oldFilterTable(new Set(availableFilters([bundledFilters])))
  t.ok(page.includes(`\n${table}`), 'npm run docs')
  t.end()
})
