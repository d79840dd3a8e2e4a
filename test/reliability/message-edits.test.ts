/**
 * R38, R41 and R47 for XFilter: nobody's octets change but those of an edit, forged fields go and all others stay, and what
 * is edited is the message that was opened, or nothing.
 */
import { existsSync, globSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import type * as readerModule from '../../courier-compat/message/reader.ts'
import { keptOriginalPath } from '../../courier-compat/kept-original.ts'
import type * as xfilterModule from '../../courier-compat/xfilter.ts'
import type { Message } from '../../courier-compat/xfilter.ts'
import { memoryFolder } from '../helpers/memory-folder.ts'
import { makePair, type Pair } from '../helpers/pair.ts'
import { importWithout } from '../helpers/without.mjs'
import { createFindings, testPromise, type Check } from './check.ts'

const corpus = join(import.meta.dirname, '../../../shared/corpus/mime/train')
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

async function load(without: readonly string[]): Promise<typeof xfilterModule> {
  return (await importWithout('courier-compat/xfilter.ts', without)) as typeof xfilterModule
}

/** A pair with this data file. */
function put(pair: Pair, content: Buffer | string): Pair {
  rmSync(keptOriginalPath(pair.bodyPath), { force: true })
  writeFileSync(pair.bodyPath, content)
  return pair
}

/** `null` where it is done; else what was thrown, by its reason where it has one. */
async function refusal(work: () => Promise<unknown>): Promise<string | null> {
  try {
    await work()
    return null
  } catch (thrown) {
    if (!(thrown instanceof Error)) return String(thrown)
    return 'reason' in thrown ? String(thrown.reason) : thrown.message
  }
}

const oddMails: Readonly<Record<string, string>> = {
  'NUL in field and body': 'Subject: a\0b\n\nx\0y\n',
  'no UTF-8 in field and body': 'Subject: \xff\xfe\n\n\xc3\xff\n',
  'mixed line ends, and bare CR': 'Subject: x\r\nA: \ry\n\nx\ry\r\nz\n',
  'lines that are no fields': 'From bob Sat\nX : 1\nno field\n folded\n\nx\n',
  'unfinished escape sequences': 'Subject: =?iso-2022-jp?b?GyRC?=\n\n\x1b$B!\n',
}

const sameOctets: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const { XFilter } = await load(without)
  const pair = makePair(memoryFolder(t))
  const mails = Object.entries(oddMails).map(([name, text]) => [name, latin1(text)] as const)
  for (const path of globSync(join(corpus, 'hostile/*.eml'))) mails.push([path, readFileSync(path)] as const)
  for (const [name, content] of mails) {
    const { bodyPath, controlPaths } = put(pair, content)
    const { ino } = statSync(bodyPath)
    const idle = new XFilter('test', bodyPath, controlPaths)
    await idle.getMessage().read()
    await idle.submit()
    const isAsItWas = statSync(bodyPath).ino === ino && !existsSync(keptOriginalPath(bodyPath))
    expect(isAsItWas, `${name}: is written though nothing was edited`)
    const xfilter = new XFilter('test', bodyPath, controlPaths)
    const { header } = xfilter.getMessage()
    header.add('X-Test-Of-Octets', 'v')
    header.remove('X-Test-Of-Octets')
    await xfilter.submit()
    const isEnded = content.length === 0 || content.at(-1) === 0x0a
    const wanted = isEnded ? content : Buffer.concat([content, latin1('\n')])
    expect(readFileSync(bodyPath).equals(wanted), `${name}: other octets were written`)
  }
  return seen
}

testPromise('R38 octets of all kinds go through XFilter as they are', sameOctets, [
  { without: ['fields keep their octets'], sees: /^no UTF-8 in field and body: other octets/ },
  { without: ['a body keeps its octets'], sees: /^no UTF-8 in field and body: other octets/ },
  { without: ['nothing is written where nothing was edited'], sees: /is written though nothing was edited/ },
])

const own = 'Authentication-Results'
const forged = [
  'Authentication-Results: mx.example.org; dkim=pass header.d=example.com\n',
  'authentication-results: mx.example.org;\n\tspf=pass\n',
  'AUTHENTICATION-RESULTS : mx.example.org; dmarc=pass\n',
  'Authentication-Results: mx.example.org; auth=pass\n',
]
const others = [
  'Received: from client.example.com\n  by mx.example.org\n',
  'X-Authentication-Results: kept\n',
  'no field\n',
  'Subject:  x \n',
  'Authentication-Results-Of: kept\n',
]
const mixed = [0, 1, 2, 3].map((index) => `${forged[index] ?? ''}${others[index] ?? ''}`).join('') + (others[4] ?? '')

