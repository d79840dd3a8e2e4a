/**
 * R32, R33, R34 and R36 for the message reader: whatever a message is, reading it costs little memory and time that grows
 * with the message alone, and what was not read is told.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type * as wordsModule from '../../courier-compat/message/encoded-words.ts'
import type { FindingKind } from '../../courier-compat/message/findings.ts'
import type * as readerModule from '../../courier-compat/message/reader.ts'
import type { ReadingLimits } from '../../courier-compat/message/reading.ts'
import { writeBigMessage, type BigMessage } from '../helpers/big-messages.ts'
import { timeOfDoublings } from '../helpers/doubling.ts'
import { childrenOf, makePlace, startHost, startStream } from '../helpers/host-process.ts'
import { nodeOptions } from '../helpers/node-options.ts'
import { watchMemory } from '../helpers/watch-memory.ts'
import { importWithout } from '../helpers/without.mjs'
import { createFindings, testPromise, within, type Check } from './check.ts'

const run = promisify(execFile)

// Alone, on a machine that does other things as well.
t.setTimeout(240_000)

/** Reads in a process of its own, so that its memory, its turns and what it reads of the file can be told. */
const program = `
  import { readFileSync } from 'node:fs'
  import { readMessage } from ${JSON.stringify(new URL('../../courier-compat/message/reader.ts', import.meta.url).href)}
  const [path, limits] = process.argv.slice(1)
  const octetsRead = () => Number(/^rchar: (.*)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
  await readMessage(${JSON.stringify(import.meta.filename)})
  const [memory, readBefore] = [process.resourceUsage().maxRSS, octetsRead()]
  let turns = 0, isOver = false
  const turn = () => { turns++; if (!isOver) setImmediate(turn) }
  setImmediate(turn)
  const reading = await readMessage(path, { limits: JSON.parse(limits) })
  isOver = true
  const readOctets = octetsRead() - readBefore
  const last = reading.leaves.at(-1)
  let octets = 0
  if (last.encoding === 'base64') for await (const piece of reading.content(last)) octets += piece.length
  console.log(JSON.stringify({ turns, readOctets, octets, cpuMs: process.cpuUsage().user / 1000,
    grownMb: (process.resourceUsage().maxRSS - memory) / 1024, parts: reading.parts.length,
    names: reading.leaves.flatMap(({ fileNames }) => fileNames),
    kinds: [...new Set(reading.findings.map(({ kind }) => kind))], isOverLimit: reading.isOverLimit }))
`

interface Result {
  readonly turns: number
  readonly readOctets: number
  readonly octets: number
  readonly cpuMs: number
  readonly grownMb: number
  readonly parts: number
  readonly names: readonly string[]
  readonly kinds: readonly FindingKind[]
  readonly isOverLimit: boolean
}

