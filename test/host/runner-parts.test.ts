/** The parts of the runner that need no process: frames, pulses, the watch, the roster, blame, and what is believed. */
import fc from 'fast-check'
import t from 'tap'
import { isVerdict, type Verdict } from '../../courier-compat/reply.ts'
import type { ChainOutcome } from '../../host/chain/chain.ts'
import { isFailureKind } from '../../host/chain/failure.ts'
import { watchDeadlines } from '../../host/runner/deadlines.ts'
import { createFrameReader, encodeFrames } from '../../host/runner/frames.ts'
import { afterLoss, lossesOfRunner, lossesOfThread, type BlamedFilter, type Loss } from '../../host/runner/loss.ts'
import { clearPulse, createPulses, openPulse, readPulse, type Pulse } from '../../host/runner/pulse.ts'
import { createRoster, gatherMs, type Roster, type Thread } from '../../host/runner/roster.ts'
import { createThreadWatch, stallLimitMs, watchIntervalMs } from '../../host/runner/thread-watch.ts'
import { Ticket, type Company } from '../../host/runner/ticket.ts'
import { checkOutcome, cutOutcome, readLoadedFilters, readLoadProblems } from '../../host/runner/wire.ts'
import { makeClock } from '../helpers/fake-clock.ts'

/** Of a ticket only what stands here is looked at. */
const makeTicket = (number: number, fields: Partial<Ticket> = {}): Ticket =>
  Object.assign(Object.create(Ticket.prototype) as Ticket, {
    ...{ id: `m${number}`, key: '', number, attempt: 1, company: 'any', without: [], settled: false, ...fields },
  })

/** Text cut into pieces at these places. */
function pieces(text: string, cuts: readonly number[]): string[] {
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((start, index) => text.slice(start, places[index] ?? text.length))
}

t.test('frames', (t) => {
  const frames = fc.array(fc.jsonValue(), { maxLength: 6 })
  fc.assert(
    fc.property(frames, fc.array(fc.nat()), (values, cuts) => {
      const text = encodeFrames(values)
      if (text.split('\n').length !== values.length + 1) throw new Error('a value ends its line')
      const reader = createFrameReader()
      const read = pieces(text, cuts).flatMap((piece) => reader.push(piece))
      return JSON.stringify(read) === JSON.stringify(values)
    }),
  )
  t.pass('whatever is sent is read, wherever it is cut')

  t.equal(encodeFrames([]), '', 'no frame is no text')
  t.equal(encodeFrames(['a\nb', '\u2028', '{}\n{}']).split('\n').length, 4, 'a line end inside a value is escaped')
  const held = createFrameReader()
  t.strictSame(held.push('{"a":1'), [], 'half a frame is none')
  t.strictSame(held.push('}\n[2]\n"th'), [{ a: 1 }, [2]])
  t.strictSame(held.push('ree"\n'), ['three'])

  const rows: [name: string, text: string, error: RegExp | null][] = [
    ['a line of the limit is read', `${'1'.repeat(20)}\n`, null],
    ['several of them are read', `${'1'.repeat(20)}\n`.repeat(5), null],
    ['a longer line is refused', `${'1'.repeat(21)}\n`, /a frame is longer than 20 characters/],
    ['after a good one too', `1\n${'1'.repeat(21)}\n`, /longer than 20/],
    ['one without an end as well', '1'.repeat(21), /longer than 20/],
    ['a word is no frame', 'nonsense\n', /not a frame: "nonsense"/],
    ['an empty line is none', '\n', /not a frame: ""/],
    ['half an object is none', '{"a":\n', /not a frame: "\{\\"a\\":"/],
    ['undefined is none', encodeFrames([undefined]), /not a frame: "undefined"/],
    ['a control character is shown as one', '\u001b[2J\n', /not a frame: "\\u001b\[2J"$/],
  ]
  for (const [name, text, error] of rows) {
    for (const [how, parts] of [
      ['at once', [text]],
      ['letter by letter', Array.from(text)],
    ] as const) {
      const reader = createFrameReader(20)
      const read = () => parts.flatMap((part) => reader.push(part))
      if (error === null) t.doesNotThrow(read, `${name}, ${how}`)
      else t.throws(read, { message: error }, `${name}, ${how}`)
    }
  }
  t.throws(
    () => createFrameReader().push(`${'x'.repeat(1e6)}\n`),
    { message: /^.{80,110}$/ },
    'a long line is told in short',
  )
  t.end()
})

