/** Edits to a message and back: every step of a rewriting cut short, every filter of a chain undone by itself. */
import { appendFileSync, existsSync, linkSync, lstatSync, readFileSync, readdirSync, renameSync } from 'node:fs'
import { statSync, unlinkSync, writeFileSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { addRecipient } from '../../courier-compat/control.ts'
import type { DoFilter } from '../../courier-compat/filter.ts'
import { accept, defer, type Verdict } from '../../courier-compat/reply.ts'
import { markedVersionPath, newVersionPath } from '../../courier-compat/kept-original.ts'
import { writeVersion, type MessageFiles } from '../../courier-compat/message-file.ts'
import { XFilter } from '../../courier-compat/xfilter.ts'
import { runChain, type ChainFilter, type ChainOutcome, type ChainTools } from '../../host/chain/chain.ts'
import { clearKept, editTools, identityOf, keptOriginalPath, markEdits, undoEdits } from '../../host/edits.ts'
import type { EditMark, Pair } from '../../host/edits.ts'
import type { Failure } from '../../host/chain/failure.ts'
import { createIntake, type FailurePolicy } from '../../host/intake.ts'
import { removeLeftOvers } from '../../host/left-overs.ts'
import { createEvents } from '../../host/observe/events.ts'
import { openPair, openSpool } from '../../host/pair.ts'
import { systemPlatform } from '../../host/platform/platform.ts'
import { systemFiles, type Files } from '../../host/platform/files.ts'
import { systemClock } from '../../host/platform/clock.ts'
import { makePair } from '../helpers/pair.ts'

const content = `A: 1\n\n${'body\n'.repeat(200_000)}`
const edited = content.replace('A: 1', 'A: 1\nX: v')

/** Everything in the folder of a pair. */
const state = ({ bodyPath }: Pair): { data: string; names: string[] } => ({
  data: readFileSync(bodyPath, 'latin1'),
  names: readdirSync(dirname(bodyPath)).filter((name) => name.startsWith('nodefilter')),
})

class Cut extends Error {
  override readonly name = 'Cut'
}

/**
 * The machine's files, counting calls. From call `at` on none is made (`dead`: the process is gone), or that one alone
 * fails (`full`: a full disk, or any other error).
 */
function cutFiles(at: number, how: 'dead' | 'full', seen: string[] = []): MessageFiles {
  const ask = (what: string): void => {
    const count = seen.push(what)
    if (how === 'dead' ? count >= at : count === at) throw new Cut(what)
  }
  const handle = (real: FileHandle, name: string): FileHandle =>
    new Proxy(real, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key)
        if (typeof member !== 'function') return member
        return async (...args: unknown[]): Promise<unknown> => {
          const call = (): unknown => Reflect.apply(member, target, args)
          try {
            ask(`${name} ${String(key)}`)
          } catch (thrown) {
            // The descriptor of a dead process closes too.
            if (key === 'close') await call()
            if (key === 'writeFile' && Buffer.isBuffer(args[0])) await target.writeFile(args[0].subarray(0, 3))
            throw thrown
          }
          return call()
        }
      },
    })
  return {
    open: async (path, flags, mode) => {
      const name = path.endsWith('.new') ? 'new' : 'old'
      ask(`open ${name}`)
      return handle(await open(path, flags, mode), name)
    },
    linkSync: (from, to) => {
      ask('link')
      linkSync(from, to)
    },
    lstatSync: (path) => (ask('lstat'), lstatSync(path)),
    renameSync: (from, to) => {
      ask('rename')
      renameSync(from, to)
    },
    unlinkSync: (path) => {
      ask('unlink')
      unlinkSync(path)
    },
  }
}

