/**
 * R38, R39 and R40 for the message reader: odd octets never stop it, what readers of mail read differently is told and read
 * in the worst way, and of what may stand once there is one or none.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { fromOf } from '../../courier-compat/addresses.ts'
import type { FindingKind } from '../../courier-compat/message/findings.ts'
import type * as checksModule from '../../courier-compat/message/header-checks.ts'
import type * as readerModule from '../../courier-compat/message/reader.ts'
import type { MessageReading } from '../../courier-compat/message/reading.ts'
import { importWithout } from '../helpers/without.mjs'
import { createFindings, testPromise, type Check } from './check.ts'

const corpus = join(import.meta.dirname, '../../../shared/corpus/mime/train')

interface Label {
  readonly props: {
    readonly nul: number
    readonly valid_utf8: boolean
    readonly duplicate_singletons: readonly string[]
  }
  readonly own?: { readonly ambiguous?: boolean }
}

/** The messages of the corpus, where it is there; the rows below stand without it. */
const labels: readonly (readonly [path: string, label: Label])[] = !existsSync(corpus)
  ? []
  : Object.entries(JSON.parse(readFileSync(join(corpus, 'labels.json'), 'utf8')) as Record<string, Label>).map(
      ([name, label]) => [join(corpus, name), label],
    )

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

async function load(without: readonly string[]) {
  const { readMessage, readMessageBytes } = (await importWithout(
    'courier-compat/message/reader.ts',
    without,
  )) as typeof readerModule
  const { repeatedSingletons } = (await importWithout(
    'courier-compat/message/header-checks.ts',
    without,
  )) as typeof checksModule
  return { readMessage, readMessageBytes, repeatedSingletons }
}

/** Everything that is told of a message: by its reading, and by the texts of its parts. */
async function allKinds(reading: MessageReading): Promise<Set<FindingKind>> {
  const kinds = new Set(reading.findings.map(({ kind }) => kind))
  for (const leaf of reading.leaves) {
    for (const { kind } of (await reading.text(leaf)).findings) kinds.add(kind)
    await finished(reading.content(leaf).resume())
  }
  return kinds
}

const text = (charset: string, body: string): string => `Content-Type: text/plain; charset=${charset}\n\n${body}`

const octets: Readonly<Record<string, readonly [text: string, kind: FindingKind]>> = {
  'a NUL in a field': ['Subject: a\0b\n\nx\n', 'nul'],
  'a NUL in a body': ['Subject: a\n\nx\0\n', 'nul'],
  'a field that is no UTF-8': ['Subject: \xff\xfe\xc3\n\n', 'eight-bit-header'],
  'a text that is no UTF-8': [text('utf-8', 'a \xff\xc3'), 'bad-text'],
  'a text that ends in a character': [text('utf-8', 'a \xe2\x82'), 'bad-text'],
  'a text that ends in an escape sequence': [text('iso-2022-jp', 'a \x1b$B\x21'), 'bad-text'],
  'a character set that nobody knows': [text('x-nowhere', 'a \xff'), 'unknown-charset'],
  'one of an encoded word': ['Subject: =?x-nowhere?q?a?=\n\n', 'unknown-charset'],
  'UTF-7': [text('utf-7', '+ADw-script+AD4-'), 'dangerous-charset'],
  'UTF-7 in an encoded word': ['Subject: =?utf-7?q?+ADw-?=\n\n', 'dangerous-charset'],
}

const oddOctets: Check = async (_t, without) => {
  const { seen, expect } = createFindings()
  const { readMessage, readMessageBytes } = await load(without)
  for (const [name, [message, kind]] of Object.entries(octets)) {
    const kinds = await readMessageBytes(latin1(message)).then(allKinds, () => null)
    expect(kinds !== null, `${name}: cannot be read`)
    expect(kinds?.has(kind) === true, `${name}: ${kind} is not told`)
  }
  for (const [path, { props }] of labels.filter(([, { props }]) => props.nul > 0 || !props.valid_utf8)) {
    const kinds = await readMessage(path).then(allKinds, () => null)
    expect(kinds !== null, `${path} cannot be read`)
    expect(props.nul === 0 || kinds?.has('nul') === true, `${path}: its NUL is not told`)
  }
  return seen
}

