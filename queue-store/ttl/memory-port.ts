/** A store in memory, for tests of filters: the same order, the same transactions, nothing on disk. */
import type { TtlPair, TtlPort, TtlReading, TtlWriting } from './port.ts'

/** The store; `pairs` looks at all that is in it. */
export interface MemoryPort extends TtlPort {
  pairs(): TtlPair[]
}

/** An empty store. Fit for thousands of keys: writing a new one takes time that grows with their number. */
export function memoryPort(): MemoryPort {
  let values = new Map<string, Uint8Array>()
  let order: string[] = []

  // One character an octet: the order of such strings is the order of the octets.
  const name = (key: Uint8Array): string => Buffer.from(key).toString('latin1')
  const place = (wanted: string): number => {
    let low = 0
    let high = order.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((order[middle] ?? '') < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
  const pair = (key: string): TtlPair => ({
    key: Buffer.from(key, 'latin1'),
    value: values.get(key) ?? Buffer.alloc(0),
  })

  const reading: TtlReading = {
    get: (key) => values.get(name(key)) ?? null,
    range: (from, to, limit) => {
      const start = place(name(from))
      return order.slice(start, Math.min(place(name(to)), start + limit)).map(pair)
    },
  }
  const writing: TtlWriting = {
    ...reading,
    put: (key, value) => {
      const wanted = name(key)
      if (!values.has(wanted)) order.splice(place(wanted), 0, wanted)
      values.set(wanted, Uint8Array.from(value))
    },
    remove: (key) => {
      const wanted = name(key)
      if (values.delete(wanted)) order.splice(place(wanted), 1)
    },
  }
  return {
    // eslint-disable-next-line @typescript-eslint/require-await
    read: async (work) => work(reading),
    // eslint-disable-next-line @typescript-eslint/require-await
    write: async (work) => {
      const before = { values: new Map(values), order: [...order] }
      try {
        return work(writing)
      } catch (error) {
        ;({ values, order } = before)
        throw error
      }
    },
    pairs: () => order.map(pair),
  }
}
