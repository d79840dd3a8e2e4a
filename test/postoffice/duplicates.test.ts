/** Duplicates and the memory behind them: one question, one transaction, and nothing kept for longer than it is needed. */
import t from 'tap'
import { judgeSeen, seenKey, type SeenIdentity } from '../../filters/postoffice/duplicates.ts'
import { createPostMemory, type Admission } from '../../filters/postoffice/memory.ts'

const dayMs = 86_400_000
const identity: SeenIdentity = { queue: 'A', messageId: '<1@example.org>', recipient: null, digest: null }
const keyA = seenKey(identity)

function question(nowMs: number, changes: Partial<Admission> = {}): Admission {
  return { nowMs, seen: { key: keyA, windowMs: dayMs }, delivery: null, loop: null, ...changes }
}

t.test('what makes two messages one', (t) => {
  const rows: [changes: Partial<SeenIdentity>, what: string][] = [
    [{ queue: 'B' }, 'another queue'],
    [{ messageId: '<1@EXAMPLE.org>' }, 'another letter case of the id'],
    [{ recipient: 'x@example.org' }, 'a recipient where there was none'],
    [{ recipient: '' }, 'an empty recipient'],
    [{ digest: 'x' }, 'another body'],
    [{ queue: 'A","<1@example.org>', messageId: '' }, 'texts that only joined look the same'],
  ]
  t.equal(seenKey({ ...identity }), keyA, 'the same facts have the same key')
  for (const [changes, what] of rows) t.not(seenKey({ ...identity, ...changes }), keyA, `${what} is another message`)
  t.equal(seenKey({ ...identity, messageId: 'x'.repeat(1_000_000) }).length, keyA.length, 'keys stay short')
  t.end()
})

t.test('how long it is known', (t) => {
  const known = { atMs: 1000, delivery: null, isThrottled: false }
  const ask = (nowMs: number, windowMs = dayMs) => judgeSeen(known, { nowMs, windowMs, delivery: null })
  t.equal(judgeSeen(null, { nowMs: 0, windowMs: dayMs, delivery: null }), 'new')
  t.equal(ask(1000), 'duplicate', 'at once')
  t.equal(ask(1000 + dayMs), 'duplicate', 'after exactly a window')
  t.equal(ask(1001 + dayMs), 'new', 'a millisecond later')
  t.equal(ask(0), 'duplicate', 'when the clock was set back')
  t.equal(ask(1000, 0), 'new', 'a window of 0 knows nothing')
  t.end()
})

t.test('the retry of a delivery is told from a duplicate', async (t) => {
  const memory = createPostMemory()
  const loop = { key: 'l', atMs: 0, frequency: 1, throttleMs: 1000, isExempt: false }
  t.same(await memory.admit(question(0, { delivery: 'd1', loop }), 'record'), {
    ...{ kind: 'admitted', isRepeat: false, throttle: 'none' },
  })
  t.same(
    await memory.admit(question(5000, { delivery: 'd1', loop: { ...loop, atMs: 5000 } }), 'record'),
    { kind: 'admitted', isRepeat: true, throttle: 'none' },
    'it is not too fast, since it is the same message',
  )
  t.same(await memory.admit(question(6000, { delivery: 'd2' }), 'record'), { kind: 'duplicate', seenAtMs: 0 })
  t.same(await memory.admit(question(6000), 'record'), { kind: 'duplicate', seenAtMs: 0 }, 'nor without a name for it')
})

t.test('looking remembers nothing, and a duplicate renews nothing', async (t) => {
  const memory = createPostMemory()
  const loop = { key: 'l', atMs: 0, frequency: 1, throttleMs: 1000, isExempt: false }
  await memory.admit(question(0, { loop }), 'look')
  t.equal(memory.size(), 0)
  await memory.admit(question(0, { loop }), 'record')
  t.equal(memory.size(), 2)
  t.match(await memory.admit(question(dayMs, { loop: { ...loop, atMs: 1 } }), 'record'), { kind: 'duplicate' })
  t.match(
    await memory.admit(question(dayMs + 1), 'record'),
    { kind: 'admitted' },
    'the window counts from the first time',
  )
})

t.test('what is past goes, a few at each message', async (t) => {
  const memory = createPostMemory()
  for (let number = 0; number < 100; number++) {
    await memory.admit(question(0, { seen: { key: `key ${number}`, windowMs: 1000 } }), 'record')
  }
  t.equal(memory.size(), 100)
  for (let number = 0; number < 26; number++) {
    await memory.admit(question(5000, { seen: { key: `new ${number}`, windowMs: 1000 } }), 'record')
  }
  t.equal(memory.size(), 26)
})
