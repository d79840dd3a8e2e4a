/**
 * What reaches whom: R31 what a filter finds in its process, R19 where the state may lie, R42 what a stranger's text can do
 * to the terminal of an administrator.
 */
import fs from 'node:fs'
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type * as eventsModule from '../../host/observe/events.ts'
import type * as logModule from '../../host/observe/log.ts'
import { systemClock } from '../../host/platform/clock.ts'
import type { Files } from '../../host/platform/files.ts'
import type * as stateFolderModule from '../../host/state-folder.ts'
import { nodefilter } from '../helpers/command.ts'
import { childrenOf, makePlace, orders, startHost, startStream } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { importWithout } from '../helpers/without.mjs'
import { createFindings, testPromise, type Check } from './check.ts'

t.setTimeout(240_000)

/** Everything that a process may know without asking a file for it. */
const mayKnow: ReadonlySet<string> = new Set([
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'prefix', 'exec_prefix', 'sysconfdir'],
  ...['NODEFILTER_MODULES', 'NODEFILTER_RUNNER'],
])

/** Writes down what it finds: in its own process, and in those that it starts, with pipes and with its own outputs. */
const probe = `import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
const descriptors = () => readdirSync('/proc/self/fd').flatMap((name) => {
  try {
    return [readlinkSync('/proc/self/fd/' + name)]
  } catch {
    return []
  }
})
export function doFilter(bodyPath) {
  const path = /^X-Probe: (.*)$/m.exec(readFileSync(bodyPath, 'utf8'))?.[1]
  if (path === undefined) return ''
  const list = 'for f in /proc/$$/fd/*; do readlink "$f"; done > ' + path + '.child; tr "\\\\0" "\\\\n" < /proc/$$/environ > ' + path + '.env'
  const children = [['ignore', 'pipe', 'pipe'], 'inherit'].map((stdio) => {
    spawnSync('/bin/sh', ['-c', list], { stdio })
    return {
      descriptors: readFileSync(path + '.child', 'utf8').split('\\n').filter(Boolean),
      names: readFileSync(path + '.env', 'utf8').split('\\n').filter(Boolean).map((line) => line.split('=')[0]),
    }
  })
  writeFileSync(path, JSON.stringify({
    descriptors: descriptors(), names: Object.keys(process.env), args: [...process.argv, ...process.execArgv], children,
  }))
  return ''
}
`

/** Has the host open its store. */
const storing = `export async function doFilter(bodyPath, controlPaths, context) {
  await context.ttl('seen').firstSeen('x')
  return ''
}
`

interface Found {
  readonly descriptors: readonly string[]
  readonly names: readonly string[]
}

/** What the descriptors of a process lead to. */
function linksOf(process: number | 'self'): string[] {
  return readdirSync(`/proc/${process}/fd`).flatMap((name) => {
    try {
      return [readlinkSync(`/proc/${process}/fd/${name}`)]
    } catch {
      return []
    }
  })
}

/** The test runner puts words of its own into every process that comes of it, a list of files among them. */
const isOfTestRunner = (name: string): boolean =>
  Object.keys(process.env).some((own) => own.startsWith('_TAPJS_')) &&
  (name === 'NODE_OPTIONS' || name.startsWith('_TAPJS_') || name.startsWith('/'))

