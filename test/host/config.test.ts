import { execFileSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { schemaProblems } from '../../courier-compat/setting/declaration.ts'
import { scanIni } from '../../host/config/ini-lines.ts'
import { formatProblem } from '../../host/problem.ts'
import { configDirectories, findConfigDirectory, readConfiguration } from '../../host/config/read.ts'
import { checkHostSettings, hostSchemas } from '../../host/config/settings.ts'

const minute = 60_000
const mib = 2 ** 20

const runnerDefaults = {
  ...{ maxMemory: null, recycleMemory: null, maxMessages: 1_000_000, cgroup: 'auto' },
  ...{ poisonLimit: 3, poisonMemory: 24 * 3600 * 1000 },
}

t.test('the table of settings', (t) => {
  for (const [section, schemas] of Object.entries(hostSchemas)) {
    t.strictSame(schemaProblems(schemas), [], `[${section}] is well declared`)
    t.ok(Object.isFrozen(schemas) && Object.values(schemas).every(Object.isFrozen), `[${section}] is frozen`)
  }
  const { settings, problems, warnings } = checkHostSettings({})
  t.strictSame([problems, warnings], [[], []])
  t.strictSame(
    settings,
    {
      host: { stateDir: null, deadline: minute, grace: 8000, maxWaiting: 500, whenBroken: 'defer', onPoison: 'defer' },
      runner: {
        threads: null,
        messagesPerThread: 16,
        blockedLimit: 2000,
        maxHeap: 256 * mib,
        startLimit: 30_000,
        ...runnerDefaults,
      },
      chain: { list: null, modules: [], filterPath: [], timeLimit: 30_000 },
      courierfilter: {
        enabled: true,
        directory: null,
        spoolDir: null,
        maxConnections: 1000,
        requestLimit: 262_144,
        requestTimeout: 10_000,
        onFailure: 'defer',
        onFailureLocal: 'pass',
        onFailureDsn: 'pass',
      },
      log: { level: 'info', file: null, maxBuffer: mib, linesPerSecond: 100 },
      message: {
        maxOctets: 1024 * mib,
        maxHeaderOctets: mib,
        maxFieldOctets: mib / 4,
        maxFields: 10_000,
        maxLineOctets: mib,
        maxDepth: 100,
        maxParts: 1000,
        maxEncodedWords: 5000,
        maxParameters: 200,
        maxAddresses: 5000,
        maxDecodedOctets: 1024 * mib,
      },
      store: { directory: null, maxSize: null, insideSize: 65_536, group: null, mode: 'auto' },
      metrics: { listen: 'off', allowRemote: false },
    },
    'the defaults, under the names that TypeScript sees',
  )
  t.ok(Object.isFrozen(settings) && Object.values(settings).every(Object.isFrozen), 'the settings are frozen')
  // Would not compile if the names or types were others.
  const typed: [number, number | null, 'defer' | 'pass', readonly string[], boolean] = [
    settings.host.maxWaiting,
    settings.runner.threads,
    settings.courierfilter.onFailureDsn,
    settings.chain.filterPath,
    settings.courierfilter.enabled,
  ]
  t.equal(typed.length, 5)
  t.end()
})

/** Reads files that are only texts, by their names in the folder /c. */
function readTexts(files: Record<string, string>, rest: { sets?: string[]; listText?: string } = {}) {
  const read = readConfiguration({
    directory: '/c',
    sets: rest.sets ?? [],
    ...(rest.listText === undefined ? {} : { listText: rest.listText }),
    isDirectory: (path) => path === '/c',
    readFile: (path) => {
      const text = files[path.replace(/^\/c\//, '')]
      if (text === undefined) throw Object.assign(new Error('not there'), { code: 'ENOENT' })
      return text
    },
  })
  return { ...read, told: read.problems.map(formatProblem), warned: read.warnings.map(formatProblem) }
}

interface ConfCase {
  readonly name: string
  readonly conf: string
  readonly problems: readonly string[]
}

const notSection = 'write [name] alone on its line, from the first column on'
const badQuotes = 'the quoted value is not closed, has text after it, or holds a backslash that is not doubled'

const badConf: ConfCase[] = [
  {
    name: 'an unknown section, with a guess',
    conf: '[hots]\n',
    problems: ['c:1: unknown section "hots"; did you mean "host"?'],
  },
  {
    name: 'an unknown section, without',
    conf: '\n[milter]\nlisten = x\n',
    problems: ['c:2: unknown section "milter"'],
  },
  { name: 'a section in capitals', conf: '[Host]', problems: ['c:1: unknown section "Host"; did you mean "host"?'] },
  {
    name: 'an unknown key, with a guess and without',
    conf: '[host]\ndedline = 5s\r\n\r\ngrease = 1s\rwhatever = 1',
    problems: [
      'c:2: [host] dedline: no such setting; did you mean "deadline"?',
      'c:4: [host] grease: no such setting; did you mean "grace"?',
      'c:5: [host] whatever: no such setting',
    ],
  },
  {
    name: 'a TypeScript name',
    conf: '[host]\nmaxWaiting = 5',
    problems: ['c:2: [host] maxWaiting: no such setting; did you mean "max_waiting"?'],
  },
  {
    name: 'values out of bounds and of another type, all at once',
    conf: '[host]\ndeadline = 1h\nmax_waiting = 0\nwhen_broken = dfer\n[runner]\nmax_heap = 1MiB\n[courierfilter]\nenabled = true\ndirectory = null\non_failure=\n',
    problems: [
      'c:2: [host] deadline: "1h" is above the maximum, 10m',
      'c:3: [host] max_waiting: "0" is below the minimum, 1',
      'c:4: [host] when_broken: "dfer" is not one of defer, pass; did you mean "defer"?',
      'c:6: [runner] max_heap: "1MiB" is below the minimum, 16MiB',
      'c:8: [courierfilter] enabled: "true" is neither yes nor no',
      'c:9: [courierfilter] directory: "null" is no absolute path: it begins with /',
      'c:10: [courierfilter] on_failure: "" is not one of defer, pass',
    ],
  },
  {
    name: 'folders that are not absolute',
    conf: '[chain]\nfilter_path = /a, b, ./c\nlist = my.conf',
    problems: [
      'c:3: [chain] list: "my.conf" is no absolute path: it begins with /',
      'c:2: [chain] filter_path: "b" is no absolute path: it begins with /',
      'c:2: [chain] filter_path: "./c" is no absolute path: it begins with /',
    ],
  },
  {
    name: 'a key twice in one section, also where the section is opened again',
    conf: '[host]\ngrace = 1s\n[log]\nlevel = warn\n[host]\ndeadline = 5s\n grace = 2s',
    problems: ['c:7: [host] grace stands twice, first in line 2; take one out'],
  },
  {
    name: 'a key before any section',
    conf: 'grace = 1s\n[host]',
    problems: ['c:1: grace stands before the first section; put its [section] above it'],
  },
  {
    name: 'a section in a section',
    conf: '[host.more]\ngrace = 1s\n[log.host]\n',
    problems: [`c:1: "[host.more]" is no section; ${notSection}`, `c:3: "[log.host]" is no section; ${notSection}`],
  },
  {
    name: 'headers that ini would take for keys',
    conf: '[host] ; mine\ngrace = 1s\n [log]\n[chain\n[]',
    problems: [
      `c:1: "[host] ; mine" is no section; ${notSection}`,
      `c:3: " [log]" is no section; ${notSection}`,
      `c:4: "[chain" is no section; ${notSection}`,
      `c:5: "[]" is no section; ${notSection}`,
    ],
  },
  {
    name: 'names that reach for a prototype',
    conf: '[__proto__]\ngrace = 1s\n[host]\n__proto__ = 1\nconstructor = 1\n[constructor]',
    problems: [
      `c:1: "[__proto__]" is no section; ${notSection}`,
      'c:4: "__proto__ = 1" is neither [section] nor key = value',
      'c:5: [host] constructor: no such setting',
      'c:6: unknown section "constructor"',
    ],
  },
  {
    name: 'lines that say nothing',
    conf: "[host]\ngrace 1s\ngrace\n= 1s\n'null' = 1\ngrace: 1s",
    problems: ['grace 1s', 'grace', '= 1s', "'null' = 1", 'grace: 1s'].map(
      (text, index) => `c:${index + 2}: "${text}" is neither [section] nor key = value`,
    ),
  },
  {
    name: 'lists of ini',
    conf: '[chain]\nfilter_path[] = /a',
    problems: ['c:2: "filter_path[] = /a" is neither [section] nor key = value'],
  },
  {
    name: 'quotes that do not stand around the value',
    conf: '[log]\nfile = "/a" ; mine\nlevel = \'info\'\n[chain]\nlist = "/a\n',
    problems: [
      `c:2: file: ${badQuotes}`,
      'c:3: level: single quotes are not used here: write "..." or no quotes',
      `c:5: list: ${badQuotes}`,
    ],
  },
]

void t.test('a nodefilter.conf that is wrong', (t) => {
  for (const { name, conf, problems } of badConf) {
    const read = readTexts({ 'nodefilter.conf': conf, 'filters.conf': '' })
    t.strictSame(
      read.told,
      problems.map((problem) => problem.replace(/^c:/, '/c/nodefilter.conf:')),
      name,
    )
    t.equal(read.settings, null)
  }
  t.end()
})

void t.test('a file of nothing but mistakes is told of all the same', (t) => {
  const many = 150_000
  t.equal(readTexts({ 'nodefilter.conf': '[\n'.repeat(many), 'filters.conf': '' }).problems.length, many)
  const keys = Array.from({ length: many }, (_, index) => `k${index}=\n`).join('')
  t.equal(readTexts({ 'nodefilter.conf': `[host]\n${keys}`, 'filters.conf': '' }).problems.length, many)
  const rows = Array.from({ length: 900 }, (_, index) => `f${index} for ${'a, '.repeat(380)}`).join('\n')
  t.equal(readTexts({ 'filters.conf': rows }).problems.length, 342_000)
  t.end()
})

void t.test('a configuration that is right', (t) => {
  const conf = [
    '; mine',
    '[host]',
    '  deadline = 45s   ; a comment',
    'state_dir="/var/lib/node filter"',
    '# [log]',
    '[chain]',
    'filter_path = /etc/nodefilter/filters, /srv/filters',
    'time_limit = 50s',
    '[host]',
    'when_broken = pass',
    '[courierfilter]',
    'enabled=no',
  ].join('\r\n')
  const read = readTexts(
    { 'nodefilter.conf': conf, 'filters.conf': 'w for r5\nr5' },
    { sets: ['host.grace=1s', 'host.deadline=20s', 'host.deadline=40s', 'log.file=/a=b'] },
  )
  t.strictSame(read.told, [])
  t.strictSame(read.warned, [
    "/c/nodefilter.conf:8: [chain] time_limit: is longer than [host] deadline, so the message's deadline always comes first",
  ])
  t.strictSame(read.settings?.host, {
    stateDir: '/var/lib/node filter',
    deadline: 40_000,
    grace: 1000,
    maxWaiting: 500,
    whenBroken: 'pass',
    onPoison: 'defer',
  })
  t.strictSame(read.settings?.chain, {
    list: null,
    modules: [],
    filterPath: ['/etc/nodefilter/filters', '/srv/filters'],
    timeLimit: 50_000,
  })
  t.strictSame([read.settings?.courierfilter.enabled, read.settings?.log.file], [false, '/a=b'])
  t.strictSame(read.remaining, read.settings)
  t.strictSame(
    read.list.entries.map(({ alias, file, line }) => [alias, file, line]),
    [
      ['w', '/c/filters.conf', 1],
      ['r5', '/c/filters.conf', 2],
    ],
  )
  t.strictSame(read.files, ['/c/nodefilter.conf', '/c/filters.conf'])
  t.end()
})

void t.test('what --set says', (t) => {
  const files = { 'nodefilter.conf': '[host]\ndeadline = nonsense', 'filters.conf': '' }
  t.strictSame(readTexts(files, { sets: ['host.deadline=5s'] }).told, [], 'it wins over the file, right or wrong')
  t.strictSame(
    readTexts(files, {
      sets: ['deadline=5s', 'host.deadline', '__proto__.a=1', 'host.grace=x\n', 'hots.grace=1s', 'log.levle=warn'],
    }).told,
    [
      '--set: "deadline=5s" is not section.key=value',
      '--set: "host.deadline" is not section.key=value',
      '--set: "__proto__.a=1" is not section.key=value',
      '/c/nodefilter.conf:2: [host] deadline: "nonsense" is no duration: write a whole number and its unit, as in 500ms, 30s, 5m, 24h, 7d',
      '--set host.grace: [host] grace: "x\\n" is no duration: write a whole number and its unit, as in 500ms, 30s, 5m, 24h, 7d',
      '--set log.levle: [log] levle: no such setting; did you mean "level"?',
      '--set hots.grace: unknown section "hots"; did you mean "host"?',
    ],
  )
  t.end()
})

void t.test('which list is read', (t) => {
  const noList = 'no such file; make it, with one filter a line; an empty file runs none'
  t.strictSame(
    readTexts({}).told,
    [`/c/filters.conf: ${noList}`],
    'a missing nodefilter.conf is fine, a missing list is not',
  )
  t.ok(readTexts({}).settings, 'and the settings hold all the same')
  t.strictSame(
    readTexts({ 'nodefilter.conf': '[host]\ngrace = x\n[chain]\nlist = /other' }).told.map(
      (told) => told.split(':')[0],
    ),
    ['/c/nodefilter.conf', '/other'],
    'both files are told of at once',
  )
  t.strictSame(
    readTexts({ 'nodefilter.conf': '[chain]\nlist = my' }).told.length,
    1,
    'where the list should be is not known, so it is not missed elsewhere',
  )
  const old = readTexts({
    'nodefilter.conf': '[chain]\nlist = /c/pythonfilter-old.conf',
    'pythonfilter-old.conf': 'w FOR r5',
  })
  t.strictSame(
    [old.told, old.warned.length],
    [[], 1],
    'a list called pythonfilter*.conf is read as pythonfilter reads it',
  )
  t.match(readTexts({ 'filters.conf': 'e\nw FOR r5' }).told, [/^\/c\/filters\.conf:2: "FOR" after "w"/], 'ours is not')
  const given = readTexts({ 'filters.conf': 'e' }, { listText: 'a\nb x' })
  t.strictSame(
    given.list.entries.map(({ name }) => name),
    ['a'],
    'a list that is given is read in place of the file',
  )
  t.match(given.told, [/^the filter list given:2: /])
  t.strictSame(given.files, [])

  const nowhere = readConfiguration({ directory: null, sets: ['host.grace=1s'] })
  t.strictSame(nowhere.problems.map(formatProblem), [
    'filters.conf: there is no folder of configuration; make /etc/nodefilter with a filters.conf in it, or name a folder with -c',
  ])
  t.equal(nowhere.settings?.host.grace, 1000)
  t.strictSame(
    readConfiguration({ directory: null, sets: [], listText: '' }).problems,
    [],
    'a host inside a program needs no folder',
  )
  t.end()
})

void t.test('a broken configuration leaves enough to open the doors with', (t) => {
  const conf = '[host]\nwhen_broken = pass\ngrace = x\n[courierfilter]\ndirectory = /d\n[chain]\nfilter_path = x'
  const { settings, remaining } = readTexts({ 'nodefilter.conf': conf, 'filters.conf': '' })
  t.equal(settings, null)
  t.strictSame(
    [remaining.host.whenBroken, remaining.host.grace, remaining.courierfilter.directory, remaining.chain.filterPath],
    ['pass', 8000, '/d', []],
  )
  t.end()
})

void t.test('real files', (t) => {
  const folder = t.testdir({
    good: { 'nodefilter.conf': '\ufeff[log]\nlevel = warn\n', 'filters.conf': '\ufeffe' },
    latin: { 'nodefilter.conf': Buffer.from([0x23, 0xe9, 0x0a]), 'filters.conf': 'e' },
    long: { 'nodefilter.conf': `#${'x'.repeat(mib)}`, 'filters.conf': 'e anything' },
    folder: { 'nodefilter.conf': {}, 'filters.conf': 'e' },
    fifo: {},
    closed: { 'filters.conf': 'e' },
    file: 'e',
    loop: t.fixture('symlink', 'loop'),
  })
  const told = (name: string) =>
    readConfiguration({ directory: join(folder, name), sets: [] }).problems.map((problem) =>
      formatProblem(problem).replace(folder, ''),
    )

  const good = readConfiguration({ directory: join(folder, 'good'), sets: [] })
  t.strictSame([good.problems, good.settings?.log.level, good.list.entries.length], [[], 'warn', 1])
  t.strictSame(told('latin'), ['/latin/nodefilter.conf: cannot be read: it is not UTF-8 in line 1'])
  t.match(told('long'), [
    '/long/nodefilter.conf: cannot be read: it is longer than 1048576 octets',
    /^\/long\/filters.conf:1:/,
  ])
  t.strictSame(told('folder'), ['/folder/nodefilter.conf: cannot be read: it is no regular file'])
  t.strictSame(told('absent'), ['/absent: no such folder; make it, or name another one with -c'])
  t.strictSame(told('file'), ['/file: no such folder; make it, or name another one with -c'])
  t.strictSame(told('loop'), ['/loop: no such folder; make it, or name another one with -c'])
  execFileSync('mkfifo', [join(folder, 'fifo', 'filters.conf')])
  t.strictSame(told('fifo'), ['/fifo/filters.conf: cannot be read: it is no regular file'], 'a FIFO is not waited for')
  chmodSync(join(folder, 'closed', 'filters.conf'), 0)
  t.strictSame(
    told('closed'),
    ["/closed/filters.conf: cannot be read: permission denied; let the host's user read it"],
    { skip: process.getuid?.() === 0 ? 'the superuser may read everything' : false },
  )
  const refused = readConfiguration({
    directory: folder,
    sets: [],
    readFile: () => {
      throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })
    },
  })
  t.strictSame(
    refused.problems.map((problem) => formatProblem(problem).replace(folder, '')),
    ['nodefilter.conf', 'filters.conf'].map(
      (name) => `/${name}: cannot be read: permission denied; let the host's user read it`,
    ),
  )

  t.strictSame(configDirectories(null), ['/etc/nodefilter', '/usr/local/etc/nodefilter'])
  t.strictSame(configDirectories('/etc/courier').at(-1), '/etc/courier/nodefilter')
  const candidates = ['absent', 'file', 'good', 'folder'].map((name) => join(folder, name))
  t.equal(findConfigDirectory(candidates), join(folder, 'good'), 'the first folder that exists')
  t.equal(
    findConfigDirectory(candidates, () => false),
    null,
  )
  t.end()
})

void t.test('a problem is told on one line', (t) => {
  const problem = { file: '/c/f', line: 3, column: null, text: 'a', cure: 'b' }
  t.equal(formatProblem(problem), '/c/f:3: a; b')
  t.equal(formatProblem({ ...problem, column: 7, cure: null }), '/c/f:3:7: a')
  t.equal(formatProblem({ ...problem, file: '/c\n/f', line: null }), '/c?/f: a; b')
  t.end()
})

void t.test('no nodefilter.conf makes it throw, and every problem has a line of the file', (t) => {
  const parts = [
    '[host]',
    '[log]',
    '[a.b]',
    '[',
    ']',
    'grace',
    'level',
    '=',
    '5s',
    '"',
    "'",
    '\\',
    ';',
    '#',
    ' ',
    '\n',
    '\r\n',
    '\r',
  ]
  const odd = ['__proto__', 'key[]', 'null', 'true', '{"a":1}', '\u2028', '\u00a0', '\0', "'null'"]
  const iniLike = fc.array(fc.constantFrom(...parts, ...odd), { maxLength: 60 }).map((words) => words.join(''))
  const property = fc.property(fc.oneof(iniLike, fc.string(), fc.string({ unit: 'binary' })), (text) => {
    const read = readTexts({ 'nodefilter.conf': text, 'filters.conf': '' })
    const lines = text.split(/\r\n|\n|\r/).length
    // What the scan lets through has one meaning: scanned again it has no fault.
    const isClean = scanIni(scanIni(text).text).problems.length === 0
    const isInside = read.problems.every(({ line }) => line !== null && line >= 1 && line <= lines)
    return isClean && isInside && read.told.every((told) => !/[\r\n]/.test(told))
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 1000 }))
  t.end()
})