/** The ways in which a filter may take them out. */
const removals: Readonly<Record<string, (header: Message['header']) => void>> = {
  'all at once': (header) => void header.remove(own),
  'one by one from the last': (header) => {
    for (let at = header.getAll(own).length - 1; at >= 0; at--) header.remove(own, at)
  },
  'the first until there is none': (header) => {
    for (let turn = 0; turn < 100 && header.remove(own, 0) > 0; turn++);
  },
}

const forgedFields: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const { XFilter } = await load(without)
  const pair = makePair(memoryFolder(t))
  const body = '\nAuthentication-Results: text\n'
  for (const [name, remove] of Object.entries(removals)) {
    const { bodyPath, controlPaths } = put(pair, mixed + body)
    const xfilter = new XFilter('test', bodyPath, controlPaths)
    const { header } = xfilter.getMessage()
    remove(header)
    header.insert(0, own, 'mx.example.org; none')
    await xfilter.submit()
    const text = readFileSync(bodyPath, 'latin1')
    expect(!/=pass/.test(text), `${name}: a forged field is left`)
    expect(
      text === `${own}: mx.example.org; none\n${others.join('')}${body}`,
      `${name}: what is left is not what it was: ${JSON.stringify(text)}`,
    )
  }
  return seen
}

testPromise('R41 forged fields of our own are removed, all of them, and nothing else', forgedFields, [
  { without: ['all fields of a name are removed'], sees: /^all at once: a forged field is left/ },
  { without: ['a field is found in any letter case'], sees: /^all at once: a forged field is left/ },
  { without: ['a field with a blank before its colon is a field'], sees: /^all at once: a forged field is left/ },
  { without: ['a field goes by itself and not by its number'], sees: /^all at once: what is left/ },
])

const lookedAt = 'Subject: x\n\nbody\n'

/** What happens to the file between opening and submitting it, or between two looks at it. */
const changes: Readonly<Record<string, (bodyPath: string) => void>> = {
  'octets come to its end': (bodyPath) => writeFileSync(bodyPath, `${lookedAt}more\n`),
  'it becomes shorter': (bodyPath) => writeFileSync(bodyPath, 'S: x\n\nb\n'),
  'other octets, as many': (bodyPath) => {
    writeFileSync(bodyPath, lookedAt.replace('body', 'evil'))
    utimesSync(bodyPath, 1, 1)
  },
  'another file takes its name': (bodyPath) => {
    writeFileSync(`${bodyPath}.other`, lookedAt.replace('body', 'evil'))
    renameSync(`${bodyPath}.other`, bodyPath)
  },
}

const changedMessage: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const { XFilter } = await load(without)
  const { readMessage } = (await importWithout('courier-compat/message/reader.ts', without)) as typeof readerModule
  const pair = makePair(memoryFolder(t))
  for (const [name, change] of Object.entries(changes)) {
    const { bodyPath, controlPaths } = put(pair, lookedAt)
    const xfilter = new XFilter('test', bodyPath, controlPaths)
    xfilter.getMessage().header.add('X-Test', 'v')
    change(bodyPath)
    const changed = readFileSync(bodyPath)
    expect((await refusal(() => xfilter.submit())) !== null, `${name}: the edit is done`)
    expect(readFileSync(bodyPath).equals(changed), `${name}: octets of two messages are mixed`)
    expect(!existsSync(keptOriginalPath(bodyPath)), `${name}: something is left`)

    put(pair, lookedAt)
    const reading = await readMessage(bodyPath)
    change(bodyPath)
    const read = await refusal(() => finished(reading.content(reading.root).resume()))
    expect(read !== null, `${name}: its content is read as if it were the same`)
  }
  return seen
}

testPromise('R47 a message that changes after it was opened is neither edited nor read on', changedMessage, [
  {
    without: [
      'the message that is edited is the one that was opened',
      'the message is looked at again before it is replaced',
    ],
    sees: /^other octets, as many: the edit is done/,
  },
  { without: ['a content is of the file that was read'], sees: /^other octets, as many: its content is read/ },
])

const signedPart = 'Content-Type: text/plain\n\nsigned\n'
const nested = [
  'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n',
  '--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\none\n--b\n\ntwo\n--b--\n',
  `--a\nContent-Type: multipart/signed; boundary=s\n\n--s\n${signedPart}--s\nContent-Type: application/x-sig\n\nsig\n`,
  '--s--\n--a--\n',
].join('')

