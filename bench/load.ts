/**
 * The load generator's process: asks a filter about messages, so many at a time, and measures each answer.
 * Started by `load-generator.ts`, which tells it what to do.
 */
import { askFilter } from '../examples/lib/courier-client.ts'
import type { Load, LoadResult } from './load-generator.ts'

process.on('message', (load) => {
  void run(load as Load).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      process.send?.({ failure: error instanceof Error ? error.message : String(error) } satisfies LoadResult)
    },
  )
})

async function run({ socketPath, requests, concurrency, seconds }: Load): Promise<LoadResult> {
  const latencies: number[] = []
  const others = new Map<string, number>()
  let next = 0
  const sinceMs = performance.now()
  const endMs = sinceMs + seconds * 1000
  const askOn = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const request = requests[next++ % requests.length] ?? ''
      const askedMs = performance.now()
      const reply = await askFilter(socketPath, request)
      latencies.push(performance.now() - askedMs)
      if (reply !== '200 Ok\n') others.set(reply, (others.get(reply) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, askOn))
  return { seconds: (performance.now() - sinceMs) / 1000, latenciesMs: latencies, otherReplies: [...others] }
}
