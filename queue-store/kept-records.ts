/**
 * Records that nearly each transaction of a group reads and changes: kept as they are between them, and written once.
 */
/** The records of one group, by their tables. */
export interface Keeper<Table extends object> {
  readonly kept: (table: Table, key: Uint8Array) => object | undefined
  readonly keep: (table: Table, key: Uint8Array, record: object, toValue: (record: object) => Buffer) => void
  /** Writes those of this table, or of all, and keeps none of them any more. */
  readonly write: (table: Table | null) => void
  readonly clear: () => void
}

interface Kept {
  readonly key: Uint8Array
  readonly record: object
  readonly toValue: (record: object) => Buffer
}

/** Keeps records until they are written with `put`. */
export function createKeeper<Table extends object>(
  put: (table: Table, key: Uint8Array, value: Buffer) => void,
): Keeper<Table> {
  const tables = new Map<Table, Map<string, Kept>>()
  return {
    kept: (table, key) => (tables.size === 0 ? undefined : tables.get(table)?.get(textOf(key))?.record),
    keep: (table, key, record, toValue) => {
      const of = tables.get(table) ?? new Map<string, Kept>()
      tables.set(table, of)
      of.set(textOf(key), { key, record, toValue })
    },
    write: (table) => {
      if (tables.size === 0) return
      for (const [of, records] of tables) {
        if (table !== null && of !== table) continue
        tables.delete(of)
        for (const { key, record, toValue } of records.values()) put(of, key, toValue(record))
      }
    },
    clear: () => tables.clear(),
  }
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