t.test('pulses', (t) => {
  const memory = createPulses(3)
  const none: Pulse = { beat: 0, job: 0, filter: 0, threadId: 0 }
  const all = () => [0, 1, 2].map((slot) => readPulse(memory, slot))
  t.strictSame(all(), [none, none, none], 'nobody has written')
  const first = openPulse(memory, 0, 11)
  const middle = openPulse(memory, 1, 12)
  const last = openPulse(memory, 2, 13)
  middle.beat()
  middle.beat()
  middle.enter(7, 3)
  t.strictSame(all()[1], { beat: 2, job: 7, filter: 3, threadId: 12 }, 'what a thread writes is read')
  first.enter(0x7fff_fffe, 999)
  last.beat()
  t.strictSame(
    all(),
    [
      { beat: 0, job: 0x7fff_fffe, filter: 999, threadId: 11 },
      { beat: 2, job: 7, filter: 3, threadId: 12 },
      { beat: 1, job: 0, filter: 0, threadId: 13 },
    ],
    'each has words of its own',
  )
  middle.leave()
  t.equal(readPulse(memory, 1).job, 0, 'who has left is in no filter')
  middle.enter(8, 4)
  const next = openPulse(memory, 1, 22)
  t.match(readPulse(memory, 1), { job: 0, threadId: 22 }, 'a new thread is in no filter')
  clearPulse(memory, 1)
  t.strictSame(all()[1], none, 'a slot can be cleared')
  t.match(all()[2], { beat: 1, threadId: 13 }, 'without its neighbours')
  next.beat()
  t.equal(readPulse(memory, 1).beat, 1)
  t.end()
})

t.test('the watch over threads', (t) => {
  const open = (blockedLimitMs: number) => {
    const told: string[] = []
    const watch = createThreadWatch(2, blockedLimitMs, {
      stalled: (slot, stalled) => void told.push(`${stalled ? 'stalled' : 'turns'} ${slot}`),
      blocked: (slot, { job, filter }, afterMs) =>
        void told.push(`blocked ${slot} in ${job}/${filter} after ${afterMs}`),
    })
    let nowMs = 1000
    let beat = 1
    const look = (slot = 0, job = 0, filter = 0) => watch.look(slot, { beat, job, filter, threadId: 1 }, nowMs)
    return {
      watch,
      /** What was told since it was last asked. */
      told: () => told.splice(0).join(', '),
      /** Looks every 50 ms for so long, the thread's event loop turning or not. */
      go: (ms: number, turns: boolean, job = 0, filter = 0) => {
        for (let at = 0; at < ms; at += watchIntervalMs) {
          nowMs += watchIntervalMs
          if (turns) beat++
          look(0, job, filter)
        }
      },
      look,
      gap: (ms: number) => void (nowMs += ms),
      beat: (to: number) => void (beat = to),
    }
  }

  const stage = open(1000)
  stage.go(5000, true)
  t.equal(stage.told(), '', 'a thread whose loop turns is not told of')
  stage.go(stallLimitMs - watchIntervalMs, false)
  t.equal(stage.told(), '', 'nor is one that stands still for less than the limit')
  stage.go(watchIntervalMs, false)
  t.equal(stage.told(), 'stalled 0', 'at 250 ms it is stalled')
  stage.go(700, false)
  t.equal(stage.told(), '', 'once')
  stage.go(50, false, 42, 3)
  t.equal(stage.told(), 'blocked 0 in 42/3 after 1000', 'at the limit it is blocked, and where is told')
  stage.go(5000, false, 42, 3)
  t.equal(stage.told(), '', 'once')
  stage.go(50, true)
  t.equal(stage.told(), 'turns 0', 'when it turns again that is told')
  stage.go(250, false)
  t.equal(stage.told(), 'stalled 0', 'and all begins anew')
  stage.go(750, false, 43, 0)
  t.equal(stage.told(), 'blocked 0 in 43/0 after 1000')

  const gap = open(1000)
  gap.go(100, true)
  gap.gap(60_000)
  gap.look()
  t.equal(gap.told(), '', 'a gap between two looks is ours, not the thread’s')
  gap.go(200, false)
  t.equal(gap.told(), '', 'and the count begins after it')
  gap.go(50, false)
  t.equal(gap.told(), 'stalled 0')
  gap.gap(stallLimitMs + 1)
  gap.look()
  t.equal(gap.told(), 'turns 0', 'a stalled thread has another chance after a gap')
  gap.go(950, false)
  t.equal(gap.told(), 'stalled 0', 'and is not blocked before the whole limit')
  gap.go(50, false)
  t.equal(gap.told(), 'blocked 0 in 0/0 after 1000')

  const young = open(1000)
  young.beat(0)
  young.go(60_000, false)
  t.equal(young.told(), '', 'a thread without a beat still loads')
  young.beat(1)
  young.go(250, false)
  t.equal(young.told(), '', 'from its first beat it counts')
  young.go(50, false)
  t.equal(young.told(), 'stalled 0')
  young.watch.reset(0)
  young.go(200, false)
  t.equal(young.told(), '', 'after a reset nothing is known of the slot')
  young.go(5000, false)
  t.equal(young.told(), 'stalled 0, blocked 0 in 0/0 after 1000')

  const quick = open(100)
  quick.go(5000, false)
  t.equal(quick.told(), 'blocked 0 in 0/0 after 100, stalled 0', 'a limit below that of a stall')

  const two = open(1000)
  two.look(1)
  for (let at = 0; at < 1000; at += 50) {
    two.go(50, true)
    two.beat(-1)
    two.look(1)
  }
  t.equal(two.told(), 'stalled 1', 'each thread is watched for itself')
  t.end()
})