const reachable: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'act', 'storing', 'probe')
  place.filter('probe.mjs', probe)
  place.filter('storing.mjs', storing)
  const env = { DATABASE_PASSWORD: 'x', NODE_OPTIONS: '--no-deprecation', LD_BIND_NOW: '1', SSH_AUTH_SOCK: '/nowhere' }
  // What whoever started the tests left open goes down to every process.
  const inherited = new Set(linksOf('self'))
  const host = startHost(t, place, { without, env, set: [`log.file=${place.at('log')}`, 'runner.threads=1'] })
  await host.ready()
  const storingAnswer = await host.ask(place.pair())
  expect(storingAnswer === '200 Ok\n', `the store is not opened: ${storingAnswer}`)
  const stores = linksOf(host.pid).filter((link) => link.endsWith('.mdb'))
  expect(stores.length > 0, 'the host has no store open')
  // The runner that the probe meets was started while the store was open.
  const [first = 0] = childrenOf(host.pid)
  process.kill(first, 'SIGKILL')
  await until('another runner', () =>
    host.ask(place.pair()).then(
      (reply) => reply === '200 Ok\n',
      () => false,
    ),
  )
  const stream = startStream(host)
  // Another message waits in the same thread while the probe looks around.
  const neighbour = host.ask(place.pair({ content: orders({ act: `hold ${place.at('go')}` }) }))
  const answer = await host.ask(place.pair({ content: `X-Probe: ${place.at('found')}\nSubject: x\n\ntext\n` }))
  expect(answer === '200 Ok\n', `the probe is answered ${answer}`)
  const found = JSON.parse(readFileSync(place.at('found'), 'utf8')) as Found & {
    readonly args: readonly string[]
    readonly children: readonly Found[]
  }
  const ofHost = new Set(linksOf(host.pid))
  const isCommon = (link: string): boolean =>
    link === '/dev/null' || link.startsWith('anon_inode:') || inherited.has(link)
  const processes = {
    'a filter': found,
    'its child': found.children[0],
    'its child with its outputs': found.children[1],
  }
  for (const [who, { descriptors, names } = { descriptors: [], names: [] }] of Object.entries(processes)) {
    expect(descriptors.length > 0 && names.length > 0, `${who} tells nothing`)
    for (const link of descriptors) {
      expect(isCommon(link) || !ofHost.has(link), `${who} has a descriptor of the host's: ${link}`)
      const isOurs = link.startsWith(`${place.root}/`) && !link.startsWith(place.at('found'))
      expect(!isOurs, `${who} has an open file: ${link}`)
    }
    for (const name of names.filter((name) => !isOfTestRunner(name)))
      expect(mayKnow.has(name) || /^(PWD|OLDPWD|SHLVL|_)$/.test(name), `${who} has ${name} in its environment`)
  }
  // The control pipe and the threads' sockets stay in the runner: a child has what it was given, and the list it writes.
  const own = found.descriptors.filter((link) => !isCommon(link))
  const [piped, inheriting] = found.children.map(({ descriptors }) => descriptors.filter((link) => own.includes(link)))
  expect(piped?.length === 0, `a child of a filter has the runner's ${String(piped)}`)
  expect((inheriting?.length ?? 9) <= 2, `a child with the runner's outputs has more of it: ${String(inheriting)}`)
  expect(!found.args.some((arg) => arg.includes(place.state)), 'the command line of a runner names the state folder')
  writeFileSync(place.at('go'), '')
  expect((await neighbour) === '200 Ok\n', 'the neighbour is not answered')
  const { wrong } = await stream.stop()
  expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  await host.stop()
  return seen
}
testPromise('R31 a filter and its children have no descriptor and no environment of the host', reachable, [
  { without: ['a runner has a small environment'], sees: /^a filter has DATABASE_PASSWORD in its environment/ },
  { without: ["a runner has no descriptor of the host's"], sees: /^a filter has a descriptor of the host's: / },
  { without: ["a runner has no descriptor of the store's"], sees: /^a filter has a descriptor of the host's: .*\.mdb/ },
])

/** R19, with a file layer that says where the folder lies. */
const statePlaces: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t)
  const { stateFolderProblem } = (await importWithout('host/state-folder.ts', without)) as typeof stateFolderModule
  const folder = (name: string): string => {
    mkdirSync(place.at(name), { mode: 0o700 })
    return place.at(name)
  }
  const on = (type: number): Files => ({ ...fs, statfsSync: (() => ({ type })) as unknown as typeof fs.statfsSync })
  const link = place.at('link')
  symlinkSync(folder('behind'), link)
  writeFileSync(place.at('file'), '')
  const rows: readonly (readonly [what: string, path: string, files: Files, want: RegExp | null])[] = [
    ['on a disk', folder('ext4'), on(0xef53), null],
    ['on btrfs', folder('btrfs'), on(0x9123683e), null],
    ['in memory', folder('tmpfs'), on(0x01021994), null],
    ['where it really is', folder('here'), fs, null],
    ['not there yet', place.at('new'), fs, null],
    ['on NFS', folder('nfs'), on(0x6969), /^lies on a file system of the type NFS/],
    ['on FUSE', folder('fuse'), on(0x65735546), /of the type FUSE/],
    ['on CIFS, its number read as negative', folder('cifs'), on(0xff534d42 | 0), /of the type CIFS/],
    ['on SMB', folder('smb'), on(0xfe534d42), /of the type SMB/],
    ['behind a link', link, fs, /^is a link$/],
    ['in the place of a file', place.at('file'), fs, /^is not a folder$/],
    ['below a folder that is not there', place.at('none/state'), fs, /^cannot be made: ENOENT$/],
    ['below a file', place.at('file/state'), fs, /^cannot be made: ENOTDIR$/],
    ['too deep for a socket', `/${'x'.repeat(120)}`, fs, /^its path is longer than/],
  ]
  for (const [what, path, files, want] of rows) {
    const problem = stateFolderProblem(path, files)
    const told = problem?.text ?? 'nothing is wrong'
    expect(want === null ? problem === null : want.test(told), `a state folder ${what}: ${told}`)
    expect(problem === null || problem.cure !== '', `a state folder ${what}: no cure is told`)
  }
  return seen
}
testPromise('R19 a state folder behind a link, in a wrong place or on another machine is refused', statePlaces, [
  {
    without: ['a state folder on a remote file system is refused'],
    sees: /^a state folder on NFS: nothing is wrong/,
  },
  { without: ['a state folder that is a link is refused'], sees: /^a state folder behind a link: is not a folder/ },
])

/** The whole host: its log names the folder, the client hears 451. */
const linkedState: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'act')
  mkdirSync(place.at('behind'), { mode: 0o700 })
  symlinkSync(place.at('behind'), place.state)
  const host = startHost(t, place, { without })
  await host.ready()
  const answer = await host.ask(place.pair())
  expect(answer.startsWith('451 4.3.5 '), `the door answers ${answer}`)
  const said = await until('the reason', () => host.log.find((line) => / configuration-broken /.test(line)))
  expect(said.includes(`${place.state}: is a link`), `the log says ${said}`)
  expect(readdirSync(place.at('behind')).length === 0, 'something was made behind the link')
  await host.stop()
  return seen
}
testPromise('R19 a host whose state folder is a link defers, and its log names the folder', linkedState, [])