/** On disk: in memory 500 MB would be dear. */
const folder = mkdtempSync(join(tmpdir(), 'nf-big-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** Written once for all tests of it. */
function bigMessage(message: BigMessage): string {
  const path = join(folder, message)
  if (!existsSync(path)) writeBigMessage(message, path)
  return path
}

async function readBig(path: string, without: readonly string[], limits: Partial<ReadingLimits> = {}): Promise<Result> {
  const args = [...nodeOptions(without), '--input-type=module', '-e', program, path, JSON.stringify(limits)]
  const { stdout } = await run(process.execPath, args, { timeout: 60_000 })
  return JSON.parse(stdout) as Result
}

/** Node frees buffers that nobody uses once there are some 64 MB of them, and a stream hands out a new one each time. */
const contentMb = 128

const base64Octets = 6_720_000 * 57

const large = (messages: readonly BigMessage[]): Check => {
  return async (_t, without) => {
    const { seen, expect } = createFindings()
    for (const message of messages) {
      const path = bigMessage(message)
      const { size } = statSync(path)
      const { grownMb, parts, octets, turns, kinds } = await readBig(path, without)
      const most = message === 'att500' ? contentMb : 64
      expect(grownMb < most, `${message}: memory grows by ${grownMb.toFixed()} MB`)
      expect(turns >= 5, `${message}: the thread turns ${turns} times`)
      expect(kinds.length === 0, `${message} is odd: ${kinds.join()}`)
      const isRight = message === 'att500' ? parts === 2 && octets === base64Octets : parts === 1
      expect(isRight, `${message} has ${parts} parts, and ${octets} octets of content`)

      const over = await readBig(path, without, { octets: 1024 ** 2, decodedOctets: 1024 ** 2 })
      expect(over.isOverLimit && over.kinds.includes('limit-octets'), `${message}: its size is not told`)
      expect(over.readOctets < 2 * 1024 ** 2, `${message}: ${over.readOctets} of ${size} octets are read`)
      const cut = await readBig(path, without, { decodedOctets: 1024 ** 2 })
      expect(cut.octets <= 1024 ** 2, `${message}: ${cut.octets} octets are decoded`)
    }
    return seen
  }
}

testPromise('R32 a body, and an attachment, of 500 MB cost the reader no memory', large(['body500', 'att500']), [
  { without: ['a message goes through one buffer'], sees: /^body500: memory grows by/, check: large(['body500']) },
  { without: ['reading a message takes turns'], sees: /^body500: the thread turns/, check: large(['body500']) },
  { without: ['no more of a message is read than allowed'], sees: /octets are read$/, check: large(['body500']) },
  { without: ['a content is read in pieces'], sees: /^att500: memory grows by/, check: large(['att500']) },
  { without: ['no more of a content is decoded than allowed'], sees: /octets are decoded$/, check: large(['att500']) },
])

const readsAll = `
export async function doFilter(bodyPath, controlPaths, context) {
  const reading = await context.message.read()
  if (reading.isOverLimit) return '552 too large'
  if (!reading.leaves.some(({ fileName }) => fileName === 'big.bin')) return ''
  let octets = 0
  for (const leaf of reading.leaves) for await (const piece of reading.content(leaf)) octets += piece.length
  return '550 ' + octets + ' octets'
}
`

/** A filter that reads all of each message, in a host that serves other mail meanwhile. */
const through: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'readsall')
  place.filter('readsall.mjs', readsAll)
  const host = startHost(t, place, { without, set: ['runner.threads=2'] })
  await host.ready()
  const big = place.pair()
  rmSync(big.bodyPath)
  writeBigMessage('att500', big.bodyPath)
  const stream = startStream(host)
  // The first good messages load what there is to load.
  await host.ask(place.pair())
  const memory = watchMemory(host.pid)
  const runners = childrenOf(host.pid).map((pid) => watchMemory(pid))
  const answer = await within(60_000, host.ask(big))
  expect(answer === `550 ${base64Octets} octets\n`, `the attachment of 500 MB hears ${answer ?? 'nothing'}`)
  const { wrong } = await stream.stop()
  expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  const grownBy = memory.grownBy()
  expect(grownBy < 64, `the host grew by ${grownBy} MiB`)
  for (const runner of runners) {
    const runnerGrownBy = runner.grownBy()
    expect(runnerGrownBy < 150, `the runner grew by ${runnerGrownBy} MiB`)
  }
  await host.kill()
  return seen
}

testPromise('R32 a filter that reads 500 MB: host and runner stay small, others are served', through, [
  { without: ['a message goes through one buffer'], sees: /^the runner grew by/ },
])

/** The same with a limit: the filter knows after as many octets as are read. */
const limited: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'readsall')
  place.filter('readsall.mjs', readsAll)
  const host = startHost(t, place, { without, set: ['runner.threads=2', 'message.max_octets=1MiB'] })
  await host.ready()
  const big = place.pair()
  rmSync(big.bodyPath)
  writeBigMessage('att500', big.bodyPath)
  const octetsRead = (): number => childrenOf(host.pid).reduce((sum, pid) => sum + octetsReadBy(pid), 0)
  await host.ask(place.pair())
  const before = octetsRead()
  const answer = await within(60_000, host.ask(big))
  expect(answer === '552 too large\n', `a message over the limit hears ${answer ?? 'nothing'}`)
  const read = octetsRead() - before
  expect(read < 8 * 1024 ** 2, `${read} octets of a message over the limit are read`)
  await host.kill()
  return seen
}

function octetsReadBy(pid: number): number {
  return Number(/^rchar: (.*)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? NaN)
}

testPromise('R32 a filter hears of a message over the limit after as much as is read', limited, [
  { without: ['no more of a message is read than allowed'], sees: /^a message over the limit hears/ },
])