t.test('a rewriting that is cut short at any step', async (t) => {
  const dir = t.testdir()
  const rewrite = (pair: Pair, files: MessageFiles): Promise<void> =>
    writeVersion(
      {
        bodyPath: pair.bodyPath,
        from: identityOf(lstatSync(pair.bodyPath)),
        pieces: [
          { kind: 'octets', octets: Buffer.from('A: 1\nX: v\n\n'), isBody: false },
          { kind: 'copied', start: 6, end: lstatSync(pair.bodyPath).size },
        ],
      },
      null,
      files,
    )
  const whole: string[] = []
  const done = makePair(dir, { content })
  await rewrite(done, cutFiles(0, 'full', whole))
  t.equal(state(done).data, edited)
  const renameAt = whole.indexOf('rename') + 1
  t.ok(
    whole.includes('new datasync') && whole.indexOf('new datasync') < renameAt,
    'the new version is on disk before it is used',
  )
  t.ok(whole.indexOf('link') < whole.indexOf('open new'), 'the original is kept before anything lies beside it')

  for (const how of ['dead', 'full'] as const) {
    for (let at = 1; at <= whole.length; at++) {
      const what = `${how === 'dead' ? 'killed before' : 'an error at'} step ${at}, ${whole[at - 1] ?? ''}`
      const pair = makePair(dir, { content })
      const inode = statSync(pair.bodyPath).ino
      const mark = markEdits(pair, systemFiles)
      const isDone = at > renameAt
      await rewrite(pair, cutFiles(at, how)).then(
        () => t.ok(how === 'full' && (whole[at - 1] ?? '').includes('lstat'), `${what}: went on`),
        (thrown: unknown) => t.ok(thrown instanceof Cut, `${what}: is told`),
      )
      const now = state(pair)
      t.ok(now.data === (isDone ? edited : content), `${what}: the message is ${isDone ? 'new' : 'old'}`)
      if (how === 'full' && !isDone) {
        t.strictSame(now.names, [], `${what}: nothing lies beside it`)
      } else if (now.names.length > 0) {
        t.ok(existsSync(keptOriginalPath(pair.bodyPath)), `${what}: nothing lies beside it without the original`)
      }
      undoEdits(pair, mark, systemFiles)
      t.ok(state(pair).data === content && state(pair).names.length === 0, `${what}: undone, it is as it was`)
      t.equal(statSync(pair.bodyPath).ino, inode)
      await rewrite(pair, cutFiles(0, 'full'))
      t.ok(state(pair).data === edited, `${what}: and can be edited again`)
      clearKept(pair.bodyPath, systemFiles)
      t.strictSame(state(pair).names, [])
    }
  }
})

/** The machine's files, failing from the call `at` on that changes something. */
function mortalFiles(at: number): { files: Files; calls: () => number } {
  let count = 0
  const dying =
    <Args extends unknown[], Result>(call: (...args: Args) => Result) =>
    (...args: Args): Result => {
      if (++count >= at) throw new Cut()
      return call(...args)
    }
  const files: Files = {
    ...systemFiles,
    ftruncateSync: dying(systemFiles.ftruncateSync),
    linkSync: dying(systemFiles.linkSync),
    renameSync: dying(systemFiles.renameSync),
    rmSync: dying(systemFiles.rmSync),
  }
  return { files, calls: () => count }
}

/** Replaces the message as a filter does, synchronously. */
function replace({ bodyPath }: Pair, text: string): void {
  if (!existsSync(keptOriginalPath(bodyPath))) linkSync(bodyPath, keptOriginalPath(bodyPath))
  writeFileSync(newVersionPath(bodyPath), text)
  renameSync(newVersionPath(bodyPath), bodyPath)
}

t.test('an undo that is cut short at any step', (t) => {
  const dir = t.testdir()
  const make = (): { pair: Pair; first: EditMark; second: EditMark; controls: string } => {
    const pair = makePair(dir, { content: 'A: 1\n\n', files: [['a@example.org'], ['b@example.org']] })
    const first = markEdits(pair, systemFiles)
    replace(pair, 'A: 2\n\n')
    addRecipient(pair.controlPaths, 'one@example.org')
    const controls = pair.controlPaths.map((path) => readFileSync(path, 'latin1')).join('|')
    const second = markEdits(pair, systemFiles)
    replace(pair, 'A: 3\n\n')
    addRecipient(pair.controlPaths, 'two@example.org')
    writeFileSync(newVersionPath(pair.bodyPath), 'half')
    return { pair, first, second, controls }
  }
  const rows = [
    { name: 'to the mark of a filter', to: 'second', want: 'A: 2\n\n' },
    { name: 'to the beginning', to: 'first', want: 'A: 1\n\n' },
  ] as const
  for (const { name, to, want } of rows) {
    const counted = make()
    const { files, calls } = mortalFiles(Infinity)
    undoEdits(counted.pair, counted[to], files)
    t.ok(calls() >= 4)
    for (let at = 1; at <= calls(); at++) {
      const { pair, controls, ...marks } = make()
      t.throws(() => undoEdits(pair, marks[to], mortalFiles(at).files), { name: 'Cut' })
      t.match(state(pair).data, /^A: [123]\n\n$/, `${name}, killed before change ${at}: the message is whole`)
      undoEdits(pair, marks[to], systemFiles)
      t.equal(state(pair).data, want, `${name}, killed before change ${at}: done again, it is done`)
      if (to === 'second') t.equal(pair.controlPaths.map((path) => readFileSync(path, 'latin1')).join('|'), controls)
      undoEdits(pair, marks.first, systemFiles)
      t.strictSame(
        state(pair),
        { data: 'A: 1\n\n', names: [] },
        `${name}, killed before change ${at}: and so is the whole`,
      )
    }
  }
  t.end()
})

