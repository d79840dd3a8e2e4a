/** R69: reloads under load, sound and broken ones. */
import { join } from 'node:path'
import { askHost } from '../../host/control/client.ts'
import type { ReloadResult } from '../../host/control/protocol.ts'
import { makePlace, startHost, type HostProcess, type Place } from '../helpers/host-process.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'

/**
 * Runs twice in the list, with the same setting: it answers with the message's own token and with the setting as both
 * places have it, so that an answer tells whose it is, and of which configuration, wholly or by half.
 */
const filter = `import { readFileSync } from 'node:fs'
let own
export const settings = { turn: { type: 'text', default: '', text: 'The turn.' } }
export const initFilter = ({ alias, settings }) => void (own = { alias, turn: settings.turn })
export async function doFilter(bodyPath, controlPaths, { notes }) {
  const [, token] = /^X-Token: (.*)$/m.exec(readFileSync(bodyPath, 'utf8'))
  // So that whenever a runner is replaced some are in hand and others wait.
  await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 20))
  if (own.alias === 'first') notes.set('first', own.turn)
  if (own.alias === 'first') return
  return '554 token=' + token + ' first=' + notes.get('first') + ' last=' + own.turn
}
`

const lineOf = (turn: number): string[] => [`turn as first with turn=${turn}`, `turn as last with turn=${turn}`]

/** Messages wait for their answer this long before they count as lost. */
const patienceMs = 6000

interface Load {
  /** Sends what is left of the messages, and waits for all answers. */
  stop(): Promise<void>
  readonly sent: () => number
}

type Expect = ReturnType<typeof createFindings>['expect']

/** `lanes` connections, each sending one message after the other. `turn` tells which configuration is in force at least. */
function startLoad(
  host: HostProcess,
  limitMs: number,
  [lanes, messages]: readonly [number, number],
  turn: () => number,
  expect: Expect,
): Load {
  let sent = 0
  let going = true
  let hasFailed = false
  const lane = async (): Promise<void> => {
    while ((going || sent < messages) && !hasFailed) {
      const token = String(++sent)
      const least = turn()
      const content = `X-Token: ${token}\nSubject: x\n\ntext\n`
      const answer = await within(limitMs, host.ask(host.place.pair({ content })).catch(String))
      if (answer === null) {
        hasFailed = true
        expect(false, `message ${token} was lost: no answer within ${limitMs} ms`)
        return
      }
      const [, whose, first, last] = /^554 token=(.*) first=(.*) last=(.*)\n$/.exec(answer) ?? []
      expect(whose !== undefined, `message ${token} was refused: ${answer}`)
      if (whose === undefined) continue
      expect(whose === token, `message ${token} was mixed up: it has the answer of ${whose}`)
      expect(
        first === last,
        `message ${token} was mixed up: it met the settings of turn ${first ?? ''} and ${last ?? ''}`,
      )
      expect(
        Number(last) >= least,
        `message ${token} met turn ${last ?? ''}, after turn ${least} was said to be in force`,
      )
    }
  }
  const lanesDone = Promise.all(Array.from({ length: lanes }, lane))
  return {
    stop: async () => {
      going = false
      await lanesDone
    },
    sent: () => sent,
  }
}

async function reload(place: Place): Promise<ReloadResult | null> {
  const asked = await askHost(join(place.state, 'control.sock'), 'reload')
  return asked.kind === 'answer' && asked.answer.type === 'reload' ? asked.answer.result : null
}

/** Starts a host of one thread that can have fewer messages in hand than come, so that some always wait. */
async function startTurn(t: Parameters<Check>[0], without: readonly string[], perThread: number): Promise<HostProcess> {
  const place = makePlace(t, ...lineOf(0))
  place.filter('turn.mjs', filter)
  const set = ['runner.threads=1', `runner.messages_per_thread=${perThread}`, 'host.deadline=20s']
  const host = startHost(t, place, { set, without })
  await host.ready()
  return host
}

/** The first line of the log that no reload brings about. */
const broken = (host: HostProcess): string | undefined =>
  host.log.find((line) => / (runs-again|thread-lost|runner-ended|bug) /.test(line))

/** Ends the host: in peace where all went well, else at once. */
async function finish(host: HostProcess, { seen, expect }: ReturnType<typeof createFindings>) {
  // Also where messages are missed: one that runs again may take longer than they are waited for.
  const line = broken(host)
  expect(line === undefined, `something broke on the way: ${line ?? ''}`)
  if (seen.length > 0) {
    await host.kill()
    return seen
  }
  const end = await host.stop()
  expect(end.code === 0, `the host ended with ${JSON.stringify(end)}`)
  return seen
}