interface Wanted {
  readonly kinds: readonly FindingKind[]
  readonly parts: number
}

const giants: Partial<Record<BigMessage, Wanted>> = {
  headers1m: { kinds: ['limit-fields'], parts: 1 },
  header100m: { kinds: ['limit-header-section'], parts: 1 },
  fold1m: { kinds: ['limit-header-section'], parts: 1 },
  line100m: { kinds: ['limit-line'], parts: 1 },
  nest10k: { kinds: ['limit-depth'], parts: 101 },
  rfc8225k: { kinds: ['limit-depth'], parts: 101 },
  parts1m: { kinds: ['limit-parts'], parts: 1000 },
}

const bounded = (messages: readonly BigMessage[]): Check => {
  return async (_t, without) => {
    const { seen, expect } = createFindings()
    for (const message of messages) {
      const wanted = giants[message]
      const path = bigMessage(message)
      const { cpuMs, grownMb, kinds, parts } = await readBig(path, without)
      for (const kind of wanted?.kinds ?? []) expect(kinds.includes(kind), `${message}: ${kind} is not told`)
      expect(parts === wanted?.parts, `${message} has ${parts} parts`)
      expect(cpuMs < 5000, `${message} takes ${cpuMs.toFixed()} ms`)
      expect(grownMb < 64, `${message}: memory grows by ${grownMb.toFixed()} MB`)
    }
    return seen
  }
}

/** Reads messages in memory, by a reader of its own: what it finds, as sentences where that is not what it should be. */
const told = (rows: Readonly<Record<string, readonly [text: string, kinds: readonly FindingKind[]]>>): Check => {
  return async (_t, without) => {
    const { seen, expect } = createFindings()
    const { readMessageBytes } = await loadReader(without)
    for (const [name, [text, kinds]] of Object.entries(rows)) {
      const { findings, isOverLimit, isAmbiguous } = await readMessageBytes(Buffer.from(text, 'latin1'))
      const found = new Set(findings.map(({ kind }) => kind))
      for (const kind of kinds) expect(found.has(kind), `${name}: ${kind} is not told`)
      const isTold = isOverLimit || isAmbiguous || kinds.every((kind) => kind === 'unterminated-multipart')
      expect(isTold, `${name} is taken for a plain message`)
    }
    return seen
  }
}

async function loadReader(without: readonly string[]): Promise<typeof readerModule> {
  return (await importWithout('courier-compat/message/reader.ts', without)) as typeof readerModule
}

const largeFields = { 'a field of 300 KB': [`A: ${'x'.repeat(300_000)}\n\n`, ['limit-field']] } as const

testPromise(
  'R33 a million fields, 100 MB of one, a million folds, a line of 100 MB',
  bounded(['headers1m', 'header100m', 'fold1m', 'line100m']),
  [
    {
      without: ['a header section has a limit'],
      sees: /^header100m: memory grows by/,
      check: bounded(['header100m']),
    },
    {
      without: ['the fields of a section have a limit'],
      sees: /limit-fields is not told/,
      check: bounded(['headers1m']),
    },
    { without: ['a long line is told'], sees: /limit-line is not told/, check: bounded(['line100m']) },
  ],
)

testPromise('R33 one field', told(largeFields), [
  { without: ['a header field has a limit'], sees: /limit-field is not told/ },
])

const multipart = (parameter: string, body: string): string => `Content-Type: multipart/mixed${parameter}\n\n${body}`

const broken = {
  'a multipart without end': [multipart('; boundary=b', '--b\n\nx\n'), ['unterminated-multipart']],
  'an empty boundary': [multipart('; boundary=""', '--\n\nx\n----\n'), ['no-boundary']],
  'no boundary': [multipart('', '--b\n\nx\n--b--\n'), ['no-boundary']],
} as const
const manyParts = {
  'five thousand parts': [multipart('; boundary=b', `${'--b\n\nx\n'.repeat(5000)}--b--\n`), ['limit-parts']],
} as const

testPromise('R34 ten thousand levels, a million parts', bounded(['nest10k', 'rfc8225k', 'parts1m']), [
  { without: ['nesting has a limit'], sees: /limit-depth is not told/, check: bounded(['nest10k']) },
  { without: ['the parts of a message have a limit'], sees: /limit-parts is not told/, check: told(manyParts) },
])

