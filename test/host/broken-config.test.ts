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
import { giveRunners, nodeOptions } from '../helpers/node-options.ts'
import { importWithout } from '../helpers/without.mjs'
import { testControl, type Check } from '../reliability/check.ts'

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

type Command = typeof configCommand

async function check(command: Command, name: string, ...options: readonly string[]) {
  const folder = join(root, name)
  const conf = tryRead(join(folder, 'nodefilter.conf'))
  const sets = [
    ...(/^filter_path/m.test(conf) ? [] : [`chain.filter_path=${filters}`]),
    // One is enough, and quicker.
    ...(/^threads/m.test(conf) ? [] : ['runner.threads=1']),
  ]
  let said = ''
  const code = await command.run(['check', '-c', folder, ...options, ...sets.flatMap((set) => ['--set', set])], {
    ...{ out: (text) => void (said += text), err: (text) => void (said += text), env: { PATH: '/nonexistent' } },
  })
  return { told: said.replaceAll(folder, 'CONF').replaceAll(filters, 'FILTERS'), code }
}

const expected = (name: string): string => readFileSync(join(fixtures, name, 'expected'), 'utf8')

t.test('R68 each broken configuration is told', (t) => {
  giveRunners(t, nodeOptions())
  for (const name of cases) {
    t.test(`R68 ${name.replaceAll('-', ' ')}`, async (t) => {
      const { told, code } = await check(configCommand, name)
      t.equal(told, expected(name))
      t.equal(code, exitCodes.config)
    })
  }
  t.end()
})

/** What is said of the one folder is not what must be, or does not count as broken. */
async function wrong(command: Command, name: string, ...options: readonly string[]): Promise<string[]> {
  const { told, code } = await check(command, name, ...options)
  const isTold = told === expected(name)
  return [...(isTold ? [] : ['something else is said']), ...(code === exitCodes.config ? [] : [`it ends with ${code}`])]
}

/** For what the files alone tell. A copy of the host's modules with something taken out of them can start no runner. */
const fromFiles =
  (name: string): Check =>
  async (t, without) => {
    t.same(await wrong(configCommand, name, '--no-load'), [], 'nothing goes wrong with all protections')
    const { configCommand: lacking } = (await importWithout('host/cli/config.ts', without)) as {
      configCommand: Command
    }
    return wrong(lacking, name, '--no-load')
  }

/** For what is seen where the filters are loaded. */
const fromFilters =
  (name: string): Check =>
  (t, without) => {
    giveRunners(t, nodeOptions(without))
    return wrong(configCommand, name)
  }

const controls: readonly (readonly [without: string, folder: string, check: (name: string) => Check])[] = [
  ['unknown sections are told', '01-unknown-section', fromFiles],
  ['unknown settings are told', '02-unknown-setting', fromFiles],
  ['a setting that stands twice is told', '04-setting-twice', fromFiles],
  ['an alias that is taken is told', '37-alias-taken', fromFiles],
  ['settings that a filter does not know are told', '62-option-unknown', fromFilters],
  ['sections of no filter are told', '64-section-unknown', fromFiles],
]
for (const [without, folder, check] of controls) {
  testControl(`R68 ${folder.replaceAll('-', ' ')}`, check(folder), { without: [without], sees: /^it ends with 0$/ })
}

function tryRead(path: string): string {
  if (!existsSync(path)) return ''
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
