/**
 * R48, R50, R58: the quarantine against those who plant links and files in it, write names into mail, and ask for what is
 * not theirs.
 */
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type * as quarantineModule from '../../courier-compat/quarantine.ts'
import type { Quarantine } from '../../courier-compat/quarantine.ts'
import { namedFile } from '../../courier-compat/quarantine/names.ts'
import { makePair, type PairOptions } from '../helpers/pair.ts'
import { makeQuarantineStage, wordIn, type QuarantineStage } from '../helpers/quarantine-stage.ts'
import { importWithout } from '../helpers/without.mjs'
import { createFindings, testPromise, type Check } from './check.ts'

const dayMs = 86_400_000
const isRoot = process.geteuid?.() === 0

interface Stage extends QuarantineStage {
  start(): Promise<Quarantine>
  keep(quarantine: Quarantine, options?: PairOptions): Promise<string>
}

async function makeStage(t: Test, without: readonly string[]): Promise<Stage> {
  const top = t.testdir()
  const { openQuarantine } = (await importWithout('courier-compat/quarantine.ts', without)) as typeof quarantineModule
  const stage = makeQuarantineStage(top, openQuarantine)
  return Object.assign(stage, {
    start: () => stage.open(),
    keep: async (quarantine: Quarantine, options: PairOptions = {}) => {
      const kept = await quarantine.keep({ ...makePair(top, options), reason: 'harmful' })
      return kept.id ?? ''
    },
  })
}

/** Whether it was refused. */
const isRefused = (job: Promise<unknown>): Promise<boolean> =>
  job.then(
    () => false,
    () => true,
  )

const links: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const places: readonly (readonly [what: string, make: (dir: string) => void])[] = [
    [
      'a folder that everybody may write',
      (dir) => {
        mkdirSync(dir)
        chmodSync(dir, 0o777)
      },
    ],
    [
      'a folder that is a link',
      (dir) => {
        mkdirSync(`${dir}-real`, { mode: 0o700 })
        symlinkSync(`${dir}-real`, dir)
      },
    ],
    ...(isRoot
      ? [
          [
            "another user's folder",
            (dir: string) => {
              mkdirSync(dir, { mode: 0o700 })
              chownSync(dir, 4711, 4711)
            },
          ] as const,
        ]
      : []),
  ]
  for (const [what, make] of places) {
    const stage = await makeStage(t, without)
    make(stage.dir)
    expect(await isRefused(stage.start()), `${what} is used`)
  }
  const stage = await makeStage(t, without)
  const quarantine = await stage.start().catch(() => null)
  expect(quarantine !== null, 'the key that it made may be read by others')
  if (quarantine === null) return seen
  const id = await stage.keep(quarantine)
  for (const name of stage.names()) {
    expect(
      (statSync(join(stage.dir, name)).mode & 0o077) === 0,
      `${name.split('.').at(-1) ?? ''} may be read by others`,
    )
  }
  const outside = join(stage.dir, '../outside')
  const file = join(stage.dir, stage.names().find((name) => name.endsWith('.eml')) ?? '')
  const plants: readonly (readonly [what: string, plant: (path: string) => void])[] = [
    ['a symbolic link', (path) => symlinkSync(outside, path)],
    ['another name of a file', (path) => linkSync(outside, path)],
    ...(isRoot
      ? [
          [
            "a stranger's file",
            (path: string) => {
              writeFileSync(path, 'secret')
              chownSync(path, 4711, 4711)
            },
          ] as const,
        ]
      : []),
  ]
  for (const [what, plant] of plants) {
    writeFileSync(outside, 'secret')
    rmSync(file)
    plant(file)
    const stream = await quarantine.read(id).catch(() => null)
    expect(stream === null, `${what} is read`)
    stream?.destroy()
    for (const name of ['index.jsonl', 'history.jsonl', `${id}.notified`]) {
      rmSync(join(stage.dir, name), { force: true })
      plant(join(stage.dir, name))
    }
    await stage.keep(quarantine, { sender: `${String(what.length)}@example.com` }).catch(() => null)
    expect(readFileSync(outside, 'utf8') === 'secret', `${what} is written through`)
    for (const name of ['index.jsonl', 'history.jsonl', `${id}.notified`])
      rmSync(join(stage.dir, name), { force: true })
  }
  return seen
}

