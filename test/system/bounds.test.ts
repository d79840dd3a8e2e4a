/** R14, on a disk of its own: the log file's disk fills up while mail is answered, and has room again later. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
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

if (process.getuid?.() === 0) {
  testPromise('R14 a full disk under the log changes no verdict; what was lost is told', fullDisk, [
    { without: ['lost log lines are told of'], sees: /^nobody is told of lost lines/ },
  ])
} else t.pass('R14 a full disk under the log changes no verdict', { skip: 'only root mounts a disk' })
