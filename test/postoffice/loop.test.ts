/** Loop detection: the worked examples of spec postoffice 7, and what the arithmetic keeps. */
import fc from 'fast-check'
import t from 'tap'
import { judgeLoop, type LoopRecord } from '../../filters/postoffice/loop.ts'

interface Rates {
  readonly frequency: number
  readonly periodS: number
}

/** Messages of one sender at these seconds: `.` is free, `T` triggers a throttle, `t` comes while one holds. */
function play({ frequency, periodS }: Rates, seconds: readonly number[], isExempt = false): string {
  let record: LoopRecord | null = null
  let played = ''
  for (const second of seconds) {
    const judged = judgeLoop(record, { atMs: second * 1000, frequency, throttleMs: periodS * 1000, isExempt })
    played += { none: '.', triggered: 'T', active: 't' }[judged.throttle]
    record = judged.record
  }
  return played
}

t.test('the worked examples', (t) => {
  const rows: [frequency: number, periodS: number, seconds: number[], played: string, what: string][] = [
    [0.25, 300, [0, 240, 480, 720, 960, 1200, 1440], '.......', 'at exactly the frequency nobody is marked, for ever'],
    [0.25, 300, [0, 239], '.T', '60/239 is more than 0.25'],
    [60, 300, [0, 0], '.T', 'two in the same second are infinitely fast'],
    [60, 300, [0, 1, 2], '...', '60 a minute is not more than 60'],
    [1, 300, [0, 59, 118], '.Tt', 'a second too early, and then throttled'],
    [1, 1, [0, 59, 118], '.TT', 'with a short throttle each by its own frequency'],
    [1, 300, [0, 60, 120, 180, 240, 300], '......', 'one a minute'],
    [1, 1, [0, 1, 2, 3, 4, 5, 100], '.TtTtTT', 'a burst, and after it the average'],
    [1, 1, [0, 1, 2, 70], '.Tt.', 'an average that is low enough'],
    [1, 300, [0, 5, 70], '.Tt', 'the throttle of second 5 holds until 305'],
    [1, 60, [0, 5, 65, 66], '.TtT', 'its last second is in it, the next is not'],
    [1, 300, [0, -60, -120], '...', 'times that run backwards are no frequency'],
    [1, 300, [0, 5, 306, 400], '.T..', 'after its end all is as before'],
    [1, 300, [0, 5, 300, 306], '.TtT', 'messages that it marked count for the frequency'],
  ]
  for (const [frequency, periodS, seconds, played, what] of rows) {
    t.equal(play({ frequency, periodS }, seconds), played, `frequency ${frequency}, period ${periodS}: ${what}`)
  }
  t.end()
})

t.test('mail that was sent blind is not measured, but held back while a throttle holds', (t) => {
  t.equal(play({ frequency: 1, periodS: 300 }, [0, 0, 1, 2], true), '....')
  const fast = judgeLoop(
    { timesMs: [0, 5000], throttledUntilMs: 305_000 },
    { atMs: 305_000, frequency: 1, throttleMs: 300_000, isExempt: true },
  )
  t.equal(fast.throttle, 'active')
  t.end()
})

t.test('figures are told where they were asked for', (t) => {
  const ask = (timesMs: number[], atMs: number, frequency = 1) => {
    const { instantaneous, average } = judgeLoop(
      { timesMs, throttledUntilMs: null },
      { atMs, frequency, throttleMs: 1000, isExempt: false },
    )
    return [instantaneous, average]
  }
  t.same(ask([], 0), [0, 0], 'without an earlier message')
  t.same(ask([0], 30_000), [2, null], 'too fast: the average is not asked for')
  t.same(ask([0], 240_000), [0.25, 0.25], 'the beginning of the interval is in it')
  t.same(ask([0], 240_001), [0, 0], 'and what came before is not')
  t.same(ask([0, 0, 60_000, 60_000], 120_000, 2), [1, 2], 'four in the two minutes that belong to two a minute')
  t.end()
})

t.test('memory stays bounded whatever comes, and what is kept decides as all would', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 90_000 }), { maxLength: 80 }),
      fc.constantFrom(0.25, 0.3, 1, 2, 7, 60),
      fc.constantFrom(0, 1000, 60_000),
      (gapsMs, frequency, throttleMs) => {
        let record: LoopRecord | null = null
        const all: number[] = []
        let untilMs = -1
        let atMs = 0
        for (const gapMs of gapsMs) {
          atMs += gapMs
          const judged = judgeLoop(record, { atMs, frequency, throttleMs, isExempt: false })
          const startMs = atMs - 240_000 / frequency
          const within = all.filter((timeMs) => timeMs >= startMs && timeMs < atMs).length
          const last = all.at(-1)
          const isFast = last !== undefined && 60_000 / (atMs - last) > frequency
          const expected = untilMs >= atMs ? 'active' : isFast || within > 4 ? 'triggered' : 'none'
          if (expected === 'triggered') untilMs = atMs + throttleMs
          all.push(atMs)
          if (judged.throttle !== expected || judged.record.timesMs.length > 32) return false
          record = judged.record
        }
        return true
      },
    ),
    { numRuns: 300 },
  )
  t.end()
})
