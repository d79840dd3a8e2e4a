/** R48 and R50: no link in the spool leads the host, or a filter's edit, to a file outside; no name comes from a message. */
import {
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Test } from 'tap'
import { makePlace, orders, startHost, type HostProcess, type Place } from '../helpers/host-process.ts'
import type { Pair } from '../helpers/pair.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'

/** Edits by the library, as any filter would. */
const editSource = `import { addRecipient, XFilter } from 'nodefilter/courier-compat'
let only = 'both'
export const settings = { only: { type: 'text', default: 'both', text: 'What is edited.' } }
export function initFilter(setup) {
  only = setup.settings.only
}
export function doFilter(bodyPath, controlPaths, { signal }) {
  if (only !== 'data') addRecipient(controlPaths, 'added@example.org')
  if (only === 'control') return
  const xfilter = new XFilter('edit', bodyPath, controlPaths)
  xfilter.getMessage().header.add('X-Edited', 'yes')
  return xfilter.submit({ signal })
}
`

interface Names {
  readonly data: string
  readonly control: string
  /** Where the library keeps the original. */
  readonly kept: string
  /** A file outside of the spool. */
  readonly victim: string
}

/** Puts something under a name that is taken, in one step. */
function putOver(path: string, make: (path: string) => void): void {
  make(`${path}.made`)
  renameSync(`${path}.made`, path)
}

/** What a process beside the host does while the first filter runs, and which edits follow. */
interface Row {
  readonly name: string
  readonly edits: 'edit with only=control' | 'edit with only=data' | 'edit as tried with dry_run=yes'
  readonly plant: (names: Names) => void
  /** True where what was planted may not harm the message either. */
  readonly isServed: boolean
}

const rows: readonly Row[] = [
  {
    name: 'a link where the original is kept',
    edits: 'edit with only=data',
    plant: ({ kept, victim }) => symlinkSync(victim, kept),
    isServed: false,
  },
  {
    name: 'a link where the next version is written',
    edits: 'edit with only=data',
    plant: ({ kept, victim }) => symlinkSync(victim, `${kept}.new`),
    isServed: true,
  },
  {
    name: 'a hard link where the next version is written',
    edits: 'edit with only=data',
    plant: ({ kept, victim }) => linkSync(victim, `${kept}.new`),
    isServed: true,
  },
  {
    name: 'a link for the data file',
    edits: 'edit with only=data',
    plant: ({ data, victim }) => putOver(data, (path) => symlinkSync(victim, path)),
    isServed: false,
  },
  {
    name: 'a link for the control file, before it is appended to',
    edits: 'edit with only=control',
    plant: ({ control, victim }) => putOver(control, (path) => symlinkSync(victim, path)),
    isServed: false,
  },
  {
    name: 'a hard link for the control file, before it is appended to',
    edits: 'edit with only=control',
    plant: ({ control, victim }) => putOver(control, (path) => linkSync(victim, path)),
    isServed: false,
  },
  {
    name: 'a hard link for the original, before it is gone back to',
    edits: 'edit as tried with dry_run=yes',
    plant: ({ kept, victim }) => linkSync(victim, kept),
    // The chain goes back to a name of its own.
    isServed: true,
  },
]

/** A message that stands still in its filter until `act` has been done. */
async function held(host: HostProcess, id: string, act: (pair: Pair) => void): Promise<string> {
  const { at, pair } = host.place
  const made = pair({ id, content: orders({ act: [`journal ${at(`${id}.begun`)}`, `hold ${at(`${id}.go`)}`] }) })
  const asked = host.ask(made)
  await until(`${id} to be held`, () => existsSync(at(`${id}.begun`)))
  act(made)
  writeFileSync(at(`${id}.go`), '')
  return asked
}

function stateOf(path: string): string {
  const { mode, uid, gid, size, mtimeMs } = statSync(path)
  return JSON.stringify([readFileSync(path, 'latin1'), mode, uid, gid, size, mtimeMs])
}

