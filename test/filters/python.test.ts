/** Filters written for pythonfilter, run by the machine's own Python. */
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import type { FilterContext, FilterSetup, SettingValue } from '../../courier-compat/index.ts'
import { settingDefaults } from '../../courier-compat/setting/value.ts'
import type * as pythonModule from '../../filters/python.ts'
import { abortGraceMs } from '../../host/chain/chain.ts'
import { deadSetupStores } from '../../host/store/filter-stores.ts'
import { makeContext, makeLog } from '../helpers/filter-context.ts'
import { makePair, type Pair, type PairOptions } from '../helpers/pair.ts'
import { fixtures, interpreter, noPython, pidsIn, runs } from '../helpers/python.ts'
import { until } from '../helpers/until.ts'

const skip = noPython()

/** The stand-ins for a site's Python, where Python may leave its bytecode. */
function site(t: Test): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'nfp-')))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(fixtures, folder, { recursive: true })
  return folder
}

interface Filter {
  readonly lines: string[]
  readonly folder: string
  /** The reply, or the error as `Name: text at FILE:LINE`. */
  ask(orders: string | readonly string[], more?: AskOptions): Promise<string>
  /** A pair whose message orders something. */
  readonly pair: (orders: string | readonly string[], options?: PairOptions) => Pair
  /** Another worker thread's copy of the module. */
  readonly another: () => Promise<Filter>
  readonly close: () => Promise<void>
}

interface AskOptions {
  readonly pair?: Pair
  readonly signal?: AbortSignal
  readonly lines?: string[]
}

let instances = 0

/** Loads the module anew, as another worker thread would, and initialises it. */
async function load(t: Test, folder: string, settings: Record<string, SettingValue>, alias = 'py'): Promise<Filter> {
  const url = new URL('../../filters/python.ts', import.meta.url)
  url.searchParams.set('instance', String(++instances))
  const module = (await import(url.href)) as typeof pythonModule
  const { lines, log } = makeLog()
  const state = join(folder, 'state')
  mkdirSync(state, { recursive: true, mode: 0o700 })
  const values = { ...settingDefaults(module.settings), path: [join(folder, 'site')], ...settings }
  const setup: FilterSetup = { name: 'python', alias, settings: values, log, state, stores: deadSetupStores }
  await module.initFilter(setup as Parameters<typeof pythonModule.initFilter>[0])
  const close = async (): Promise<void> => {
    await module.closeFilter()
  }
  t.teardown(close)
  const pair: Filter['pair'] = (orders, options) =>
    makePair(folder, {
      content: [...[orders].flat().map((order) => `X-Do: ${order}`), '', 'text', ''].join('\n'),
      ...options,
    })
  return {
    ...{ lines, folder, pair, close, another: () => load(t, folder, settings, alias) },
    ask: async (orders, more = {}) => {
      const { bodyPath, controlPaths } = more.pair ?? pair(orders)
      const { context, lines: said } = makeContext(controlPaths)
      const own: FilterContext = more.signal === undefined ? context : { ...context, signal: more.signal }
      try {
        return String(await module.doFilter(bodyPath, controlPaths, own))
      } catch (thrown) {
        const error = thrown as Error
        const place = /\n {4}at (.*):1$/.exec(error.stack ?? '')?.[1] ?? ''
        return `${error.name}: ${error.message}${/\.py:/.test(place) ? ` at ${basename(place)}` : ''}`
      } finally {
        more.lines?.push(...said)
      }
    },
  }
}

/** Why a filter could not be loaded. */
async function whyNot(
  t: Test,
  folder: string,
  settings: Record<string, SettingValue>,
  alias?: string,
): Promise<string> {
  // The keeper of the attempt before, in the same process, is about to end.
  await until('no keeper to be left', () => !existsSync(join(folder, `state/${process.pid}.sock`)))
  return load(t, folder, settings, alias).then(
    () => 'it was loaded',
    (thrown: unknown) => {
      const { message, stack = '' } = thrown as Error
      const place = /\n {4}at (.*\.py:[0-9]+):1$/.exec(stack)?.[1]
      return `${message}${place === undefined ? '' : ` at ${place}`}`.replaceAll(folder, '')
    },
  )
}

const acting = readFileSync(join(fixtures, 'site/pythonfilter/acting.py'), 'utf8').split('\n')
/** The number of the line of the fixture that has this text. */
const line = (text: string): number => acting.findIndex((each) => each.includes(text)) + 1

