/**
 * The depot where it takes root or long: rows R06 and R16 in many rounds, R07 with disks that lose their power, and other users.
 *
 * NODEFILTER_KILL_ROUNDS and NODEFILTER_CUT_ROUNDS in the environment choose other numbers.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkDepot } from '../../queue-store/check.ts'
import { openDepot } from '../../queue-store/depot.ts'
import { until } from '../helpers/until.ts'
import { depotFolder, startDepotProcess, wordsAfter } from '../queue-store/depot-process.ts'
import { abandoned, judgeWork, killed, killedAtSteps } from '../queue-store/kill-checks.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'

const killRounds = Number(process.env['NODEFILTER_KILL_ROUNDS'] ?? 200)
const cutRounds = Number(process.env['NODEFILTER_CUT_ROUNDS'] ?? 30)
t.setTimeout(590_000)

const isRoot = process.geteuid?.() === 0
const works = (command: string, ...words: string[]): boolean => spawnSync(command, words).status === 0

testPromise(`R06 kill -9 in commits, ${killRounds} rounds`, killed(killRounds), [
  { without: ['published is on disk'], sees: /acknowledged and is lost/, check: killed(8) },
])
if (works('strace', '-V')) {
  testPromise('R06 kill -9 at each writing call of a depot, from its making on', killedAtSteps(1), [])
} else t.test('R06 kill -9 at each writing call', { skip: 'strace is not installed' }, (t) => t.end())
testPromise(`R16 ${killRounds} readers are killed with a snapshot in hand`, abandoned(killRounds), [])

/** A disk in a file, mounted for as long as the test runs, or until the function given back is called. */
function mountDisk(t: Test, image: string, folder: string): () => void {
  // The file system itself writes nothing of its own accord: what was not synced is not on the disk.
  execFileSync('mount', ['-t', 'ext4', '-o', 'loop,commit=300', image, folder])
  let isMounted = true
  const unmount = (): void => {
    if (isMounted) execFileSync('umount', [folder])
    isMounted = false
  }
  t.teardown(() => {
    if (isMounted) spawnSync('umount', ['-l', folder])
  })
  return unmount
}

/** Why there can be no such disk here; `null` where there can. */
function diskTrouble(t: Test): string | null {
  if (!isRoot) return 'only root mounts disks'
  if (!works('mkfs.ext4', '-V')) return 'mkfs.ext4 is not installed'
  const folder = depotFolder(t)
  try {
    makeDisk(join(folder, 'image'))
    mkdirSync(join(folder, 'mounted'))
    mountDisk(t, join(folder, 'image'), join(folder, 'mounted'))()
    return null
  } catch (error) {
    return `no disk in a file can be mounted: ${String(error).split('\n')[0] ?? ''}`
  }
}

function makeDisk(image: string): void {
  execFileSync('truncate', ['-s', '64M', image])
  execFileSync('mkfs.ext4', ['-q', '-F', '-O', '^metadata_csum_seed', image])
}

/**
 * The power goes while messages are added and taken, so many times on the same disk. What the disk then holds is what its file
 * holds at a moment at which nobody writes: all that the file system has not yet given to it is lost.
 */
const cut =
  (rounds: number): Check =>
  async (t, without) => {
    const folder = depotFolder(t)
    const [image, next, mounted] = ['image', 'next', 'mounted'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    makeDisk(image)
    mkdirSync(mounted)
    const directory = join(mounted, 'depot')
    const lines: string[] = []
    for (let round = 0; round < rounds; round++) {
      const unmount = mountDisk(t, image, mounted)
      // The first cuts come while the depot is young.
      const child = startDepotProcess(t, ['work', directory, String(round)], { without })
      const enough = 4 + ((round * 53) % 150)
      await until('it works', () => child.lines.length >= enough || child.process.exitCode !== null, 30_000, 2)
      child.process.kill('SIGSTOP')
      await until('it stands still', () => isStopped(child.process.pid ?? 0))
      copyFileSync(image, next)
      await child.kill()
      lines.push(...child.lines)
      unmount()
      renameSync(next, image)
      const unmountAgain = mountDisk(t, image, mounted)
      const seen = await judgeWork(directory, lines).catch((error: unknown) => [
        `it cannot be opened: ${String(error)}`,
      ])
      unmountAgain()
      if (seen.length > 0) return seen
    }
    const { seen, expect } = createFindings()
    const [added, done] = ['added', 'done'].map((word) => wordsAfter(lines, word).length) as [number, number]
    t.comment(`${added} pairs were acknowledged, ${done} messages were done`)
    expect(added >= rounds && done >= rounds, 'nothing was added or taken')
    return seen
  }

/** All threads of a process are stopped. */
function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((task) => {
    const { stdout } = spawnSync('cat', [`/proc/${pid}/task/${task}/stat`], { encoding: 'utf8' })
    return /\) [Tt] /.test(stdout)
  })
}

const trouble = diskTrouble(t)
const cutName = `R07 the power goes, ${cutRounds} times: what was acknowledged is there, what was done does not come again`
if (trouble === null) {
  const check = cut(10)
  testPromise(cutName, cut(cutRounds), [
    { without: ['a commit is synced'], sees: /is lost|there again|came again|cannot be opened|has no content/, check },
    { without: ['a large message is synced'], sees: /octets, not|is missing|digest/, check },
  ])
} else t.test(cutName, { skip: trouble }, (t) => t.end())

