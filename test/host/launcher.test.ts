/** The launcher, run by the shells of this machine, with a stand-in for the host. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import {
  isLauncher,
  launcherScript,
  shellQuote,
  startAgainStatus,
  startsAgain,
} from '../../host/cli/courier/launcher.ts'
import { until } from '../helpers/until.ts'

const standIn = join(import.meta.dirname, '../fixtures/launcher-host.mjs')
const seesProcesses = existsSync('/proc/self/environ')
const shells = ['/bin/sh', '/bin/bash', '/bin/busybox'].filter((path) => existsSync(path))

interface HostEvent {
  readonly event: string
  readonly pid: number
  readonly args?: readonly string[]
  readonly holdsReady?: boolean
  readonly launcher?: string
}

interface Launched {
  readonly folder: string
  readonly launcher: ChildProcess
  closeInput(): void
  events(): HostEvent[]
  /** The n-th start of the host, counted from 0. */
  started(n: number): Promise<HostEvent>
  errors(): string
  order(file: string, text?: string): void
  /** Has the "ready" pipe seen its end? */
  readyClosed(): boolean
  /** Ids of all processes that this launcher brought about and that still run. */
  alive(): number[]
  ended(): { readonly code: number | null; readonly signal: string | null } | null
}

interface LaunchOptions {
  readonly shell?: string
  readonly name?: string
  readonly folderName?: string
  readonly fakePath?: Readonly<Record<string, string>>
}