t.test('what cannot be undone', (t) => {
  const dir = t.testdir()
  const rows: [name: string, spoil: (pair: Pair) => void][] = [
    ['a message that was written to', ({ bodyPath }) => appendFileSync(bodyPath, 'more\n')],
    [
      'one that was replaced without keeping the original',
      ({ bodyPath }) => {
        writeFileSync(`${bodyPath}.x`, 'A: 2\n\n')
        renameSync(`${bodyPath}.x`, bodyPath)
      },
    ],
    [
      'an original that is another file',
      (pair) => {
        replace(pair, 'A: 2\n\n')
        writeFileSync(`${pair.bodyPath}.x`, 'A: 1\n\n')
        renameSync(`${pair.bodyPath}.x`, keptOriginalPath(pair.bodyPath))
      },
    ],
  ]
  for (const [name, spoil] of rows) {
    const pair = makePair(dir, { content: 'A: 1\n\n' })
    const mark = markEdits(pair, systemFiles)
    spoil(pair)
    t.throws(() => undoEdits(pair, mark, systemFiles), /is not the file, or has not the content/, `${name} is told`)
  }
  t.end()
})

t.test('what an older message left is not taken for the original', (t) => {
  const dir = t.testdir({ D9: 'no folder' })
  const pair = makePair(dir, { content: 'A: 1\n\n' })
  for (const path of [keptOriginalPath, newVersionPath, markedVersionPath])
    writeFileSync(path(pair.bodyPath), 'another')
  const opened = openPair(pair, openSpool(dir, systemFiles), systemFiles)
  t.throws(() => undoEdits(opened, opened.mark, systemFiles), /is not the file/, 'it is found out where it is used')
  writeFileSync(keptOriginalPath(pair.bodyPath), 'another')
  writeFileSync(pair.bodyPath, 'A: 1\n\n')
  t.strictSame(removeLeftOvers({ path: dir }, systemFiles), { removed: 1, failures: [] })
  t.strictSame(state(pair), { data: 'A: 1\n\n', names: [] }, 'it is removed when the host starts')
  const again = openPair(pair, openSpool(dir, systemFiles), systemFiles)
  replace(pair, 'A: 2\n\n')
  undoEdits(again, again.mark, systemFiles)
  t.strictSame(state(pair), { data: 'A: 1\n\n', names: [] })
  t.match(removeLeftOvers({ path: join(dir, 'none') }, systemFiles), { removed: 0, failures: [/ENOENT/] })
  t.end()
})

/** The filters of the chains below; each edits by the library, as any filter would. */
const edits: Readonly<Record<string, DoFilter>> = {
  rewrite: async (bodyPath, controlPaths, { notes }) => {
    const xfilter = new XFilter('test', bodyPath, controlPaths)
    const turn = (notes.get('turn') ?? '') + 'i'
    notes.set('turn', turn)
    xfilter.getMessage().header.add('X', turn)
    addRecipient(controlPaths, `${turn}@example.org`)
    return xfilter.submit()
  },
  spoil: async (bodyPath, controlPaths) => {
    for (const value of ['bad', 'worse']) {
      const xfilter = new XFilter('test', bodyPath, controlPaths)
      xfilter.getMessage().header.insert(0, 'Bad', value)
      xfilter.getMessage().header.remove('X')
      addRecipient(controlPaths, `${value}@example.org`)
      await xfilter.submit()
    }
    throw new Error('as told')
  },
  onlyControls: (_bodyPath, controlPaths) => {
    addRecipient(controlPaths, 'control@example.org')
    throw new Error('as told')
  },
  nothing: () => '',
  refuse: () => defer('4.7.1', 'later'),
  accept: () => accept(),
}

/** A line is `NAME`, `NAME?` (a failure passes) or `NAME!` (a dry run). */
function chain(lines: string): ChainFilter[] {
  return lines.split(' ').map((line, index) => {
    const name = line.replace(/[?!]$/, '')
    const doFilter = edits[name]
    if (doFilter === undefined) throw new Error(`the test has no filter ${name}`)
    const onError = line.endsWith('?') ? ('pass' as const) : ('defer' as const)
    return {
      index,
      name,
      alias: `${name}${index}`,
      skips: [],
      onError,
      timeLimitMs: 30_000,
      dryRun: line.endsWith('!'),
      editsAreKnown: false,
      doFilter,
    }
  })
}

