/** The TTL maps' port on an environment: they have one table of it to themselves. */
import type { Environment, ReadView, Table } from '../environment.ts'
import type { TtlPort, TtlReading } from './port.ts'

/** The name of the table. */
export const ttlTable = 'ttl'

/** Opens the table; not inside a transaction. */
export function depotPort(environment: Environment, table: Table = environment.table(ttlTable)): TtlPort {
  const reading = (view: ReadView): TtlReading => ({
    get: (key) => view.get(table, key),
    range: (from, before, limit) => (limit < 1 ? [] : view.rows(table, { from, before, limit })),
  })
  return {
    // An async function: what the environment throws at once is a rejection, too.
    // eslint-disable-next-line @typescript-eslint/require-await
    read: async (work) => environment.read((view) => work(reading(view))),
    write: (work) =>
      environment.write((view) =>
        work({
          ...reading(view),
          put: (key, value) => view.put(table, key, value),
          remove: (key) => void view.remove(table, key),
        }),
      ),
  }
}
