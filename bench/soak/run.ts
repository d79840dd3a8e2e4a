/** The soak itself: who does what to the host, and what is looked at meanwhile. */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeThrown } from '../../host/chain/failure.ts'
import { until } from '../../test/helpers/until.ts'
import { goodMessage, hostileMessage, isDeferred, rubbishRequest, type SoakMessage } from './cases.ts'
import { talk, type ClientManner } from './clients.ts'
import { createGate } from './gate.ts'
import { startSoakHost, type Spooled } from './place.ts'
import { createRandom, type Random } from './random.ts'
import { checksOf, type SoakCheck, type SoakCounts, type SoakFailure } from './verdict.ts'
import { descriptorsOf, filesBelow, orphansOf, processes, sampleMemory, type MemorySample } from './watch.ts'

/** How to soak. */
export interface SoakOptions {
  readonly seconds: number
  readonly seed: number
  /** Lanes that send good messages, and lanes that send hostile ones. */
  readonly goodLanes: number
  readonly hostileLanes: number
  /** Hostile kinds to leave out. */
  readonly leftOut: readonly string[]
  /** Told of each failure, and of the progress. */
  readonly note: (text: string) => void
}

/** What came of it. */
export interface SoakResult {
  readonly counts: SoakCounts
  readonly failures: readonly SoakFailure[]
  readonly checks: readonly SoakCheck[]
}

/** Pauses of those who disturb, in seconds, from and to. */
const pauses = { kill: [4, 16], freeze: [15, 60], reload: [4, 20], sample: [2, 2] } as const
const progressMs = 10_000
/** How long what must come to an end may take. */
const settleMs = 40_000
/** More failures are counted and not told one by one. */
const maxTold = 50

