/** A filter's lines as its thread sends them: cut, limited, and the others told by their number. */
import t from 'tap'
import { createThreadLog } from '../../host/runner/thread-log.ts'
import type { LineUp } from '../../host/runner/wire.ts'
import { makeClock } from '../helpers/fake-clock.ts'

function stage() {
  const clock = makeClock()
  const sent: string[] = []
  const send = (frame: LineUp): void => {
    if (frame.type === 'log') sent.push(`${frame.level} ${frame.filter} ${frame.messageId} ${frame.text}`)
  }
  return { clock, sent, log: createThreadLog(send, 2, clock) }
}

t.test('so many of each filter in a second; the number of the others comes by itself', async (t) => {
  const { clock, sent, log } = stage()
  const one = log.loggerFor('one', '7')
  for (let count = 0; count < 5; count++) one.info(`${count}`)
  log.loggerFor('two', '').error('other')
  t.strictSame(sent.splice(0), ['info one 7 0', 'info one 7 1', 'error two  other'])
  await clock.advance(999)
  t.strictSame(sent, [])
  await clock.advance(1)
  t.strictSame(sent.splice(0), ['warn one  3 lines were left out'])
  await clock.advance(60_000)
  t.strictSame(sent, [], 'once')
  t.equal(clock.timers(), 0)
})

t.test('the next line brings it', async (t) => {
  const { clock, sent, log } = stage()
  const one = log.loggerFor('one', '')
  await clock.advance(900)
  for (let count = 0; count < 3; count++) one.warn('x')
  await clock.advance(100)
  one.warn('y')
  t.strictSame(sent.slice(2), ['warn one  1 lines were left out', 'warn one  y'])
  await clock.advance(1000)
  t.equal(sent.length, 4, 'and is not told again')
})

t.test('at the end of the thread', (t) => {
  for (const how of ['close', 'drop'] as const) {
    const { clock, sent, log } = stage()
    for (let count = 0; count < 4; count++) log.loggerFor('one', '').info('x')
    log[how]()
    t.equal(clock.timers(), 0, how)
    t.strictSame(sent.slice(2), how === 'close' ? ['warn one  2 lines were left out'] : [], how)
  }
  t.end()
})

t.test('a long text is cut', (t) => {
  const { sent, log } = stage()
  log.loggerFor('one', '').info('x'.repeat(3000))
  t.equal(sent[0]?.length, 'info one  '.length + 2000)
  t.end()
})