/** Threads of a roster in short: what each has in hand, by slot; `!` where it is exclusive. */
function openRoster(slots: number, perThread: number) {
  const roster: Roster = createRoster(perThread)
  for (let slot = 0; slot < slots; slot++) roster.add(slot)
  let count = 0
  let nowMs = 1000
  let waiting: Ticket[] = []
  const thread = (slot: number): Thread => {
    const found = roster.get(slot)
    if (found === undefined) throw new Error(`no slot ${slot}`)
    return found
  }
  return {
    roster,
    thread,
    /** New messages beside those that wait; what goes where, as `slot:messages`, then who waits. */
    send: (...companies: Company[]): string => {
      waiting.push(...companies.map((company) => makeTicket(++count, { company })))
      const { batches, held, gathering } = roster.assign(waiting, nowMs, (to, ticket) => {
        ticket.key = `k${ticket.number}`
        to.inHand.set(ticket.key, ticket)
      })
      waiting = [...held]
      const sent = [...batches].map(([{ slot }, tickets]) => `${slot}:${tickets.map(({ number }) => number).join(',')}`)
      const waits = held.length === 0 ? [] : [`waits:${held.map(({ number }) => number).join(',')}`]
      return [...sent, ...waits, ...(gathering ? ['gathers'] : [])].join(' ')
    },
    /** The thread answers its oldest `many` messages, each in so many milliseconds. */
    answer: (slot: number, many = 1, eachMs = 1): void => {
      const of = thread(slot)
      roster.answered(of, many, (of.sentMs ?? 0) + many * eachMs)
      for (const key of [...of.inHand.keys()].slice(0, many)) of.inHand.delete(key)
      if (of.inHand.size === 0) of.exclusive = false
    },
    pass: (ms: number) => void (nowMs += ms),
  }
}

