// Writes the generated parts of docs/ from the declarations in the code: `npm run docs`. With --check it writes nothing
// and fails where a page is not what it would write.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settingsChapter } from '../host/config/document.ts'
import { hostSchemas } from '../host/config/settings.ts'
import { bundledFilters } from '../host/chain/loader.ts'
import { availableFilters } from '../host/chain/module-file.ts'
import { metricsTable } from './metrics-table.ts'
import { oldFilterTable } from './old-filter-table.ts'

const marker = '<!-- The tables are made from the declarations by "npm run docs". -->\n'
const pages = {
  'docs/config.md': `\n${settingsChapter(hostSchemas)}`,
  'docs/metrics.md': `\n${metricsTable()}`,
  'docs/from-pythonfilter.md': `\n${oldFilterTable(new Set(availableFilters([bundledFilters])))}`,
}

let stale = 0
for (const [name, generated] of Object.entries(pages)) {
  const file = join(import.meta.dirname, '..', name)
  const text = readFileSync(file, 'utf8')
  const head = text.slice(0, text.indexOf(marker) + marker.length)
  if (head + generated === text) continue
  stale++
  if (process.argv.includes('--check')) process.stderr.write(`${name} is not up to date: npm run docs\n`)
  else writeFileSync(file, head + generated)
}
process.exitCode = process.argv.includes('--check') && stale > 0 ? 1 : 0