/** Soaks a host for so long. Errors: Error only where the soak itself cannot go on; all else is in the result. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const { seconds, seed, note } = options
  const random = createRandom(seed)
  // Nothing else on this machine is likely to sleep for just so long.
  const host = await startSoakHost(`86400.${seed}`)
  const gate = createGate()
  const endMs = performance.now() + seconds * 1000
  const end = { isGone: false, isEarly: false }
  const isOver = (): boolean => end.isGone || end.isEarly || performance.now() >= endMs

  const failures: SoakFailure[] = []
  const good = new Map<string, number>()
  const hostile = new Map<string, number>()
  const goodMs: number[] = []
  const memory: MemorySample[] = []
  const descriptors: number[] = []
  /** Queue ids: of all messages, and of good ones that were answered with a temporary failure. */
  const asked = new Set<string>()
  const deferred = new Set<string>()
  const deferredBy = new Map<string, number>()
  /** Of clients that hung up: the host may still be at them. */
  const left: Spooled[] = []
  let [rude, runnersKilled, runnersFrozen, reloads, calms, lastNumber, logLines] = [0, 0, 0, 0, 0, 0, 0]

  const fail = (what: SoakFailure['what'], text: string): void => {
    failures.push({ what, text })
    if (failures.length <= maxTold) note(`seed ${seed}: ${what}: ${text}`)
  }
  const count = (counts: Map<string, number>, kind: string): void => void counts.set(kind, (counts.get(kind) ?? 0) + 1)

  /** One message: asked about, and its answer looked at. */
  const send = async (message: SoakMessage, manner: ClientManner): Promise<void> => {
    const { kind, number, isGood, answer } = message
    count(isGood ? good : hostile, kind)
    const spooled = host.spool(message)
    asked.add(spooled.queueId)
    const sinceMs = performance.now()
    const heard = await talk(host.socketPath, spooled.request, manner)
    if (manner.hangsUpAfterMs !== undefined && heard === '') return void left.push(spooled)
    const tookMs = performance.now() - sinceMs - message.waitMs - (manner.pieces ?? 1) * (manner.pauseMs ?? 0)
    const isAsWanted = answer.test(heard)
    if (isGood && isAsWanted) goodMs.push(tookMs)
    else if (isGood && isDeferred.test(heard)) deferred.add(spooled.queueId)
    else if (!isAsWanted) {
      const order = /^X-Soak.*$/m.exec(message.content.toString('latin1', 0, 500))?.[0] ?? ''
      fail('answer', `${kind} ${number} (${order.slice(0, 100)}) heard ${JSON.stringify(heard.slice(0, 200))}`)
    }
    if (message.isEdited && isAsWanted) checkEdit(message, spooled)
    spooled.remove()
  }

  const checkEdit = ({ number }: SoakMessage, { bodyPath, controlPaths }: Spooled): void => {
    const count = (path: string, line: string): number =>
      readFileSync(path, 'latin1')
        .split('\n')
        .filter((one) => one === line).length
    const found = [
      count(bodyPath, `X-Soak-Edited: ${number}`),
      count(controlPaths[0] ?? '', `radded-${number}@example.org`),
    ]
    if (found.some((times) => times !== 1)) {
      fail('edit', `message ${number} has the field ${found[0]} times, and the recipient ${found[1]} times`)
    }
  }

  const mannerOf = (chance: Random): ClientManner => {
    if (chance.percent(80)) return {}
    if (chance.percent(40)) return { halfClose: true }
    if (chance.percent(70)) return { pieces: chance.between(2, 8), pauseMs: chance.between(1, 100) }
    return { hangsUpAfterMs: chance.between(0, 200) }
  }

  /** A client that never says what a message is; it hears nothing, or a refusal for now. */
  const beRude = async (chance: Random): Promise<void> => {
    rude++
    const isSlow = chance.percent(30)
    const request = rubbishRequest(chance, host.spoolDirectory)
    const heard = await talk(host.socketPath, request, isSlow ? { pieces: 5, pauseMs: 150, withholdsLast: true } : {})
    if (heard !== '' && !isDeferred.test(heard)) {
      fail('answer', `rubbish ${JSON.stringify(request.toString('latin1', 0, 80))} heard ${JSON.stringify(heard)}`)
    }
  }

  const killRunner = async (chance: Random): Promise<void> => {
    const [first, ...others] = host.runners()
    if (first === undefined) return
    if (!kill(chance.pick([first, ...others]), 'SIGKILL')) return
    runnersKilled++
    await sleep(0)
  }

  /** A frozen runner must be noticed and ended. */
  const freezeRunner = async (): Promise<void> => {
    const [pid] = host.runners()
    if (pid === undefined || !kill(pid, 'SIGSTOP')) return
    runnersFrozen++
    const isGone = (): boolean => !processes().some((one) => one.pid === pid)
    await until(`the end of the frozen runner ${pid}`, isGone, settleMs, 200)
  }

  const reload = async (chance: Random): Promise<void> => {
    reloads++
    const which = chance.percent(20) ? 'broken' : chance.pick(['one', 'other'] as const)
    host.writeList(which)
    const result = await host.ask('reload')
    if (which === 'broken') host.writeList('one')
    if (result.kind !== 'answer' || result.answer.type !== 'reload') {
      fail('reload', `no answer: ${JSON.stringify(result).slice(0, 300)}`)
      return
    }
    const { takenOver, problems } = result.answer.result
    if (takenOver !== (which !== 'broken')) {
      fail('reload', `a list that is ${which} was ${takenOver ? '' : 'not '}taken over: ${JSON.stringify(problems)}`)
    }
  }

  /** Nobody asks anything: what is there now is what stays. */
  const calmDown = async (): Promise<void> => {
    await gate.shut(settleMs)
    calms++
    await until(
      'a host with nothing in hand, and its runner',
      async () => {
        const { inHand, runners } = await host.status()
        const main = runners.find(({ name }) => name === 'main')
        return inHand === 0 && (main?.serving ?? 0) > 0
      },
      settleMs,
      100,
    )
    for (const spooled of left.splice(0)) spooled.remove()
    await none('files', () => filesBelow(host.spoolDirectory).map((file) => `${file} in the spool`))
    await none('processes', () => orphansOf(host.pid, host.childSeconds).map(({ pid, command }) => `${pid} ${command}`))
    descriptors.push(descriptorsOf(host.pid).length)
    gate.open()
  }

  /** Waits until there are none of what must not stay. */
  const none = async (what: SoakFailure['what'], look: () => readonly string[]): Promise<void> => {
    try {
      await until(`no ${what}`, () => look().length === 0, 10_000, 100)
    } catch {
      for (const one of look().slice(0, 5)) fail(what, `left over: ${one}`)
    }
  }

  const sample = async (): Promise<void> => {
    memory.push(await sampleMemory(host.pid, host.memoryDirectory, lastNumber))
  }

  /** Without a host there is nothing more to be seen, and only one failure. */
  const failStep = (what: SoakFailure['what'], thrown: unknown): void => {
    if (end.isGone) return
    end.isGone = !kill(host.pid, 0)
    if (end.isGone) fail('host', `it has ended; its log:\n${host.log().split('\n').slice(-15).join('\n')}`)
    else fail(what, describeThrown(thrown))
  }

  /** Does something again and again until the time is over. A step that throws is a failure; the others go on. */
  const lane = async (what: SoakFailure['what'], step: () => Promise<void>, pauseMs: () => number): Promise<void> => {
    while (!isOver()) {
      await gate.through(() => step().catch((thrown: unknown) => failStep(what, thrown)))
      await sleep(Math.max(0, Math.min(pauseMs(), endMs - performance.now())))
    }
  }
  const every =
    (chance: Random, [from, to]: readonly [number, number]) =>
    () =>
      chance.between(from * 1000, to * 1000)

  const progress = setInterval(() => {
    const last = memory.at(-1)
    const mega = (octets: number | undefined): string => ((octets ?? 0) / 1e6).toFixed(1)
    note(
      `${Math.max(0, (endMs - performance.now()) / 1000).toFixed(0)} s left: ${lastNumber} messages, ${deferred.size} good ones ` +
        `deferred, ${runnersKilled} runners killed, ${reloads} reloads; host ${mega(last?.heldOctets)} MB of ` +
        `${mega(last?.residentOctets)}; ${failures.length} failures`,
    )
  }, progressMs)

  const lanes: Promise<void>[] = []
  try {
    for (let index = 0; index < options.goodLanes; index++) {
      const chance = random.fork()
      const step = (): Promise<void> => send(goodMessage(chance, ++lastNumber), mannerOf(chance))
      lanes.push(lane('answer', step, () => chance.between(5, 60)))
    }
    for (let index = 0; index < options.hostileLanes; index++) {
      const chance = random.fork()
      const step = (): Promise<void> =>
        chance.percent(15)
          ? beRude(chance)
          : send(hostileMessage(chance, ++lastNumber, host, options.leftOut), mannerOf(chance))
      lanes.push(lane('answer', step, () => chance.between(50, 700)))
    }
    const disturb = (
      what: SoakFailure['what'],
      pause: readonly [number, number],
      step: (chance: Random) => Promise<void>,
    ): void => {
      const chance = random.fork()
      const pauseMs = every(chance, pause)
      // Not all of them at the very start.
      lanes.push(sleep(pauseMs()).then(() => lane(what, () => step(chance), pauseMs)))
    }
    disturb('host', pauses.sample, sample)
    disturb('host', pauses.kill, killRunner)
    disturb('host', pauses.freeze, freezeRunner)
    disturb('reload', pauses.reload, reload)
    const calmEveryMs = Math.max(12_000, Math.min(60_000, (seconds * 1000) / 6))
    while (!isOver()) {
      const nextMs = Math.min(endMs, performance.now() + calmEveryMs)
      while (!end.isGone && performance.now() < nextMs) await sleep(200)
      if (!end.isGone) await calmDown()
    }
    await Promise.all(lanes)
    if (!end.isGone) await calmDown()
  } catch (thrown) {
    end.isEarly = true
    fail('host', `the soak ends early: ${describeThrown(thrown)}`)
  } finally {
    clearInterval(progress)
    gate.open()
    await Promise.all(lanes)
    const runners = host.runners()
    const status = await host.stop()
    if (status !== 0) fail('host', `it ended with status ${status ?? 'null'}`)
    const isLeft = (pid: number, command: string): boolean =>
      runners.includes(pid) || command.endsWith(host.childSeconds)
    await none('processes', () =>
      processes()
        .filter(({ pid, command }) => isLeft(pid, command))
        .map(({ pid, command }) => `${pid} ${command}, after the end of the host`),
    )
    for (const { pid, command } of processes()) if (command.endsWith(host.childSeconds)) kill(pid, 'SIGKILL')
    checkLog()
    if (failures.length > 0 || deferred.size > 0) note(`the log of the host is ${host.keepLog(`nf-soak-${seed}.log`)}`)
    host.remove()
  }
  const counts: SoakCounts = {
    ...{ seconds, good, hostile, rude, deferredBy, goodMs, runnersKilled, runnersFrozen, reloads, calms },
    ...{ memory, descriptors, logLines },
  }
  return { counts, failures, checks: checksOf(counts, failures) }

  /** Each message that was asked about has its line in the log, one; and the host found no fault in itself. */
  function checkLog(): void {
    const settled = new Map<string, number>()
    const lines = host.log().split('\n')
    logLines = lines.length
    for (const line of lines) {
      const id = / settled .*queueId=(\S+)/.exec(line)?.[1]
      if (id !== undefined) count(settled, id)
      if (id !== undefined && deferred.has(id)) count(deferredBy, / errorCode=(\S+)/.exec(line)?.[1] ?? 'nothing')
      if (/^ERR: (bug|door-failed|control-failed) /.test(line)) fail('host', line.slice(0, 300))
    }
    if (!end.isGone)
      for (const id of asked) {
        const times = settled.get(id) ?? 0
        if (times !== 1) fail('host', `${id} was settled ${times} times in the log`)
      }
  }
}

function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}
