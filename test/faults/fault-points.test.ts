/** Fault points themselves: inert unless asked for, and loud about what they do not know. And a host that starts on a bad disk. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { faultPoints, noFaults, parseFaults, type Faults } from '../../host/platform/faults.ts'
import { faultyFiles } from '../../host/platform/faulty-files.ts'
import { fileCalls, systemFiles } from '../../host/platform/files.ts'
import { makePlace, orders, startHost } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { takeOut } from '../helpers/without.mjs'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'
import { protections } from '../reliability/protections.ts'
import { inLanes } from './lanes.ts'

const repository = join(import.meta.dirname, '../..')

t.test('fault points', (t) => {
  const visits = (faults: Faults, point: (typeof faultPoints)[number], count: number): string =>
    Array.from({ length: count }, () => {
      try {
        faults.at(point)
        return '-'
      } catch (thrown) {
        return thrown instanceof Error ? thrown.message : 'x'
      }
    }).join(' ')
  const thrown = 'fault injected at door.accepted'
  t.equal(parseFaults(''), noFaults, 'none unless asked for')
  t.equal(visits(noFaults, 'door.accepted', 3), '- - -')
  t.equal(noFaults.file, null)
  t.equal(faultyFiles(systemFiles, noFaults), systemFiles, 'the files are then the files themselves')
  t.equal(faultyFiles(systemFiles, parseFaults('door.accepted=kill')), systemFiles)
  t.equal(visits(parseFaults('door.accepted=throw'), 'door.accepted', 2), `${thrown} ${thrown}`, 'at every visit')
  t.equal(visits(parseFaults('door.accepted=throw@2'), 'door.accepted', 3), `- ${thrown} -`, 'or at one')
  const two = parseFaults('door.accepted=throw@1,intake.decided=throw@1')
  t.equal(visits(two, 'intake.pair-opened', 1), '-', 'other points do nothing')
  t.equal(visits(two, 'intake.decided', 2), 'fault injected at intake.decided -', 'each point counts for itself')
  t.equal(visits(two, 'door.accepted', 2), `${thrown} -`)
  const twice = parseFaults('door.accepted=throw@1,door.accepted=throw@3')
  t.equal(visits(twice, 'door.accepted', 4), `${thrown} - ${thrown} -`, 'a point can be named twice')
  const since = parseFaults('door.accepted=throw@2:intake.decided')
  t.equal(visits(since, 'door.accepted', 3), '- - -')
  t.equal(visits(since, 'intake.decided', 1), '-')
  t.equal(visits(since, 'door.accepted', 3), `- ${thrown} -`, 'visits can be counted from another point on')
  const slow = parseFaults('door.accepted=delay=30@1')
  const sinceMs = performance.now()
  t.equal(visits(slow, 'door.accepted', 2), '- -')
  t.ok(performance.now() - sinceMs > 25, 'a delay holds the thread')
  for (const point of faultPoints) t.doesNotThrow(() => parseFaults(`${point}=kill@3`), `${point} can be named`)
  const wrong = [
    ...['door.opened=throw', 'door.accepted', 'door.accepted=fail', 'door.accepted=throw@', 'door.accepted=throw@x'],
    ...['=throw', ',', 'door.accepted=throw,', ' door.accepted=throw', 'constructor=throw', 'files.constructor=throw'],
    ...['door.accepted=error=EIO', 'files.open=error=ENOPE', 'files.open=error=', 'files.openSync=error=EIO'],
    ...['door.accepted=delay', 'door.accepted=delay=x', 'files.open=kill@1:door.opened', 'files.open=kill@1:files.any'],
  ]
  for (const specification of wrong) {
    t.throws(
      () => parseFaults(specification),
      { message: /^fault ".*" is not STEP=kill\|stop\|/ },
      `"${specification}" is refused`,
    )
  }
  t.end()
})

t.test('files that fail', (t) => {
  const dir = t.testdir({ file: 'content' })
  const path = join(dir, 'file')
  const third = faultyFiles(systemFiles, parseFaults('files.any=error=EIO@3'))
  const descriptor = third.openSync(path, 'r')
  t.equal(third.fstatSync(descriptor).size, 7)
  t.throws(() => third.closeSync(descriptor), { code: 'EIO', message: 'EIO: fault injected at files.close' })
  t.throws(() => systemFiles.fstatSync(descriptor), { code: 'EBADF' }, 'the descriptor is gone all the same')
  t.equal(third.readFileSync(path, 'utf8'), 'content', 'and what comes after it works')
  const blind = faultyFiles(systemFiles, parseFaults('files.exists=error=EACCES,files.stat=throw'))
  t.equal(blind.existsSync(path), false, 'what cannot be looked at seems not to be there')
  t.throws(() => blind.statSync(path), { message: 'fault injected at files.stat' })
  for (const call of fileCalls) {
    const one = faultyFiles(systemFiles, parseFaults(`files.${call.slice(0, -4)}=error=ENOSPC`))
    t.not(one[call], systemFiles[call])
  }
  t.end()
})

t.test('what ends a process, or stops it', async (t) => {
  const url = new URL('../../host/platform/faults.ts', import.meta.url).href
  const run = (action: string) =>
    spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `import { parseFaults } from ${JSON.stringify(url)}
const faults = parseFaults('door.accepted=${action}@2')
for (let n = 0; n < 3; n++) { faults.at('door.accepted'); console.log('past', n) }`,
    ])
  const ends = { kill: 'SIGKILL', exit: 1, stop: 0 } as const
  for (const [action, want] of Object.entries(ends)) {
    const child = run(action)
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)))
    if (action === 'stop') {
      const state = (): string => / ([A-Z]) /.exec(readFileSync(`/proc/${child.pid ?? 0}/stat`, 'latin1'))?.[1] ?? ''
      await until('the process to stand still', () => state() === 'T')
      t.equal(out, 'past 0\n', 'stopped before the step')
      child.kill('SIGCONT')
    }
    t.equal(await ended, want, action)
    t.equal(out, action === 'stop' ? 'past 0\npast 1\npast 2\n' : 'past 0\n', `${action}: the step was not passed`)
  }
})

/** Fewer would mean that the loop no longer meets what it is there to break. */
const leastSteps = 10

