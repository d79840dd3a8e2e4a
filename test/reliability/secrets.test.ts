/** R64: a secret stays where it was written. Canaries are put in every place where one may be, then looked for in all others. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type * as launcherModule from '../../host/cli/courier/launcher.ts'
import { readConfiguration } from '../../host/config/read.ts'
import { formatProblem } from '../../host/problem.ts'
import { nodefilter } from '../helpers/command.ts'
import { makePlace, startHost, type Place } from '../helpers/host-process.ts'
import { importWithout } from '../helpers/without.mjs'
import { createFindings, testPromise, type Check } from './check.ts'

t.setTimeout(240_000)

/** No name of a file, filter or setting here holds any of them. */
const canary = /canary|31415926|27182818/i

const passwords = { main: "Canary-one'1", other: 'Canary two "2"' }
const url = 'postgres://admin:Canary-three@db.example.org:5432/mail'
const digest = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Uses its secrets, and fails in the ways in which they come out of libraries. */
const source = `import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
const digest = (text) => createHash('sha256').update(text).digest('hex')
export const about = 'asks a data base'
export const settings = {
  password: { type: 'text', default: null, secret: true, text: 'For the data base.' },
  url: { type: 'text', default: null, secret: true, text: 'Of the data base.' },
  fails: { type: 'switch', default: false, text: 'Whether it cannot be started.' },
}
let own
let alias
export function initFilter(setup) {
  own = setup.settings
  alias = setup.alias
  if (own.fails) throw new Error('no login at ' + own.url)
}
export function doFilter(bodyPath, controlPaths, context) {
  const act = new RegExp('^X-' + alias + ': (.*)$', 'm').exec(readFileSync(bodyPath, 'utf8'))?.[1]
  if (act === 'knows') return '550 5.7.1 ' + digest(own.password) + ' ' + digest(own.url ?? '')
  if (act === 'throw') throw new Error('no login with ' + own.password)
  if (act === 'text') throw 'no login with ' + own.password
  if (act === 'encoded') return Promise.reject(new TypeError('cannot reach https://db.example.org/?key=' + encodeURIComponent(own.password)))
  if (act === 'json') return Promise.reject(new Error('refused: ' + JSON.stringify({ login: own.password })))
  if (act === 'url') new URL('/x', own.url + ' ')
  if (act === 'url') throw new Error('Invalid URL: ' + own.url)
  return ''
}
`

function secretPlace(t: Test): Place {
  const place = makePlace(t, 'asks', String.raw`asks as other with password="Canary two \"2\""`)
  place.filter('asks.mjs', source)
  writeFileSync(
    join(place.config, 'nodefilter.conf'),
    `[chain]\nfilter_path = ${place.filters}\n[runner]\nthreads = 1\n`,
  )
  writeFileSync(join(place.config, 'modules.conf'), `[asks]\npassword = "${passwords.main}"\nurl = '${url}'\n`)
  return place
}

const message = (acts: Readonly<Record<string, string>>): string =>
  `${Object.entries(acts)
    .map(([alias, act]) => `X-${alias}: ${act}\n`)
    .join('')}Subject: x\n\ntext\n`

/** Processes started by `pid`, at any remove. */
function descendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  )
  return children.flatMap((child) => [child, ...descendants(child)])
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
}

type Expect = (isSo: boolean, otherwise: string) => void

const lookInto =
  (expect: Expect) =>
  (where: string, text: string): void => {
    const found = canary.exec(text)
    expect(
      found === null,
      `${where} shows a secret: ${text.slice(Math.max(0, (found?.index ?? 0) - 80)).slice(0, 200)}`,
    )
  }

/** What the commands say of a host that runs there, and of its configuration. */
async function lookAtCommands(place: Place, expect: Expect, without: readonly string[], only = /./): Promise<void> {
  const look = lookInto(expect)
  const log = existsSync(place.at('log')) ? readFileSync(place.at('log'), 'utf8') : ''
  const queueId = /"queueId":"([0-9A-F.]+)"/.exec(log)?.[1] ?? ''
  const state = ['--state-dir', place.state]
  const folder = ['-c', place.config]
  const leaking = place.at('leaking.eml')
  writeFileSync(leaking, message({ asks: 'throw', other: 'throw' }))
  const commands: readonly (readonly [code: number, ...args: string[]])[] = [
    [0, 'status', ...state, '--verbose'],
    [0, 'status', ...state, '--json'],
    [0, 'reload', ...state],
    [0, 'config', 'show', ...folder],
    [0, 'config', 'show', ...folder, '--json'],
    [0, 'config', 'check', ...folder],
    [0, 'filters', ...folder],
    [0, 'filters', 'asks', ...folder],
    [0, 'filters', 'asks', ...folder, '--json'],
    [75, 'check', ...folder, '--verbose', leaking],
    [75, 'check', ...folder, '--json', leaking],
    [0, 'explain', ...folder, '--log', place.at('log'), queueId],
    [0, 'explain', ...folder, '--log', place.at('log'), '--json', queueId],
  ]
  for (const [code, ...args] of commands) {
    if (!only.test(args.join(' '))) continue
    const said = await nodefilter(args, { without })
    expect(said.code === code, `${args.join(' ')} ended with ${said.code}: ${said.err}`)
    look(args.slice(0, 2).join(' '), said.out + said.err)
  }
}

