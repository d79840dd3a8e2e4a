/** R14, on disks of their own: that of the log file, and that of the quarantine, fill up while mail is answered, and have room again. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseJsonLine } from '../../host/observe/line-parser.ts'
import { makePlace, startHost, startStream } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, within, type Check } from '../reliability/check.ts'

/** A small disk, for as long as the test runs. */
function mountDisk(t: Test, folder: string): void {
  mkdirSync(folder)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder])
  t.teardown(() => execFileSync('umount', [folder]))
}

/** Writes until nothing more fits. */
function fill(path: string): void {
  const descriptor = openSync(path, 'w')
  try {
    for (let size = 65_536; size >= 1; size /= 2) {
      for (;;) {
        try {
          if (writeSync(descriptor, Buffer.alloc(size)) < size) break
        } catch (thrown) {
          if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown
          break
        }
      }
    }
  } finally {
    closeSync(descriptor)
  }
}

const fullDisk: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'act')
  const disk = place.at('disk')
  mountDisk(t, disk)
  const file = join(disk, 'log.json')
  const host = startHost(t, place, { set: [`log.file=${file}`, 'log.max_buffer=64KiB'], without })
  await host.ready()
  const stream = startStream(host)
  const ask = (id: string): Promise<string> => host.ask(place.pair({ id })).catch(String)
  expect((await ask('BEFORE.1')) === '200 Ok\n', 'no answer before')
  fill(join(disk, 'filler'))
  // More than the buffer holds.
  const answers = new Set<string>()
  const begun = host.log.length
  const many = Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let count = 0; count < 150; count++) answers.add(await ask('DURING.1'))
    }),
  )
  expect((await within(60_000, many)) !== null, 'messages are not answered while the disk is full')
  expect(answers.size === 1 && answers.has('200 Ok\n'), `with a full disk messages hear ${[...answers].join(' ')}`)
  expect(host.log.length - begun > 500, 'the text of the log stops with the file')
  rmSync(join(disk, 'filler'))
  const lines = (): string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1)
  // The first ones may still find the buffer full.
  const goesOn = async (): Promise<boolean> => {
    expect((await ask('AFTER.1')) === '200 Ok\n', 'no answer afterwards')
    return lines().some((line) => line.includes('"AFTER.1"'))
  }
  await until('the log to go on', goesOn, 15_000, 200).catch(() => expect(false, 'the log does not go on'))
  expect(
    lines().some((line) => line.includes('log-lines-dropped')),
    'nobody is told of lost lines',
  )
  expect(!lines().some((line) => parseJsonLine(line) === null), 'a line of the log is no record')
  const { wrong } = await stream.stop()
  expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  await host.kill()
  return seen
}

/** Keeps every message that has the word in its subject. */
const keeping = (dir: string): string => `import { openQuarantine } from 'nodefilter/courier-compat'
import { readFileSync } from 'node:fs'
let quarantine
export const edits = 'library'
export async function initFilter() {
  const settings = { siteid: 'local', dir: ${JSON.stringify(dir)}, days: 14, notify_recipient: false, also_notify: null, user_release: true }
  quarantine = await openQuarantine({ settings, me: () => 'mx.example.org', submit: async () => undefined })
}
export async function doFilter(bodyPath, controlPaths) {
  if (!readFileSync(bodyPath, 'utf8').includes('Subject: harmful')) return ''
  await quarantine.keep({ bodyPath, controlPaths, reason: 'harmful' })
  return '050 OK'
}
`

const fullQuarantine: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'act', 'keeping')
  const disk = place.at('disk')
  mountDisk(t, disk)
  const dir = join(disk, 'quarantine')
  mkdirSync(dir, { mode: 0o700 })
  place.filter('keeping.mjs', keeping(dir))
  const host = startHost(t, place, { without })
  await host.ready()
  const stream = startStream(host)
  const content = (word: string): string => `Subject: harmful ${word}\n\n${`${word} `.repeat(10_000)}\n`
  const ask = (word: string): Promise<string> => host.ask(place.pair({ content: content(word) })).catch(String)
  const kept = (): string[] => readdirSync(dir).filter((name) => /^[a-z2-7]{26}/.test(name))
  const first = await ask('first')
  expect(first.startsWith('050'), `with room it hears ${JSON.stringify(first)}`)
  const before = kept().sort()
  fill(join(disk, 'filler'))
  for (const word of ['second', 'third', 'fourth']) {
    const answer = await ask(word)
    expect(/^4[0-9][0-9]/.test(answer), `with a full disk a message that is to be kept hears ${JSON.stringify(answer)}`)
  }
  expect(JSON.stringify(kept().sort()) === JSON.stringify(before), 'something is there of what was not kept')
  rmSync(join(disk, 'filler'))
  const again = await ask('second')
  expect(again.startsWith('050'), `with room again it hears ${JSON.stringify(again)}`)
  expect(kept().length > before.length, 'with room again nothing is kept')
  const { wrong } = await stream.stop()
  expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
  await host.kill()
  return seen
}

if (process.getuid?.() === 0) {
  testPromise(
    'R14 a full disk under the quarantine: what cannot be kept is tried again, and nothing stays of it',
    fullQuarantine,
    [
      {
        without: ['a failure is a temporary refusal'],
        sees: /^with a full disk a message that is to be kept hears "2/,
      },
    ],
  )
  testPromise('R14 a full disk under the log changes no verdict; what was lost is told', fullDisk, [
    { without: ['lost log lines are told of'], sees: /^nobody is told of lost lines/ },
  ])
} else t.pass('R14 a full disk under the log changes no verdict', { skip: 'only root mounts a disk' })
