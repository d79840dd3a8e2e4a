/** R47: a message whose files somebody else changes while filters run over it is deferred; the chain's own edits are not. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t, { type Test } from 'tap'
import {
  unexplainedChange,
  type ChainEdits,
  type ControlState,
  type FileState,
  type PairStateAfter,
} from '../../host/changed-files.ts'
import { makePlace, orders, startHost, startStream, type HostProcess } from '../helpers/host-process.ts'
import type { Pair } from '../helpers/pair.ts'
import { noPython } from '../helpers/python.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'

/** What a process beside the host does to a file, `$F`, in the order of a shell; `$O` lies beside it. */
const changes = {
  'is appended to': 'printf "%s" part >>$F',
  'is cut': 'truncate -s 20 $F',
  'is written over': 'printf Z | dd of=$F bs=1 seek=3 conv=notrunc status=none',
  'is written over, and given its old time':
    'touch -r $F $O; printf Z | dd of=$F bs=1 seek=3 conv=notrunc status=none; touch -r $O $F',
  'is replaced by a copy': 'cp -p $F $O; mv $O $F',
  'is replaced by another file': 'cp -p $F $O; printf "x\\n" >>$O; mv $O $F',
  'is removed': 'rm $F',
  'gets another mode': 'chmod 0604 $F',
  'gets a second name': 'ln $F $O',
} as const

const sentence =
  / (was (removed|written to|written over|made shorter|replaced by another file|changed and set back|given (another mode or owner|a second name))|grew by a part of a record) while the message was in hand"/

/** A message that stands still in its filter until `act` has been done to it; what was heard, and what the log says. */
async function changed(host: HostProcess, id: string, edits: boolean, act: (pair: Pair) => Promise<void> | void) {
  const { place } = host
  const [begun, go] = [place.at(`${id}.begun`), place.at(`${id}.go`)]
  const content = orders({ act: [`journal ${begun}`, `hold ${go}`] })
  const pair = place.pair({ id, content: edits ? `X-Edit: yes\n${content}` : content })
  const asked = host.ask(pair)
  await until(`${id} to be held`, () => existsSync(begun))
  await act(pair)
  writeFileSync(go, '')
  return { answer: await asked, line: await host.settled(id) }
}

function shell(command: string, path: string): void {
  execFileSync('/bin/sh', ['-ec', command], {
    env: { PATH: process.env['PATH'], F: path, O: `${dirname(path)}/other` },
  })
}

/** Edits whatever asks for it, by the library and by its own code. */
const editSource = `import { appendFileSync, readFileSync } from 'node:fs'
import { addRecipient, XFilter } from 'nodefilter/courier-compat'
export function doFilter(bodyPath, controlPaths, { signal }) {
  if (!readFileSync(bodyPath, 'latin1').startsWith('X-Edit: yes')) return
  addRecipient(controlPaths, 'added@example.org')
  appendFileSync(controlPaths[0], 'rown@example.org\\nR\\nN\\n')
  const xfilter = new XFilter('edit', bodyPath, controlPaths)
  xfilter.getMessage().header.add('X-Edited', 'yes')
  return xfilter.submit({ signal })
}
`

/** As pythonfilter's library rewrites a message: in its place. */
const pythonSource = `def doFilter(body_path, control_paths):
    with open(body_path, 'r+b') as body:
        content = body.read()
        if not content.startswith(b'X-Edit: yes'):
            return ''
        body.seek(0)
        body.truncate(0)
        body.write(content + b'edited\\n')
    with open(control_paths[0], 'ab') as control:
        control.write(b'rpython@example.org\\nR\\nN\\n')
    return ''
`

async function startEditing(t: Test, list: readonly string[], without: readonly string[]): Promise<HostProcess> {
  const place = makePlace(t)
  mkdirSync(place.at('py'))
  writeFileSync(place.at('py/writing.py'), pythonSource)
  place.filter('edit.mjs', editSource)
  place.list(...list.map((line) => line.replace('FOLDER', place.at('py'))))
  const host = startHost(t, place, { without })
  await host.ready()
  return host
}

const changesFromElsewhere =
  (wanted: RegExp): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const host = await startEditing(t, ['edit', 'act'], without)
    const stream = startStream(host, 1)
    let count = 0
    for (const edits of [false, true]) {
      for (const [name, command] of Object.entries(changes)) {
        for (const file of ['data', 'control'] as const) {
          const what = `the ${file} file ${name}${edits ? ', after the chain edited it' : ''}`
          // A version of the chain's own has no time of change that could be compared: it is linked and renamed.
          if (
            !wanted.test(what) ||
            what === 'the data file is written over, and given its old time, after the chain edited it'
          )
            continue
          const { answer, line } = await changed(host, `CHANGED.${++count}`, edits, ({ bodyPath, controlPaths }) =>
            shell(command, file === 'data' ? bodyPath : (controlPaths[0] ?? '')),
          )
          expect(/^451 4\.3\.0 .*\n$/.test(answer), `${what}: heard ${JSON.stringify(answer)}`)
          expect(sentence.test(line), `${what}: the log says ${line}`)
        }
      }
    }
    const { wrong } = await stream.stop()
    expect(wrong.length === 0, `good messages heard ${wrong.join(' ')}`)
    await host.kill()
    return seen
  }