t.test('the roster', (t) => {
  const even = openRoster(2, 2)
  t.equal(even.send('any', 'any', 'any'), '0:1,3 1:2', 'the thread with the fewest is next')
  even.pass(gatherMs)
  t.equal(even.send('any', 'any', 'any'), '1:4 waits:5,6', 'a full thread takes no more, and they keep their order')
  even.pass(gatherMs)
  t.equal(even.send(), 'waits:5,6', 'who waits for an answer does not gather')
  even.answer(0)
  t.equal(even.send('any'), '0:5 waits:6,7', 'the oldest goes first')
  even.answer(1, 2)
  t.equal(even.send(), '1:6,7')

  for (const [name, set, clear] of [
    ['stalled', (of: Thread) => (of.stalled = true), (of: Thread) => (of.stalled = false)],
    ['closing', (of: Thread) => (of.closing = true), (of: Thread) => (of.closing = false)],
    ['exclusive', (of: Thread) => (of.exclusive = true), (of: Thread) => (of.exclusive = false)],
  ] as const) {
    const stage = openRoster(2, 8)
    set(stage.thread(0))
    t.equal(stage.send('any', 'any', 'own-thread'), '1:1,2 waits:3', `a thread that is ${name} takes nothing`)
    clear(stage.thread(0))
    t.equal(stage.send(), '0:3', `until it is no longer`)
  }
  t.equal(openRoster(0, 8).send('any', 'own-thread'), 'waits:1,2', 'without a thread all wait')

  for (const company of ['own-thread', 'own-process'] as const) {
    const lone = openRoster(2, 4)
    t.equal(lone.send(company, 'any', 'any'), '0:1 1:2,3', `${company}: it takes a whole thread`)
    lone.pass(gatherMs)
    t.equal(lone.send('any', 'any', 'any'), '1:4,5 waits:6', 'and nobody joins it')
    lone.answer(0)
    t.equal(lone.send(), '0:6', 'until it is answered')
  }

  const starving = openRoster(2, 4)
  t.equal(starving.send('any', 'any', 'any', 'any', 'any'), '0:1,3,5 1:2,4')
  starving.pass(gatherMs)
  t.equal(
    starving.send('own-thread', 'any', 'any'),
    '0:7 waits:6,8',
    'the emptiest thread is kept from filling up again',
  )
  starving.pass(gatherMs)
  starving.answer(0)
  t.equal(starving.send('any'), '0:8 waits:6,9', 'others go past it')
  starving.pass(gatherMs)
  starving.answer(1)
  t.equal(starving.send(), 'waits:6,9', 'it waits for the thread to be empty')
  starving.answer(1)
  t.equal(starving.send('any'), '1:6 waits:9,10', 'and has it then to itself')

  // Each round a lone message waits, both threads answer one and everything offered is taken: it still has its turn.
  const busy = openRoster(2, 8)
  busy.send(...Array.from({ length: 16 }, () => 'any' as const))
  let rounds = 0
  for (let sent = busy.send('own-thread'); !/[01]:17(?: |$)/.test(sent) && rounds < 100; rounds++) {
    busy.pass(gatherMs)
    busy.answer(0)
    busy.answer(1)
    sent = busy.send('any', 'any', 'any')
  }
  t.ok(rounds < 20, `a lone message does not starve under load (${rounds} rounds)`)

  const two = openRoster(2, 8)
  two.send('any', 'any')
  two.pass(gatherMs)
  t.equal(two.send('own-thread', 'own-thread', 'any'), '1:5 waits:3,4', 'one thread at a time is kept for lone ones')
  two.pass(gatherMs)
  two.answer(0)
  t.equal(two.send(), '0:3 waits:4', 'then for the next of them')
  t.equal(two.send('any'), 'waits:4,6')
  two.answer(1, 2)
  t.equal(two.send(), '1:4 waits:6')

  const gather = openRoster(1, 8)
  t.equal(gather.send('any'), '0:1')
  t.equal(gather.send('any'), 'waits:2 gathers', 'a thread that was just sent to gets nothing yet')
  gather.pass(gatherMs / 2)
  t.equal(gather.send('any'), 'waits:2,3 gathers')
  gather.pass(gatherMs / 2)
  t.equal(gather.send('any'), '0:2,3,4', 'then all that came meanwhile, together')
  gather.answer(0)
  t.equal(gather.send('any'), '0:5', 'an answer ends the waiting')
  const lean = openRoster(2, 8)
  lean.send('any', 'any')
  lean.answer(1)
  t.equal(lean.send('any', 'any'), '1:3 waits:4 gathers', 'who waits to gather does not go to another thread instead')

  // With quick filters one thread awake does more than two that are woken.
  const quick = openRoster(2, 8)
  const round = (eachMs: number): string => {
    quick.pass(gatherMs)
    const sent = quick.send('any', 'any', 'any', 'any')
    quick.answer(0, 4, eachMs)
    quick.answer(1, 4, eachMs)
    return sent.replaceAll(/[0-9]+(?=[, ]|$)/g, 'm')
  }
  t.equal(round(1), '0:m,m 1:m,m', 'until something is known every thread gets its share')
  for (let count = 0; count < 50; count++) round(0.05)
  t.equal(round(0.05), '0:m,m,m,m', 'a thread that is quick is filled first')
  quick.pass(gatherMs)
  t.match(quick.send('any'), /^0:[0-9]+$/)
  t.match(quick.send('own-thread'), /^1:[0-9]+$/, 'which is nothing to a lone message')
  quick.answer(0, 1, 0.05)
  quick.answer(1, 1, 0.05)
  const of = quick.thread(0)
  of.sentMs = 0
  quick.roster.answered(of, 0, 1000)
  t.equal(of.sentMs, null)
  t.equal(round(0.05), '0:m,m,m,m', 'an answer to nothing is no measure')
  for (let count = 0; count < 8000; count++) {
    of.sentMs = 0
    quick.roster.answered(of, 1, 0)
  }
  t.equal(
    quick.send(...Array.from({ length: 20 }, () => 'any' as const)).replaceAll(/[0-9]+(?=[, ]|$)/g, 'm'),
    `0:${'m,'.repeat(7)}m 1:${'m,'.repeat(7)}m waits:m,m,m,m`,
    'however quick, no thread gets more than its limit',
  )
  for (const slot of [0, 1]) quick.answer(slot, 8)
  quick.send()
  for (const slot of [0, 1]) quick.answer(slot, 8)
  for (let count = 0; count < 50; count++) round(1)
  t.equal(round(1), '0:m,m 1:m,m', 'when they become slower all have their share again')

  const kept = openRoster(2, 8)
  kept.send('any', 'any')
  const [ticket] = [...kept.thread(1).inHand.values()]
  t.equal(ticket === undefined ? null : kept.roster.holderOf(ticket)?.slot, 1, 'who has a message in hand is found')
  t.equal(kept.roster.holderOf(makeTicket(9, { key: 'k2' })), undefined, 'not by its key alone')
  t.equal(kept.roster.remove(1)?.slot, 1)
  t.equal(kept.roster.remove(1), undefined, 'a slot is removed once')
  t.equal(kept.roster.size, 1)
  t.strictSame(
    kept.roster.clear().map(({ slot }) => slot),
    [0],
  )
  t.equal(kept.roster.size, 0)
  t.end()
})

const strict: BlamedFilter = { index: 1, alias: 'strict', passes: false }
const lenient: BlamedFilter = { index: 2, alias: 'lenient', passes: true }
const filterAt = (index: number): BlamedFilter | null => [null, strict, lenient][index] ?? null