t.test('what a Python filter says', { skip }, async (t) => {
  const folder = site(t)
  const filter = await load(t, folder, { module: 'acting' })
  await until('the greeting', () => filter.lines.includes('info: Initialized the acting python filter'))
  t.match(filter.lines.join('\n'), /info: Python process [0-9]+ runs pythonfilter\.acting \(.*\/acting\.py\), Python 3/)

  const rows: [name: string, orders: string | readonly string[], want: string | RegExp][] = [
    ['no decision', [], ''],
    ['a refusal', 'say 554 5.7.1 no', '554 5.7.1 no'],
    ['an acceptance', 'say 200 fine', '200 fine'],
    ['000', 'say 000 none other', '000 none other'],
    ['a reply of several lines', 'say 554-a\\n554 b', '554-a\n554 b'],
    ['a reply beyond ASCII', 'say 554 näin ☃ \u{1f600}', '554 näin ☃ \u{1f600}'],
    ['a reply that is not even Unicode', 'return "554 \\udcff"', '554 \udcff'],
    ['an exception, with its line', 'raise bad luck', `ValueError: bad luck at acting.py:${line('raise ValueError')}`],
    [
      'an exception from a library, with the line of the filter',
      'library',
      new RegExp(`^FileNotFoundError: .*'/nonexistent/program' at acting\\.py:${line('check_output')}$`),
    ],
    ['an exception with an empty text', 'raise', `ValueError:  at acting.py:${line('raise ValueError')}`],
    ['None', 'return None', 'Error: pythonfilter.acting returned NoneType, not a string'],
    ['a number', 'return 554', 'Error: pythonfilter.acting returned int, not a string'],
    ['bytes', 'return b"554 no"', 'Error: pythonfilter.acting returned bytes, not a string'],
    ['far too long a text', 'return "5" * 10000000', 'Error: pythonfilter.acting returned 10000000 characters of text'],
    ['sys.exit()', 'exit no more', `SystemExit: no more at acting.py:${line('sys.exit')}`],
    ['its arguments, and the helpers of its own site', 'tell', /^200 17 sender@example\.net 'D[0-9]+'$/],
    ['what it prints does not get between', ['raw', 'print hello', 'say 554 no'], '554 no'],
    ['our own files are not in its way', ['import channel', 'import keeper', 'import frames'], ''],
  ]
  for (const [name, orders, want] of rows) {
    const said = await filter.ask(orders)
    if (typeof want === 'string') t.equal(said, want, name)
    else t.match(said, want, name)
  }
  const lines: string[] = []
  await filter.ask('raise bad luck', { lines })
  t.match(lines, [/^warn: ValueError came through .*acting\.py:[0-9]+ in do_filter, .* in do_raise, .* in deeper$/])
  for (const text of ['hello', '{"type": "done", "id": 1}', '\\xff', 'from a child']) {
    await until(`"${text}" in the log`, () => filter.lines.includes(`info: ${text}`))
  }
  t.pass('what is printed, by whom ever, is in the log')

  t.equal(await filter.ask(['flood 3000', 'say 200 ok']), '200 ok', 'a filter that prints much')
  await until(
    'the last line',
    () =>
      filter.lines.some((line) => /^info: x{2000}$/.test(line)) ||
      filter.lines.some((line) => line.endsWith(' lines were lost')),
  )
  t.ok(
    filter.lines.every((line) => line.length < 2100),
    'has its lines cut',
  )

  const added = filter.pair('add added@example.org')
  t.equal(await filter.ask('', { pair: added }), '')
  t.match(readFileSync(added.controlPaths[0] ?? '', 'utf8'), /^radded@example\.org$/m, 'a filter edits control files')

  const named = filter.pair('tell')
  const bodyPath = join(dirname(named.bodyPath), 'D ä ☃ \u{1f600} "\\ \'x')
  renameSync(named.bodyPath, bodyPath)
  t.equal(
    await filter.ask('', { pair: { ...named, bodyPath } }),
    `200 17 sender@example.net ${JSON.stringify(basename(bodyPath))
      .replaceAll('\\"', '"')
      .slice(1, -1)
      .replace(/^.*$/, (text) => `'${text.replace("'", "\\'")}'`)}`,
    'a path of every kind of character',
  )
  // Made by Python, since Node's names are text: the octet 0xff travels as the surrogate that Python makes of it.
  const odd = filter.pair('tell')
  spawnSync(interpreter, [
    '-c',
    'import os, sys; os.rename(sys.argv[1], os.fsencode(sys.argv[1]) + b"\\xff")',
    odd.bodyPath,
  ])
  t.match(await filter.ask('', { pair: { ...odd, bodyPath: `${odd.bodyPath}\udcff` } }), /^200 17 .*\\udcff'$/)

  t.equal(await filter.ask('fresh'), '', 'a thread for each message')
  t.equal(await filter.ask('fresh'), '', 'keeps nothing of the one before')

  const numbers = await Promise.all(Array.from({ length: 200 }, () => filter.ask('count')))
  t.same(
    numbers.map((reply) => Number(reply.slice(4))).sort((a, b) => a - b),
    Array.from({ length: 200 }, (_, at) => at + 1),
    '200 at once',
  )

  const go = join(folder, 'go')
  const held = Array.from({ length: 16 }, () => filter.ask([`hold ${go}`, 'say 200 held']))
  const given = new AbortController()
  const waiting = filter.ask('say 200 waited', { signal: given.signal })
  const next = filter.ask('say 200 next')
  setTimeout(() => given.abort(new Error('late')), 50)
  t.match(
    await waiting,
    /^Error: it waited for the Python process until its time limit was over$/,
    'one too many waits, and can be given up',
  )
  writeFileSync(go, '')
  t.same(new Set(await Promise.all(held)), new Set(['200 held']), 'which costs the others nothing')
  t.equal(await next, '200 next', 'nor those behind it')

  const [worker = 0, keeper = 0] = pidsIn(await filter.ask('pid'))
  await filter.close()
  t.notOk(runs(worker), 'closing ends the process')
  await until('the keeper to end', () => !runs(keeper))
  t.ok(filter.lines.includes('info: closed in peace'), 'after what the filter has registered for its end')
})

t.test('names, spellings and places', { skip }, async (t) => {
  const folder = site(t)
  const own = join(folder, 'own')
  const good: [name: string, settings: Record<string, SettingValue>, alias: string, want: string][] = [
    ['old spellings', { module: 'oldspelling' }, 'py', '200 old'],
    ['the alias names the module', {}, 'oldspelling', '200 old'],
    ['a folder of filters', { path: [own], module: 'queue' }, 'py', '200 pythonfilter.queue []'],
    ['a folder in it', { path: [own], module: 'sub.mod' }, 'py', '200 pythonfilter.sub.mod'],
    ['the first folder that has it', { path: [own, join(folder, 'site')], module: 'oldspelling' }, 'py', '200 old'],
  ]
  for (const [name, settings, alias, want] of good) {
    const filter = await load(t, folder, settings, alias)
    t.equal(await filter.ask([]), want, name)
    await filter.close()
  }

  mkdirSync(join(folder, 'open'))
  chmodSync(join(folder, 'open'), 0o777)
  cpSync(join(fixtures, 'own'), join(folder, 'loose'), { recursive: true })
  chmodSync(join(folder, 'loose/queue.py'), 0o666)
  const silent = join(folder, 'silent')
  // What it starts holds its outputs open when it is ended.
  writeFileSync(silent, '#!/bin/sh\nsleep 5\n', { mode: 0o755 })
  const bad: [name: string, settings: Record<string, SettingValue>, want: string | RegExp][] = [
    ['no module', {}, 'which filter? write "python as NAME", or "python with module=NAME"'],
    ['a name that is none', { module: '../x' }, '"../x" is no name of a Python module'],
    ['a relative folder', { module: 'acting', path: ['x'] }, 'path: "x" is not an absolute path'],
    [
      'a folder that is missing',
      { module: 'acting', path: ['/nonexistent'] },
      '/nonexistent: No such file or directory',
    ],
    [
      'a folder open to everybody',
      { module: 'acting', path: [join(folder, 'open')] },
      '/open may be written by everybody: chmod o-w it',
    ],
    [
      'a file open to everybody',
      { module: 'queue', path: [join(folder, 'loose')] },
      '/loose/queue.py may be written by everybody: chmod o-w it',
    ],
    [
      'no such filter',
      { module: 'greylst' },
      'there is no module pythonfilter.greylst: name the folder of greylst.py with path, or install the filter for /usr/bin/python3',
    ],
    [
      'no pythonfilter',
      { module: 'acting', path: [own] },
      'there is no module pythonfilter.acting, since there is no pythonfilter: name the folder of acting.py with path, or install the filter for /usr/bin/python3',
    ],
    [
      'a package that is missing',
      { module: 'missing' },
      'ModuleNotFoundError: pythonfilter.missing imports no_such_package, which is not there: install it for /usr/bin/python3, or name its folder with path at /site/pythonfilter/missing.py:1',
    ],
    [
      'a helper that is missing',
      { module: 'helperless' },
      'ModuleNotFoundError: pythonfilter.helperless imports courier.authdaemon, which is not there: install courier-pythonfilter for /usr/bin/python3, or name its folder with path at /site/pythonfilter/helperless.py:1',
    ],
    ['a syntax error', { module: 'syntax' }, /^SyntaxError: .* at \/site\/pythonfilter\/syntax\.py:1$/],
    [
      'both spellings',
      { module: 'bothspellings' },
      'pythonfilter.bothspellings has both do_filter and doFilter: keep do_filter, it would be unclear which one runs',
    ],
    ['no function', { module: 'nothing' }, 'pythonfilter.nothing has no function do_filter(body_path, control_paths)'],
    ['a function that is none', { module: 'nofunction' }, 'do_filter in pythonfilter.nofunction is no function'],
    [
      'init_filter raises',
      { module: 'initfails' },
      "FileNotFoundError: [Errno 2] No such file or directory: '/nonexistent/database' at /site/pythonfilter/initfails.py:2",
    ],
    ['init_filter exits', { module: 'initexit' }, 'SystemExit: 1 at /site/pythonfilter/initexit.py:6'],
    [
      'init_filter hangs',
      { module: 'inithangs', start_limit: 500 },
      'the Python process was given up before it was ready: it was not ready within 0.5 s; its import or its init_filter hangs',
    ],
    [
      'no such interpreter',
      { module: 'acting', interpreter: '/nonexistent' },
      '/nonexistent cannot be started (name another interpreter): spawn /nonexistent ENOENT',
    ],
    [
      'an interpreter that says no word',
      { module: 'acting', interpreter: silent, start_limit: 300 },
      '/silent said no word within 0.3 s, and was ended',
    ],
    [
      'an interpreter that is none',
      { module: 'acting', interpreter: '/bin/false' },
      '/bin/false ended with status 1 before it served',
    ],
  ]
  for (const [name, settings, want] of bad) {
    const said = await whyNot(t, folder, settings, 'module' in settings ? 'py' : 'python')
    if (typeof want === 'string') t.equal(said, want, name)
    else t.match(said, want, name)
  }
  t.match(
    await whyNot(t, join(folder, 'x'.repeat(100)), { module: 'acting' }),
    /has 1[0-9]{2} octets, at most 107 work/,
    'too long a path for a socket',
  )
  const state = join(folder, 'state')
  await until('every socket to be gone', () => !readdirSync(state).some((file) => file.endsWith('.sock')))

  for (const name of ['4999999.sock', '4999999.lock', 'other.sock']) writeFileSync(join(state, name), '')
  const filter = await load(t, folder, { module: 'acting' })
  t.same(
    readdirSync(state).sort(),
    ['other.sock', `${process.pid}.lock`, `${process.pid}.sock`].sort(),
    'leftovers of runners that are gone are removed',
  )
  t.equal(statSync(join(state, `${process.pid}.sock`)).mode & 0o777, 0o600, 'the socket is ours alone')
  await filter.close()
})

t.test('a message that is given up, and a process that ends', { skip }, async (t) => {
  const folder = site(t)
  const at = (name: string): string => join(folder, name)
  const one = await load(t, folder, { module: 'acting' })
  const two = await one.another()
  t.same(await Promise.all([one.ask('meet'), two.ask('meet')]), ['', ''], 'two threads have one process')
  t.same(pidsIn(await one.ask('pid')), pidsIn(await two.ask('pid')))

  /** A message that the process has begun: one that only waits for it runs in the next. */
  const holding = async (name: string): Promise<{ readonly answer: Promise<string> }> => {
    const answer = two.ask([`mark ${at(name)}`, `hold ${at('never')}`])
    await until('the message to begin', () => existsSync(at(name)))
    return { answer }
  }
  const tookMs: number[] = []
  for (const hang of ['hang', 'clutch']) {
    const [before = 0] = pidsIn(await one.ask('pid'))
    const limit = new AbortController()
    const child = at(`child-${hang}`)
    const beside = await holding(`beside-${hang}`)
    const hung = one.ask([`child ${child}`, `${hang} ${at(hang)}`], { signal: limit.signal })
    await until('the filter to hang', () => existsSync(at(hang)))
    const childPid = Number(
      await until('its child', () => (existsSync(child) ? readFileSync(child, 'utf8') : '') || null),
    )
    t.ok(runs(before), `${hang}: its process runs`)
    t.ok(runs(childPid), `${hang}: and what it has started, ${childPid}`)
    const sinceMs = performance.now()
    limit.abort(new Error('late'))
    t.equal(
      await hung,
      'Error: its Python process is gone: a message was given up, its time limit was over',
      `${hang}: it is given up`,
    )
    tookMs.push(performance.now() - sinceMs)
    t.notOk(runs(before), `${hang}: and by then its process has ended`)
    t.notOk(runs(childPid), `${hang}: and what that had started`)
    t.match(
      await beside.answer,
      /^Error: its Python process is gone: a message was given up/,
      `${hang}: so has what ran beside it`,
    )
    const after = await two.ask('pid')
    t.notSame(pidsIn(after)[0], before, `${hang}: the next message has another`)
    t.equal(pidsIn(after)[1], pidsIn(await one.ask('pid'))[1], `${hang}: of the same keeper`)
  }
  t.ok(Math.min(...tookMs) < abortGraceMs, 'that fits into the grace that the chain gives')
  t.match(
    one.lines.join('\n'),
    /warn: Python process [0-9]+ is ended: a message was given up, its time limit was over; it was at .*acting\.py:[0-9]+ in do_hang$/m,
    'the log tells where it was',
  )

  const limit = new AbortController()
  const late = one.ask([`hold ${at('late')}`, 'say 200 done'], { signal: limit.signal })
  const [pid] = pidsIn(await two.ask('pid'))
  writeFileSync(at('late'), '')
  t.equal(await late, '200 done')
  limit.abort(new Error('late'))
  t.same(pidsIn(await two.ask('pid'))[0], pid, 'a signal after the answer ends nothing')

  const beside = await holding('beside')
  t.equal(
    await one.ask('die 3'),
    'Error: its Python process is gone: it ended with status 3',
    'a process that ends by itself',
  )
  t.match(await beside.answer, /^Error: its Python process is gone/, 'takes along what runs beside')
  t.equal(await one.ask('say 200 back'), '200 back', 'it is started again')
  await until('the log to tell', () =>
    one.lines.some((line) => /^error: Python process [0-9]+ ended with status 3, with 2 messages in hand$/.test(line)),
  )

  const file = at('site/pythonfilter/acting.py')
  appendFileSync(file, '\n\ndef init_filter():\n    raise RuntimeError("the database is locked")\n')
  await one.ask('die 3')
  await until('the start to fail', () => one.lines.some((line) => line.startsWith('error: cannot be started again')))
  t.equal(
    await two.ask('say 200'),
    'Error: RuntimeError: the database is locked',
    'while it cannot be, messages hear why',
  )
  cpSync(join(fixtures, 'site/pythonfilter/acting.py'), file)
  await until('it to be back', async () => (await two.ask('say 200 back')) === '200 back')

  const sinceMs = performance.now()
  await one.ask('die 3')
  t.equal(await one.ask('say 200 back'), '200 back')
  t.ok(performance.now() - sinceMs > 700, 'it is started later and later')

  const [worker = 0, keeper = 0] = pidsIn(await one.ask('pid'))
  const held = [one.ask(`hold ${at('never')}`), two.ask(`hold ${at('never')}`)]
  process.kill(keeper, 'SIGKILL')
  for (const reply of await Promise.all(held)) t.equal(reply, 'Error: the keeper of the Python process has ended')
  t.notOk(runs(worker), 'a keeper that is killed takes its process along')
  const again = await Promise.all([one.ask('meet'), two.ask('meet')])
  t.same(again, ['', ''], 'and the threads have one new keeper')

  await one.close()
  t.equal(await two.ask('say 200 still'), '200 still', 'a thread that leaves ends nothing')
  const [last = 0, itsKeeper = 0] = pidsIn(await two.ask('pid'))
  await two.close()
  t.notOk(runs(last), 'the last one does')
  await until('the keeper to end', () => !runs(itsKeeper))
})