/** Both ends of a pipe such as Courier makes: Node itself makes sockets. Taken from a shell's pipeline. */
async function makePipe(): Promise<{ readonly read: number; readonly write: number }> {
  const shell = spawn('/bin/sh', ['-c', `true | sh -c 'echo $$; exec sleep 60'`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let text = ''
  shell.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
  const pid = Number(await until('the pid of the reader', () => text.includes('\n') && text))
  const read = openSync(`/proc/${pid}/fd/0`, 'r')
  const write = openSync(`/proc/${pid}/fd/0`, 'w')
  process.kill(pid, 'SIGKILL')
  return { read, write }
}

async function launch(test: Test, options: LaunchOptions = {}): Promise<Launched> {
  const { shell = '/bin/sh', name = 'nodefilter', folderName = 'conf', fakePath = {} } = options
  const top = mkdtempSync(join(tmpdir(), 'nodefilter-launcher-'))
  const folder = join(top, folderName)
  const tools = join(top, 'bin')
  for (const path of [folder, tools]) mkdirSync(path)
  for (const [tool, text] of Object.entries(fakePath)) {
    writeFileSync(join(tools, tool), text.replaceAll('TOP', top))
    chmodSync(join(tools, tool), 0o755)
  }
  const path = join(top, name)
  const settings = { nodePath: process.execPath, programPath: standIn, configDirectory: folder, stateDirectory: top }
  writeFileSync(path, launcherScript(settings))
  chmodSync(path, 0o755)

  const tag = `NODEFILTER_TEST_${process.pid}_${Math.random().toString(36).slice(2)}`
  const env = { PATH: `${tools}:/usr/bin:/bin`, [tag]: '1' }
  const program = shell === '' ? path : shell
  const words = shell === '' ? [] : shell.endsWith('busybox') ? ['sh', path] : [path]
  const input = await makePipe()
  const launcher = spawn(program, words, { env, stdio: [input.read, 'ignore', 'pipe', 'pipe'] })
  closeSync(input.read)
  const seen = { errors: '', readyClosed: false, inputClosed: false, end: null as ReturnType<Launched['ended']> }
  launcher.stderr?.setEncoding('utf8').on('data', (text: string) => (seen.errors += text))
  launcher.stdio[3]?.on('end', () => (seen.readyClosed = true))
  ;(launcher.stdio[3] as Readable).resume()
  launcher.on('exit', (code, signal) => (seen.end = { code, signal }))

  const launched: Launched = {
    folder,
    launcher,
    closeInput: () => {
      if (!seen.inputClosed) closeSync(input.write)
      seen.inputClosed = true
    },
    events: () => {
      if (!existsSync(join(folder, 'events'))) return []
      const lines = readFileSync(join(folder, 'events'), 'utf8').split('\n').slice(0, -1)
      return lines.map((line) => JSON.parse(line) as HostEvent)
    },
    started: (n) => until(`start ${n} of the host`, () => launched.events().filter((e) => e.event === 'start')[n]),
    errors: () => seen.errors,
    // Whole or not at all: an order that is read while it is written would be to end with 0.
    order: (file, text = '') => {
      writeFileSync(join(folder, 'order'), text)
      renameSync(join(folder, 'order'), join(folder, file))
    },
    readyClosed: () => seen.readyClosed,
    alive: () => processesWith(`${tag}=1`),
    ended: () => seen.end,
  }
  test.teardown(() => {
    launched.closeInput()
    for (const pid of launched.alive()) process.kill(pid, 'SIGKILL')
    rmSync(top, { recursive: true, force: true })
  })
  return launched
}

function processesWith(variable: string): number[] {
  const found: number[] = []
  for (const entry of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(entry)) continue
    try {
      // A process that ended but was not collected has an empty environment.
      if (readFileSync(`/proc/${entry}/environ`, 'latin1').split('\0').includes(variable)) found.push(Number(entry))
    } catch {
      // It ended in between.
    }
  }
  return found
}

const end = (l: Launched) => until('the end of the launcher', () => l.ended())
const nobody = (l: Launched) => until('the end of every process', () => l.alive().length === 0)

void t.test('quoting keeps every word one word', (t) => {
  for (const word of [
    'plain',
    'two words',
    "it's",
    '$HOME',
    '`id`',
    '"',
    '\\',
    'a\nb',
    '',
    '*',
    '~',
    '!',
    "'';x",
    'é',
  ]) {
    const { stdout } = spawnSync('/bin/sh', ['-c', `printf '%s|' ${shellQuote(word)}`], { encoding: 'utf8' })
    t.equal(stdout, `${word}|`, JSON.stringify(word))
  }
  t.end()
})

void t.test('a launcher is known by its second line', (t) => {
  const settings = { nodePath: '/n', programPath: '/p', configDirectory: null, stateDirectory: null }
  const text = launcherScript({ ...settings, execArgs: ['--max-old-space-size=64'] })
  t.ok(isLauncher(text))
  t.notOk(isLauncher(text.replace('nodefilter-launcher', 'other')))
  t.notOk(isLauncher(''))
  t.match(text, '\n    /n --max-old-space-size=64 /p run --door courierfilter --name "$name" <&4')
  t.equal(spawnSync('/bin/sh', ['-n'], { input: text }).status, 0, 'the shell can parse it')
  t.end()
})

void t.test('a host knows whether its launcher starts it again', (t) => {
  const cases: [name: string, value: string | undefined, parent: number, want: boolean][] = [
    ['its parent is a launcher of this contract', '2 77', 77, true],
    ['its parent is one of a later contract', '13 77', 77, true],
    ['its parent is one of the contract before', '1 77', 77, false],
    ['the launcher that the variable names is not its parent', '2 77', 1, false],
    ['there is no variable', undefined, 77, false],
    ['the variable says something else', 'yes', 77, false],
  ]
  for (const [name, value, parent, want] of cases) {
    t.equal(startsAgain(value === undefined ? {} : { NODEFILTER_LAUNCHER: value }, parent), want, name)
  }
  t.end()
})

if (!seesProcesses) {
  void t.test('the running launcher', { skip: 'needs /proc to see which processes are left' }, (t) => t.end())
} else {
  for (const shell of shells) {
    void t.test(`${shell}: one life`, async (t) => {
      const l = await launch(t, { shell })
      const first = await l.started(0)
      const words = ['run', '--door', 'courierfilter', '--name', 'nodefilter', '-c', l.folder]
      t.strictSame(first.args?.slice(0, -2), words, 'the host gets its door, its name and its folders')
      t.ok(first.holdsReady, 'the first host gets the ready pipe')
      await until('the launcher to let go of fd 3', () => readlinkSync(`/proc/${l.launcher.pid}/fd/3`) === '/dev/null')
      t.notOk(l.readyClosed(), 'ready is not said before the host says it')
      l.order('close-ready')
      await until('the end of the ready pipe', () => l.readyClosed())
      t.equal(l.ended(), null, 'ready was said while all go on')

      l.launcher.kill('SIGHUP')
      await until('HUP at the host', () => l.events().some((e) => e.event === 'hup'))
      l.launcher.kill('SIGUSR1')
      await until('USR1 at the host', () => l.events().some((e) => e.event === 'usr1'))

      process.kill(first.pid, 'SIGKILL')
      const second = await l.started(1)
      t.notOk(second.holdsReady, 'a later host gets no ready pipe')
      t.match(l.errors(), /^ERR: nodefilter: the host died of signal 9; it is started again in 1 s\n$/)
      l.order('exit', '75')
      await until('the word about another instance', () => /another instance/.test(l.errors()))
      t.match(l.errors(), /\nWARN: nodefilter: another instance uses the state folder; next try in 2 s\n$/)
      const third = await l.started(2)

      l.closeInput()
      await until('the end of input at the host', () =>
        l.events().some((e) => e.event === 'end' && e.pid === third.pid),
      )
      t.strictSame(await end(l), { code: 0, signal: null }, 'it ends with its host')
      await nobody(l)
    })

    void t.test(`${shell}: a restart that was asked for`, async (t) => {
      const l = await launch(t, {
        shell,
        fakePath: { sleep: '#!/bin/sh\necho >TOP/conf/sleeping\nexec /bin/sleep 30\n' },
      })
      const first = await l.started(0)
      t.ok(startsAgain({ NODEFILTER_LAUNCHER: first.launcher }, l.launcher.pid ?? 0), 'the host knows that it may')
      l.order('exit', String(startAgainStatus))
      const second = await l.started(1)
      t.notOk(second.holdsReady, 'the ready pipe is not for it')
      l.order('exit', String(startAgainStatus))
      await l.started(2)
      t.equal(l.errors(), '', 'it is started again without a word')
      t.notOk(existsSync(join(l.folder, 'sleeping')), 'and without a pause')
      l.closeInput()
      t.strictSame(await end(l), { code: 0, signal: null })
      await nobody(l)
    })

    void t.test(`${shell}: the input ends while no host runs`, async (t) => {
      const l = await launch(t, {
        shell,
        fakePath: { sleep: '#!/bin/sh\necho >TOP/conf/sleeping\nexec /bin/sleep 30\n' },
      })
      const { pid } = await l.started(0)
      process.kill(pid, 'SIGKILL')
      await until('the pause', () => existsSync(join(l.folder, 'sleeping')))
      t.ok(await until('the end of fd 3', () => l.readyClosed()), 'neither launcher nor helpers hold the ready pipe')
      const fromMs = performance.now()
      l.closeInput()
      t.strictSame(await end(l), { code: 0, signal: null })
      t.ok(performance.now() - fromMs < 10_000, 'long before the pause is over')
      await nobody(l)
      t.equal(l.events().length, 1, 'no other host was started')
    })

    void t.test(`${shell}: signals while no host runs`, async (t) => {
      const sleep = '#!/bin/sh\necho >TOP/conf/sleeping\nexec /bin/sleep 30\n'
      const l = await launch(t, { shell, fakePath: { sleep } })
      process.kill((await l.started(0)).pid, 'SIGKILL')
      await until('the pause', () => existsSync(join(l.folder, 'sleeping')))
      l.launcher.kill('SIGHUP')
      const { pid } = await l.started(1)
      t.pass('HUP ends the pause')
      rmSync(join(l.folder, 'sleeping'))
      process.kill(pid, 'SIGKILL')
      await until('the next pause', () => existsSync(join(l.folder, 'sleeping')))
      l.launcher.kill('SIGTERM')
      t.strictSame(await end(l), { code: 0, signal: null }, 'TERM ends the launcher')
      await nobody(l)
    })

    void t.test(`${shell}: TERM and INT end host and launcher`, async (t) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) {
        const l = await launch(t, { shell })
        await l.started(0)
        l.launcher.kill(signal)
        t.strictSame(await end(l), { code: 0, signal: null }, signal)
        t.equal(l.events().at(-1)?.event, 'term', 'the host heard of it')
        await nobody(l)
      }
    })
  }

  void t.test('a host that ends with 0 ends the launcher', async (t) => {
    const l = await launch(t)
    await l.started(0)
    l.order('exit', '0')
    t.strictSame(await end(l), { code: 0, signal: null })
    t.equal(l.errors(), '', 'without a word')
    await nobody(l)
  })

  void t.test('the waits double up to 30 s, and begin anew after a long life', async (t) => {
    // The clock stands still but for one host, which then has lived for 60 s.
    const date = '#!/bin/sh\necho x >>TOP/asked\n[ "$(wc -l <TOP/asked)" -lt 16 ] && echo 1000 || echo 1060\n'
    const l = await launch(t, { fakePath: { sleep: '#!/bin/sh\necho "$1" >>TOP/conf/slept\n', date } })
    l.order('exit-always')
    l.order('exit', '3')
    const slept = () => (existsSync(join(l.folder, 'slept')) ? readFileSync(join(l.folder, 'slept'), 'utf8') : '')
    await until('nine waits', () => slept().split('\n').length > 9, 20_000)
    t.strictSame(slept().split('\n').slice(0, 9), ['1', '2', '4', '8', '16', '30', '30', '1', '2'])
    t.match(l.errors(), /^ERR: nodefilter: the host ended with status 3; it is started again in 1 s\n/)
    l.closeInput()
    await end(l)
    await nobody(l)
  })

  void t.test('odd names reach the host as they are, and the file can be run itself', async (t) => {
    const name = `it's "$(odd)" \\ né;me`
    const l = await launch(t, { shell: '', name, folderName: `con'f $x` })
    const { args = [] } = await l.started(0)
    t.strictSame([args[4], args[6]], [name, l.folder])
    l.closeInput()
    await end(l)
    await nobody(l)
  })

  void t.test('a Node that is gone is said in one line, and tried again', (t) => {
    const top = mkdtempSync(join(tmpdir(), 'nodefilter-launcher-'))
    t.teardown(() => rmSync(top, { recursive: true }))
    const settings = { nodePath: join(top, 'no-node'), programPath: standIn, configDirectory: top, stateDirectory: top }
    writeFileSync(join(top, 'nodefilter'), launcherScript(settings))
    const launcher = spawnSync('/bin/sh', ['-c', `: | /bin/sh ${top}/nodefilter`], {
      encoding: 'utf8',
      timeout: 10_000,
    })
    t.equal(launcher.status, 0, 'it ends, since its input is at its end')
    t.match(launcher.stderr, /^ERR: nodefilter: cannot run Node or the program \(status 127\); next try in 1 s$/m)
    t.end()
  })
}