const names: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const stage = await makeStage(t, without)
  const quarantine = await stage.start()
  const evil = ['../../evil', '/tmp/evil', 'a\0b', '..', 'D1', 'index.jsonl', `${'a'.repeat(26)}.json`]
  for (const [at, name] of evil.entries()) {
    const header = `Subject: ${name}\nMessage-ID: <${name}>\nContent-Type: x/y; name="${name}"\n\n`
    const recipients = [`${name.replaceAll('\0', '')}@example.org`]
    await stage.keep(quarantine, {
      content: `${header}${at}\n`,
      recipients,
      id: name.replaceAll('\0', ''),
      sender: `"${at}"@x`,
    })
  }
  const beside = readdirSync(join(stage.dir, '..'))
  expect(
    beside.every((name) => name === 'kept'),
    `there is ${beside.join()} beside it`,
  )
  for (const name of stage.names()) expect(namedFile(name).kind !== 'foreign', `it holds ${name}`)
  expect(stage.names().filter((name) => name.endsWith('.json')).length === evil.length, 'not all of them are kept')

  // A record outside, of the right form, and one inside that names a message outside.
  const [entry] = (await quarantine.list()).entries
  const record = readFileSync(join(stage.dir, `${entry?.id ?? ''}.json`), 'utf8')
  writeFileSync(join(stage.dir, '../out.json'), record.replaceAll(entry?.id ?? '?', '../out'))
  writeFileSync(join(stage.dir, '../secret'), 'secret')
  expect(await isRefused(quarantine.show('../out')), 'an id leads out of the folder')
  writeFileSync(join(stage.dir, `${entry?.id ?? ''}.json`), record.replace(/"file": "[^"]*"/, '"file": "../secret"'))
  const stream = await quarantine.read(entry?.id ?? '').catch(() => null)
  expect(stream === null, 'a record leads to a message outside')
  stream?.destroy()
  return seen
}

const forged: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const stage = await makeStage(t, without)
  const quarantine = await stage.start()
  const recipients = ['amy@example.org', 'bob@example.org']
  const id = await stage.keep(quarantine, { recipients })
  const other = await stage.keep(quarantine, { recipients, sender: 'other@example.net' })
  const wordsFor = (address: string): string[] => stage.wordsFor(address)
  const [[amy = '', amyOther = ''], [bob = '']] = [wordsFor('amy@example.org'), wordsFor('bob@example.org')]
  stage.sent.length = 0
  const ask = (word: string, more = {}) =>
    quarantine.releaseByMail({ word, sender: 'amy@example.org', isAutomatic: false, oldAddresses: false, ...more })
  const states = async (): Promise<string> =>
    JSON.stringify(
      [await quarantine.show(id), await quarantine.show(other)].map((entry) =>
        entry?.recipients.map(({ state }) => state),
      ),
    )
  const before = await states()
  const token = (word: string): string => word.split('.')[1] ?? ''
  const forgeries: readonly (readonly [what: string, word: string, more?: object])[] = [
    ['a guess', `${id}.${'a'.repeat(16)}`],
    ['the token of another message', `${id}.${token(amyOther)}`],
    ['a good token without a sender', amy, { sender: '' }],
    ['a good token from a machine', amy, { isAutomatic: true }],
  ]
  for (const [what, word, more] of forgeries) {
    await ask(word, more)
    expect(stage.sent.length === 0 && (await states()) === before, `${what} releases`)
    stage.sent.length = 0
  }
  expect(token(amy) !== token(bob), 'two recipients have one token')
  for (let time = 0; time < 2; time++) await ask(amy)
  const released = stage.sent.length
  expect(released < 2, 'a token releases twice')
  expect(
    stage.sent.every(({ recipients }) => recipients.join() === 'amy@example.org'),
    'a token is for another recipient',
  )
  stage.sent.length = 0
  await Promise.all([1, 2, 3, 4].map(() => ask(bob, { sender: 'whoever@example.net' }).catch(() => null)))
  expect(stage.sent.length === 1, `of four at once ${stage.sent.length} release`)

  writeFileSync(join(stage.dir, 'D4711'), 'Subject: x\n\nx\n')
  writeFileSync(join(stage.dir, 'C4711'), 'seve@example.net\nramy@example.org\nR\nN\n')
  stage.sent.length = 0
  await ask('4711')
  expect(stage.sent.length === 0, "an address of pythonfilter's releases")

  const file = stage.names().find((name) => name.startsWith(other) && name.endsWith('.eml')) ?? ''
  const content = readFileSync(join(stage.dir, file), 'utf8')
  writeFileSync(join(stage.dir, file), `${content}changed\n`)
  stage.sent.length = 0
  await ask(amyOther)
  expect(stage.sent.length === 0, 'other octets go out than were kept')
  writeFileSync(join(stage.dir, file), content)
  stage.nowMs += 15 * dayMs
  await ask(amyOther)
  expect(stage.sent.length === 0, 'a token releases after its time')
  return seen
}