function run(lines: string, pair: Pair, asked: string[] = []): Promise<ChainOutcome> {
  const noted: Files = {
    ...systemFiles,
    statSync: ((path: string) => (asked.push('stat'), systemFiles.statSync(path))) as Files['statSync'],
    lstatSync: ((path: string) => (asked.push('stat'), systemFiles.lstatSync(path))) as Files['lstatSync'],
    existsSync: (path) => (asked.push('exists'), systemFiles.existsSync(path)),
    linkSync: (from, to) => {
      asked.push('link')
      systemFiles.linkSync(from, to)
    },
    rmSync: (path, options) => {
      asked.push('rm')
      systemFiles.rmSync(path, options)
    },
    openSync: (path, flags, mode) => (asked.push('open'), systemFiles.openSync(path, flags, mode)),
  }
  const tools: ChainTools = {
    ...{ monotonicMs: () => performance.now(), cpuMs: () => null, after: systemClock.after },
    ...{ enter: () => undefined, leave: () => undefined, ...editTools(noted) },
    logFor: () => ({ info: () => undefined, warn: () => undefined, error: () => undefined }),
  }
  return runChain(
    chain(lines),
    { pair, messageId: 'M1', attempt: 1, leftMs: 60_000, without: [], contents: null, mark: null, cpuMs: null },
    tools,
  )
}

t.test('each filter of a chain is undone by itself', async (t) => {
  const dir = t.testdir()
  const rows: { name: string; lines: string; fields: string; to?: string }[] = [
    { name: 'a filter that fails, alone', lines: 'spoil?', fields: '', to: '' },
    { name: 'a dry run, alone', lines: 'rewrite!', fields: '', to: '' },
    { name: 'the rewriting before a failure stays', lines: 'rewrite spoil?', fields: 'X: i', to: 'i' },
    { name: 'the rewriting after a failure stays', lines: 'spoil? rewrite', fields: 'X: i', to: 'i' },
    { name: 'both', lines: 'rewrite spoil? rewrite', fields: 'X: i\nX: ii', to: 'i ii' },
    {
      name: 'two failures between three',
      lines: 'rewrite spoil? rewrite spoil? rewrite',
      fields: 'X: i\nX: ii\nX: iii',
      to: 'i ii iii',
    },
    { name: 'a dry run between two', lines: 'rewrite rewrite! rewrite', fields: 'X: i\nX: iii', to: 'i iii' },
    {
      name: 'one whose failure would pass, and which does not fail',
      lines: 'rewrite rewrite? rewrite?',
      fields: 'X: i\nX: ii\nX: iii',
      to: 'i ii iii',
    },
    {
      name: 'a failure of one that changed the envelope alone',
      lines: 'rewrite onlyControls? rewrite',
      fields: 'X: i\nX: ii',
      to: 'i ii',
    },
    { name: 'one that does nothing', lines: 'rewrite nothing? nothing!', fields: 'X: i', to: 'i' },
    { name: 'an acceptance after it', lines: 'rewrite spoil? accept?', fields: 'X: i', to: 'i' },
  ]
  for (const { name, lines, fields, to = '' } of rows) {
    const pair = makePair(dir, { content: 'A: 1\n\nbody\n', recipients: ['user@example.org'] })
    const inode = statSync(pair.bodyPath).ino
    const before = readFileSync(pair.controlPaths[0] ?? '', 'latin1')
    const mark = markEdits(pair, systemFiles)
    const { verdict, failure } = await run(lines, pair)
    t.ok(verdict !== null && failure === null, name)
    const want = `A: 1\n${fields === '' ? '' : `${fields}\n`}\nbody\n`
    t.equal(state(pair).data, want, `${name}: the message`)
    const added = readFileSync(pair.controlPaths[0] ?? '', 'latin1').slice(before.length)
    t.equal(
      [...added.matchAll(/^r(.*)@example\.org$/gm)].map(([, local]) => local).join(' '),
      to,
      `${name}: the recipients`,
    )
    t.notOk(existsSync(markedVersionPath(pair.bodyPath)), `${name}: no mark is left`)
    t.equal(
      existsSync(keptOriginalPath(pair.bodyPath)),
      fields !== '',
      `${name}: the original is kept while it may be needed`,
    )

    undoEdits(pair, mark, systemFiles)
    t.strictSame(state(pair), { data: 'A: 1\n\nbody\n', names: [] }, `${name}: the whole chain can be undone`)
    t.equal(readFileSync(pair.controlPaths[0] ?? '', 'latin1'), before)
    t.equal(statSync(pair.bodyPath).ino, inode)
  }

  const pair = makePair(dir)
  const cost = async (lines: string): Promise<string> => {
    const asked: string[] = []
    await run(lines, pair, asked)
    return asked.join(' ')
  }
  t.equal(await cost('nothing nothing refuse'), '', 'a chain without marks asks nothing of the files')
  t.equal(
    await cost('nothing nothing?'),
    'exists stat stat',
    'a mark asks for the original, the sizes and the data file',
  )
  await run('rewrite', pair)
  t.equal(await cost('nothing?'), 'exists rm link stat stat rm', 'and gives a version a name only after a rewriting')
})