const soundReloads =
  (reloads: number, messages: number, limitMs = patienceMs): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { seen, expect } = findings
    const host = await startTurn(t, without, 4)
    let turn = 0
    const load = startLoad(host, limitMs, [10, messages], () => turn, expect)
    for (let next = 1; next <= reloads && seen.length === 0 && broken(host) === undefined; next++) {
      host.place.list(...lineOf(next))
      const result = await reload(host.place)
      expect(result?.takenOver === true, `reload ${next} did not take over: ${JSON.stringify(result)}`)
      turn = next
    }
    await load.stop()
    expect(load.sent() >= messages, `only ${load.sent()} messages were sent`)
    return finish(host, findings)
  }

const few = (limitMs = patienceMs): Check => soundReloads(5, 100, limitMs)
testPromise('R69 100 reloads under 1,000 messages: none lost, none refused, none mixed', soundReloads(100, 1000), [
  { without: ['a reload hands over what waits'], sees: /^message [0-9]+ was lost/, check: few(3000) },
  { without: ['an old runner finishes what it has'], sees: /runs-again/, check: soundReloads(40, 100) },
  { without: ['every question has a key of its own'], sees: /^message [0-9]+ was mixed up/, check: few(4000) },
])

/** Each asks for a reload right after a change of its own; the answer must come after that change is in force. */
const reloadsAtOnce: Check = async (t, without) => {
  const findings = createFindings()
  const { expect } = findings
  const host = await startTurn(t, without, 4)
  let turn = 0
  const load = startLoad(host, patienceMs, [4, 50], () => turn, expect)
  const asked: Promise<void>[] = []
  for (let next = 1; next <= 12; next++) {
    host.place.list(...lineOf(next))
    asked.push(
      reload(host.place).then((result) => {
        expect(result?.takenOver === true, `reload ${next} did not take over: ${JSON.stringify(result)}`)
        turn = Math.max(turn, next)
      }),
    )
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
  await Promise.all(asked)
  await load.stop()
  return finish(host, findings)
}

testPromise('R69 reloads asked for at once: each answer is true of what was asked', reloadsAtOnce, [
  { without: ['a reload reads the files after it was asked for'], sees: /after turn [0-9]+ was said to be in force/ },
])

/** Broken in its files, and broken in what the runner finds when it loads them. */
const brokenReloads: Check = async (t, without) => {
  const findings = createFindings()
  const { seen, expect } = findings
  const host = await startTurn(t, without, 4)
  const { place } = host
  place.filter(
    'fails.mjs',
    "export const initFilter = () => { throw new Error('on purpose') }\nexport const doFilter = () => ''\n",
  )
  place.filter('syntax.mjs', 'export const = 1\n')
  const lists: [what: string, list: string[], problem: RegExp][] = [
    ['a line that is none', [...lineOf(1), 'turn with'], /filters\.conf/],
    ['a filter that is not there', [...lineOf(1), 'nowhere'], /there is no filter "nowhere"/],
    ['a setting that is none', [...lineOf(1), 'turn as third with trun=1'], /trun/],
    ['a filter that fails to start', [...lineOf(1), 'fails'], /on purpose/],
    ['a filter with a fault of syntax', [...lineOf(1), 'syntax'], /./],
  ]
  const load = startLoad(
    host,
    patienceMs,
    [6, 100],
    () => 0,
    (isSo, otherwise) => expect(isSo, `under broken reloads ${otherwise}`),
  )
  for (const [what, list, problem] of lists) {
    place.list(...list)
    const result = await reload(place)
    expect(result?.takenOver === false, `${what} is taken over`)
    expect(result?.problems.some(({ text, file }) => problem.test(`${file} ${text}`)) === true, `${what} is not told`)
    const content = `X-Token: after\n\n`
    const answer = await within(patienceMs, host.ask(place.pair({ content })))
    expect(answer === '554 token=after first=0 last=0\n', `after ${what} a message hears ${answer ?? 'nothing'}`)
    if (seen.length > 0) break
  }
  await load.stop()
  return finish(host, findings)
}

testPromise('R69 a broken reload changes nothing', brokenReloads, [
  { without: ['a broken chain does not take over'], sees: /^after a filter .* hears 451 4\.3\.5/ },
  { without: ['a broken configuration is not taken over'], sees: /^a line that is none is taken over/ },
])
