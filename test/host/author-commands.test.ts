/** What an author types: `nodefilter new`, `nodefilter test` and `nodefilter filters`. */
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { runCommandLine } from '../../host/cli/index.ts'
import { systemPlatform } from '../../host/platform/platform.ts'
import { describeModules } from '../../host/runner/describe.ts'
import { giveRunners, nodeOptions } from '../helpers/node-options.ts'
import { until } from '../helpers/until.ts'

process.umask(0o022)
giveRunners(t, nodeOptions())

const program = fileURLToPath(new URL('../../host/main.ts', import.meta.url))

/** A folder from which no way up leads to the packages of this repository. */
function makeFolder(t: Test, files: Readonly<Record<string, string>> = {}): string {
  const root = mkdtempSync(join(tmpdir(), 'nf-author-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return root
}

/** Runs a command in this process. What it prints names the folder `F`. */
async function nodefilter(folder: string, ...args: string[]) {
  const printed = { stdout: '', stderr: '' }
  const status = await runCommandLine(args, {
    out: (text) => (printed.stdout += text.replaceAll(folder, 'F')),
    err: (text) => (printed.stderr += text.replaceAll(folder, 'F')),
    env: process.env,
  })
  return { status, ...printed }
}

/** Runs it in a process of its own, in that folder. */
function nodefilterIn(cwd: string, ...args: string[]) {
  return spawnSync(process.execPath, [...nodeOptions(), program, ...args], { cwd, encoding: 'utf8' })
}

t.test('new: what it writes works at once, where it was written', async (t) => {
  const folder = makeFolder(t, { 'm.eml': 'Subject: x\n\ny\n' })
  const made = nodefilterIn(folder, 'new', 'my_filter', '--dir', 'filters')
  t.equal(made.status, 0, made.stderr)
  t.match(made.stdout, /^wrote filters\/my_filter\.ts and filters\/my_filter\.test\.ts\n/)
  t.match(made.stdout, /nodefilter test filters\/my_filter\.test\.ts\n/)
  t.ok(made.stdout.includes(`filter_path = ${join(folder, 'filters')}\n`))
  const inJavaScript = await nodefilter(folder, 'new', 'debug', '--dir', join(folder, 'filters'), '--js')
  t.equal(inJavaScript.status, 0)
  t.match(inJavaScript.stderr, /note: a filter "debug" comes with nodefilter/)
  t.strictSame(readdirSync(join(folder, 'filters')), [
    'debug.mjs',
    'debug.test.mjs',
    'my_filter.test.ts',
    'my_filter.ts',
  ])
  t.equal(statSync(join(folder, 'filters/my_filter.ts')).mode & 0o022, 0, 'nobody else may write it')

  const tested = nodefilterIn(folder, 'test')
  t.equal(tested.status, 0, tested.stdout + tested.stderr)
  t.match(tested.stdout, /pass 8\n/, 'all tests of both pass, found by their names')

  writeFileSync(join(folder, 'filters.conf'), 'my_filter with max_recipients=1\n')
  const recipients = ['--to', 'a@example.org', '--to', 'b@example.org']
  const set = ['-c', folder, '--set', `chain.filter_path=${join(folder, 'filters')}`]
  const checked = await nodefilter(folder, 'check', ...set, ...recipients, join(folder, 'm.eml'))
  t.match(checked.stdout, /my_filter:reject +reject .* 550 5\.7\.1 Please write to at most 1 recipients at once\n/)
})

t.test('new: what it refuses', async (t) => {
  const folder = makeFolder(t, { 'a.cjs': 'mine', 'b.test.ts': 'mine', file: '' })
  const rows: { name: string; args: string[]; status: number; err: RegExp }[] = [
    { name: 'no name', args: [], status: 64, err: /say how the filter is to be called/ },
    { name: 'two names', args: ['x', 'y'], status: 64, err: /unexpected argument "y"/ },
    { name: 'an unknown option', args: ['x', '--python'], status: 64, err: /--python/ },
    { name: 'a path', args: ['a/b'], status: 64, err: /a file in another folder/ },
    { name: 'a way out', args: ['../x'], status: 64, err: /is no name of a filter/ },
    { name: 'a dotted name', args: ['a.b'], status: 64, err: /a file in another folder/ },
    { name: 'the name of a package', args: ['@example/x'], status: 64, err: /a file in another folder/ },
    { name: 'a word of the list', args: ['with'], status: 64, err: /is a word of filters\.conf/ },
    { name: 'a filter that is there', args: ['a', '--js'], status: 73, err: /a\.cjs is there already/ },
    { name: 'a test that is there', args: ['b'], status: 73, err: /b\.test\.ts is there already/ },
    { name: 'a folder that is a file', args: ['c', '--dir', join(folder, 'file')], status: 73, err: /EEXIST|ENOTDIR/ },
  ]
  for (const { name, args, status, err } of rows) {
    const result = await nodefilter(folder, 'new', '--dir', folder, ...args)
    t.equal(result.status, status, name)
    t.match(result.stderr, err, `${name}: why`)
  }
  t.strictSame(readdirSync(folder), ['a.cjs', 'b.test.ts', 'file'], 'nothing was written')
  t.equal(readFileSync(join(folder, 'a.cjs'), 'utf8'), 'mine')
})

t.test("test: the exit status and the options are Node's", (t) => {
  const folder = makeFolder(t, {
    'f.mjs': `import { reject } from 'nodefilter/courier-compat'\nexport const doFilter = () => reject('5.7.1', 'no')`,
    'f.test.mjs': `import test from 'node:test'
import assert from 'node:assert'
import { runFilter } from 'nodefilter/testing'
import * as f from './f.mjs'
test('right', async () => assert.equal((await runFilter(f, 'x')).verdict.kind, 'reject'))
test('wrong', async () => assert.equal((await runFilter(f, 'x')).verdict.kind, 'pass'))`,
  })
  const all = nodefilterIn(folder, 'test', 'f.test.mjs')
  t.equal(all.status, 1)
  t.match(all.stdout, /pass 1\n.*fail 1\n/s)
  t.equal(nodefilterIn(folder, 'test', '--test-name-pattern=right', 'f.test.mjs').status, 0)
  t.end()
})

const listed = `export const about = 'does a thing'
export const settings = {
  level: { type: 'count', default: 3, min: 1, max: 9, text: 'How much.' },
  wait: { type: 'duration', default: '5m', min: '1s', text: 'How long.' },
  words: { type: 'list', default: [], text: 'Which ones.' },
}
export function initFilter() { throw new Error('initFilter was called') }
export const doFilter = () => ''
console.log('printed at import')
`

t.test('filters: the table, one filter, and JSON', async (t) => {
  const folder = makeFolder(t, {
    'filters/listed.mjs': listed,
    'filters/listed.test.mjs': 'no module',
    'filters/other.ts': `export const onError = 'pass'\nexport const doFilter = (): string => ''\n`,
    'filters/broken.mjs': '\nconst a = )\n',
    'filters/exits.cjs': 'process.exit(7)',
    'filters/node_modules/@example/footer/package.json': JSON.stringify({
      ...{ name: '@example/footer', version: '1.2.3', main: 'i.js', keywords: ['nodefilter-filter'] },
    }),
    'filters/node_modules/@example/footer/i.js': `exports.about = 'adds a line'\nexports.doFilter = () => ''`,
    'filters/node_modules/helper/package.json': '{"name":"helper"}',
    'filters.conf': 'noduplicates\nlisted with level=4\n\nlisted as strict with on_error=pass words=a,b dry_run=yes\n',
    'modules.conf': '[listed]\nlevel = 2\n\n[strict]\nlevel = 5\nwait = "2h"\n',
    'broken/filters.conf': 'broken\nlisted with level=40\n',
  })
  const set = ['--set', `chain.filter_path=${join(folder, 'filters')}`]
  const table = await nodefilter(folder, 'filters', '-c', folder, ...set)
  t.equal(table.status, 0, 'what is broken is not in the list')
  t.equal(table.stderr, '')
  const rows = table.stdout.split('\n')
  t.match(rows[2], /^noduplicates +1 +pass +bundled +delivers once /)
  t.match(rows[3], /^listed +2, 3 as strict +defer, pass +F\/filters +does a thing$/)
  t.match(rows[4], /^@example\/footer +defer +F\/filters\/node_modules\/@example\/footer +adds a line$/)
  const others: RegExp[] = [
    /^broken +cannot be used: F\/filters\/broken\.mjs:2: cannot be loaded: SyntaxError: /m,
    /^exits +cannot be used: exits: filter "exits" cannot be described: it took its process along, which ended with status 7$/m,
    /^other +pass +F\/filters +\(does not say\)$/m,
    /^debug +pass +bundled +writes to the log /m,
  ]
  for (const row of others) t.match(table.stdout, row)
  t.notMatch(table.stdout, /helper|listed\.test|printed at import/, 'neither other packages, nor tests, nor output')

  const one = await nodefilter(folder, 'filters', 'strict', '-c', folder, ...set)
  t.equal(one.status, 0, one.stderr)
  t.equal(
    one.stdout,
    `listed: does a thing
  file      F/filters/listed.mjs
  from      F/filters
  on_error  defer unless its line in the list says otherwise
  in list   2 (F/filters.conf:2)
  in list   3 as strict (F/filters.conf:4) on_error=pass dry_run=yes

Settings:

  level
    How much.
    whole number, 1 to 9; default: 3
    listed: 4  (F/filters.conf:2)
    strict: 5  (F/modules.conf:5)

  wait
    How long.
    duration, 1s at least; default: 5m
    listed: 5m  (default)
    strict: 2h  (F/modules.conf:6)

  words
    Which ones.
    words separated by commas; default: (empty)
    listed: (empty)  (default)
    strict: a, b  (F/filters.conf:4)
`,
  )

  const json = await nodefilter(folder, 'filters', 'listed', '--json', '-c', folder, ...set)
  t.match(JSON.parse(json.stdout), {
    ...{ name: 'listed', about: 'does a thing', onError: 'defer', origin: 'F/filters' },
    settings: { level: { type: 'count', default: 3, min: 1, max: 9, text: 'How much.' } },
    inList: [
      { position: 2, alias: 'listed', onError: 'defer', dryRun: false },
      { position: 3, alias: 'strict', onError: 'pass', dryRun: true, settings: [{ key: 'level', value: '5' }] },
    ],
  })

  const wrong: { name: string; args: string[]; status: number; err: RegExp }[] = [
    {
      name: 'a name that is nearly right',
      args: ['lisetd'],
      status: 64,
      err: /no filter "lisetd"; did you mean "listed"/,
    },
    { name: 'two names', args: ['listed', 'other'], status: 64, err: /unexpected argument "other"/ },
  ]
  for (const { name, args, status, err } of wrong) {
    const result = await nodefilter(folder, 'filters', ...args, '-c', folder, ...set)
    t.equal(result.status, status, name)
    t.match(result.stderr, err, name)
  }
  const broken = await nodefilter(folder, 'filters', '-c', join(folder, 'broken'), ...set)
  t.equal(broken.status, 78, 'a list with a broken filter, and one with a wrong setting')
  t.match(broken.stdout, /^broken +1 +cannot be used: /m)
  t.match(broken.stderr, /filters\.conf:2: filter "listed": level: "40" is above the maximum, 9\n/)
})

t.test('filters: modules that misbehave are told of, and the others described all the same', async (t) => {
  const folder = makeFolder(t, {
    'a.mjs': `export const doFilter = () => ''`,
    'loops.mjs': 'for (;;);',
    'forges.cjs': `require('node:fs').writeSync(3, '{"type":"described","module":{"file":1}}\\n')\nfor (;;);`,
    'writes.cjs': `require('node:fs').writeSync(3, 'hello\\n')`,
    'waits.mjs': `await new Promise(() => undefined)`,
    'leaves.mjs': `import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
const child = spawn('sleep', ['600'], { stdio: 'ignore' })
writeFileSync(import.meta.dirname + '/pid', String(child.pid))
export const doFilter = () => ''`,
  })
  const names = ['a', 'loops', 'writes', 'a', 'forges', 'waits', 'leaves']
  const modules = names.map((name) => ({ name, file: 'list', line: 1 }))
  const answers = await describeModules(modules, { filterPath: [folder], packagePath: [] }, systemPlatform, 2000)
  const told = answers.map((answer) => ('problems' in answer ? answer.problems[0]?.text : answer.file))
  t.strictSame(
    told.map((text) => text?.replace(folder, 'F').replace(/^filter "[a-z]+" cannot be described: it /, '')),
    [
      'F/a.mjs',
      'was not loaded within 2 s',
      "wrote to descriptor 3, which is no filter's",
      'F/a.mjs',
      'was not described as a filter',
      'was not loaded within 2 s',
      'F/leaves.mjs',
    ],
  )
  const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'))
  // A process that nobody has waited for yet has no files any more.
  await until('the end of what a module started', () => !existsSync(`/proc/${pid}/cwd`))
  chmodSync(folder, 0o777)
  const [open] = await describeModules(modules.slice(0, 1), { filterPath: [folder], packagePath: [] }, systemPlatform)
  t.match(
    open,
    { problems: [{ text: /there is no filter "a"/ }] },
    'a folder that everybody may write is not looked into',
  )
})

t.test('filters: a module that never ends does not outlive the command', async (t) => {
  const mark = `import { writeFileSync } from 'node:fs'\nwriteFileSync(import.meta.dirname + '/pid', String(process.pid))\n`
  const folder = makeFolder(t, { 'loops.mjs': `${mark}for (;;);`, 'filters.conf': 'loops\n' })
  const args = [program, 'filters', '-c', folder, '--set', `chain.filter_path=${folder}`, 'loops']
  const command = spawn(process.execPath, args, { env: { PATH: process.env['PATH'] }, stdio: 'ignore' })
  const pid = Number(
    await until('the loop', () => existsSync(join(folder, 'pid')) && readFileSync(join(folder, 'pid'), 'utf8')),
  )
  t.teardown(() => existsSync(`/proc/${pid}/cwd`) && process.kill(pid, 'SIGKILL'))
  command.kill('SIGINT')
  await until('its end', () => !existsSync(`/proc/${pid}/cwd`), 5000)
})

t.test(
  'new: where no folder can be made, the command ends',
  { skip: existsSync('/proc/self') ? false : 'no /proc' },
  (t) => {
    const { status, stderr } = spawnSync(process.execPath, [program, 'new', 'x', '--dir', '/proc/nodefilter/x'], {
      ...{ encoding: 'utf8', timeout: 10_000 },
    })
    t.same(status, 73, 'where Node itself would try for ever')
    t.match(stderr, /mkdir '\/proc\/nodefilter'/)
    t.end()
  },
)
