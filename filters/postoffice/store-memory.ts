/**
 * The memory of the post office in the depot's TTL maps, so that it is there after a restart, and for all processes.
 *
 * Shape: map `postoffice-seen`: JSON [at, delivery, 1 if throttled]; map `postoffice-loop`: JSON [throttled until, time, ...]. Times are
 *        milliseconds since the epoch. Keys are those of the questions.
 */
import type { ApplyTtl } from '../../queue-store/depot-types.ts'
import type { OpenedDepot } from '../../queue-store/index.ts'
import { depotPort, openTtlMaps, ttlLimits, type TtlEntry, type TtlMaps } from '../../queue-store/ttl/index.ts'
import { machineClock } from '../../queue-store/ttl/clock.ts'
import { admit, type Admission, type Admitted, type MemoryRecords, type MemoryView, type PostMemory } from './memory.ts'

/** The memory, to be asked by itself or within the transaction that adds the message. */
export interface StoreMemory extends PostMemory {
  readonly maps: TtlMaps
  /** Decides and remembers through `apply`, in its transaction. Errors: TtlError, and SyntaxError for a record that is none. */
  admitIn(apply: ApplyTtl, question: Admission): Admitted
  /** Forgets some of what is over. */
  sweep(): Promise<void>
  /** The depot stays open. */
  close(): Promise<void>
}

/** The maps' names. */
export const memoryMaps = { seen: 'postoffice-seen', loop: 'postoffice-loop' } as const

type Table = keyof MemoryRecords

/** So many records are swept at once: more than a batch of messages makes. */
const sweptAtOnce = 2000

/** Opens the memory of a depot. `now` is handed in by tests. */
export function openStoreMemory(depot: OpenedDepot, now: () => number = () => Date.now()): StoreMemory {
  const port = depotPort(depot.core.environment)
  const maps = openTtlMaps(port, { clock: { ...machineClock, wallMs: now }, sweep: null })
  // Each record says itself how long it is kept: two configurations on one depot do not cut each other's times.
  for (const name of Object.values(memoryMaps)) maps.ttlMap(name, { ttlMs: ttlLimits.ttlMs })

  const admitIn = (apply: ApplyTtl, question: Admission): Admitted =>
    admit(
      {
        get: (table, key) => decode(table, apply([{ op: 'get', map: memoryMaps[table], key }])[0]),
        put: (table, key, record, expiresAtMs) => {
          const ttlMs = Math.min(Math.max(Math.ceil(expiresAtMs - question.nowMs), 1), ttlLimits.ttlMs)
          apply([{ op: 'set', map: memoryMaps[table], key, value: encode(table, record), ttlMs }])
        },
      },
      question,
      'record',
    )
  return {
    maps,
    admitIn,
    admit: async (question, mode) => {
      if (mode === 'look') return admit(await lookUp(maps, question), question, mode)
      const answers: Admitted[] = []
      await depot.publishWith([], maps, (apply) => {
        answers[0] = admitIn(apply, question)
        return []
      })
      const [answer] = answers
      if (answer === undefined) throw new Error('a transaction that did not run')
      return answer
    },
    sweep: async () => {
      await maps.sweep(sweptAtOnce)
    },
    close: () => maps.close(),
  }
}

/** What a question looks at, read beforehand: whoever only looks does not wait for those who write. */
async function lookUp(maps: TtlMaps, { seen, loop }: Admission): Promise<MemoryView> {
  const [known, pace] = await maps.apply([
    { op: 'get', map: memoryMaps.seen, key: seen.key },
    { op: 'get', map: memoryMaps.loop, key: loop?.key ?? '' },
  ])
  const found = { seen: known, loop: loop === null ? null : pace }
  return { get: (table) => decode(table, found[table]), put: () => undefined }
}

function encode<T extends Table>(table: T, record: MemoryRecords[T]): string {
  if (table === 'seen') {
    const { atMs, delivery, isThrottled } = record as MemoryRecords['seen']
    return JSON.stringify([atMs, delivery, isThrottled ? 1 : 0])
  }
  const { timesMs, throttledUntilMs } = record as MemoryRecords['loop']
  return JSON.stringify([throttledUntilMs, ...timesMs])
}

function decode<T extends Table>(table: T, entry: TtlEntry | null): MemoryRecords[T] | null {
  if (entry === null) return null
  const [first, ...rest] = JSON.parse(typeof entry.value === 'string' ? entry.value : '') as unknown[]
  const record: MemoryRecords[Table] =
    table === 'seen'
      ? { atMs: Number(first), delivery: (rest[0] ?? null) as string | null, isThrottled: rest[1] === 1 }
      : { throttledUntilMs: first as number | null, timesMs: rest.map(Number) }
  return record as MemoryRecords[T]
}