/** The second filter sees another message than the first; afterwards all is as it was. */
const swapped: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const host = await startEditing(t, ['act', 'act as second'], without)
  const { at, pair } = host.place
  const content = (name: string): string =>
    orders({ act: [`journal ${at('1')}`, `hold ${at('go1')}`], second: [`journal ${at('2')}`, `hold ${at('go2')}`] }) +
    name
  const { bodyPath, controlPaths } = pair({ id: 'SWAPPED.1', content: content('the message') })
  const other = pair({ content: content('another') })
  const asked = host.ask({ bodyPath, controlPaths })
  await until('the first filter', () => existsSync(at('1')))
  execFileSync('mv', [bodyPath, `${bodyPath}.aside`])
  execFileSync('mv', [other.bodyPath, bodyPath])
  writeFileSync(at('go1'), '')
  await until('the second filter', () => existsSync(at('2')))
  execFileSync('mv', [`${bodyPath}.aside`, bodyPath])
  writeFileSync(at('go2'), '')
  const answer = await asked
  expect(/^451 4\.3\.0 .*\n$/.test(answer), `swapped between two filters: heard ${JSON.stringify(answer)}`)
  const line = await host.settled('SWAPPED.1')
  expect(sentence.test(line), `swapped between two filters: the log says ${line}`)
  await host.kill()
  return seen
}

