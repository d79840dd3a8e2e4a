// Writes the generated parts of docs/ from the code, its declarations and doc comments: `npm run docs`. With --check it
// writes nothing, and fails where a page is not what it would write. In both cases it fails for a name of the library that
// has no doc comment.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settingsChapter } from '../host/config/document.ts'
import { hostSchemas } from '../host/config/settings.ts'
import { bundledFilters } from '../host/chain/loader.ts'
import { availableFilters } from '../host/chain/module-file.ts'
import { apiReference } from './api-reference.ts'
import { findingTable } from './finding-table.ts'
import { metricsTable } from './metrics-table.ts'
import { oldFilterTable } from './old-filter-table.ts'
import { oldNameTable } from './old-name-table.ts'

const root = join(import.meta.dirname, '..')
const isCheck = process.argv.includes('--check')
const problems = []
const api = apiReference(root)

/** What these pages hold after the marker. */
const marker = '<!-- The tables are made from the declarations by "npm run docs". -->\n'
const chapters = {
  'docs/config.md': settingsChapter(hostSchemas),
  'docs/metrics.md': metricsTable(),
  'docs/authors/message.md': findingTable(),
  'docs/from-pythonfilter.md': `${oldFilterTable(new Set(availableFilters([bundledFilters])))}\n${oldNameTable(api)}`,
}
for (const [name, generated] of Object.entries(chapters)) {
  const text = readFileSync(join(root, name), 'utf8')
  update(name, `${text.slice(0, text.indexOf(marker) + marker.length)}\n${generated}`)
}

mkdirSync(join(root, 'docs/api'), { recursive: true })
for (const [name, content] of api.pages) update(`docs/api/${name}`, content)
for (const name of readdirSync(join(root, 'docs/api'))) {
  if (api.pages.has(name)) continue
  if (isCheck) problems.push(`docs/api/${name} tells of nothing any more: npm run docs`)
  else rmSync(join(root, 'docs/api', name))
}

for (const name of api.undocumented) problems.push(`${name} is exported and has no doc comment`)
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.exitCode = problems.length > 0 ? 1 : 0

function update(name, content) {
  const file = join(root, name)
  if (existsSync(file) && readFileSync(file, 'utf8') === content) return
  if (isCheck) problems.push(`${name} is not up to date: npm run docs`)
  else writeFileSync(file, content)
}
