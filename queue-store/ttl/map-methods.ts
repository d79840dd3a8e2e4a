/** The operations on one key as methods of a map, whoever carries them out. Pure. */
import type { TtlKey, TtlOperation, TtlPace, TtlRate, TtlResults, TtlUpdate, TtlWriteOptions } from './operation.ts'
import type { TtlValue } from './record.ts'

/** The methods of the map `name`; `apply` carries out operations, all in one transaction. What they do is said at `TtlMap`. */
export function mapMethods(name: string, apply: (operations: readonly TtlOperation[]) => Promise<readonly unknown[]>) {
  const one = async <O extends TtlOperation>(operation: O): Promise<TtlResults[O['op']]> => {
    const [result] = await apply([operation])
    return result as TtlResults[O['op']]
  }
  return {
    name,
    get: (key: TtlKey) => one({ op: 'get', map: name, key }),
    has: (key: TtlKey) => one({ op: 'has', map: name, key }),
    set: (key: TtlKey, value: TtlValue = null, options: TtlWriteOptions = {}) =>
      one({ ...options, op: 'set', map: name, key, value }),
    delete: (key: TtlKey) => one({ op: 'delete', map: name, key }),
    firstSeen: (key: TtlKey, value: TtlValue = null) => one({ op: 'firstSeen', map: name, key, value }),
    increment: (key: TtlKey, by = 1) => one({ op: 'increment', map: name, key, by }),
    rate: (key: TtlKey, rate: TtlRate) => one({ op: 'rate', map: name, key, rate }),
    pace: (key: TtlKey, pace: TtlPace) => one({ op: 'pace', map: name, key, pace }),
    update: (key: TtlKey, update: TtlUpdate) => one({ op: 'update', map: name, key, update }),
    admit: (key: TtlKey, known: { readonly name: string }, waitMs: number) =>
      one({ op: 'admit', map: name, key, known: known.name, waitMs }),
  }
}