/** A Maildir with so many messages, some of them large, and the ini file that sorts them into the queue `in`. */
function makeMaildir(owner: number, outer: string, directory: string, count: number): string {
  const [maildir, ini] = [join(outer, 'Maildir'), join(outer, 'postoffice.ini')]
  for (const name of ['tmp', 'new', 'cur']) mkdirSync(join(maildir, name), { recursive: true })
  for (let number = 0; number < count; number++) {
    const body = `line of ${number}\n`.repeat(number % 10 === 0 ? 9000 : 90)
    const fields = `From: ann@example.org\nTo: box@example.com\nSubject: ${number}\nMessage-ID: <${number}@example.org>\n`
    writeFileSync(join(maildir, 'new', `${1_800_000_000 + number}.${number}.host`), `${fields}\n${body}`)
  }
  for (const path of [maildir, ...readdirSync(maildir, { recursive: true }).map((name) => join(maildir, String(name)))])
    chownSync(path, owner, owner)
  const settings = `store = ${directory}\nmaildir = ${maildir}\n`
  writeFileSync(ini, `[post office]\n${settings}[queue:in]\nfilters = to_hostname: example.com\n`)
  return ini
}

/** Two users consume what a third one imports; all are of the depot's group, and of nothing else in common. */
const shared =
  (limitMs: number): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const outer = depotFolder(t)
    chmodSync(outer, 0o755)
    const directory = join(outer, 'depot')
    const gid = 23_456
    const made = await openDepot(directory, { group: gid })
    await made.makeQueue('in')
    await made.close()
    const start = (uid: number, words: readonly string[], group = gid) =>
      startDepotProcess(t, words, { uid, gid: group, without })
    const consumers = [12_345, 12_346].map((uid) => start(uid, ['consume', directory, '5', '3']))
    const isReady = (): boolean =>
      consumers.every(({ lines, process: { exitCode } }) => lines[0] === 'ready' || exitCode !== null)
    await until('both wait', isReady, 20_000)
    const importer = start(12_347, ['import', outer, makeMaildir(12_347, outer, directory, 120)])
    expect((await importer.ended) === 0, 'the third user cannot import')
    const depot = await openDepot(directory)
    t.teardown(() => depot.close())
    const queue = await depot.queue('in')
    const isEmpty = async (): Promise<boolean> => {
      const { ready, leased } = await queue.counts()
      return ready + leased === 0
    }
    await until('all is done', isEmpty, limitMs).catch(() => expect(false, 'not all was done'))
    await Promise.all(consumers.map((one) => one.kill()))
    const taken = consumers.flatMap(({ lines }) => lines.filter((line) => line.startsWith('took ')))
    const ids = new Set(taken.map((line) => line.split(' ')[2]))
    expect(ids.size === 120, `${ids.size} of 120 were consumed`)
    expect(taken.length === 120, `${taken.length - 120} were consumed twice`)
    for (const [index, { lines }] of consumers.entries()) {
      expect(wordsAfter(lines, 'done').length > 10, `consumer ${index} did ${wordsAfter(lines, 'done').length}`)
    }
    await until('the files are gone', () => readdirSync(join(directory, 'messages')).length === 0).catch(() =>
      expect(false, 'a user cannot remove what another one added'),
    )
    seen.push(...(await checkDepot(depot.core)).problems)
    for (const name of readdirSync(directory)) {
      const { mode, gid: group } = statSync(join(directory, name))
      expect(group === gid && (mode & 0o007) === 0, `${name} has the mode ${(mode & 0o7777).toString(8)}`)
    }
    const stranger = start(12_348, ['add', directory, '1'], 23_457)
    expect((await stranger.ended) !== 0, 'a user of another group can add')
    return seen
  }
if (isRoot) {
  testPromise('R19 two users of the group consume one queue while a third one imports', shared(30_000), [
    {
      without: ['a large message belongs to the group'],
      sees: /not all was done|cannot|consumed|did 0/,
      check: shared(5000),
    },
  ])
} else t.test('R19 users of the group', { skip: 'only root starts processes of others' }, (t) => t.end())

t.test('Q28: a million messages wait; adding one and receiving one takes under 5 ms each', async (t) => {
  const depot = await openDepot(join(depotFolder(t), 'many'))
  t.teardown(() => depot.close())
  const queue = await depot.makeQueue('many')
  const message = Buffer.from('Subject: x\n\nwaiting\n')
  for (let count = 0; count < 1_000_000; count += 4000) {
    await Promise.all(Array.from({ length: 4000 }, () => queue.add({ message })))
  }
  t.equal((await queue.counts()).ready, 1_000_000)
  const timesMs: { add: number[]; receive: number[] } = { add: [], receive: [] }
  for (let count = 0; count < 51; count++) {
    const began = performance.now()
    await queue.add({ message })
    const added = performance.now()
    const [delivery] = await queue.receive()
    timesMs.receive.push(performance.now() - added)
    timesMs.add.push(added - began)
    await delivery?.ack()
  }
  for (const [what, times] of Object.entries(timesMs)) {
    const middle = times.sort((one, other) => one - other)[25] ?? Infinity
    t.ok(middle < 5, `${what}: ${middle.toFixed(2)} ms`)
  }
})