testPromise('R38 NUL, octets that are no text, character sets', oddOctets, [
  { without: ['a NUL is told'], sees: /^a NUL in a body: nul is not told/ },
  { without: ['octets that are no UTF-8 are told'], sees: /^a field that is no UTF-8: / },
  { without: ['text that is none is told'], sees: /^a text that ends in a character: / },
  { without: ['an unknown character set of a text is told'], sees: /^a character set that nobody knows: / },
  { without: ['a dangerous character set of a text is told'], sees: /^UTF-7: / },
])

const part = (name: string, boundary: string): string =>
  `--${boundary}\nContent-Type: application/octet-stream; name=${name}\n\nx\n`
const both = `${part('fine.txt', 'a')}${part('evil.exe', 'b')}--b--\n--a--\n`

/** What readers read differently; `names`: what a policy about names must see of it. */
const ambiguous: Readonly<Record<string, { text: string; kind: FindingKind; names?: readonly string[] }>> = {
  'two boundaries in one field': {
    text: `Content-Type: multipart/mixed; boundary=a; boundary=b\n\n${both}`,
    kind: 'two-boundaries',
    names: ['fine.txt', 'evil.exe'],
  },
  'two boundaries in two fields': {
    text: `Content-Type: multipart/mixed; boundary=a\nContent-Type: multipart/mixed; boundary=b\n\n${both}`,
    kind: 'two-boundaries',
    names: ['fine.txt', 'evil.exe'],
  },
  'a plain type, then a multipart': {
    text: `Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b\n\n${part('evil.exe', 'b')}--b--\n`,
    kind: 'duplicate-field',
    names: ['evil.exe'],
  },
  'a boundary with a comment': {
    text: `Content-Type: multipart/mixed; boundary=b(x)\n\n${part('evil.exe', 'b')}--b--\n`,
    kind: 'odd-boundary',
    names: ['evil.exe'],
  },
  'a line that begins as a boundary': {
    text: `Content-Type: multipart/mixed; boundary=b\n\n${part('fine.txt', 'b')}${part('evil.exe', 'bc')}--b--\n`,
    kind: 'boundary-prefix',
  },
  'two encodings in two fields': {
    text: 'Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\nQUJD\n',
    kind: 'duplicate-field',
  },
  'two encodings in one field': { text: 'Content-Transfer-Encoding: 7bit base64\n\nQUJD\n', kind: 'unknown-encoding' },
  'two names in two fields': {
    text: 'Content-Type: text/plain; name=evil.exe\nContent-Disposition: attachment; filename=fine.txt\n\nx\n',
    kind: 'two-file-names',
    names: ['fine.txt', 'evil.exe'],
  },
  'a piece of a name that stands twice': {
    text: 'Content-Disposition: attachment; filename*0=a.; filename*1=txt; filename*1=exe\n\nx\n',
    kind: 'duplicate-parameter',
    names: ['a.txt', 'a.exe'],
  },
}

const plain: Readonly<Record<string, string>> = {
  'a text': 'From: a@example.org\nSubject: x\n\ntext\n',
  'an attachment': `From: a@example.org\nContent-Type: multipart/mixed; boundary=b\n\n${part('fine.txt', 'b')}--b--\n`,
  'a name in both fields':
    'From: a@example.org\nContent-Type: text/plain; name=a.txt\nContent-Disposition: inline; filename=a.txt\n\nx\n',
}

