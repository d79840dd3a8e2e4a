/** R26: a runner that leaks, or has answered enough, is replaced by a fresh one and finishes what it has. */
import { startStream } from '../helpers/host-process.ts'
import { createFindings, testPromise, within, type Check } from './check.ts'
import { finish, harm, harmfulHost, lanes, promptMs, told } from './harm.ts'

/** `messages` that leak 100 KB each, on eight connections. */
const leak =
  (messages: number, set: readonly string[]): Check =>
  async (t, without) => {
    const findings = createFindings()
    const { expect } = findings
    const host = await harmfulHost(t, without, set)
    const stream = startStream(host)
    let sent = 0
    let largest = 0
    const wrong: string[] = []
    const send = async (): Promise<void> => {
      while (sent++ < messages) {
        const answer = await host.ask(host.place.pair({ content: harm('leak 100000') })).catch(String)
        if (answer !== '200 Ok\n') wrong.push(answer)
        if (sent % 100 !== 0) continue
        for (const { memoryOctets } of await lanes(host)) largest = Math.max(largest, memoryOctets ?? 0)
      }
    }
    await Promise.all(Array.from({ length: 8 }, send))
    expect(wrong.length === 0, `${wrong.length} messages were lost: ${wrong[0] ?? ''}`)
    expect(told(host, / runner-recycled .*reason=memory /) > 0, 'no runner was recycled')
    const lost = told(host, / (runner-ended|runs-again) /)
    expect(lost === 0, `${lost} times a runner or a message was lost on the way`)
    expect(largest < 896 * 1024 * 1024, `a runner used ${largest} octets`)
    return finish(host, stream, findings)
  }
const small = leak(100, [])
testPromise(
  'R26 a leak of 100 KB a message: the runner is recycled in peace, with the default limits',
  leak(5000, []),
  [{ without: ['a runner that has grown is replaced'], sees: /^no runner was recycled/, check: small }],
)

const recycledByCount: Check = async (t, without) => {
  const findings = createFindings()
  const { expect } = findings
  const host = await harmfulHost(t, without, ['runner.max_messages=40'])
  const stream = startStream(host)
  const inHand = host.ask(host.place.pair({ content: harm('wait 4000') }))
  const sinceMs = performance.now()
  while (told(host, / runner-recycled .*reason=messages /) < 1 && performance.now() - sinceMs < 15_000) {
    const answer = await host.ask(host.place.pair({ content: harm('wait 20') }))
    expect(answer === '200 Ok\n', `a message hears ${answer}`)
  }
  expect(told(host, / runner-recycled /) >= 1, 'no runner was recycled')
  const held = await within(promptMs, inHand)
  expect(held === '200 Ok\n', `one that took long hears ${String(held)}`)
  expect(told(host, / runs-again /) === 0, 'a message was lost on the way')
  return finish(host, stream, findings)
}
testPromise('R26 a runner is recycled after so many messages, and finishes what it has', recycledByCount, [
  { without: ['a recycled runner finishes what it has'], sees: /^a message was lost on the way/ },
])