t.test('a filter that spoils and is cut down with its thread', async (t) => {
  const dir = t.testdir()
  const pair = makePair(dir, { content: 'A: 1\n\nbody\n' })
  const spool = openSpool(dir, systemFiles)
  const opened = openPair(pair, spool, systemFiles)
  await run('rewrite', pair)
  // Then a filter with a mark, whose thread ended in the middle of its second edit.
  markEdits(pair, systemFiles)
  await t.rejects(async () => edits['spoil']?.(pair.bodyPath, pair.controlPaths, { notes: new Map() } as never))
  writeFileSync(newVersionPath(pair.bodyPath), 'half')
  t.equal(state(pair).names.length, 3)
  undoEdits(opened, opened.mark, systemFiles)
  t.strictSame(state(pair), { data: 'A: 1\n\nbody\n', names: [] }, 'the message is as it came in')
  await run('rewrite', pair)
  t.equal(state(pair).data, 'A: 1\nX: i\n\nbody\n', 'and the chain runs over it again')
  clearKept(pair.bodyPath, systemFiles)
  t.strictSame(state(pair), { data: 'A: 1\nX: i\n\nbody\n', names: [] }, 'when it is settled nothing is left beside it')
})

t.test('the spool when the answer goes out', async (t) => {
  const dir = t.testdir()
  const spool = openSpool(dir, systemFiles)
  const events = createEvents({
    ...{ write: () => undefined, dropped: () => 0, reopen: () => undefined },
    close: () => Promise.resolve(),
  })
  const threw: Failure = { kind: 'threw', filter: 'test', text: 'as told' }
  const rows: {
    name: string
    lines: string
    policy: FailurePolicy
    spoil?: (pair: Pair) => void
    want: Verdict['kind']
    data: string | null
  }[] = [
    { name: 'passed', lines: 'rewrite rewrite', policy: 'defer', want: 'pass', data: 'A: 1\nX: i\nX: ii\n\nbody\n' },
    { name: 'refused', lines: 'rewrite refuse', policy: 'defer', want: 'defer', data: null },
    { name: 'failed', lines: 'rewrite spoil', policy: 'defer', want: 'defer', data: null },
    {
      name: 'failed, and passes as it came',
      lines: 'rewrite spoil',
      policy: 'pass',
      want: 'accept',
      data: 'A: 1\n\nbody\n',
    },
    {
      name: 'failed, and what was written in place cannot be undone',
      lines: 'rewrite spoil',
      policy: 'pass',
      spoil: ({ bodyPath }) => appendFileSync(keptOriginalPath(bodyPath), 'more'),
      want: 'defer',
      data: null,
    },
  ]
  for (const { name, lines, policy, spoil, want, data } of rows) {
    const pair = makePair(dir, { content: 'A: 1\n\nbody\n' })
    const options = { spool, deadlineMs: 60_000, onFailure: policy, onFailureLocal: policy, onFailureDsn: policy }
    const intake = createIntake(
      () => ({ ...options, whenBroken: 'defer' }),
      (_id, opened, _deadlineMs, settle) => {
        void run(lines, opened).then((outcome) => {
          writeFileSync(newVersionPath(pair.bodyPath), 'half')
          spoil?.(pair)
          settle({ outcome, failure: outcome.failure === null ? null : threw, attempts: 1 })
        })
      },
      systemPlatform,
      events,
    )
    const heard: Verdict['kind'][] = []
    await new Promise<void>((resolve) => {
      intake.take({ door: 'test', pair }, ({ kind }) => {
        heard.push(kind)
        t.strictSame(state(pair).names, [], `${name}: nothing is left beside the message`)
        if (data !== null) t.equal(state(pair).data, data, `${name}: the message`)
        resolve()
        return 'sent'
      })
    })
    t.strictSame(heard, [want], `${name}: answered once`)
  }
})