const marks: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const stage = await makeStage(t, without)
  const quarantine = await stage.start()
  const recipients = ['amy@example.org']
  const id = await stage.keep(quarantine, { recipients })
  const word = wordIn(stage.sent[0]?.text ?? '') ?? ''
  const passes = async (content: string): Promise<boolean> =>
    (await stage.keep(quarantine, { recipients, content })) === ''
  stage.fault = async ({ text }) => {
    stage.fault = null
    expect(await passes(text), 'what is released is kept again')
    expect(!(await passes(`${text}more\n`)), 'a mark lets another body pass')
    expect(!(await passes(text.replace(/([a-z2-7]{16})\n/, `${'a'.repeat(16)}\n`))), 'a mark that is forged lets pass')
  }
  await quarantine.releaseByMail({ word, sender: 'amy@example.org', isAutomatic: false, oldAddresses: false })
  const released = stage.sent.find(({ text }) => text.includes(`release ${id}`))?.text ?? ''
  expect(released !== '', 'nothing was released')
  expect(!(await passes(released)), 'a mark lets pass after the release')
  return seen
}

const control = (without: string, sees: RegExp) => ({ without: [without], sees })

testPromise('R48 nothing outside the quarantine is read or written through it', links, [
  control('a quarantine that everybody may write is refused', /everybody may write is used/),
  // Each would do alone.
  {
    without: ['a quarantine that is a link is refused', 'a link is not opened as the quarantine'],
    sees: /is a link is used/,
  },
  control('links in the quarantine are not followed', /symbolic link is read/),
  control('files in the quarantine have one name', /another name of a file is (read|written)/),
  control('what is kept is private', /may be read by others/),
  ...(isRoot
    ? [
        control("another user's quarantine is refused", /another user's folder is used/),
        control("files in the quarantine are the owner's", /a stranger's file is read/),
      ]
    : []),
])
testPromise('R50 names in the quarantine are our own', names, [
  // Each would do alone.
  { without: ['an id is an id', 'a record names its own message'], sees: /an id leads out/ },
  control('a record names its own message', /a record leads to/),
])
testPromise('R58 a release needs a token, once, in its time, from somebody', forged, [
  control('a token is looked at', /a guess releases/),
  control('a token is for one recipient', /two recipients have one token/),
  control('a token is for one entry', /the token of another message releases/),
  control('a token is good once', /a token releases twice/),
  control('of two who claim one gets it', /of four at once/),
  control('a token has its time', /after its time/),
  control('nobody releases nothing', /without a sender releases/),
  control('no machine releases anything', /from a machine releases/),
  control("pythonfilter's addresses are asked for", /an address of pythonfilter's releases/),
  control('what goes out is what was kept', /other octets go out/),
])
testPromise('R58 a mark lets pass what is being released, and nothing else', marks, [
  control('a mark is ours', /a mark that is forged/),
  control('a mark is for one body', /another body/),
  control('a mark counts while it is released', /after the release/),
])
