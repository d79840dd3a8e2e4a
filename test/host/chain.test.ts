/** The chain: the fold over the filters of one message, with a clock that the test moves and filters that misbehave. */
import { appendFileSync, linkSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { addRecipient, getRecipients } from '../../courier-compat/control.ts'
import type { DoFilter, FilterContext } from '../../courier-compat/filter.ts'
import { replyLines } from '../../courier-compat/reply.ts'
import { abortGraceMs, runChain, type ChainFilter, type ChainJob, type ChainOutcome } from '../../host/chain/chain.ts'
import { placeOfError } from '../../host/chain/error-place.ts'
import { describeThrown, failureReply, isFailureKind, type FailureKind } from '../../host/chain/failure.ts'
import type { ListDialect } from '../../host/chain/list-line.ts'
import { parseList } from '../../host/chain/list.ts'
import { editTools, keptOriginalPath, type EditMark, type Pair } from '../../host/edits.ts'
import { systemFiles } from '../../host/platform/files.ts'
import { makeClock } from '../helpers/fake-clock.ts'
import { defaultContent, makePair } from '../helpers/pair.ts'

type Filters = Readonly<Record<string, (...args: never[]) => unknown>>

/** The filters of spec pythonfilter 6.2. */
const synthetic: Filters = {
  e: () => '',
  w: () => '200 whitelisted',
  w2: () => '250 whitelisted too',
  z: () => '050 OK',
  r4: () => '451 later',
  r5: () => '554 no',
  x: () => {
    throw new Error('as told')
  },
  n: () => null,
}

/** For a chain that runs without files. */
const nothingMarked: EditMark = {
  controlSizes: [0],
  data: { dev: 0, ino: 0, size: 0, mtimeMs: 0 },
  hasVersion: false,
}

interface StageOptions {
  readonly filters?: Filters
  readonly pair?: Pair
  readonly job?: Partial<ChainJob>
  /** `null`: a Node that cannot tell. */
  readonly cpuMs?: (() => number) | null
  readonly dialect?: ListDialect
}

/** A chain that was read from a list, on a thread that notes what is asked of it. */
function openStage(list: string, options: StageOptions = {}) {
  const clock = makeClock()
  const calls: string[] = []
  const known: Filters = { ...synthetic, ...options.filters }
  const parsed = parseList(list, 'filters.conf', options.dialect ?? 'nodefilter')
  if (parsed.problems.length > 0) throw new Error(parsed.problems[0]?.text)
  const filters = parsed.entries.map(({ name, alias, skips, onError, timeLimitMs, dryRun }, index): ChainFilter => {
    const doFilter = known[name] as DoFilter | undefined
    if (doFilter === undefined) throw new Error(`the test has no filter ${name}`)
    return {
      ...{ index, name, alias, skips, dryRun, onError: onError ?? 'defer', timeLimitMs: timeLimitMs ?? 30_000 },
      editsAreKnown: false,
      doFilter: (...args) => {
        calls.push(alias)
        return doFilter(...args)
      },
    }
  })
  const pair = options.pair ?? { bodyPath: '/nowhere/D1', controlPaths: ['/nowhere/1'] }
  const startCpuMs = options.cpuMs === undefined ? 0 : (options.cpuMs?.() ?? null)
  const job: ChainJob = {
    pair,
    messageId: 'M1',
    attempt: 1,
    leftMs: 60_000,
    without: [],
    contents: null,
    mark: null,
    cpuMs: startCpuMs,
    ...options.job,
  }
  const asked: string[] = []
  const log: string[] = []
  const edits = options.pair === undefined ? null : editTools(systemFiles)
  const tools = {
    monotonicMs: () => clock.monotonicMs(),
    cpuMs: options.cpuMs === undefined ? () => 0 : (options.cpuMs ?? (() => null)),
    after: clock.after,
    enter: (index: number) => void asked.push(`enter ${index}`),
    leave: () => void asked.push('leave'),
    mark: (of: Pair): EditMark => {
      asked.push('mark')
      return edits?.mark(of) ?? nothingMarked
    },
    drop: (of: Pair, mark: EditMark) => {
      asked.push('drop')
      edits?.drop(of, mark)
    },
    undo: (of: Pair, mark: EditMark) => {
      asked.push('undo')
      edits?.undo(of, mark)
    },
    logFor: (alias: string, messageId: string) => {
      const put = (level: string) => (text: string) => void log.push(`${level} ${alias} ${messageId}: ${text}`)
      return { info: put('info'), warn: put('warn'), error: put('error') }
    },
  }
  const running = () => runChain(filters, job, tools)
  return { clock, calls, asked, log, running, run: () => clock.runOut(running()) }
}

/** What the mail server hears in the end, and from whom. */
function heard({ verdict, failure, by }: ChainOutcome): string {
  const whom = by === null ? '' : ` by ${by}`
  if (verdict === null) return `${replyLines(failureReply(failure?.kind ?? 'internal', 'M1')).join(' | ')}${whom}`
  return verdict.kind === 'pass' ? `pass${whom}` : `${replyLines(verdict.reply).join(' | ')}${whom}`
}

/** `alias:outcome` of each step, a `?` before the outcome of a dry run. */
function trailOf({ trail }: ChainOutcome): string {
  return trail.map(({ filter, outcome, dryRun }) => `${filter}:${dryRun ? '?' : ''}${outcome}`).join(' ')
}

const failed = '451 4.3.0 Local policy check failed, try again later (M1)'
const tooLong = '451 4.3.0 Local policy check took too long, try again later (M1)'

t.test('rules of the chain, in the strict column of the specification', async (t) => {
  const rows: ({ name: string; list: string; want: string; trail: string } & StageOptions)[] = [
    { name: 'T01: no filters, no decision', list: '', want: 'pass', trail: '' },
    { name: 'T02: a filter without an opinion passes', list: 'e', want: 'pass', trail: 'e:pass' },
    {
      name: 'nothing returned is no opinion either',
      list: 'u\nr5',
      filters: { u: () => undefined },
      want: '554 no by r5',
      trail: 'u:pass r5:reject',
    },
    { name: 'T03: 2xx ends the chain', list: 'w\nr5', want: '200 whitelisted by w', trail: 'w:accept' },
    {
      name: 'T04: 2xx with "for" skips the filters named alone',
      list: 'w for r5\nr5\nr4',
      want: '451 later by r4',
      trail: 'w:accept r4:defer',
    },
    {
      name: 'T05: when all others are skipped the message passes',
      list: 'w for r5\nr5',
      want: 'pass',
      trail: 'w:accept',
    },
    { name: 'T06: "for" without names is none', list: 'w for\nr5', want: '200 whitelisted by w', trail: 'w:accept' },
    {
      name: "T07: in pythonfilter's own file FOR says nothing, so 2xx ends the chain",
      list: 'w FOR r5\nr5',
      dialect: 'pythonfilter',
      want: '200 whitelisted by w',
      trail: 'w:accept',
    },
    {
      name: 'T08: and a comma makes one name of two, which nobody has',
      list: 'w for r5,r4\nr5',
      dialect: 'pythonfilter',
      want: '554 no by r5',
      trail: 'w:accept r5:reject',
    },
    { name: 'T09: 0xx ends the chain in spite of "for"', list: 'z for r5\nr5', want: '050 OK by z', trail: 'z:accept' },
    {
      name: 'T10: a throw passes where the line says so',
      list: 'x with on_error=pass\nr5',
      want: '554 no by r5',
      trail: 'x:failed r5:reject',
    },
    { name: 'T10: a throw defers', list: 'x\nr5', want: `${failed} by x`, trail: 'x:failed' },
    { name: 'T11: a throw alone defers', list: 'x', want: `${failed} by x`, trail: 'x:failed' },
    { name: 'a throw that may pass, alone, passes', list: 'x with on_error=pass', want: 'pass', trail: 'x:failed' },
    { name: 'T12: what is no text defers', list: 'n\nr5', want: `${failed} by n`, trail: 'n:failed' },
    {
      name: 'T12: what is no text passes where the line says so',
      list: 'n with on_error=pass\nr5',
      want: '554 no by r5',
      trail: 'n:failed r5:reject',
    },
    {
      name: 'T13: a reply may have two lines',
      list: 'r55\ne',
      filters: { r55: () => '554-a\n554 b' },
      want: '554-a | 554 b by r55',
      trail: 'r55:reject',
    },
    {
      name: 'T14: a word is no reply',
      list: 'odd\nr5',
      filters: { odd: () => 'nonsense' },
      want: `${failed} by odd`,
      trail: 'odd:failed',
    },
    {
      name: 'T15: 3xx is no reply, though Courier would take it for an acceptance',
      list: 'odd\nr5',
      filters: { odd: () => '354 hmm' },
      want: `${failed} by odd`,
      trail: 'odd:failed',
    },
    {
      name: 'T16: a filter that is skipped skips nobody',
      list: 'w for w2\nw2 for r5\nr5',
      want: '554 no by r5',
      trail: 'w:accept r5:reject',
    },
    { name: 'T17: who has spoken cannot be skipped', list: 'r4\nw for r4', want: '451 later by r4', trail: 'r4:defer' },
    { name: 'T18: a filter listed twice runs twice', list: 'e\ne', want: 'pass', trail: 'e:pass e:pass' },
    {
      name: 'both are skipped where a filter is listed twice',
      list: 'w for r5\nr5\nr5\nr4',
      want: '451 later by r4',
      trail: 'w:accept r4:defer',
    },
    {
      name: 'what several filters skip adds up',
      list: 'w for r5\nw2 for r4\nr4\nr5\ne',
      want: 'pass',
      trail: 'w:accept w2:accept e:pass',
    },
    {
      name: '"for" means aliases: the filter under another one still runs',
      list: 'w for strict\nr5 as strict\nr5',
      want: '554 no by r5',
      trail: 'w:accept r5:reject',
    },
    {
      name: 'a refusal by a filter with "for" is a refusal',
      list: 'r5 for r4\nr4',
      want: '554 no by r5',
      trail: 'r5:reject',
    },
    {
      name: 'a failure by a filter with "for" skips nobody',
      list: 'x for r5 with on_error=pass\nr5',
      want: '554 no by r5',
      trail: 'x:failed r5:reject',
    },
    {
      name: 'an alias stands in the trail and as the one who decided',
      list: 'r5 as strict',
      want: '554 no by strict',
      trail: 'strict:reject',
    },
    {
      name: 'a refusal in a dry run refuses nothing',
      list: 'r5 with dry_run=yes\nr4',
      want: '451 later by r4',
      trail: 'r5:?reject r4:defer',
    },
    {
      name: 'an acceptance in a dry run skips nobody',
      list: 'z with dry_run=yes\nw for r5 with dry_run=yes\nr5',
      want: '554 no by r5',
      trail: 'z:?accept w:?accept r5:reject',
    },
    {
      name: 'a failure in a dry run defers nothing',
      list: 'x with dry_run=yes\ne',
      want: 'pass',
      trail: 'x:?failed e:pass',
    },
  ]
  for (const { name, list, want, trail, filters = {}, dialect = 'nodefilter' } of rows) {
    const later = Object.fromEntries(
      Object.entries({ ...synthetic, ...filters }).map(([key, filter]) => [
        key,
        () => Promise.resolve().then(() => filter()),
      ]),
    )
    for (const [how, given] of [
      ['at once', filters],
      ['later', later],
    ] as const) {
      const stage = openStage(list, { filters: given, dialect })
      const outcome = await stage.run()
      t.equal(heard(outcome), want, `${name}, ${how}`)
      t.equal(trailOf(outcome), trail, `${name}, ${how}: the trail`)
      t.equal(stage.calls.join(' '), trail.replace(/:\S+/g, ''), `${name}, ${how}: who ran`)
      t.equal(stage.clock.timers(), 0, `${name}, ${how}: no timer is left`)
      t.match(outcome, { stray: false, rerunWithout: null })
    }
  }
})

/** Everything that asks something of it fails. */
const proxyThatThrows = (): Error => {
  const fail = (): never => {
    throw new Error('from the trap')
  }
  return new Proxy(new Error('m'), {
    get: fail,
    getPrototypeOf: fail,
    has: fail,
    ownKeys: fail,
    getOwnPropertyDescriptor: fail,
  })
}
const revokedProxy = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
const getterThatThrows = (key: string, of: object = {}): object =>
  Object.defineProperty(of, key, {
    get: () => {
      throw new Error('from the getter')
    },
  })
type Settle = (value: unknown) => unknown
const thenable = (then: (resolve: Settle, reject: Settle) => void): object => ({
  then,
})
const thrower = (make: () => unknown) => (): never => {
  throw make()
}

t.test('whatever a filter does wrong is a failure: never a pass, never an acceptance', async (t) => {
  const rows: { name: string; does: () => unknown; kind: FailureKind; text?: RegExp }[] = [
    ...[undefined, null, 0, Number.NaN, '', false, 0n].flatMap((value) => [
      { name: `throws ${String(value)}`, does: thrower(() => value), kind: 'threw' as const, text: /^threw / },
      {
        name: `rejects with ${String(value)}`,
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- that is what is tested
        does: () => Promise.reject(value),
        kind: 'threw' as const,
        text: /^threw /,
      },
    ]),
    { name: 'throws a reply that accepts', does: thrower(() => '200 Ok'), kind: 'threw' },
    { name: 'throws a symbol', does: thrower(() => Symbol('s')), kind: 'threw', text: /^threw Symbol\(s\)$/ },
    { name: 'throws a function', does: thrower(() => () => '200 Ok'), kind: 'threw' },
    { name: 'throws a proxy that throws', does: thrower(proxyThatThrows), kind: 'threw', text: /cannot be shown/ },
    { name: 'throws a revoked proxy', does: thrower(revokedProxy), kind: 'threw', text: /cannot be shown/ },
    {
      name: 'throws what cannot be a text',
      does: thrower(() => Object.create(null) as object),
      kind: 'threw',
      text: /cannot be shown/,
    },
    {
      name: 'throws an error without message',
      does: thrower(() => getterThatThrows('message', new Error())),
      kind: 'threw',
    },
    {
      name: 'throws an error without stack',
      does: thrower(() => getterThatThrows('stack', new Error('m'))),
      kind: 'threw',
    },
    {
      name: 'throws an error whose name is a symbol',
      does: thrower(() => Object.assign(new Error('m'), { name: Symbol() })),
      kind: 'threw',
    },
    {
      name: 'throws an endless message',
      does: thrower(() => new Error('/'.repeat(1e5))),
      kind: 'threw',
      text: /^Error: \/{400,493} at \/.*chain\.test\.ts:[0-9]+$/,
    },
    { name: 'rejects with a proxy that throws', does: () => Promise.reject(proxyThatThrows()), kind: 'threw' },
    ...[null, 0, 1, 200, true, false, Number.NaN, 1n].map((value) => ({
      name: `returns ${typeof value} ${String(value)}`,
      does: () => value,
      kind: 'malformed' as const,
      text: value === null ? /^returned null, not a string$/ : new RegExp(`^returned ${typeof value}, not a string$`),
    })),
    { name: 'returns a symbol', does: () => Symbol('200 Ok'), kind: 'malformed' },
    { name: 'returns a list', does: () => ['200 Ok'], kind: 'malformed' },
    { name: 'returns an object', does: () => ({ toString: () => '200 Ok' }), kind: 'malformed' },
    { name: 'returns a text in a box', does: () => new String('200 Ok'), kind: 'malformed' },
    { name: 'returns octets', does: () => Buffer.from('200 Ok'), kind: 'malformed' },
    { name: 'returns a function', does: () => () => '200 Ok', kind: 'malformed' },
    {
      name: 'returns a function with a then',
      does: () => Object.assign(() => '', { then: () => '' }),
      kind: 'malformed',
    },
    { name: 'returns an object whose then is no function', does: () => ({ then: '200 Ok' }), kind: 'malformed' },
    {
      name: 'returns a huge text',
      does: () => `200 ${'x'.repeat(1e6)}`,
      kind: 'malformed',
      text: /1000004 characters/,
    },
    { name: 'returns a proxy that throws', does: proxyThatThrows, kind: 'threw', text: /from the trap/ },
    { name: 'returns a revoked proxy', does: revokedProxy, kind: 'threw', text: /revoked/ },
    {
      name: 'returns what throws at its then',
      does: () => getterThatThrows('then'),
      kind: 'threw',
      text: /from the getter/,
    },
    {
      name: 'returns a thenable that throws',
      does: () => thenable(thrower(() => 0)),
      kind: 'threw',
      text: /^threw 0$/,
    },
    {
      name: 'returns a thenable that rejects twice',
      does: () => thenable((_, no) => [no(1), no(2)]),
      kind: 'threw',
      text: /^threw 1$/,
    },
    { name: 'returns a thenable that gives no text', does: () => thenable((yes) => yes(null)), kind: 'malformed' },
    {
      name: 'returns a thenable that gives a function',
      does: () => thenable((yes) => yes(() => '200 Ok')),
      kind: 'malformed',
    },
    {
      name: 'returns a thenable that rejects, then accepts',
      does: () => thenable((yes, no) => [no(0), yes('200 Ok')]),
      kind: 'threw',
    },
    {
      name: 'returns a promise that throws when it is looked at',
      does: () => getterThatThrows('constructor', Promise.resolve('200 Ok')),
      kind: 'threw',
      text: /from the getter/,
    },
    { name: 'returns a promise for null', does: () => Promise.resolve(null), kind: 'malformed' },
    { name: 'returns a promise for a word', does: () => Promise.resolve('nonsense'), kind: 'malformed' },
    {
      name: 'returns a promise that never settles',
      does: () => new Promise(() => undefined),
      kind: 'late',
      text: /^gave no answer within 30000 ms$/,
    },
    { name: 'returns a thenable that calls nobody', does: () => thenable(() => undefined), kind: 'late' },
  ]
  for (const { name, does, kind, text = /./ } of rows) {
    const sinceMs = performance.now()
    const strict = await openStage('f\nw', { filters: { f: does } }).run()
    t.match(strict, { verdict: null, by: 'f', failure: { kind, filter: 'f', text } }, `${name}: deferred`)
    t.match(strict.trail, [{ filter: 'f', outcome: 'failed', text }], `${name}: told in the trail`)
    const lenient = await openStage('f with on_error=pass\nr5', { filters: { f: does } }).run()
    // A filter that never answers may still change the files: the message goes on without it, on another thread.
    if (kind === 'late') t.match(lenient, { verdict: null, stray: true, rerunWithout: 0 }, `${name}: goes on elsewhere`)
    else t.equal(`${heard(lenient)} ${trailOf(lenient)}`, '554 no by r5 f:failed r5:reject', `${name}: goes on`)
    t.ok(performance.now() - sinceMs < 10_000, `${name}: costs no time`)
  }
})

t.test('odd ways to say something that is a reply all the same', async (t) => {
  const overridden = Object.assign(Promise.resolve('554 no'), {
    then: (yes: Settle) => [yes('200 Ok'), yes('200 Ok')],
  })
  const rows: [name: string, does: () => unknown, want: string][] = [
    [
      'of a thenable that answers twice the first counts',
      () => thenable((yes) => [yes('554 no'), yes('200 Ok')]),
      '554 no by f',
    ],
    [
      'a thenable that throws after its answer has answered',
      () =>
        thenable((yes) => {
          yes('554 no')
          throw new Error('x')
        }),
      '554 no by f',
    ],
    [
      'a thenable may give a thenable',
      () => thenable((yes) => yes(thenable((again) => again('554 no')))),
      '554 no by f',
    ],
    ['what a promise holds counts, not what its own "then" claims', () => overridden, '554 no by f'],
    ['a reply of many lines is cut', () => `${'554-x\n'.repeat(5000)}554 y`, `${'554-x | '.repeat(49)}554 x by f`],
  ]
  for (const [name, does, want] of rows)
    t.equal(heard(await openStage('f\nw', { filters: { f: does } }).run()), want, name)
})

/** A filter that answers after `ms`. */
const after = (ms: number, reply: () => unknown) => async (stage: ReturnType<typeof openStage>) => {
  await new Promise<void>((resolve) => void stage.clock.after(ms, resolve))
  return reply()
}

t.test('time limits', async (t) => {
  const rows: {
    name: string
    list: string
    ms: number
    reply?: () => unknown
    leftMs?: number
    want: string
    trail: string
    tookMs: number
    stray?: boolean
    rerunWithout?: number | null
    text?: string
    undone?: boolean
  }[] = [
    {
      name: 'an answer in time counts',
      list: 'f with time_limit=100ms',
      ms: 99,
      want: '554 slow by f',
      trail: 'f:reject',
      tookMs: 99,
    },
    {
      name: 'an answer in the grace is late, and its code is done',
      list: 'f with time_limit=100ms\nr5',
      ms: 101,
      want: `${tooLong} by f`,
      trail: 'f:failed',
      tookMs: 101,
      text: 'gave no answer within 100 ms',
    },
    {
      name: 'an acceptance in the grace is late too',
      list: 'f with time_limit=100ms\nr5',
      ms: 150,
      reply: () => '200 Ok',
      want: `${tooLong} by f`,
      trail: 'f:failed',
      tookMs: 150,
    },
    {
      name: 'a throw in the grace is a late answer',
      list: 'f with time_limit=100ms',
      ms: 299,
      reply: thrower(() => 0),
      want: `${tooLong} by f`,
      trail: 'f:failed',
      tookMs: 299,
    },
    {
      name: 'an answer after the grace comes from stray code',
      list: 'f with time_limit=100ms\nr5',
      ms: 5000,
      want: `${tooLong} by f`,
      trail: 'f:failed',
      tookMs: 100 + abortGraceMs,
      stray: true,
    },
    {
      name: 'late, not stray, and it may pass: undone, and on',
      list: 'f with time_limit=100ms on_error=pass\nr5',
      ms: 150,
      want: '554 no by r5',
      trail: 'f:failed r5:reject',
      tookMs: 150,
      undone: true,
    },
    {
      name: 'late, not stray, in a dry run: undone, and on',
      list: 'f with time_limit=100ms dry_run=yes\nr5',
      ms: 150,
      want: '554 no by r5',
      trail: 'f:?failed r5:reject',
      tookMs: 150,
      undone: true,
    },
    {
      name: 'stray, and it may pass: again without it, and nothing is undone under its feet',
      list: 'e\nf with time_limit=100ms on_error=pass\nr5',
      ms: 5000,
      want: `${tooLong} by f`,
      trail: 'e:pass f:failed',
      tookMs: 100 + abortGraceMs,
      stray: true,
      rerunWithout: 1,
    },
    {
      name: 'stray in a dry run: again without it',
      list: 'f with time_limit=100ms dry_run=yes\nr5',
      ms: 5000,
      want: `${tooLong} by f`,
      trail: 'f:?failed',
      tookMs: 100 + abortGraceMs,
      stray: true,
      rerunWithout: 0,
    },
    {
      name: 'what is left of the message limits the filter',
      list: 'f with time_limit=10s\nr5',
      ms: 5000,
      leftMs: 50,
      want: `${tooLong} by f`,
      trail: 'f:failed',
      tookMs: 50 + abortGraceMs,
      stray: true,
      text: 'gave no answer within 50 ms',
    },
    {
      name: 'no time is left before a filter: it does not run',
      list: 'f with time_limit=10s on_error=pass\nr5',
      ms: 60,
      leftMs: 50,
      want: tooLong,
      trail: 'f:failed',
      tookMs: 60,
      undone: true,
      text: 'no time left before r5',
    },
    {
      name: 'no time is left after the last filter: what it said holds',
      list: 'f with time_limit=10s',
      ms: 50,
      leftMs: 51,
      want: '554 slow by f',
      trail: 'f:reject',
      tookMs: 50,
    },
  ]
  for (const row of rows) {
    const { name, list, ms, leftMs = 60_000, reply = () => '554 slow', stray = false, rerunWithout = null } = row
    const stage: ReturnType<typeof openStage> = openStage(list, {
      filters: { f: () => after(ms, reply)(stage) },
      job: { leftMs },
    })
    const sinceMs = stage.clock.monotonicMs()
    const outcome = await stage.run()
    t.equal(heard(outcome), row.want, name)
    t.equal(trailOf(outcome), row.trail, `${name}: the trail`)
    t.equal(stage.clock.monotonicMs() - sinceMs, row.tookMs, `${name}: how long it took`)
    t.match(outcome, { stray, rerunWithout }, `${name}: what becomes of thread and message`)
    if (row.text !== undefined) t.equal(outcome.failure?.text, row.text, `${name}: told`)
    t.equal(stage.asked.includes('undo'), row.undone ?? false, `${name}: undone or not`)
    // Of stray code the answer is still to come.
    t.equal(stage.clock.timers(), stray ? 1 : 0, `${name}: no timer is left`)
    const before = JSON.stringify(outcome)
    await stage.clock.advance(10_000)
    t.equal(JSON.stringify(outcome), before, `${name}: nothing changes afterwards`)
    t.strictSame(
      stage.log,
      stray ? ['warn f M1: answered after it had been given up; the answer is ignored'] : [],
      `${name}: logged`,
    )
  }

  const blocking = openStage('hog\nr5', { filters: { hog: () => (blocking.clock.pass(70), '') }, job: { leftMs: 50 } })
  const late = await blocking.run()
  t.match(
    late,
    {
      verdict: null,
      by: null,
      stray: false,
      failure: { kind: 'deadline', filter: 'r5', text: 'no time left before r5' },
    },
    'a filter that held the thread past the deadline leaves none for the next',
  )
  t.strictSame(blocking.calls, ['hog'])
  const decided = openStage('hog\nr5', {
    filters: { hog: () => (decided.clock.pass(70), '200 Ok') },
    job: { leftMs: 50 },
  })
  t.equal(heard(await decided.run()), '200 Ok by hog', 'one that decided has decided')
  t.equal(heard(await openStage('r5', { job: { leftMs: 0 } }).run()), tooLong, 'without any time nothing runs')
})

t.test('the signal', async (t) => {
  const seen: [string, number][] = []
  let reason: unknown = null
  const stage = openStage('f with time_limit=100ms', {
    filters: {
      f: (...[, , { signal }]: [string, string[], FilterContext]) =>
        new Promise((resolve) => {
          seen.push(['begun', stage.clock.monotonicMs()])
          signal.addEventListener('abort', () => {
            seen.push(['aborted', stage.clock.monotonicMs()])
            reason = signal.reason
            resolve('')
          })
        }),
    },
  })
  const outcome = await stage.run()
  t.strictSame(
    seen,
    [
      ['begun', 1000],
      ['aborted', 1100],
    ],
    'is aborted at the limit',
  )
  t.match(reason, { name: 'TimeoutError', message: 'the time limit of 100 ms is over' })
  t.match(outcome, { failure: { kind: 'late' }, stray: false }, 'a filter that heeds it leaves no stray code')

  const asked: unknown[] = []
  const tardy = openStage('f with time_limit=100ms', {
    filters: {
      f: async (...[, , context]: [string, string[], FilterContext]) => {
        await after(150, () => '')(tardy)
        asked.push(context.signal.aborted, (context.signal.reason as Error).name, context.signal === context.signal)
      },
    },
  })
  await tardy.run()
  t.strictSame(asked, [true, 'TimeoutError', true], 'who asks for it after the limit gets one that is aborted')

  const calm: boolean[] = []
  const f = (...[, , { signal }]: [string, string[], FilterContext]) =>
    after(40, () => (calm.push(signal.aborted), ''))(prompt)
  const prompt = openStage('f with time_limit=50ms\nf as g with time_limit=50ms', { filters: { f } })
  await prompt.run()
  await prompt.clock.advance(1000)
  t.strictSame(calm, [false, false], 'each filter has a limit, and a signal, of its own')
})

t.test('edits of a filter that failed, and of a dry run, are undone', async (t) => {
  const dir = t.testdir()
  const add = (address: string, then: () => unknown) => (_body: string, controls: string[]) => {
    addRecipient(controls, address)
    return then()
  }
  /** As a filter rewrites a message: the original kept under its second name, the new file renamed over it. */
  const rewrite = (then: () => unknown) => (body: string) => {
    linkSync(body, keptOriginalPath(body))
    writeFileSync(`${body}.new`, 'Subject: rewritten\n\n')
    renameSync(`${body}.new`, body)
    return then()
  }
  const spy = (_body: string, controls: string[]) => `554 ${getRecipients(controls).join(' ')}`
  const fail = thrower(() => new Error('as told'))
  const user = 'user@example.org'
  const rows: { name: string; list: string; filters: Filters; want: string; content?: string }[] = [
    {
      name: 'what a good filter added stays',
      list: 'add\nspy',
      filters: { add: add('a@example.org', () => '') },
      want: `${user} a@example.org`,
    },
    {
      name: 'what a filter added before it threw is gone',
      list: 'add with on_error=pass\nspy',
      filters: { add: add('a@example.org', fail) },
      want: user,
    },
    {
      name: 'what a filter added before nonsense is gone',
      list: 'add with on_error=pass\nspy',
      filters: { add: add('a@example.org', () => 'nonsense') },
      want: user,
    },
    {
      name: 'what a filter added before it rejected is gone',
      list: 'add with on_error=pass\nspy',
      filters: { add: add('a@example.org', () => Promise.reject(new Error('x'))) },
      want: user,
    },
    {
      name: 'what a dry run added is gone',
      list: 'add with dry_run=yes\nspy',
      filters: { add: add('a@example.org', () => '') },
      want: user,
    },
    {
      name: 'what a failed dry run added is gone',
      list: 'add with dry_run=yes\nspy',
      filters: { add: add('a@example.org', fail) },
      want: user,
    },
    {
      name: 'what an earlier filter added stays when a later one is undone',
      list: 'one\ntwo with on_error=pass\nspy',
      filters: { one: add('a@example.org', () => ''), two: add('b@example.org', fail) },
      want: `${user} a@example.org`,
    },
    {
      name: 'a message rewritten before a throw is as it was',
      list: 'rewrite with on_error=pass\nspy',
      filters: { rewrite: rewrite(fail) },
      want: user,
      content: defaultContent,
    },
    {
      name: 'a message rewritten in a dry run is as it was',
      list: 'rewrite with dry_run=yes\nspy',
      filters: { rewrite: rewrite(() => '') },
      want: user,
      content: defaultContent,
    },
    {
      name: 'a message that a good filter rewrote stays so',
      list: 'rewrite\nspy',
      filters: { rewrite: rewrite(() => '') },
      want: user,
      content: 'Subject: rewritten\n\n',
    },
  ]
  for (const { name, list, filters, want, content = defaultContent } of rows) {
    const pair = makePair(dir)
    const outcome = await openStage(list, { pair, filters: { ...filters, spy } }).run()
    t.equal(heard(outcome), `554 ${want} by spy`, name)
    t.equal(readFileSync(pair.bodyPath, 'utf8'), content, `${name}: the message`)
  }

  const gone = openStage('add with on_error=pass\nspy', {
    pair: { bodyPath: '/nonexistent/D1', controlPaths: ['/nonexistent/1'] },
    filters: { add: () => '', spy },
  })
  await t.rejects(gone.running(), { code: 'ENOENT' }, 'without its files a message is not decided')
  const shorter = openStage('cut with on_error=pass\nspy', {
    pair: makePair(dir),
    filters: { cut: (_body: string, [control = '']: string[]) => (writeFileSync(control, ''), fail()), spy },
  })
  await t.rejects(shorter.running(), /is shorter/, 'nor with files that somebody else has cut')
})

t.test('filters that cost the message its thread before are left out', async (t) => {
  const outcome = await openStage('x\nw for r5\nr5\ne', { job: { without: [0, 1], attempt: 2 } }).run()
  t.equal(heard(outcome), '554 no by r5', 'a filter that is left out skips nobody')
  t.match(
    outcome.trail,
    [
      {
        filter: 'x',
        outcome: 'failed',
        wallMs: 0,
        cpuMs: null,
        text: 'left out: it cost this message its thread before',
      },
      { filter: 'w', outcome: 'failed' },
      { filter: 'r5', outcome: 'reject' },
    ],
    'and the trail says so',
  )
  const twin = openStage('x as a\nx as b with on_error=pass\ne', { job: { without: [0] } })
  t.equal(trailOf(await twin.run()), 'a:failed b:failed e:pass', 'it is left out by its place, not by its name')
  t.strictSame(twin.calls, ['b', 'e'])
})

t.test('what the thread is told, and what the trail holds', async (t) => {
  let cpu = 100
  const spend = (wallMs: number, cpuMs: number, then: () => unknown) => () => {
    stage.clock.pass(wallMs)
    cpu += cpuMs
    return then()
  }
  const stage = openStage('a\nb with on_error=pass\nc with dry_run=yes\nd', {
    cpuMs: () => cpu,
    filters: {
      a: spend(5, 3.5, () => ''),
      b: spend(
        7,
        0.0004,
        thrower(() => new TypeError('two\nlines')),
      ),
      c: spend(1, 1, () => '554-5.7.1 no\n554 5.7.1 never'),
      d: () =>
        after(
          20.25,
          spend(0, 2, () => '451 4.7.1 later'),
        )(stage),
    },
  })
  const { trail } = await stage.run()
  t.match(trail, [
    { filter: 'a', outcome: 'pass', dryRun: false, wallMs: 5, cpuMs: 3.5, text: null },
    {
      filter: 'b',
      outcome: 'failed',
      dryRun: false,
      wallMs: 7,
      cpuMs: 0,
      text: /^TypeError: two lines at \/.*\/chain\.test\.ts:[0-9]+$/,
    },
    { filter: 'c', outcome: 'reject', dryRun: true, wallMs: 1, cpuMs: 1, text: '554-5.7.1 no / 554 5.7.1 never' },
    { filter: 'd', outcome: 'defer', dryRun: false, wallMs: 20.25, cpuMs: 2, text: null },
  ])
  t.strictSame(
    stage.asked,
    ['enter 0', 'leave', 'mark', 'enter 1', 'leave', 'undo', 'mark', 'enter 2', 'leave', 'undo', 'enter 3', 'leave'],
    'entered and left around each call, also one that throws; marked only where something may have to be undone',
  )
  const without = await openStage('e\nr5', { cpuMs: null }).run()
  t.strictSame(
    without.trail.map(({ cpuMs }) => cpuMs),
    [null, null],
    'a Node that cannot tell the CPU time tells none',
  )
})

t.test('the context', async (t) => {
  const dir = t.testdir()
  const open = (list: string, look: (context: FilterContext, alias: number, controls: string[]) => unknown) => {
    let turn = 0
    const pair = makePair(dir, { ip: '::ffff:192.0.2.7', authUser: 'amy', source: 'authsmtp', sender: '' })
    const f = (...[, controls, context]: [string, string[], FilterContext]) => look(context, turn++, controls) ?? ''
    return { pair, stage: openStage(list, { pair, filters: { f }, job: { attempt: 3 } }) }
  }

  const facts: unknown[] = []
  const { stage } = open('f as a', (context) => {
    const { id, attempt, envelope, client } = context
    facts.push(id, attempt, envelope, client)
    context.log.info('one')
    context.log.warn('two')
    context.log.error('three')
  })
  await stage.run()
  t.strictSame(facts, [
    'M1',
    3,
    { sender: null, recipients: [{ address: 'user@example.org', original: '', dsn: '' }] },
    { ip: '192.0.2.7', authUser: 'amy', source: 'authsmtp' },
  ])
  t.strictSame(stage.log, ['info a M1: one', 'warn a M1: two', 'error a M1: three'], 'its logger carries filter and id')

  const recipients: (readonly unknown[])[] = []
  await open(
    'f as a\nf as b',
    ({ envelope, client }) => void recipients.push(envelope.recipients, [client.ip]),
  ).stage.run()
  t.equal(recipients[0], recipients[2], 'the envelope is read once for all filters')

  const lists: string[] = []
  const list = ({ envelope }: FilterContext) =>
    void lists.push(envelope.recipients.map(({ address }) => address).join(' '))
  await open('f as a\nf as b', (context, turn, controls) => {
    if (turn === 0) list(context)
    if (turn === 0) addRecipient(controls, 'new@example.org')
    list(context)
  }).stage.run()
  t.strictSame(
    lists,
    ['user@example.org', 'user@example.org new@example.org', 'user@example.org new@example.org'],
    'and again after an edit',
  )

  lists.length = 0
  await open('f as a with on_error=pass\nf as b', (context, turn, controls) => {
    addRecipient(controls, turn === 0 ? 'one@example.org' : 'two@example.org')
    list(context)
    if (turn === 0) throw new Error('as told')
  }).stage.run()
  t.strictSame(
    lists,
    ['user@example.org one@example.org', 'user@example.org two@example.org'],
    'and after an edit was undone and another one brought the file to the same size',
  )

  const idle = open('f as a\nf as b', () => undefined)
  await idle.stage.run()
  t.notOk(idle.stage.asked.includes('sizes'), 'nothing is read for a filter that does not ask')

  const { stage: blind, pair } = open('f as a', ({ envelope }) => envelope)
  writeFileSync(`${pair.bodyPath}.x`, '')
  renameSync(`${pair.bodyPath}.x`, pair.controlPaths[0] ?? '')
  appendFileSync(pair.controlPaths[0] ?? '', Buffer.alloc(17 * 1024 * 1024))
  t.match(
    await blind.run(),
    { failure: { kind: 'threw', text: /control file .* more than the limit/ } },
    'a control file that cannot be read fails the filter that asks',
  )

  const noted = await open('f as a\nf as b', ({ notes }, turn) => {
    notes.set('turn', `${notes.get('turn') ?? ''}${turn}`)
    if (turn === 1) notes.set('last', 'yes')
  }).stage.run()
  t.strictSame(
    noted.notes,
    [
      ['turn', '01'],
      ['last', 'yes'],
    ],
    'notes are shared, and shown',
  )

  const given: unknown[] = []
  await open('f as a\nf as b', (_context, _turn, controls) => {
    given.push([...controls])
    controls.length = 0
  }).stage.run()
  t.strictSame(given[0], given[1], 'a filter that spoils its list of control files spoils it for itself')
})

t.test('failures: what the mail server hears', (t) => {
  const texts: Readonly<Record<FailureKind, string>> = {
    threw: '451 4.3.0 Local policy check failed, try again later (M1)',
    malformed: '451 4.3.0 Local policy check failed, try again later (M1)',
    late: '451 4.3.0 Local policy check took too long, try again later (M1)',
    blocked: '451 4.3.0 Local policy check took too long, try again later (M1)',
    'thread-lost': '451 4.3.0 Local policy check failed, try again later (M1)',
    'runner-lost': '451 4.3.0 Local policy check failed, try again later (M1)',
    poison: '451 4.3.0 Local policy check failed, try again later (M1)',
    deadline: '451 4.3.0 Local policy check took too long, try again later (M1)',
    overloaded: '451 4.3.2 Mail filter is too busy, try again later (M1)',
    broken: '451 4.3.5 Mail filter is not configured correctly, try again later (M1)',
    stopping: '451 4.3.2 Mail filter is being restarted, try again later (M1)',
    store: '451 4.3.0 Local policy check failed, try again later (M1)',
    changed: '451 4.3.0 Message files were changed, try again later (M1)',
    pair: '451 4.3.0 Message files are not usable, try again later (M1)',
    internal: '451 4.3.0 Mail filter failed, try again later (M1)',
  }
  for (const [kind, text] of Object.entries(texts)) {
    t.ok(isFailureKind(kind), `${kind} is a failure`)
    t.strictSame(replyLines(failureReply(kind as FailureKind, 'M1')), [text], `${kind} is heard`)
  }
  t.strictSame(
    replyLines(failureReply('late', '')),
    ['451 4.3.0 Local policy check took too long, try again later'],
    'without an id none is quoted',
  )
  for (const none of ['', 'passed', 'toString', '__proto__', null, 0, ['late']]) {
    t.notOk(isFailureKind(none), `${String(none)} is no failure`)
  }
  t.end()
})

t.test('failures: where an error was raised', (t) => {
  const withStack = (stack: string): Error => Object.assign(new Error('m'), { stack })
  const rows: [name: string, thrown: unknown, want: string | null][] = [
    [
      'a frame of a module',
      withStack('Error: m\n    at f (file:///opt/a.mjs:3:5)\n    at g (file:///opt/b.mjs:1:1)'),
      '/opt/a.mjs:3',
    ],
    ['a frame without a function', withStack('Error: m\n    at file:///opt/a.mjs:3:5'), '/opt/a.mjs:3'],
    ['an asynchronous frame', withStack('Error: m\n    at async file:///opt/a.mjs:3:5'), '/opt/a.mjs:3'],
    [
      'a frame of a CommonJS module',
      withStack('Error: m\n    at Object.<anonymous> (/opt/a.cjs:12:7)'),
      '/opt/a.cjs:12',
    ],
    ['an instance of a module', withStack('Error: m\n    at f (file:///opt/a.mjs?instance=b:3:5)'), '/opt/a.mjs:3'],
    ['a path with a blank', withStack('Error: m\n    at f (file:///opt/a%20b.mjs:3:5)'), '/opt/a b.mjs:3'],
    [
      "Node's own files are none",
      withStack('Error: m\n    at open (node:internal/fs/promises:639:25)\n    at async f (file:///opt/a.mjs:3:5)'),
      '/opt/a.mjs:3',
    ],
    [
      'the place before a syntax error',
      withStack('/opt/a.cjs:2\nconst x = )\n          ^\n\nSyntaxError: m\n    at wrap (node:x:1:1)'),
      '/opt/a.cjs:2',
    ],
    [
      'an address in the message is no place',
      withStack('Error: cannot reach http://192.0.2.1:3310 or /var/x:1\n    at f (file:///opt/a.mjs:3:5)'),
      '/opt/a.mjs:3',
    ],
    ['a path in the message is no place', withStack('Error: /opt/a.mjs:3'), null],
    [
      'a message that looks like frames is none',
      Object.assign(new Error('m\n    at x (/opt/no.mjs:1:1)'), {
        stack: 'Error: m\n    at x (/opt/no.mjs:1:1)\n    at f (file:///opt/a.mjs:3:5)',
      }),
      '/opt/a.mjs:3',
    ],
    [
      "a package that the filter uses is passed over, for the filter's own line",
      withStack('Error: m\n    at p (/opt/node_modules/p/i.js:9:1)\n    at f (file:///opt/lib/a.mjs:3:5)'),
      '/opt/lib/a.mjs:3',
    ],
    [
      'of a filter that is a package, its own line',
      withStack(
        'Error: m\n    at p (/o/node_modules/@s/f/node_modules/p/i.js:9:1)\n    at q (/o/node_modules/p/i.js:8:1)\n' +
          '    at b (file:///o/node_modules/@s/f/lib/b.js:3:5)\n    at f (file:///o/node_modules/@s/f/a.js:4:5)',
      ),
      '/o/node_modules/@s/f/lib/b.js:3',
    ],
    [
      'with nothing but the package, its line',
      withStack('Error: m\n    at p (/opt/node_modules/p/i.js:9:1)'),
      '/opt/node_modules/p/i.js:9',
    ],
    [
      'our library is passed over, and so is what called the filter',
      withStack(
        `Error: m\n    at getSender (${new URL('../../courier-compat/control.ts', import.meta.url).href}:7:1)\n` +
          `    at f (file:///opt/a.mjs:3:5)\n    at call (${new URL('../../host/chain/chain.ts', import.meta.url).href}:1:1)\n` +
          '    at w (/usr/lib/node_modules/piscina/dist/worker.js:1:1)',
      ),
      '/opt/a.mjs:3',
    ],
    [
      'evaluated text is in no file',
      withStack('Error: m\n    at eval (eval at f (/opt/a.mjs:3:1), <anonymous>:1:1)'),
      null,
    ],
    ['no frames', withStack('Error: m'), null],
    ['an empty stack', withStack(''), null],
    ['a stack that is no text', Object.assign(new Error('m'), { stack: 7 }), null],
    ['an address that cannot be decoded', withStack('Error: m\n    at f (file:///opt/%E0%A4%A.mjs:3:5)'), null],
    ['what is no error', '/opt/a.mjs:3', null],
  ]
  for (const [name, thrown, want] of rows) t.equal(placeOfError(thrown), want, name)
  t.match(placeOfError(new Error('m')), /\/chain\.test\.ts:[0-9]+$/, 'a real error')
  t.equal(describeThrown(new RangeError(' a\r\n\tb ')), 'RangeError: a b ', 'a message is told in one line')
  t.ok(describeThrown(new Error('x'.repeat(1e6))).length <= 500, 'and cut')
  t.end()
})