const links =
  (wanted: RegExp): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    let count = 0
    for (const edits of new Set(rows.map((row) => row.edits))) {
      const here = rows.filter((row) => row.edits === edits && wanted.test(row.name))
      if (here.length === 0) continue
      const place = editingPlace(t, 'act', edits)
      mkdirSync(place.at('outside'))
      const host = startHost(t, place, { without })
      await host.ready()
      for (const { name, plant, isServed } of here) {
        const victim = place.at(`outside/victim${++count}`)
        writeFileSync(victim, 'sowner@example.org\nrowner@example.org\nR\nN\n', { mode: 0o660 })
        const before = stateOf(victim)
        const answer = await held(host, `LINK.${count}`, ({ bodyPath, controlPaths: [control = ''] }) => {
          const kept = join(dirname(bodyPath), `nodefilter-${basename(bodyPath)}`)
          plant({ data: bodyPath, control, kept, victim })
        })
        expect(stateOf(victim) === before, `${name}: the file outside was ${before}, and is ${stateOf(victim)}`)
        const isRight = isServed ? answer === '200 Ok\n' : /^451 4\.3\.0 .*\n$/.test(answer)
        expect(isRight, `${name}: heard ${JSON.stringify(answer)}`)
      }
      const after = await host.ask(place.pair())
      expect(after === '200 Ok\n', `the next message heard ${JSON.stringify(after)}`)
      await host.kill()
    }
    return seen
  }

function editingPlace(t: Test, ...list: readonly string[]): Place {
  const place = makePlace(t)
  place.filter('edit.mjs', editSource)
  place.list(...list)
  return place
}

/** What a message can say that could become a name; each is in its header section, its body and its control file. */
const evilNames = [
  '../../climbed',
  '/tmp/climbed',
  '..\\climbed',
  'climbed\u0001',
  'climbed%s',
  '.climbed',
  'climbed;ls',
  'climbed/../x',
]

/** Everything in a place that is no folder of a pair. */
function listing(place: Place): string[] {
  const names = readdirSync(place.root, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => !/^tmp\/pair-[^/]+(\/(D[0-9]+|[0-9]+\.[0-9]+\.mx\.example\.org))?$/.test(name))
}

const names: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = editingPlace(t, 'edit', 'edit as tried with dry_run=yes', 'noduplicates', 'act')
  const host = startHost(t, place, { set: [`log.file=${place.at('s/log.json')}`], without })
  await host.ready()
  await host.ask(place.pair())
  const allowed = /^tmp\/pair-[^/]+\/nodefilter-D[0-9]+(\.new|\.mark)?$/
  const usual = new Set(listing(place))
  for (const name of evilNames) {
    const content = [
      `Subject: ${name}`,
      `Message-ID: <${name}@example.com>`,
      `X-Act-act: journal ${place.at('begun')}`,
      `X-Act-act: hold ${place.at('go')}`,
      `Content-Type: multipart/mixed; boundary="${name}"`,
      ...['', `--${name}`, `Content-Disposition: attachment; filename="${name}"`, '', 'x', `--${name}--`, ''],
    ].join('\n')
    const asked = host.ask(
      place.pair({
        content,
        id: name,
        sender: `${name}@example.com`,
        recipients: [`${name}@example.org`],
        authUser: name,
      }),
    )
    // While it is held its edits lie in the spool.
    await until('the message to be held', () => existsSync(place.at('begun')))
    const during = listing(place).filter((found) => !usual.has(found) && !allowed.test(found) && found !== 'begun')
    expect(during.length === 0, `${JSON.stringify(name)}: while it is filtered there is ${during.join(' ')}`)
    renameSync(place.at('begun'), place.at('go'))
    const answer = await asked
    expect(answer === '200 Ok\n', `${JSON.stringify(name)}: heard ${answer}`)
    const after = listing(place).filter((found) => !usual.has(found) && found !== 'go')
    expect(after.length === 0, `${JSON.stringify(name)}: afterwards there is ${after.join(' ')}`)
    renameSync(place.at('go'), place.at('done'))
    usual.add('done')
  }
  for (const path of ['/tmp/climbed', join(place.root, '../climbed')]) expect(!existsSync(path), `there is ${path}`)
  await host.kill()
  return seen
}

testPromise('R48 no link that somebody plants in the spool leads to a file outside', links(/^/), [
  {
    without: ['control files are opened without following links'],
    sees: /^a link for the control file, .*: the file outside was/,
    check: links(/^a link for the control file/),
  },
  {
    without: ['a control file has one name'],
    sees: /^a hard link for the control file, .*: the file outside was/,
    check: links(/^a hard link for the control file/),
  },
])
testPromise('R50 no name in the spool or in the state folder comes from a message', names, [
  { without: ['the original has a name of ours'], sees: /while it is filtered there is/ },
])