t.test('who is to blame', (t) => {
  const makeThread = (numbers: readonly number[], blame: Thread['blame']): Thread => {
    const { thread } = openRoster(1, 8)
    for (const number of numbers) thread(0).inHand.set(`k${number}`, makeTicket(number))
    return Object.assign(thread(0), { blame })
  }
  const shown = (lost: readonly (readonly [Ticket, Loss])[]): string[] =>
    lost.map(([{ number }, { how, role, filter, text }]) => `${number} ${how} ${role} ${filter?.alias ?? '-'} ${text}`)
  const still = (number: number, filter: number) => ({ number, filter, text: 'still' })
  const rows: { name: string; inHand: number[]; blame: Thread['blame']; want: string[] }[] = [
    {
      name: 'a thread that ended by itself: each of its messages may have done it',
      inHand: [1, 2],
      blame: null,
      want: ['1 thread-lost suspect - gone', '2 thread-lost suspect - gone'],
    },
    { name: 'even if it was alone', inHand: [1], blame: null, want: ['1 thread-lost suspect - gone'] },
    {
      name: 'a thread that stood still in a filter: that message did it, the others did not',
      inHand: [1, 2, 3],
      blame: still(2, 1),
      want: ['1 blocked innocent - still', '2 blocked culprit strict still', '3 blocked innocent - still'],
    },
    {
      name: 'a thread that stood still nobody knows where: each may have done it',
      inHand: [1, 2],
      blame: still(0, 1),
      want: ['1 blocked suspect - still', '2 blocked suspect - still'],
    },
    {
      name: 'a message that was answered meanwhile clears nobody',
      inHand: [1, 2],
      blame: still(9, 1),
      want: ['1 blocked suspect - still', '2 blocked suspect - still'],
    },
    {
      name: 'alone in a thread that stood still, it was this one',
      inHand: [1],
      blame: still(0, 0),
      want: ['1 blocked culprit - still'],
    },
    {
      name: 'a filter that nobody knows is not named',
      inHand: [1, 2],
      blame: still(1, 7),
      want: ['1 blocked culprit - still', '2 blocked innocent - still'],
    },
    { name: 'a thread with nothing in hand has nothing to lose', inHand: [], blame: still(1, 1), want: [] },
  ]
  for (const { name, inHand, blame, want } of rows) {
    t.strictSame(shown(lossesOfThread(makeThread(inHand, blame), 'gone', filterAt)), want, name)
  }

  t.strictSame(
    shown(lossesOfRunner([makeThread([1], null), makeThread([2, 3], null)], 'killed', filterAt)),
    ['1 runner-lost suspect - killed', '2 runner-lost suspect - killed', '3 runner-lost suspect - killed'],
    'a runner that ended by itself: any message of any thread may have done it',
  )
  t.strictSame(
    shown(
      lossesOfRunner(
        [makeThread([1], null), makeThread([2, 3], still(3, 2)), makeThread([], null)],
        'killed',
        filterAt,
      ),
    ),
    ['1 runner-lost innocent - killed', '2 blocked innocent - still', '3 blocked culprit lenient still'],
    'a runner that was ended for one of its threads: the others are innocent',
  )
  t.strictSame(lossesOfRunner([], 'killed', filterAt), [])
  t.end()
})

t.test('what becomes of a message that lost its thread', (t) => {
  type Given = Partial<Loss> & { attempt?: number; without?: readonly number[]; mayRunAgain?: boolean }
  const rows: [name: string, given: Given, want: string][] = [
    ['a suspect runs again, alone', {}, 'own-thread'],
    ['and once only', { attempt: 2 }, 'thread-lost'],
    ['a suspect of a runner runs again in a process of its own', { how: 'runner-lost' }, 'own-process'],
    ['and once only', { how: 'runner-lost', attempt: 2 }, 'runner-lost'],
    ['an innocent one runs again on a thread', { how: 'runner-lost', role: 'innocent' }, 'own-thread'],
    ['a second time', { role: 'innocent', attempt: 2 }, 'own-thread'],
    ['a third time', { role: 'innocent', attempt: 3 }, 'own-thread'],
    ['and then no more', { role: 'innocent', attempt: 4 }, 'thread-lost'],
    ['a culprit is answered', { how: 'blocked', role: 'culprit', filter: strict }, 'blocked by strict'],
    ['also where the filter is not known', { how: 'blocked', role: 'culprit' }, 'blocked'],
    [
      'a culprit whose filter may pass runs again without it',
      { how: 'blocked', role: 'culprit', filter: lenient },
      'own-thread without 2',
    ],
    [
      'beside those it runs without already',
      { how: 'blocked', role: 'culprit', filter: lenient, attempt: 2, without: [5] },
      'own-thread without 5,2',
    ],
    [
      'but no filter is left out twice',
      { how: 'blocked', role: 'culprit', filter: lenient, attempt: 2, without: [2] },
      'blocked by lenient',
    ],
    ['a filter left out is not counted against the rest', { attempt: 2, without: [2] }, 'own-thread without 2'],
    ['once', { attempt: 3, without: [2] }, 'thread-lost'],
    ['nor against an innocent one', { role: 'innocent', attempt: 4, without: [2] }, 'own-thread without 2'],
    ['once', { role: 'innocent', attempt: 5, without: [2] }, 'thread-lost'],
    ['where a filter may not see it again, a suspect is answered', { mayRunAgain: false }, 'thread-lost'],
    ['an innocent one too', { mayRunAgain: false, how: 'runner-lost', role: 'innocent' }, 'runner-lost'],
    ['and a culprit', { mayRunAgain: false, how: 'blocked', role: 'culprit', filter: lenient }, 'blocked by lenient'],
  ]
  for (const [name, { attempt = 1, without = [], mayRunAgain = true, ...given }, want] of rows) {
    const loss: Loss = { how: 'thread-lost', role: 'suspect', filter: null, text: 'why', ...given }
    const next = afterLoss({ attempt, without }, loss, mayRunAgain)
    const shown =
      next.act === 'answer'
        ? `${next.failure.kind}${next.failure.filter === null ? '' : ` by ${next.failure.filter}`}`
        : `${next.company}${next.without.length === 0 ? '' : ` without ${next.without.join(',')}`}`
    t.equal(shown, want, name)
    if (next.act === 'answer') t.equal(next.failure.text, 'why', `${name}: told`)
  }

  // Whatever happens to a message, it is answered in the end: each loss is one more attempt.
  fc.assert(
    fc.property(
      fc.infiniteStream(
        fc.record<Loss>({
          how: fc.constantFrom('blocked', 'thread-lost', 'runner-lost'),
          role: fc.constantFrom('culprit', 'suspect', 'innocent'),
          filter: fc.constantFrom(null, strict, lenient, { index: 3, alias: 'other', passes: true }),
          text: fc.constant(''),
        }),
      ),
      (losses) => {
        let ticket: Pick<Ticket, 'attempt' | 'without'> = { attempt: 1, without: [] }
        for (const loss of losses) {
          const next = afterLoss(ticket, loss, true)
          if (next.act === 'answer') return true
          ticket = { attempt: ticket.attempt + 1, without: next.without }
          if (ticket.attempt > 6) return false
        }
        return false
      },
    ),
  )
  t.pass('after a few losses every message is answered')
  t.end()
})