/** A start that meets the n-th file operation failing: a host that says why it is not there, or one that is. */
const start =
  (code: string): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    let next = 0
    /** The first that was beyond the last step. */
    const beyond: number[] = []
    const lane = async (): Promise<void> => {
      while (beyond.length === 0) {
        const at = ++next
        const place = makePlace(t, 'act')
        const set = ['runner.threads=1']
        const host = startHost(t, place, { faults: `files.any=error=${code}@${at}`, set, without })
        const serves = await host.ready().then(
          () => true,
          () => false,
        )
        const met = host.log.find((line) => line.startsWith('fault '))
        const what = `${code} at ${at}, ${met ?? 'nothing'}`
        if (serves) {
          const pair = place.pair({ content: orders({ act: 'reply "554 no"' }) })
          const answer = await host.ask(pair).catch((thrown: unknown) => String(thrown))
          expect(/^554 no\n$|^451 .*\n$|^$|^Error: connect/.test(answer), `${what}: heard ${JSON.stringify(answer)}`)
          if (met === undefined) beyond.push(at)
        } else {
          const { code: status } = await host.ended
          expect(status !== 0 && status !== null, `${what}: ended with ${status ?? 'a signal'}`)
          expect(
            host.log.some((line) => /^(ERR|ALERT): /.test(line)),
            `${what}: ended without a word: ${host.log.join(' / ')}`,
          )
        }
        await host.kill()
        if (at > 200) throw new Error('the loop does not end')
      }
    }
    await inLanes(3, [1, 2, 3], lane)
    const steps = Math.min(...beyond) - 1
    t.comment(`${steps} steps`)
    expect(steps > leastSteps, `there are but ${steps} steps`)
    return seen
  }

testPromise(
  'a host whose disk fails at any step of its start accepts nothing unfiltered, and says why',
  start('EIO'),
  [],
)

t.test('every protection that a control takes out is there, once, in its file', (t) => {
  for (const [name, { file }] of Object.entries(protections)) {
    const text = readFileSync(join(repository, file), 'utf8')
    t.not(takeOut(file, text, [name]), text, name)
  }
  t.throws(() => takeOut('host/pair.ts', '', ['no such protection']), { message: /there is no protection/ })
  t.throws(() => takeOut('host/pair.ts', 'x', ['files have one name']), {
    message: /its text is 0 times in host\/pair\.ts/,
  })
  const { find } = protections['files have one name'] ?? { find: '' }
  t.throws(() => takeOut('host/pair.ts', find + find, ['files have one name']), { message: /its text is 2 times/ })
  t.end()
})

t.test('a control whose text is gone ends the host loudly, and so proves nothing by chance', async (t) => {
  const host = startHost(t, makePlace(t, 'act'), { without: ['no such protection'] })
  await t.rejects(host.ready(), {
    message: /the host ended instead of serving:\nthere is no protection "no such protection"/,
  })
})
