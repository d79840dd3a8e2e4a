/** `nodefilter check` that goes on until it is interrupted: `--watch` and `--inspect`. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { nodeOptions } from '../helpers/node-options.ts'
import { until } from '../helpers/until.ts'

process.umask(0o022)

const program = fileURLToPath(new URL('../../host/main.ts', import.meta.url))

function setUp(dir: string, list: string): void {
  mkdirSync(join(dir, 'filters'))
  writeFileSync(join(dir, 'filters/tells.mjs'), `export const doFilter = () => ''`)
  writeFileSync(join(dir, 'filters.conf'), list)
  writeFileSync(join(dir, 'nodefilter.conf'), `[chain]\nfilter_path = ${join(dir, 'filters')}\n`)
  writeFileSync(join(dir, 'm.eml'), 'Subject: x\n\ny\n')
}

/** A check that goes on until it is interrupted. */
function startCheck(t: Test, ...args: string[]) {
  const child = spawn(process.execPath, [...nodeOptions(), program, 'check', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const printed = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed.err += text))
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  return {
    printed,
    /** Waits until so much was printed since the last time. */
    sees: async (what: string, stream: 'out' | 'err', pattern: RegExp) => {
      const match = await until(`${what} in ${JSON.stringify(printed)}`, () => pattern.exec(printed[stream]), 30_000)
      printed[stream] = printed[stream].slice(match.index + match[0].length)
      return match
    },
    interrupt: () => {
      child.kill('SIGINT')
      return ended
    },
    ended,
  }
}

t.test('check --watch: again after each change, whatever kind it is', async (t) => {
  const dir = t.testdir()
  setUp(dir, 'answers\n')
  const filter = join(dir, 'filters', 'answers.mjs')
  const answer = (text: string): string =>
    `import { text } from './lib/text.mjs'\nexport const doFilter = () => '550 5.7.1 ${text} ' + text`
  mkdirSync(join(dir, 'filters/lib'))
  writeFileSync(join(dir, 'filters/lib/text.mjs'), `export const text = 'one'`)
  writeFileSync(filter, answer('a'))
  const check = startCheck(t, '-c', dir, '--watch', join(dir, 'm.eml'))
  const rounds: { name: string; change: () => void; out?: RegExp; err?: RegExp }[] = [
    { name: 'the first run', change: () => undefined, out: /550 5\.7\.1 a one\n/ },
    {
      name: 'an editor that replaces the file',
      change: () => {
        writeFileSync(`${filter}~`, answer('b'))
        renameSync(`${filter}~`, filter)
      },
      out: /550 5\.7\.1 b one\n/,
    },
    {
      name: 'what a filter imports',
      change: () => writeFileSync(join(dir, 'filters/lib/text.mjs'), `export const text = 'two'`),
      out: /550 5\.7\.1 b two\n/,
    },
    { name: 'a mistake', change: () => writeFileSync(filter, 'const a = )'), err: /answers\.mjs:1: cannot be loaded/ },
    { name: 'its correction', change: () => writeFileSync(filter, answer('c')), out: /550 5\.7\.1 c two\n/ },
    { name: 'the list', change: () => writeFileSync(join(dir, 'filters.conf'), 'tells\n'), out: / tells +pass / },
    {
      name: 'a message that is gone',
      change: () => rmSync(join(dir, 'm.eml')),
      err: /no such file or directory.*m\.eml/,
    },
    { name: 'and back', change: () => writeFileSync(join(dir, 'm.eml'), 'Subject: y\n\n'), out: / tells +pass / },
    {
      name: 'a folder that is gone',
      change: () => rmSync(join(dir, 'filters'), { recursive: true }),
      err: /does not exist/,
    },
    {
      name: 'and back',
      change: () => {
        mkdirSync(join(dir, 'filters'))
        writeFileSync(join(dir, 'filters/tells.mjs'), 'export const doFilter = () => "550 5.7.1 new"')
      },
      out: /550 5\.7\.1 new\n/,
    },
  ]
  for (const { name, change, out, err } of rounds) {
    change()
    if (out !== undefined) await check.sees(name, 'out', out)
    if (err !== undefined) await check.sees(name, 'err', err)
    // So that the next change is one of its own.
    await check.sees(`${name}, the end of the run`, 'err', /watching [0-9]+ folders, Ctrl-C ends it\n$/)
    t.pass(name)
  }
  t.equal(await check.interrupt(), 0, 'Ctrl-C ends it with 0')
})

interface DevtoolsMessage {
  readonly id?: number
  readonly method?: string
}

t.test('check --inspect: a debugger can attach, and nothing is late', async (t) => {
  const dir = t.testdir()
  setUp(dir, 'slow with time_limit=10ms\n')
  const slow = `export const doFilter = () => new Promise((resolve) => setTimeout(resolve, 100, '550 5.7.1 slow'))`
  writeFileSync(join(dir, 'filters/slow.mjs'), `console.log('loaded')\n${slow}`)
  const check = startCheck(t, '-c', dir, '--inspect=127.0.0.1:0', join(dir, 'm.eml'))
  const [, host = ''] = await check.sees('the address', 'err', /listening on ws:\/\/([0-9.:]+)\//)
  t.match(host, /^127\.0\.0\.1:/)
  t.notMatch(check.printed.err, /loaded/, 'no filter is loaded before a debugger is there')

  const targets = (await (await fetch(`http://${host}/json`)).json()) as { webSocketDebuggerUrl: string }[]
  const socket = new WebSocket(targets[0]?.webSocketDebuggerUrl ?? '')
  t.teardown(() => socket.close())
  let asked = 0
  const ask = (method: string): void => socket.send(JSON.stringify({ id: ++asked, method }))
  const heard: DevtoolsMessage[] = []
  socket.addEventListener('message', ({ data }) => heard.push(JSON.parse(String(data)) as DevtoolsMessage))
  await until('an open connection', () => socket.readyState === WebSocket.OPEN)
  for (const method of ['Debugger.enable', 'Runtime.runIfWaitingForDebugger']) ask(method)
  await until('the stop', () => heard.some(({ method }) => method === 'Debugger.paused'))
  await check.sees('what filters print', 'err', /loaded\n/)
  t.equal(check.printed.out, '', 'it stops when the filters are loaded, before the first is called')
  ask('Debugger.resume')
  await check.sees('the verdict', 'out', /slow:reject +reject .* 550 5\.7\.1 slow\n/)
  t.equal(await check.ended, 0)

  const waiting = startCheck(t, '-c', dir, '--inspect=0', join(dir, 'm.eml'))
  const [, port = ''] = await waiting.sees('the address', 'err', /listening on ws:\/\/127\.0\.0\.1:([0-9]+)\//)
  const again = [program, 'check', '-c', dir, `--inspect=${port}`, join(dir, 'm.eml')]
  const taken = spawnSync(process.execPath, again, { encoding: 'utf8' })
  t.equal(taken.status, 78, 'an address that is taken')
  t.match(taken.stderr, /no debugger can connect to 127\.0\.0\.1:[0-9]+; name another address/)
  t.equal(await waiting.interrupt(), 0, 'Ctrl-C ends the waiting')
  await t.rejects(
    until('the end of the waiting process', () => fetch(`http://127.0.0.1:${port}/json`).then(() => false)),
    'and the process that waited',
  )
})