const differently: Check = async (_t, without) => {
  const { seen, expect } = createFindings()
  const { readMessage, readMessageBytes } = await load(without)
  for (const [name, { text, kind, names = [] }] of Object.entries(ambiguous)) {
    const { findings, isAmbiguous, parts } = await readMessageBytes(latin1(text))
    expect(isAmbiguous && findings.some((found) => found.kind === kind), `${name}: ${kind} is not told`)
    const found = new Set(parts.flatMap(({ fileNames }) => fileNames))
    for (const each of names) expect(found.has(each), `${name}: ${each} is not seen`)
  }
  for (const [name, text] of Object.entries(plain)) {
    expect(!(await readMessageBytes(latin1(text))).isAmbiguous, `${name} is taken for ambiguous`)
  }
  for (const [path, { own }] of labels) {
    if (own?.ambiguous === true) expect((await readMessage(path)).isAmbiguous, `${path} is not flagged`)
  }
  return seen
}

testPromise('R39 what readers of mail read differently is told, and read in the worst way', differently, [
  { without: ['two boundaries are told'], sees: /^two boundaries in one field: two-boundaries is not told/ },
  { without: ['parts are found by every boundary'], sees: /^two boundaries in one field: evil.exe is not seen/ },
  { without: ['a multipart acts among several types'], sees: /^a plain type, then a multipart: evil.exe is not seen/ },
  { without: ['a boundary with a comment is told'], sees: /^a boundary with a comment: / },
  { without: ['a line that begins as a boundary is told'], sees: /^a line that begins as a boundary: / },
  { without: ['a second encoding is told'], sees: /^two encodings in one field: / },
  { without: ['names that differ are told'], sees: /^two names in two fields: two-file-names is not told/ },
  { without: ['every name is kept'], sees: /^two names in two fields: evil.exe is not seen/ },
  { without: ['sections of a parameter that stand twice are told'], sees: /^a piece of a name that stands twice: / },
])

const doubles: Readonly<Record<string, readonly [text: string, fields: readonly string[], kind: FindingKind]>> = {
  'two From': ['From: a@example.org\nFrom: b@example.net\n\n', ['from'], 'duplicate-field'],
  'two From in different letters': ['From: a@example.org\nFROM: b@example.net\n\n', ['from'], 'duplicate-field'],
  'two From, one with a blank before its colon': [
    'From: a@example.org\nFrom : b@example.net\n\n',
    ['from'],
    'space-before-colon',
  ],
  'two Subject and two Date': [
    'Subject: a\nDate: Tue, 01 Dec 2026 12:00:00 +0000\nSubject: b\nDate: x\n\n',
    ['date', 'subject'],
    'duplicate-field',
  ],
}

const once: Check = async (_t, without) => {
  const { seen, expect } = createFindings()
  const { readMessage, readMessageBytes, repeatedSingletons } = await load(without)
  for (const [name, [text, fields, kind]] of Object.entries(doubles)) {
    const { header, isAmbiguous, findings } = await readMessageBytes(latin1(text))
    const found = repeatedSingletons(header)
    expect(found.join() === fields.join(), `${name}: ${found.join()} stand more than once`)
    expect(isAmbiguous && findings.some((each) => each.kind === kind), `${name}: ${kind} is not told`)
    if (fields.includes('from')) expect(!fromOf(header).ok, `${name}: one is chosen`)
  }
  for (const [path, { props }] of labels) {
    const { header } = await readMessage(path)
    const found = repeatedSingletons(header)
    const wanted = [...props.duplicate_singletons].sort()
    expect(found.join() === wanted.join(), `${path}: ${found.join()} stand more than once`)
    if (wanted.includes('from')) expect(!fromOf(header).ok, `${path}: an author is chosen`)
  }
  return seen
}

testPromise('R40 fields that may stand once', once, [
  { without: ['a field that stands twice is told'], sees: /^two Subject and two Date: duplicate-field is not told/ },
  { without: ['a blank before the colon is told'], sees: /colon: space-before-colon is not told/ },
  { without: ['names of fields are compared without letter case'], sees: /^two From in different letters: {2}stand/ },
])