const sound: ChainOutcome = {
  verdict: { kind: 'reject', reply: { code: 554, status: '5.7.1', lines: ['no', 'never'] } },
  by: 'strict',
  failure: null,
  trail: [{ filter: 'strict', outcome: 'reject', dryRun: false, wallMs: 1.5, cpuMs: null, text: null }],
  notes: [['key', 'value']],
  stray: false,
  rerunWithout: null,
  undone: false,
  version: null,
}
const failure: ChainOutcome = {
  ...sound,
  verdict: null,
  failure: { kind: 'late', filter: 'strict', text: 'late' },
  stray: true,
  rerunWithout: 0,
}

/** Whether kind and code agree, looked at without the code under test. */
function agrees(verdict: Verdict): boolean {
  if (verdict.kind === 'pass') return true
  const firstDigit = Math.floor(verdict.reply.code / 100)
  if (verdict.kind === 'accept') return firstDigit === (verdict.skipOthers ? 0 : 2)
  return firstDigit === (verdict.kind === 'defer' ? 4 : 5)
}

t.test('what is believed of an outcome', (t) => {
  const step = sound.trail[0]
  const rows: [name: string, value: unknown, want: string | null][] = [
    ['a refusal', sound, null],
    ['a pass', { ...sound, verdict: { kind: 'pass' }, by: null, trail: [], notes: [] }, null],
    ['a failure', failure, null],
    ['a failure of no filter', { ...failure, failure: { kind: 'deadline', filter: null, text: '' } }, null],
    ['a full trail', { ...sound, trail: Array.from({ length: 1000 }, () => step) }, null],
    ['too full a trail', { ...sound, trail: Array.from({ length: 1001 }, () => step) }, 'the trail is not one'],
    ['too many notes', { ...sound, notes: Array.from({ length: 51 }, () => ['a', 'b']) }, 'the notes are not notes'],
    ['a note of three', { ...sound, notes: [['a', 'b', 'c']] }, 'the notes are not notes'],
    ['a note without a value', { ...sound, notes: [['a', null]] }, 'the notes are not notes'],
    ['too long a note', { ...sound, notes: [['a', 'b'.repeat(2001)]] }, 'the notes are not notes'],
    ['notes in an object', { ...sound, notes: { a: 'b' } }, 'the notes are not notes'],
    ['nothing', null, 'the outcome is not an object'],
    ['a text', '200 Ok', 'the outcome is not an object'],
    ['a list', [sound], 'the outcome is not an object'],
    ['no verdict and no failure', { ...sound, verdict: null }, 'there must be either a verdict or a failure'],
    ['both', { ...sound, failure: failure.failure }, 'there must be either a verdict or a failure'],
    ['an unknown verdict', { ...sound, verdict: { kind: 'allow' } }, 'the verdict is not one'],
    ['a verdict by name alone', { ...sound, verdict: 'pass' }, 'the verdict is not one'],
    [
      'an acceptance that refuses',
      { ...sound, verdict: { kind: 'accept', skipOthers: false, reply: { code: 550, status: null, lines: ['x'] } } },
      'the verdict is not one',
    ],
    [
      'a refusal that accepts',
      { ...sound, verdict: { kind: 'reject', reply: { code: 250, status: null, lines: ['x'] } } },
      'the verdict is not one',
    ],
    [
      'a line end in a line',
      { ...sound, verdict: { kind: 'reject', reply: { code: 550, status: null, lines: ['x\n200 y'] } } },
      'the verdict is not one',
    ],
    ['a name that is none', { ...sound, by: 7 }, '"by" is not a name'],
    ['a name without an end', { ...sound, by: 'x'.repeat(1e5) }, '"by" is not a name'],
    ['no name at all', { ...sound, by: undefined }, '"by" is not a name'],
    [
      'an unknown failure',
      { ...failure, failure: { kind: 'toString', filter: null, text: '' } },
      'the failure is not one',
    ],
    ['a failure without a text', { ...failure, failure: { kind: 'late', filter: null } }, 'the failure is not one'],
    [
      'a failure without an end',
      { ...failure, failure: { kind: 'late', filter: null, text: 'x'.repeat(2001) } },
      'the failure is not one',
    ],
    ['no word on stray code', { ...sound, stray: 0 }, '"stray" is missing'],
    ['a place that is none', { ...failure, rerunWithout: 0.5 }, '"rerunWithout" is not a place in the list'],
    ['a place by name', { ...failure, rerunWithout: '0' }, '"rerunWithout" is not a place in the list'],
    ['a step that is none', { ...sound, trail: [{ ...step, outcome: 'quarantine' }] }, 'the trail is not one'],
    ['a step with a word for a time', { ...sound, trail: [{ ...step, cpuMs: '1' }] }, 'the trail is not one'],
    ['a step without a time', { ...sound, trail: [{ ...step, wallMs: null }] }, 'the trail is not one'],
    [
      'a step that does not say if it was dry',
      { ...sound, trail: [{ ...step, dryRun: 'no' }] },
      'the trail is not one',
    ],
    ['a step with an endless text', { ...sound, trail: [{ ...step, text: 'x'.repeat(2001) }] }, 'the trail is not one'],
    ['a step that is null', { ...sound, trail: [null] }, 'the trail is not one'],
  ]
  for (const [name, value, want] of rows) {
    const checked = checkOutcome(value)
    if (want === null) t.strictSame(checked, value, `${name} is believed`)
    else t.equal(checked, want, `${name} is not`)
  }

  const strange = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(undefined, -1, 1e308, [], {}, '', 'pass', [null], { kind: 'pass' }),
  )
  /** Mostly one of these, now and then anything. */
  const mostly = (...values: unknown[]) =>
    fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: strange })
  const reply = fc.record({
    code: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(0, 200, 451, 554) }, fc.integer({ min: -1, max: 1000 })),
    status: mostly(null, '5.7.1', '4.3.0'),
    lines: fc.oneof(
      { weight: 9, arbitrary: fc.array(fc.string({ maxLength: 600 }), { minLength: 1, maxLength: 52 }) },
      strange,
    ),
  })
  const verdict = fc.record({ kind: mostly('accept', 'defer', 'reject'), skipOthers: mostly(true, false), reply })
  const common = {
    by: mostly(null, 'strict'),
    trail: mostly(sound.trail, []),
    notes: mostly(sound.notes, []),
    stray: mostly(true, false),
  }
  const outcome = fc.oneof(
    fc.record({
      ...common,
      verdict: fc.oneof(fc.constant({ kind: 'pass' }), verdict, strange),
      failure: mostly(null),
      rerunWithout: mostly(null),
      undone: mostly(false, true),
      version: mostly(null, { dev: 1, ino: 2, size: 3, mtimeMs: 4 }),
    }),
    fc.record({
      ...common,
      verdict: mostly(null),
      failure: mostly(failure.failure, null),
      rerunWithout: mostly(null, 0),
      undone: mostly(false),
      version: mostly(null),
    }),
    strange,
  )
  const sane = (value: unknown): boolean => {
    const checked = checkOutcome(value)
    if (typeof checked === 'string') return checked.length < 100
    const hasVerdict = checked.verdict !== null
    return (
      hasVerdict === (checked.failure === null) &&
      (!hasVerdict || isVerdict(checked.verdict)) &&
      (checked.failure === null || isFailureKind(checked.failure.kind)) &&
      (checked.verdict === null || agrees(checked.verdict)) &&
      JSON.stringify(checked).length < 1000 * 5000 &&
      checked.trail.every(
        ({ wallMs, cpuMs }) => wallMs.toFixed(2) !== '' && (cpuMs === null || cpuMs.toFixed(2) !== ''),
      )
    )
  }
  let believed = 0
  fc.assert(
    fc.property(outcome, (value) => {
      // As it comes off the line.
      const received = (JSON.parse(JSON.stringify({ value })) as { value?: unknown }).value
      if (typeof checkOutcome(received) !== 'string') believed++
      return sane(received)
    }),
    { numRuns: 2000 },
  )
  t.ok(believed > 20, `some of the strange outcomes are believed (${believed} of 2000), and those are sane`)
  fc.assert(
    fc.property(
      fc.anything({ withNullPrototype: true, withBigInt: true, withSparseArray: true, withMap: true }),
      (value) => typeof checkOutcome(value) === 'string',
    ),
  )
  t.pass('nothing at all is believed by accident, and nothing makes the check throw')
  t.end()
})