/** Edits one after the other, of parts by their path; the last one must be refused. */
type Step = readonly [path: string, how: 'content' | 'text' | 'whole' | 'remove']
const conflicts: Readonly<Record<string, { steps: readonly Step[]; reason: string }>> = {
  'new content, then text': {
    steps: [
      ['1.1', 'content'],
      ['1.1', 'text'],
    ],
    reason: 'overlap',
  },
  'text, then new content': {
    steps: [
      ['1.1', 'text'],
      ['1.1', 'content'],
    ],
    reason: 'overlap',
  },
  'text, then what holds it is replaced': {
    steps: [
      ['1.1', 'text'],
      ['1', 'whole'],
    ],
    reason: 'overlap',
  },
  'a part goes, then text in it': {
    steps: [
      ['1', 'remove'],
      ['1.1', 'text'],
    ],
    reason: 'overlap',
  },
  'text in what is signed': { steps: [['2.1', 'text']], reason: 'signed' },
  'a signed part goes': { steps: [['2.1', 'remove']], reason: 'signed' },
}

async function step(message: Message, [path, how]: Step): Promise<void> {
  const part = (await message.read()).parts.find((each) => each.path === path)
  if (part === undefined) throw new Error(`there is no part ${path}`)
  if (how === 'content') return message.replaceContent(part, { content: 'new\n' })
  if (how === 'text') return message.appendText(part, 'more')
  if (how === 'remove') return message.removePart(part)
  return message.replacePart(part, { contentType: 'text/plain', content: 'new\n' })
}

const conflicting: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const { XFilter } = await load(without)
  const pair = makePair(memoryFolder(t))
  for (const [name, { steps, reason }] of Object.entries(conflicts)) {
    const { bodyPath, controlPaths } = put(pair, nested)
    const xfilter = new XFilter('test', bodyPath, controlPaths)
    const refusals: (string | null)[] = []
    for (const each of steps) refusals.push(await refusal(() => step(xfilter.getMessage(), each)))
    const before = refusals.slice(0, -1).every((each) => each === null)
    expect(before && refusals.at(-1) === reason, `${name}: hears ${JSON.stringify(refusals)}`)
    await refusal(() => xfilter.submit())
    expect(readFileSync(bodyPath, 'latin1').includes(`--s\n${signedPart}--s\n`), `${name}: signed octets changed`)
  }
  return seen
}

testPromise('R47 two edits of one part, and edits of what is signed, are refused', conflicting, [
  { without: ['a part is in one hand'], sees: /^new content, then text: hears/ },
  { without: ['what holds an edit is not replaced'], sees: /^text, then what holds it is replaced: hears/ },
  { without: ['nothing is edited in what goes'], sees: /^a part goes, then text in it: hears/ },
  { without: ['what is signed is not edited'], sees: /^text in what is signed: signed octets changed/ },
])

const eightBit: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const { XFilter } = await load(without)
  const addLetters = async (pair: Pair): Promise<string | null> => {
    const xfilter = new XFilter('test', pair.bodyPath, pair.controlPaths)
    const message = xfilter.getMessage()
    const part = (await message.read()).parts.find(({ path }) => path === '1.1')
    if (part === undefined) throw new Error('there is no part 1.1')
    await message.appendText(part, 'Gr\u00fc\u00dfe')
    // What it is told in is gone: Courier cannot be told.
    if (pair === mute) rmSync(pair.controlPaths[0] ?? '')
    return refusal(() => xfilter.submit())
  }
  const mute = put(makePair(memoryFolder(t)), nested)
  const pair = put(makePair(memoryFolder(t)), nested)
  expect((await addLetters(pair)) === null, 'letters cannot be added')
  expect(readFileSync(pair.bodyPath).includes('Gr\u00fc\u00dfe'), 'letters are not there')
  const records = readFileSync(pair.controlPaths[0] ?? '', 'latin1').split('\n')
  expect(records.includes('8'), 'Courier is not told')
  expect((await addLetters(mute)) !== null, 'nobody says that Courier cannot be told')
  expect(readFileSync(mute.bodyPath, 'latin1') === nested, 'the octets are there, and Courier was not told')
  return seen
}

testPromise('R47 Courier is told of octets beyond ASCII, before they are there', eightBit, [
  { without: ['Courier is told of new octets beyond ASCII'], sees: /^Courier is not told/ },
  { without: ['Courier is told before the octets are there'], sees: /^the octets are there, and Courier was not told/ },
])