testPromise('R34 a multipart without end, or without a boundary', told({ ...broken, ...manyParts }), [
  { without: ['a multipart without end is told'], sees: /^a multipart without end: / },
  { without: ['a multipart without boundary is told'], sees: /^an empty boundary: / },
])

const endless = 2 ** 30
const noLimits: ReadingLimits = {
  ...{ octets: endless, headerOctets: endless, fieldOctets: endless, fields: endless, lineOctets: endless },
  ...{ depth: endless, parts: endless, encodedWords: endless, parameters: endless, addresses: endless },
  decodedOctets: endless,
}

/** What is repeated, `#` its number, and what stands before it. */
const series: Readonly<Record<string, readonly [before: string, repeated: string]>> = {
  'encoded words': ['Subject: ', '=?utf-8?q?a?= '],
  'encoded words of base64': ['Subject: ', '=?utf-8?b?YQ==?= '],
  'encoded words without end': ['Subject: ', '=?u?q?a '],
  'beginnings of encoded words': ['Subject: ', '=?'],
  parameters: ['Content-Type: text/plain', '; a#=b'],
  'the same parameter': ['Content-Type: text/plain', '; a=#'],
  'sections of a parameter': ['Content-Disposition: attachment', '; filename*#=b'],
  'quotes without end': ['Content-Type: text/plain', '; a="b'],
  'comments without end': ['Content-Type: text/plain', '; a=b ('],
  'boundaries, one the beginning of another': ['Content-Type: multipart/mixed', '; boundary="b#"'],
  references: ['References: ', '<a#@example.org> '],
  'address groups': ['To: ', 'g:a@example.org;,'],
  'encoded words in names': ['To: ', '=?utf-8?q?a?= <a@example.org>,'],
  'folded lines': ['Subject: a', '\n b'],
  fields: ['', 'A: b\n'],
  'fields that stand once': ['', 'From: a#@example.org\n'],
  'file names': ['Content-Disposition: attachment; ', 'filename="a#.txt"; '],
}

/** Reads messages of these series, of `count` repetitions and three doublings. */
function linear(names: readonly string[], count: number): Check {
  return async (_t, without) => {
    const { seen, expect } = createFindings()
    const { readMessageBytes } = await loadReader(without)
    const words = (await importWithout('courier-compat/message/encoded-words.ts', without)) as typeof wordsModule
    for (const name of names) {
      const [before = '', repeated = ''] = series[name] ?? []
      const work = (times: number) => {
        const all = Array.from({ length: times }, (_, index) => repeated.replace('#', String(index)))
        const bytes = Buffer.from(`${before}${all.join('')}\n\nbody\n`, 'latin1')
        return async () => {
          const { header } = await readMessageBytes(bytes, { limits: noLimits })
          for (const field of header.fields) words.decodedValue(field, noLimits)
        }
      }
      const { isLinear, text } = await timeOfDoublings(work, count)
      expect(isLinear, `${name}: ${text}`)
    }
    return seen
  }
}

testPromise('R36 time grows with the message', linear(Object.keys(series), 128), [
  {
    without: ['an encoded word ends before the next begins'],
    sees: /^encoded words without end: /,
    check: linear(['encoded words without end'], 64),
  },
  {
    without: ['comments without end are tried once'],
    sees: /^comments without end: /,
    check: linear(['comments without end'], 64),
  },
])

const manyValues = {
  'six thousand encoded words': [`Subject: ${'=?utf-8?q?a?= '.repeat(6000)}\n\n`, ['limit-encoded-words']],
  'three hundred parameters': [`Content-Type: text/plain${'; a=b'.repeat(300)}\n\n`, ['limit-parameters']],
  'six thousand addresses': [`To: ${'a@example.org,'.repeat(6000)}\n\n`, ['limit-addresses']],
} as const

testPromise('R36 limits of the values of fields', told(manyValues), [
  { without: ['the encoded words of a field have a limit'], sees: /limit-encoded-words is not told/ },
  { without: ['the parameters of a field have a limit'], sees: /limit-parameters is not told/ },
  { without: ['the addresses of a field have a limit'], sees: /limit-addresses is not told/ },
])