t.test('an outcome is cut before it is sent', (t) => {
  t.strictSame(cutOutcome(sound), sound, 'a sound one is sent as it is')
  t.strictSame(cutOutcome(failure), failure)
  const long = 'x'.repeat(5000)
  const hostile = {
    toString: () => {
      throw new Error('as told')
    },
  }
  const cut = cutOutcome({
    ...failure,
    failure: { kind: 'threw', filter: 'f', text: long },
    trail: Array.from({ length: 1500 }, () => ({ ...failure.trail[0], text: long }) as ChainOutcome['trail'][number]),
    notes: [
      [long, long],
      // What a filter that is no TypeScript may put there.
      ...([
        [1, null],
        [Symbol('s'), hostile],
        [hostile, {}],
        [
          [],
          new Proxy(
            {},
            {
              get: () => {
                throw new Error('trap')
              },
            },
          ),
        ],
      ] as unknown as [string, string][]),
      ...Array.from({ length: 100 }, (): [string, string] => ['a', 'b']),
    ],
  })
  t.equal(cut.trail.length, 1000)
  t.equal(cut.trail[0]?.text?.length, 2000)
  t.equal(cut.failure?.text.length, 2000)
  t.equal(cut.notes.length, 50)
  t.strictSame(
    cut.notes.slice(1, 6),
    [
      ['1', 'null'],
      ['Symbol(s)', '(cannot be shown)'],
      ['(cannot be shown)', '[object Object]'],
      ['', '(cannot be shown)'],
      ['a', 'b'],
    ],
    'notes become texts, whatever they were',
  )
  const received = checkOutcome(JSON.parse(JSON.stringify(cut)))
  t.strictSame(received, cut, 'and what is left is believed')
  t.end()
})

