/** docs/limits.md says what holds: every default is that of the source, and every test that it names is there. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { connectionsWithin, descriptorLimit, descriptorReserve } from '../../host/platform/descriptors.ts'
import { createFloodReport } from '../../host/observe/flood-report.ts'
import { systemFiles } from '../../host/platform/files.ts'
import { makeClock } from '../helpers/fake-clock.ts'
import { parseDuration, parseSize } from '../../courier-compat/units.ts'
import { hostSchemas } from '../../host/config/settings.ts'
import type { SettingSchemas } from '../../courier-compat/setting.ts'

const repository = join(import.meta.dirname, '../..')
const page = readFileSync(join(repository, 'docs/limits.md'), 'utf8')

const units: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, min: 60_000, KiB: 1024, MiB: 1024 * 1024 }

/** `1 MiB`, `10 s`, `500`: as octets, ms or a count; `null` for words. */
function amount(text: string): number | null {
  const [, number, unit] = /^([0-9]+)(?: (ms|s|min|KiB|MiB))?$/.exec(text) ?? []
  return number === undefined ? null : Number(number) * (units[unit ?? ''] ?? NaN)
}

/** The number that a constant of a file has, `limits.key` or `limit`; NaN where there is none. */
function constantOf(file: string, name: string): number {
  const source = readFileSync(join(repository, file), 'utf8')
  const [outer = '', inner] = name.split('.')
  const from = source.indexOf(`const ${outer}`)
  if (from === -1) return NaN
  const text = source.slice(from)
  const found = inner === undefined ? /=\s*([0-9_ *]+)/.exec(text) : new RegExp(`\\b${inner}: ([0-9_ *]+)`).exec(text)
  return product(found?.[1] ?? '')
}

/** `4 * 1024 * 1024`, `2 ** 20`, `10_000`. */
function product(text: string): number {
  return text
    .replaceAll('_', '')
    .split(/\s\*\s/)
    .map((factor) => {
      const [base = '', exponent] = factor.split(' ** ')
      return base.trim() === '' ? NaN : Number(base) ** Number(exponent ?? 1)
    })
    .reduce((all, factor) => all * factor, 1)
}

/** A setting's default in octets, ms or as a count; `null` for none, `undefined` where there is no such setting. */
function defaultOf(section: string, key: string): number | null | undefined {
  const schema = (hostSchemas as Readonly<Record<string, SettingSchemas>>)[section]?.[key]
  if (schema === undefined) return undefined
  const value: unknown = schema.default
  if (typeof value === 'string') return schema.type === 'duration' ? parseDuration(value) : parseSize(value)
  return typeof value === 'number' ? value : null
}

interface Row {
  readonly what: string
  readonly value: string
  readonly place: string
  readonly atLimit: string
  readonly shownBy: string
}

const rows: Row[] = page
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| what |'))
  .map((line) => {
    const [what = '', value = '', place = '', atLimit = '', shownBy = ''] = line
      .slice(2, -2)
      .split(' | ')
      .map((cell) => cell.trim())
    return { what, value, place, atLimit, shownBy }
  })

t.test('the limits that are told are those of the source', (t) => {
  t.ok(rows.length > 50, 'the tables are read')
  for (const { what, value, place } of rows) {
    const setting = /^`\[([a-z]+)\] ([a-z_]+)`$/.exec(place)
    const constant = /^fixed: `([^`]+)` `([^`]+)`$/.exec(place)
    const said = amount(value)
    if (setting !== null) {
      const [, section = '', key = ''] = setting
      const is = defaultOf(section, key)
      t.not(is, undefined, `${what}: there is a setting ${place}`)
      t.equal(said, is, `${what}: ${value}`)
    } else if (constant !== null) {
      const [, file = '', name = ''] = constant
      t.equal(said, constantOf(file, name), `${what}: ${value}`)
    }
  }
  t.end()
})

t.test('the tests that are named are there', (t) => {
  for (const { what, atLimit, shownBy } of rows) {
    t.not(atLimit, '', `${what}: what happens is told`)
    const [, file = '', name = ''] = /^`([^`]+)`:(.*)$/.exec(shownBy) ?? []
    if (shownBy === '–') continue
    const path = join(repository, file)
    t.ok(file !== '' && existsSync(path), `${what}: ${shownBy}`)
    if (file !== '' && existsSync(path)) t.ok(readFileSync(path, 'utf8').includes(name.trim()), `${what}: ${shownBy}`)
  }
  t.end()
})

t.test('every setting that is a limit is on the page', (t) => {
  for (const [section, schemas] of Object.entries<SettingSchemas>(hostSchemas)) {
    for (const [key, { type }] of Object.entries(schemas)) {
      if (!['count', 'size', 'duration'].includes(type)) continue
      t.ok(page.includes(`[${section}] ${key}\``), `[${section}] ${key}`)
    }
  }
  t.end()
})

t.test('connections that fit into the descriptors', (t) => {
  const spare = descriptorReserve.host + 4 * descriptorReserve.perThread
  const table: [name: string, limit: number | null, want: number][] = [
    ['as many as are set where there is room', 20_000, 1000],
    ['and where there is just room', 1000 + spare, 1000],
    ['one less where one is missing', 999 + spare, 999],
    ['the rest of few', 256, 256 - spare],
    ['a handful where there is no rest', 64, 8],
    ['as many as are set where the system does not tell', null, 1000],
  ]
  for (const [name, limit, want] of table) t.equal(connectionsWithin(limit, 1000, 4), want, name)
  t.equal(connectionsWithin(64, 5, 4), 5, 'never more than are set')
  t.ok((descriptorLimit(systemFiles) ?? Infinity) >= 64, 'this system tells')
  const told = (text: string): number | null =>
    descriptorLimit({ ...systemFiles, readFileSync: (() => text) as unknown as typeof systemFiles.readFileSync })
  t.equal(told('Limit  Soft\nMax open files            1024                 4096                 files\n'), 1024)
  t.equal(told('Max open files            unlimited            unlimited            files\n'), null)
  t.end()
})

t.test('a flood is told by its number', async (t) => {
  const clock = makeClock(0)
  const told: (string | number)[] = []
  const take = (): (string | number)[] => told.splice(0)
  const report = createFloodReport<string>(
    { first: 2, everyMs: 1000, tell: (text) => told.push(text), tellMore: (count) => told.push(count) },
    clock,
  )
  report.add('a')
  t.strictSame(take(), ['a'], 'the first one is told at once')
  await clock.advance(1000)
  t.strictSame([take(), clock.timers()], [[], 0], 'and nothing more of it; at rest no timer runs')
  for (const text of ['b', 'c', 'd', 'e']) report.add(text)
  t.strictSame(take(), ['b', 'c'], 'of many the first ones')
  await clock.advance(999)
  t.strictSame(take(), [])
  await clock.advance(1)
  t.strictSame(take(), [2], 'and the number of the others')
  for (const text of ['f', 'g', 'h']) report.add(text)
  t.strictSame(take(), ['f', 'g'], 'in the next period again')
  report.close()
  t.strictSame([take(), clock.timers()], [[1], 0], 'at the end what is untold is told')
  t.end()
})
