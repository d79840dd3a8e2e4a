/** The TTL maps' port on an environment: they have one table of it to themselves. */
import type { Environment, ReadView, Table, WriteView } from '../environment.ts'
import type { TtlPort, TtlReading, TtlWriting } from './port.ts'

/** The name of the table. */
export const ttlTable = 'ttl'

/** Opens the table; not inside a transaction. */
export function depotPort(environment: Environment, table: Table = environment.table(ttlTable)): TtlPort {
  return {
    // An async function: what the environment throws at once is a rejection, too.
    // eslint-disable-next-line @typescript-eslint/require-await
    read: async (work) => environment.read((view) => work(readingIn(view, table))),
    write: (work) => environment.write((view) => work(writingIn(view, table))),
  }
}

/** The maps' side of a transaction of the environment. */
export function writingIn(view: WriteView, table: Table): TtlWriting {
  return {
    ...readingIn(view, table),
    put: (key, value) => view.put(table, key, value),
    remove: (key) => void view.remove(table, key),
  }
}

function readingIn(view: ReadView, table: Table): TtlReading {
  return {
    get: (key) => view.get(table, key),
    range: (from, before, limit) => (limit < 1 ? [] : view.rows(table, { from, before, limit })),
  }
}