t.test('what a thread says of its filters', (t) => {
  t.strictSame(
    readLoadProblems([
      { file: '/f.mjs', line: 3, column: 4, text: 'a', cure: 'b', more: 1 },
      { file: '/f.mjs', line: null, text: 'a', cure: null },
    ]),
    [
      { file: '/f.mjs', line: 3, column: 4, text: 'a', cure: 'b' },
      { file: '/f.mjs', line: null, column: null, text: 'a', cure: null },
    ],
  )
  t.strictSame(
    readLoadedFilters([
      { index: 1, alias: 'a', name: 'n', file: '/f', onError: 'pass' },
      { index: 2, alias: 'a', name: 'n', file: '/f', onError: 'accept' },
    ]),
    [
      { index: 1, alias: 'a', name: 'n', file: '/f', onError: 'pass' },
      { index: 2, alias: 'a', name: 'n', file: '/f', onError: 'defer' },
    ],
    'what is no policy is the safe one',
  )
  const none = { file: '', line: null, column: null, text: '', cure: null }
  t.strictSame(
    readLoadProblems([{ file: { toString: 1, valueOf: 1 }, line: '3', text: {}, cure: 7 }, 7, null, [], 'x']),
    [none],
  )
  t.equal(readLoadProblems(Array.from({ length: 2000 }, () => ({}))).length, 1000)
  const [long] = readLoadProblems([{ file: 'x'.repeat(1e5), line: 1, text: 'x'.repeat(1e5), cure: 'x'.repeat(1e5) }])
  t.strictSame([long?.file.length, long?.text.length, long?.cure?.length], [2000, 2000, 500], 'cut')
  for (const value of [undefined, null, 'x', 7, {}, { length: 1 }]) {
    t.strictSame([readLoadProblems(value), readLoadedFilters(value)], [[], []], `${JSON.stringify(value)} says nothing`)
  }
  fc.assert(
    fc.property(
      fc.oneof(
        fc.jsonValue(),
        fc.array(
          fc.dictionary(
            fc.constantFrom('index', 'alias', 'name', 'file', 'line', 'text', 'cure', 'onError'),
            fc.jsonValue(),
          ),
        ),
      ),
      (value) =>
        readLoadProblems(value).every(
          ({ file, text, line }) => `${file}${text}` !== '\0' && (line === null || line > -1e309),
        ) &&
        readLoadedFilters(value).every(
          ({ index, onError }) => typeof index === 'number' && /^(?:pass|defer)$/.test(onError),
        ),
    ),
  )
  t.pass('nothing makes the readers throw')
  t.end()
})

t.test('deadlines', async (t) => {
  const clock = makeClock(0)
  const expired: string[] = []
  const deadlines = watchDeadlines<{ name: string; deadlineMs: number }>(clock, 300, ({ name }) => {
    expired.push(`${name}@${clock.monotonicMs()}`)
  })
  const add = (name: string, deadlineMs: number): { name: string; deadlineMs: number } => {
    const item = { name, deadlineMs }
    deadlines.add(item)
    return item
  }
  const [a, b] = [add('a', 1000), add('b', 2000)]
  t.equal(clock.timers(), 1, 'one timer for all')
  deadlines.remove(a)
  add('c', 500)
  t.equal(clock.timers(), 1, 'also where an earlier one comes')
  await clock.advance(799)
  t.strictSame(expired, [], 'not before its time and the margin')
  await clock.advance(1)
  t.strictSame(expired, ['c@800'], 'then at once')
  await clock.advance(10_000)
  t.strictSame(expired, ['c@800', 'b@2300'], 'each once, and none that was removed')
  deadlines.remove(b)
  t.equal(clock.timers(), 0, 'nothing wakes for nobody')

  add('d', clock.monotonicMs() + 100)
  const answered = add('e', clock.monotonicMs() + 100)
  clock.pass(5000)
  await clock.advance(0)
  t.equal(expired.length, 2, 'after a standstill answers may wait to be read')
  deadlines.remove(answered)
  await clock.advance(500)
  t.equal(expired.at(-1), `d@${clock.monotonicMs()}`, 'and then it is over')
  t.equal(expired.length, 3)

  add('f', clock.monotonicMs() + 100)
  deadlines.close()
  await clock.advance(10_000)
  t.equal(expired.length, 3, 'closed, it forgets all')
})
