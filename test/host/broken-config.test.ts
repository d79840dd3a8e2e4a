/**
 * Broken configurations, each with exactly what `nodefilter config check` must say about it (reliability R68).
 *
 * Each folder of test/fixtures/broken/ is a folder of configuration with a file `expected`, in which the folder's own path
 * is written `CONF` and that of the filters `FILTERS`.
 */
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { exitCodes } from '../../host/cli/command.ts'
import { configCommand } from '../../host/cli/config.ts'

const fixtures = join(import.meta.dirname, '../fixtures/broken')
// A copy: the modes of a checkout depend on whoever made it, and group-writable filters are a warning.
const root = mkdtempSync(join(tmpdir(), 'nf-broken-'))
t.teardown(() => rmSync(root, { recursive: true, force: true }))
cpSync(fixtures, root, { recursive: true })
const filters = join(root, 'filters')
for (const name of ['', ...readdirSync(filters)]) chmodSync(join(filters, name), name === '' ? 0o755 : 0o644)

const cases = readdirSync(fixtures).filter((name) => name !== 'filters')
t.setTimeout(120_000)
t.ok(cases.length >= 40, 'there are at least forty')

for (const name of cases) {
  t.test(`R68 ${name.replaceAll('-', ' ')}`, async (t) => {
    const folder = join(root, name)
    const conf = join(folder, 'nodefilter.conf')
    const namesFilters = existsSync(conf) && /^filter_path/m.test(tryRead(conf))
    let said = ''
    const code = await configCommand.run(
      ['check', '-c', folder, ...(namesFilters ? [] : ['--set', `chain.filter_path=${filters}`])],
      { out: (text) => void (said += text), err: (text) => void (said += text), env: { PATH: '/nonexistent' } },
    )
    const told = said.replaceAll(folder, 'CONF').replaceAll(filters, 'FILTERS')
    t.equal(told, readFileSync(join(fixtures, name, 'expected'), 'utf8'))
    t.equal(code, exitCodes.config)
  })
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