const throughHost: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = secretPlace(t)
  const look = lookInto(expect)
  const env = { DATABASE_PASSWORD: 'Canary-four', NODEFILTER_TOKEN: 'Canary-five' }
  const host = startHost(t, place, { without, env, set: [`log.file=${place.at('log')}`, 'log.level=debug'] })
  await host.ready()
  const pids = [host.pid, ...descendants(host.pid)]
  expect(pids.length > 1, 'the host has no runner')
  for (const pid of pids) look(`the command line of ${pid}`, readFileSync(`/proc/${pid}/cmdline`, 'latin1'))
  for (const pid of pids.slice(1)) look(`the environment of ${pid}`, readFileSync(`/proc/${pid}/environ`, 'latin1'))

  const known = await host.ask(place.pair({ content: message({ asks: 'knows' }) }))
  expect(known === `550 5.7.1 ${digest(passwords.main)} ${digest(url)}\n`, `the filter has other secrets: ${known}`)
  const others = await host.ask(place.pair({ content: message({ other: 'knows' }) }))
  expect(others === `550 5.7.1 ${digest(passwords.other)} ${digest(url)}\n`, `its instance has others: ${others}`)
  for (const alias of ['asks', 'other'])
    for (const act of ['throw', 'text', 'encoded', 'json', 'url']) {
      const answer = await host.ask(place.pair({ content: message({ [alias]: act }) }))
      expect(answer.startsWith('451 4.3.0 '), `${act} of ${alias} is answered ${answer}`)
      look('an answer', answer)
    }
  if (without.length === 0) await lookAtCommands(place, expect, without)
  await host.stop()
  look('the log', host.log.join('\n'))
  expect(
    host.log.some((line) => line.includes('no login with (secret)')),
    'the log does not say why the filter failed',
  )
  for (const path of [place.at('log'), ...filesBelow(place.state)]) look(path, readFileSync(path, 'latin1'))
  return seen
}
testPromise('R64 no secret in log, answers, commands, command lines, environments and state', throughHost, [
  {
    without: ['a secret is told as set'],
    check: async (t, without) => {
      const { seen, expect } = createFindings()
      await lookAtCommands(secretPlace(t), expect, without, /^filters asks (?!.*json)/)
      return seen
    },
    sees: /^filters asks shows a secret/,
  },
  { without: ['errors of doFilter are masked'], sees: /^the log shows a secret/ },
  { without: ['a runner has a small environment'], sees: /^the environment of [0-9]+ shows a secret/ },
])

/** What an administrator gets wrong around a secret: lines of modules.conf below `[asks]`, or of filters.conf. */
interface Mistake {
  readonly name: string
  readonly modules?: string
  readonly list?: string
}

const mistakes: readonly Mistake[] = [
  { name: 'a bare word', modules: 'password = Canary_one' },
  { name: 'a bare word of two parts', modules: 'password = Canary-one' },
  { name: 'a bare address', modules: 'url = postgres://admin:Canary3@db.example.org/x' },
  { name: 'an address under any name', modules: 'fails = postgres://admin:Canary3@db.example.org/x' },
  { name: 'quotes not closed', modules: "password = 'Canary" },
  { name: 'a word behind the quotes', modules: "password = 'one' Canary" },
  { name: 'a call', modules: 'password = Canary(1)' },
  { name: 'a number', modules: 'password = 31415926535' },
  { name: 'a list', modules: "password = ['Canary']" },
  { name: 'a NUL', modules: String.raw`password = 'Canary\x00'` },
  { name: 'a backslash', modules: String.raw`password = 'Canary\d' 7` },
  { name: 'a row without a sign', modules: 'password Canary' },
  { name: 'a value that goes on in the first column', modules: "password =\n'Canary'" },
  { name: 'a bare value that goes on in the first column', modules: 'password = \\\nCanary' },
  { name: 'another section', modules: "[ask]\npassword = 'Canary'" },
  { name: 'another name', modules: "pass_word = 'Canary'" },
  { name: 'twice', modules: "password = 'Canary'\npassword = 'Canary2'" },
  { name: 'no login', modules: `url = '${url}'\nfails = True` },
  { name: 'no "with"', list: 'asks password=Canary' },
  { name: 'blanks around "="', list: 'asks with password = Canary' },
  { name: 'two words', list: 'asks with password=one Canary' },
  { name: 'quotes not closed in the list', list: 'asks with password="Canary' },
  { name: 'a comma', list: 'asks with password=Canary, url=x' },
  { name: 'twice in the list', list: 'asks with password=Canary password=Canary2' },
]