testPromise(
  'R47 a message that another process changes while filters run is deferred, and the log says what changed',
  changesFromElsewhere(/^/),
  [
    {
      without: ['the time of change is compared'],
      sees: /^the data file is written over, and given its old time: heard "200/,
      check: changesFromElsewhere(/data file is written over, and given its old time$/),
    },
    {
      without: ['a version is that of the chain'],
      sees: /^the data file is replaced by another file, after the chain edited it: heard "200/,
      check: changesFromElsewhere(/data file is replaced by another file/),
    },
    {
      without: ['the octets of a control file are compared'],
      sees: /^the control file is written over, after the chain edited it: heard "200/,
      check: changesFromElsewhere(/control file is written over, after/),
    },
  ],
)
testPromise('R47 a message that is swapped for another between two filters is deferred', swapped, [
  { without: ['the time of change is compared'], sees: /heard "200/ },
])

t.test('R47 what the chain does itself is never taken for a change from elsewhere', async (t) => {
  const chains: { name: string; lines: readonly string[]; skip?: string | false }[] = [
    { name: 'a message rewritten, recipients added by the library and by own code', lines: ['edit'] },
    { name: 'twice', lines: ['edit', 'edit as again'] },
    { name: 'on trial', lines: ['edit with dry_run=yes'] },
    { name: 'on trial after an edit that counts', lines: ['edit', 'edit as tried with dry_run=yes', 'edit as last'] },
    {
      name: 'in vain, by a filter whose failure passes',
      lines: ['edit as soft with on_error=pass', 'act with on_error=pass'],
    },
    { name: 'a message rewritten by own code, in the way of the library', lines: ['act as own'] },
    { name: 'a message that runs again after its thread ended', lines: ['edit', 'act as ends'] },
    {
      name: 'a message written to by a filter in Python, then rewritten',
      lines: ['python as writing with path=FOLDER', 'edit'],
      skip: noPython(),
    },
    { name: 'the same in the other order', lines: ['edit', 'python as writing with path=FOLDER'], skip: noPython() },
  ]
  for (const { name, lines, skip = false } of chains) {
    await t.test(name, { skip }, async (t) => {
      const host = await startEditing(t, lines, [])
      const acts = orders({ act: 'throw error', own: 'rewrite Subject: other', ends: ['first exit 1'] })
      const pair = host.place.pair({ id: 'OWN.1', content: `X-Edit: yes\n${acts}` })
      // Whoever only reads changes nothing.
      readFileSync(pair.bodyPath)
      const answer = await host.ask(pair)
      t.equal(answer, '200 Ok\n', await host.settled('OWN.1'))
      t.equal(await host.ask(host.place.pair()), '200 Ok\n')
      await host.kill()
    })
  }
})

t.test('R47 what is told of a change', (t) => {
  const at = { dev: 1, ino: 2, mode: 0o100660, nlink: 1, uid: 3, gid: 4, size: 4, mtimeMs: 5, ctimeMs: 6 }
  const state = (changes: Partial<FileState> = {}): FileState => ({ ...at, ...changes })
  const touched = { ctimeMs: 7 }
  const none: ChainEdits = { ran: true, undone: false, version: null }
  const content = 'sa\nr'
  const control = (changes: Partial<FileState>, text: string): ControlState => ({
    path: 'C',
    state: state(changes),
    content: text,
  })
  interface Row {
    readonly name: string
    readonly data?: Partial<FileState> | null
    readonly kept?: FileState
    readonly control?: ControlState
    readonly edits?: Partial<ChainEdits>
    readonly want: string | null
  }
  const version = { dev: 1, ino: 9, size: 8, mtimeMs: 8 }
  const rows: readonly Row[] = [
    { name: 'nothing', want: null },
    { name: 'a data file that is gone', data: null, want: 'D was removed' },
    { name: 'a data file that was touched', data: touched, want: 'D was changed and set back' },
    { name: 'one that was touched by an undo', data: touched, edits: { undone: true }, want: null },
    { name: 'one whose edit was begun', data: { ...touched, nlink: 2 }, kept: state({ nlink: 2 }), want: null },
    { name: 'one whose edit was begun and failed', data: touched, edits: { version: at }, want: null },
    {
      name: 'one with a second name that is no original',
      data: { ...touched, nlink: 2 },
      want: 'D was given a second name',
    },
    { name: 'one that grew', data: { ...touched, size: 9 }, want: 'D was written to' },
    {
      name: 'one that grew though an undo was told',
      data: { ...touched, size: 9 },
      edits: { undone: true },
      want: 'D was written to',
    },
    {
      name: 'one that a filter tells it wrote to',
      data: { ...touched, size: 8, mtimeMs: 8 },
      edits: { version: { ...version, ino: 2 } },
      want: null,
    },
    {
      name: 'one that was written to once more',
      data: { ...touched, size: 9, mtimeMs: 9 },
      edits: { version: { ...version, ino: 2 } },
      want: 'D was written to',
    },
    {
      name: 'another owner',
      data: { ...touched, uid: 9 },
      edits: { undone: true },
      want: 'D was given another mode or owner',
    },
    { name: 'another file', data: { ...version, ctimeMs: 9 }, want: 'D was replaced by another file' },
    {
      name: 'another file, told of, but without an original',
      data: version,
      edits: { version },
      want: 'D was replaced by another file',
    },
    { name: 'another file, told of', data: version, kept: state(touched), edits: { version }, want: null },
    {
      name: 'another file than the one told of',
      data: { ...version, ino: 10 },
      kept: state(touched),
      edits: { version },
      want: 'D was replaced by another file',
    },
    { name: 'another file beside the original', data: version, kept: state(touched), want: null },
    {
      name: 'another file beside an original that was written to',
      data: version,
      kept: state({ size: 3 }),
      want: 'D was replaced by another file',
    },
    {
      name: 'another file of another group',
      data: { ...version, gid: 9 },
      kept: state(touched),
      want: 'D was replaced by another file',
    },
    {
      name: 'a version that anybody may read',
      data: { ...version, mode: 0o100664 },
      kept: state(),
      edits: { version },
      want: 'D was replaced by another file',
    },
    {
      name: 'a control file that grew by a record',
      control: control({ size: 7, ...touched }, 'sa\nrb\n\n'),
      want: null,
    },
    {
      name: 'one that grew with no filter',
      control: control({ size: 7, ...touched }, 'sa\nrb\n\n'),
      edits: { ran: false },
      want: 'C grew, though no filter was called,',
    },
    {
      name: 'one that grew by a part of a record',
      control: control({ size: 6, ...touched }, 'sa\nrb\nR'),
      want: 'C grew by a part of a record',
    },
    { name: 'one that is shorter', control: control({ size: 3, ...touched }, 'sa\n'), want: 'C was made shorter' },
    { name: 'one that was written over', control: control({ ...touched }, 'sb\nr'), want: 'C was written over' },
    {
      name: 'one that was written over, and grew',
      control: control({ size: 5, ...touched }, 'sb\nr\n'),
      want: 'C was written over',
    },
    { name: 'one that was touched', control: control({ ...touched }, 'sa\nr'), want: 'C was changed and set back' },
    {
      name: 'one that was touched by an undo',
      control: control({ ...touched }, 'sa\nr'),
      edits: { undone: true },
      want: null,
    },
    { name: 'one of another inode', control: control({ ino: 9 }, 'sa\nr'), want: 'C was replaced by another file' },
    {
      name: 'one with another mode',
      control: control({ mode: 0o100600 }, 'sa\nr'),
      want: 'C was given another mode or owner',
    },
    { name: 'one with a second name', control: control({ nlink: 2 }, 'sa\nr'), want: 'C was given a second name' },
    { name: 'one that is gone', control: { path: 'C', state: null, content: null }, want: 'C was removed' },
  ]
  for (const { name, data = {}, kept = null, edits, want, control: now = control({}, 'sa\nr') } of rows) {
    const after: PairStateAfter = {
      data: { path: 'D', state: data === null ? null : state(data) },
      controls: [now],
      keptOriginal: kept,
    }
    const before = { data: { path: 'D', state: state() }, controls: [{ path: 'C', state: state(), content }] }
    const told = unexplainedChange(before, after, { ...none, ...edits })
    t.equal(told, want === null ? null : `${want} while the message was in hand`, name)
  }
  t.end()
})
