/** The table of pythonfilter's filters in docs/from-pythonfilter.md. Pure. */
import { oldFilters } from '../host/cli/migrate/old-filters.ts'

/** Markdown. `own` are the names of the filters that this version of nodefilter has. */
export function oldFilterTable(own: ReadonlySet<string>): string {
  const rows = oldFilters.map(({ name, changed, store }) => {
    const isOwn = own.has(name)
    const keeps = { ttldb: 'its tokens stay in the store of `[ttldb]`', quarantine: 'its quarantine stays where it is' }
    const told = isOwn ? (changed ?? 'nothing') : store === null ? 'nothing' : `nothing; ${keeps[store]}`
    return `| \`${name}\` | ${isOwn ? 'yes' : 'no: runs under `python`'} | ${told} |\n`
  })
  return `| filter | in nodefilter | what is other |\n|---|---|---|\n${rows.join('')}`
}
