/**
 * A process of the message benchmark that reads one mail by one method, again and again when it is told to. Started by
 * `messages.ts`, which tells it the method, the mail, and a mail to begin with.
 */
import { methods, type MethodName } from './message-methods.ts'
import { forgetPeak, peakOctets, residentOctets } from './process-facts.ts'

/** For so long, and at least so many times. */
export interface Turn {
  readonly seconds: number
  readonly atLeast: number
}

/** What came of it. */
export type TurnResult =
  | {
      /** Of each reading. */
      readonly timesMs: readonly number[]
      /** What the last one found. */
      readonly found: string
      /** The most memory so far, beyond what the process had before its first reading of the mail; `null`: not told here. */
      readonly grownOctets: number | null
    }
  | { readonly failure: string }

const [name = '', path = '', small = ''] = process.argv.slice(2)
const read = methods[name as MethodName]

// All code is loaded by a mail of no size, so that what grows later grows by the mail.
await read(small)
const resident = residentOctets(process.pid)
const before = forgetPeak() ? resident : null

process.on('message', (turn) => {
  void take(turn as Turn).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.send?.({ failure: error instanceof Error ? error.message : String(error) } satisfies TurnResult)
    },
  )
})

async function take({ seconds, atLeast }: Turn): Promise<TurnResult> {
  const timesMs: number[] = []
  let found: readonly string[] = []
  const endMs = performance.now() + seconds * 1000
  while (timesMs.length < atLeast || performance.now() < endMs) {
    const sinceMs = performance.now()
    found = await read(path)
    timesMs.push(performance.now() - sinceMs)
  }
  const peak = peakOctets()
  return { timesMs, found: found.join(), grownOctets: peak === null || before === null ? null : peak - before }
}