/** What an administrator is told: without a process where reading the files shows it, which the command does likewise. */
async function problemsIn(place: Place, without: readonly string[]): Promise<string> {
  const { problems } = readConfiguration({ directory: place.config, sets: [] })
  if (without.length === 0 && problems.length > 0) return problems.map(formatProblem).join('\n')
  const { code, out, err } = await nodefilter(['config', 'check', '-c', place.config], { without })
  return code === 78 ? out + err : `ended with ${code}`
}

const mistakesIn =
  (wanted: RegExp): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const asked = mistakes.filter(({ name }) => wanted.test(name)).values()
    const lane = async (): Promise<void> => {
      const place = secretPlace(t)
      for (const mistake of asked) await ask(place, mistake)
    }
    const ask = async (place: Place, { name, modules = '', list = 'asks' }: Mistake): Promise<void> => {
      place.list(list)
      writeFileSync(join(place.config, 'modules.conf'), `[asks]\n${modules}\n`)
      const told = await problemsIn(place, without)
      expect(/[a-z]:[0-9]+(:[0-9]+)?: /.test(told), `${name}: said ${told}`)
      expect(!canary.test(told), `${name}: the problem shows a secret: ${told}`)
    }
    await Promise.all([lane(), lane()])
    return seen
  }
testPromise('R64 a mistake in a secret is told without the secret', mistakesIn(/./), [
  {
    without: ['a secret with a mistake in it is not shown'],
    check: mistakesIn(/^a NUL$/),
    sees: /^a NUL: the problem shows a secret/,
  },
  {
    without: ['a secret of the wrong kind is not shown'],
    check: mistakesIn(/^a number$/),
    sees: /^a number: the problem shows a secret/,
  },
  {
    without: ['values under such names are not quoted'],
    check: mistakesIn(/^a bare word$/),
    sees: /^a bare word: the problem shows a secret/,
  },
  {
    without: ['what may be a secret is not quoted'],
    check: mistakesIn(/^(a row without a sign|two words)$/),
    sees: /^two words: the problem shows a secret/,
  },
  {
    without: ['errors of initFilter are masked'],
    check: mistakesIn(/^no login$/),
    sees: /^no login: the problem shows a secret/,
  },
])

/** The settings of pythonfilter, moved: the new file has the secrets, and no more readers than the old one. */
const moved: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t)
  const [from, to] = [place.at('from'), place.at('to')]
  mkdirSync(from)
  writeFileSync(join(from, 'pythonfilter.conf'), 'whitelist_auth\n')
  const modules = join(from, 'pythonfilter-modules.conf')
  for (const [what, value, wantedCode] of [
    ['a text', "'Canary-six'", 0],
    ['a bare word', 'Canary_six', 78],
    ['a number', '27182818284', 78],
  ] as const) {
    writeFileSync(modules, `[ttldb]\ntype = 'psycopg2'\npassword = ${value}\n`)
    chmodSync(modules, 0o640)
    const { code, out, err } = await nodefilter(['migrate', '--check', '--from', from, '--to', to], { without })
    expect(code === wantedCode || wantedCode === 78, `migrate of ${what} ended with ${code}: ${err}${out}`)
    expect(!canary.test(out + err), `migrate of ${what} shows a secret: ${out}${err}`)
  }
  writeFileSync(modules, "[whitelist_auth.py]\n[ttldb]\npassword = 'Canary-six'\n")
  const { out, err } = await nodefilter(['migrate', '--from', from, '--to', to], { without })
  expect(!canary.test(out + err), `migrate shows a secret: ${out}${err}`)
  const written = join(to, 'modules.conf')
  if (!existsSync(written)) seen.push(`migrate wrote no modules.conf: ${out}${err}`)
  else expect((statSync(written).mode & 0o777 & ~0o640) === 0, 'the new modules.conf has more readers than the old one')
  return seen
}
testPromise('R64 moving from pythonfilter shows no secret', moved, [
  { without: ['values under such names are not quoted'], sees: /^migrate of a bare word shows a secret/ },
])

/** What the launcher's script sets before anything runs. */
const coreFiles: Check = async (_, without) => {
  const { seen, expect } = createFindings()
  const { launcherScript } = (await importWithout('host/cli/courier/launcher.ts', without)) as typeof launcherModule
  const program = "process.stderr.write(require('fs').readFileSync('/proc/self/limits', 'utf8')); process.exit(0)"
  const script = launcherScript({
    ...{ nodePath: process.execPath, programPath: '/dev/null', execArgs: ['-e', program] },
    ...{ configDirectory: null, stateDirectory: null },
  })
  // Started with a limit of its own, as a service manager sets one.
  const { stderr } = spawnSync('/bin/sh', ['-c', `ulimit -c 4096; ${script}`, 'nodefilter'], { encoding: 'utf8' })
  const limit = /^Max core file size +([0-9a-z]+)/m.exec(stderr)?.[1]
  expect(limit === '0', `core files may have ${limit ?? `unknown: ${stderr}`} octets`)
  return seen
}
testPromise('R64 no core files, which would hold secrets and mail', coreFiles, [
  { without: ['no core files'], sees: /^core files may have [1-9]/ },
])
