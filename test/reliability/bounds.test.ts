/** R14 (log), R30 and R32: what filters and messages let grow has an end, is told of, and passes by itself. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { askHost } from '../../host/control/client.ts'
import { makePlace, orders, servingHost, startHost, startStream, type HostProcess } from '../helpers/host-process.ts'
import { watchMemory } from '../helpers/watch-memory.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'

/** Good messages beside a fault have their answer long before this. */
const promptMs = 5000

/** How often something was told of, as its lines count it. */
const sum = (host: HostProcess, pattern: RegExp): number =>
  host.log.reduce((count, line) => count + Number(pattern.exec(line)?.[1] ?? 0), 0)

/** The log's reader stops, and goes on. */
const stoppedReader: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const set = ['log.max_buffer=64KiB', 'runner.threads=1']
  const host = await servingHost(t, ['act'], { set, without })
  const { pair } = host.place
  const memory = watchMemory(host.pid)
  host.pauseLog()
  const note = 'y'.repeat(300)
  const rounds = 800
  let right = 0
  const lane = async (): Promise<void> => {
    for (let round = 0; round < rounds / 8; round++) {
      const answer = await host.ask(pair({ content: orders({ act: [`note a ${note}`, 'reply "250 x"'] }) }))
      if (answer === '250 x\n') right++
    }
  }
  const asked = Promise.all(Array.from({ length: 8 }, lane)).then(
    () => true,
    () => false,
  )
  const done = await within(60_000, asked)
  expect(done === true && right === rounds, `${right} of ${rounds} verdicts came while nobody read the log`)
  const grownBy = memory.grownBy()
  expect(grownBy < 48, `the host grew by ${grownBy} MiB`)
  if (done === null) {
    await host.kill()
    return seen
  }
  const status = await askHost(join(host.place.state, 'control.sock'), 'status')
  const dropped =
    status.kind === 'answer' && status.answer.type === 'status' ? status.answer.status.log.linesDropped : 0
  expect(dropped > 0, 'no log line was dropped, though nobody read for long')
  host.resumeLog()
  await host.ask(pair())
  await host.logged(/ log-lines-dropped lines=/, promptMs).catch(() => expect(false, 'nobody is told of lost lines'))
  expect((await host.ask(pair({ id: 'LAST.1' }))) === '200 Ok\n', 'the next message is not answered')
  await host.settled('LAST.1').catch(() => expect(false, 'the log does not go on'))
  const told = sum(host, / log-lines-dropped lines=([0-9]+)/)
  const kept = host.log.filter((line) => / settled .*reply="?250 x/.test(line)).length
  expect(told + kept >= rounds, `of ${rounds} lines ${kept} are kept and ${told} told to be lost`)
  await host.kill()
  return seen
}

testPromise('R14 a log reader that stands still changes no verdict; what was lost is counted and told', stoppedReader, [
  { without: ['the log has a longest buffer'], sees: /^no log line was dropped/ },
  { without: ['lost log lines are told of'], sees: /^nobody is told of lost lines/ },
])

/** What filters write: 200 MB to standard output, a line of 20 MB, and a million lines to the log. */
const outputs =
  (acts: readonly string[]): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const place = makePlace(t, 'writes')
    place.filter(
      'writes.mjs',
      `import { readFileSync, writeSync } from 'node:fs'
const block = Buffer.from('a line that nobody wants to read\\n'.repeat(31250))
const line = Buffer.alloc(1e6, 'x')
// The pipe may be set not to wait: then whoever fills it has to.
const write = (octets) => {
  for (let at = 0; at < octets.length; ) {
    try {
      at += writeSync(1, octets, at)
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
    }
  }
}
const acts = {
  few: () => { for (let count = 0; count < 3; count++) write(block) },
  octets: () => { for (let count = 0; count < 200; count++) write(block) },
  line: () => { for (let count = 0; count < 20; count++) write(line) },
  log: (log) => { for (let count = 0; count < 1e6; count++) log.info('a line of the log') },
}
export function doFilter(bodyPath, controlPaths, { log }) {
  const act = /^X-Write: (.*)$/m.exec(readFileSync(bodyPath, 'utf8'))?.[1]
  if (act !== undefined) acts[act](log)
  return ''
}
`,
    )
    const set = ['runner.threads=2', 'runner.blocked_limit=60s', 'host.deadline=100s', 'chain.time_limit=90s']
    const host = startHost(t, place, { set, without })
    await host.ready()
    const memory = watchMemory(host.pid)
    const stream = startStream(host)
    const sinceMs = performance.now()
    for (const act of acts) {
      const answer = await within(60_000, host.ask(place.pair({ content: `X-Write: ${act}\n\ntext\n` })))
      expect(answer === '200 Ok\n', `a filter that writes (${act}) hears ${answer ?? 'nothing'}`)
    }
    // Without any further line.
    if (acts.includes('log'))
      await host
        .logged(/ filter=writes .*text="[0-9]+ lines were left out"/, promptMs)
        .catch(() => expect(false, 'nobody is told how much of the log was left out'))
    const { wrong, slowestMs } = await stream.stop()
    expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
    expect(slowestMs < promptMs, `a good message waited ${slowestMs} ms`)
    // The number is told when the flood is over.
    await host
      .logged(/ filter-lines-left-out .*lines=[0-9]{3}/, promptMs)
      .catch(() => expect(false, 'nobody is told how much was left out'))
    const lines = host.log.filter((line) => / (filter|filter-output|filter-lines-left-out) /.test(line)).length
    // A hundred of each kind in a second, and the numbers of those left out.
    const most = ((performance.now() - sinceMs) / 1000 + 2) * 350
    expect(lines <= most, `${lines} lines of the filter are in the log, ${most} may be`)
    const grownBy = memory.grownBy()
    expect(grownBy < 64, `the host grew by ${grownBy} MiB`)
    await host.kill()
    return seen
  }

testPromise(
  'R30 200 MB of output and a million log lines: counted, and the host stays small',
  outputs(['octets', 'line', 'log']),
  [{ without: ['a flood is told by its number'], sees: /lines of the filter are in the log/, check: outputs(['few']) }],
)

/** A body of 500 MB, through a chain that reads the header section and the envelope. */
const bigBody: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const host = await servingHost(t, ['deliveredto', 'noduplicates', 'whitelist_block'], { without })
  const big = host.place.pair({ id: 'BIG.1' })
  const file = openSync(big.bodyPath, 'r+')
  ftruncateSync(file, 500 * 1024 * 1024)
  writeSync(file, '\nlast line\n', 500 * 1024 * 1024)
  closeSync(file)
  const memory = watchMemory(host.pid)
  const stream = startStream(host)
  const answer = await within(60_000, host.ask(big))
  expect(answer === '200 Ok\n', `a message of 500 MB hears ${answer ?? 'nothing'}`)
  const { wrong, slowestMs } = await stream.stop()
  expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  expect(slowestMs < promptMs, `a good message waited ${slowestMs} ms`)
  const grownBy = memory.grownBy()
  expect(grownBy < 64, `the host grew by ${grownBy} MiB`)
  await host.kill()
  return seen
}

testPromise('R32 a body of 500 MB costs the host no memory', bigBody, [
  { without: ['the host reads no body'], sees: /^the host grew by/ },
])