/** What moves a cursor, sets a title, turns text around, or looks like another line. */
const hostile = [
  '\u001b[2J\u001b]0;title\u0007',
  '\u009b2J',
  'a\rb',
  '\b\b\b',
  '\u202egnp.exe',
  '\u2066a\u2069',
  'a\u2028b\u0085c',
  '\u0000\u007f',
] as const

/** All but line ends that a terminal may obey. */
const obeyed = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

const terminal: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'hostile', 'hostile as soft with on_error=pass')
  place.filter(
    'hostile.mjs',
    `import { readFileSync } from 'node:fs'
let alias
export const initFilter = (setup) => void (alias = setup.alias)
export function doFilter(bodyPath, controlPaths, context) {
  const [, who, json] = /^X-Hostile: ([a-z]+) (.*)$/m.exec(readFileSync(bodyPath, 'utf8'))
  const text = JSON.parse(json)
  context.notes.set('note', text)
  if (who === alias) throw new Error(text)
}
`,
  )
  writeFileSync(
    join(place.config, 'nodefilter.conf'),
    `[chain]\nfilter_path = ${place.filters}\n[runner]\nthreads = 1\n`,
  )
  const ascii = (text: string): string =>
    JSON.stringify(text).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const messages = hostile.flatMap((text, index) =>
    ['hostile', 'soft'].map((who) => {
      const path = place.at(`${who}-${index}.eml`)
      writeFileSync(path, `X-Hostile: ${who} ${ascii(text)}\nSubject: x\n\ntext\n`)
      return path
    }),
  )
  const check = await nodefilter(['check', '-c', place.config, ...messages], { without })
  expect(check.code === 75 && check.out.includes('failed (threw)'), `check ended with ${check.code}: ${check.err}`)
  expect(!obeyed.test(check.out + check.err), 'check shows what a terminal obeys')
  const json = await nodefilter(['check', '-c', place.config, '--json', ...messages], { without })
  expect(/^[ -~\n]*$/.test(json.out), 'check --json is no ASCII')
  const reports = json.out.trimEnd().split('\n')
  for (const [index, line] of reports.entries()) {
    const { notes } = JSON.parse(line) as { readonly notes: Readonly<Record<string, string>> }
    expect(notes['note'] === hostile[Math.floor(index / 2)], `check --json changes ${ascii(notes['note'] ?? '')}`)
  }
  expect(reports.length === messages.length, 'check --json has more or fewer lines than messages')
  await explained(t, without, place.at('log'), expect)
  return seen
}

/** The log has a stranger's words escaped; `explain` reads them back. */
async function explained(
  t: Test,
  without: readonly string[],
  file: string,
  expect: (isSo: boolean, otherwise: string) => void,
): Promise<void> {
  const { openLog } = (await importWithout('host/observe/log.ts', [])) as typeof logModule
  const { createEvents } = (await importWithout('host/observe/events.ts', [])) as typeof eventsModule
  const nowhere = openSync('/dev/null', 'w')
  t.teardown(() => closeSync(nowhere))
  const log = openLog({ level: 'info', textDescriptor: nowhere, jsonFile: file, maxBufferOctets: 2 ** 24 }, systemClock)
  const sender = `${hostile.join('')}@example.com`
  createEvents(log).settled({
    ...{ id: '3007c11f901110a8', door: 'courierfilter', queueId: 'A1.B2', client: sender, sender, recipients: 1 },
    ...{ octets: 1, verdict: 'reject', reply: '550 5.7.1 No', filter: 'f', ms: 1, attempts: 1, source: null },
    ...{ auth: sender, trail: [], notes: [['note', sender]], errorCode: 'threw', errorCause: sender },
  })
  await log.close(5000)
  const told = await nodefilter(['explain', '--log', file, 'A1.B2'], { without })
  expect(told.code === 0 && told.out.includes('@example.com'), `explain ended with ${told.code}: ${told.err}`)
  expect(!obeyed.test(told.out), 'explain shows what a terminal obeys')
  const json = await nodefilter(['explain', '--json', '--log', file, 'A1.B2'], { without })
  expect(/^[ -~\n]*$/.test(json.out), 'explain --json is no ASCII')
  const { events } = JSON.parse(json.out) as {
    readonly events: readonly { readonly fields: Record<string, unknown> }[]
  }
  expect(events[0]?.fields['sender'] === sender, 'explain --json changes the sender')
}
testPromise("R42 what a stranger wrote does nothing to an administrator's terminal", terminal, [
  { without: ['the terminal gets nothing to obey from check'], sees: /^check shows what a terminal obeys/ },
  { without: ['the terminal gets nothing to obey from explain'], sees: /^explain shows what a terminal obeys/ },
  { without: ['JSON for the terminal is ASCII'], sees: /^(check|explain) --json is no ASCII/ },
])
