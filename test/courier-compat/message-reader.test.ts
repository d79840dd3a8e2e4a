/** The message reader: what is a part and where it stands, what is told, and that nothing makes it large or slow. */
import { execFile } from 'node:child_process'
import { appendFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { FindingList } from '../../courier-compat/message/finding-list.ts'
import { messageLimitSettings, readingLimits, readingLimitsOf } from '../../courier-compat/message/limits.ts'
import { octetFacts } from '../../courier-compat/message/octet-facts.ts'
import { readMessage, readMessageBytes } from '../../courier-compat/message/reader.ts'
import type { MessageReading, Part, ReadingLimits } from '../../courier-compat/message/reading.ts'
import { StructureScanner } from '../../courier-compat/message/structure.ts'
import { checkSetting } from '../../courier-compat/setting/value.ts'
import { writeBigMessage, type BigMessage } from '../helpers/big-messages.ts'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const read = (text: string, limits: Partial<ReadingLimits> = {}): Promise<MessageReading> =>
  readMessageBytes(latin1(text), { limits })

/** `path kind type` of each part, and its content as it stands. */
function outline(text: string, { parts }: MessageReading): string[] {
  return parts.map((part) => {
    const body = part.kind === 'leaf' ? ` ${JSON.stringify(text.slice(part.bodyStart, part.end))}` : ''
    return `${part.path || '-'} ${part.kind} ${part.contentType}${body}`
  })
}

const kindsOf = ({ findings }: { readonly findings: MessageReading['findings'] }): string[] => [
  ...new Set(findings.map(({ kind }) => kind)),
]

const multipart = (boundary: string, type = 'mixed'): string =>
  `MIME-Version: 1.0\nContent-Type: multipart/${type}; boundary=${boundary}\n\n`

t.test('parts', async (t) => {
  const rows: { name: string; text: string; want: string[]; told?: string[] }[] = [
    { name: 'a plain message is one leaf', text: 'A: 1\n\nbody\n', want: ['- leaf text/plain "body\\n"'] },
    { name: 'no body', text: 'A: 1\n', want: ['- leaf text/plain ""'] },
    { name: 'nothing', text: '', want: ['- leaf text/plain ""'], told: ['empty'] },
    { name: 'no header section', text: '\nbody', want: ['- leaf text/plain "body"'], told: ['no-header'] },
    {
      name: 'the line end before a boundary belongs to it',
      text: `${multipart('b')}--b\n\none\n\n--b\n\ntwo\n--b--\n`,
      want: ['- multipart multipart/mixed', '1 leaf text/plain "one\\n"', '2 leaf text/plain "two"'],
    },
    {
      name: 'parts without header fields, and without octets',
      text: `${multipart('b')}--b\n\n--b\nA: 1\n\n\n--b\nA: 1\n--b--`,
      want: [
        ...['- multipart multipart/mixed', '1 leaf text/plain ""', '2 leaf text/plain ""', '3 leaf text/plain ""'],
      ],
    },
    {
      name: 'blanks after a boundary do not matter',
      text: `${multipart('b')}--b \t\n\none\n--b-- \n`,
      want: ['- multipart multipart/mixed', '1 leaf text/plain "one"'],
    },
    {
      name: 'a line with more than the boundary is text, and told',
      text: `${multipart('b')}--b\n\n--bc\n--b x\n--b--\n`,
      want: ['- multipart multipart/mixed', '1 leaf text/plain "--bc\\n--b x"'],
      told: ['boundary-prefix'],
    },
    {
      name: 'a boundary that another one continues with hyphens',
      text: `${multipart('b')}--b\n${multipart('b--')}--b--\n\nx\n--b----\n--b--\n`,
      want: ['- multipart multipart/mixed', '1 multipart multipart/mixed', '1.1 leaf text/plain "x"'],
      told: ['similar-boundary'],
    },
    {
      name: 'the boundary of an outer multipart ends the inner ones',
      text: `${multipart('a')}--a\n${multipart('b')}--b\n${multipart('c')}--c\n\nx\n--a\n\ny\n--a--\n`,
      want: [
        ...['- multipart multipart/mixed', '1 multipart multipart/mixed', '1.1 multipart multipart/mixed'],
        ...['1.1.1 leaf text/plain "x"', '2 leaf text/plain "y"'],
      ],
      told: ['unterminated-multipart'],
    },
    {
      name: 'a multipart without end',
      text: `${multipart('b')}--b\n\none`,
      want: ['- multipart multipart/mixed', '1 leaf text/plain "one"'],
      told: ['unterminated-multipart'],
    },
    {
      name: 'a multipart without parts is a leaf: somebody may show its text',
      text: `${multipart('b')}hidden\n--b--\n`,
      want: ['- leaf multipart/mixed "hidden\\n--b--\\n"'],
    },
    {
      name: 'a boundary after the end is text, and told',
      text: `${multipart('b')}--b\n\none\n--b--\n--b\n\ntwo\n`,
      want: ['- multipart multipart/mixed', '1 leaf text/plain "one"'],
      told: ['boundary-after-end'],
    },
    {
      name: 'the same boundary in and out: the inner one first, then the outer one, and told',
      text: `${multipart('b')}--b\n${multipart('b')}--b\n\nx\n--b--\n--b\n\ny\n--b--\n`,
      want: [
        ...['- multipart multipart/mixed', '1 multipart multipart/mixed', '1.1 leaf text/plain "x"'],
        '2 leaf text/plain "y"',
      ],
      told: ['boundary-prefix'],
    },
    {
      name: 'a message in a message',
      text: 'Content-Type: message/rfc822\n\nSubject: x\nContent-Type: text/html\n\nbody',
      want: ['- message message/rfc822', '1 leaf text/html "body"'],
    },
    {
      name: 'a message in a message that is not there',
      text: `${multipart('b')}--b\nContent-Type: message/rfc822\n--b\nContent-Type: message/global\n\n--b--\n`,
      want: [
        ...['- multipart multipart/mixed', '1 message message/rfc822', '1.1 leaf text/plain ""'],
        ...['2 message message/global', '2.1 leaf text/plain ""'],
      ],
    },
    {
      name: 'in a digest, parts are messages where they do not say what they are',
      text: `${multipart('b', 'digest')}--b\n\nSubject: x\n\nbody\n--b\nContent-Type: text/plain\n\ny\n--b--\n`,
      want: [
        ...['- multipart multipart/digest', '1 message message/rfc822', '1.1 leaf text/plain "body"'],
        '2 leaf text/plain "y"',
      ],
    },
    {
      name: 'an encoded message is a leaf, and told',
      text: 'Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeAo=\n',
      want: ['- leaf message/rfc822 "U3ViamVjdDogeAo=\\n"'],
      told: ['encoded-multipart'],
    },
    {
      name: 'an encoded multipart is taken apart as it stands, and told',
      text: `Content-Transfer-Encoding: base64\n${multipart('b')}--b\n\none\n--b--\n`,
      want: ['- multipart multipart/mixed', '1 leaf text/plain "one"'],
      told: ['encoded-multipart'],
    },
    {
      name: 'base64 with a delimiter right after it is in order',
      text: `${multipart('b')}--b\nContent-Transfer-Encoding: base64\n\nQUJD\nQUI=\n--b--\n`,
      want: ['- multipart multipart/mixed', '1 leaf text/plain "QUJD\\nQUI="'],
    },
    {
      name: 'base64 that goes on after its end is told',
      text: 'Content-Transfer-Encoding: base64\n\nQUI=\nQUJD\n',
      want: ['- leaf text/plain "QUI=\\nQUJD\\n"'],
      told: ['bad-base64'],
    },
    {
      name: 'text after base64 is told',
      text: `Content-Transfer-Encoding: base64\n\n${'QUJD\n'.repeat(5000)}_______\nthe list\n`,
      want: [`- leaf text/plain ${JSON.stringify(`${'QUJD\n'.repeat(5000)}_______\nthe list\n`)}`],
      told: ['bad-base64'],
    },
  ]
  for (const { name, text, want, told = [] } of rows) {
    const reading = await read(text)
    t.strictSame(outline(text, reading), want, name)
    t.strictSame(kindsOf(reading), told, `${name}: what is told`)
    const crlf = text.replaceAll('\n', '\r\n')
    const same = await read(crlf)
    const wanted = want.map((line) => line.replaceAll('\\n', '\\r\\n'))
    t.strictSame(outline(crlf, same), wanted, `${name}: with CRLF`)
    t.strictSame(kindsOf(same), told, `${name}: what is told with CRLF`)
  }
})

t.test('what is told', async (t) => {
  const rows: { name: string; text: string; told: string[]; limits?: Partial<ReadingLimits> }[] = [
    { name: 'a CR in a line', text: 'A: 1\n\nx\ry\n', told: ['bare-cr'] },
    { name: 'a CR at the very end', text: 'A: 1\n\nx\r', told: ['bare-cr'] },
    { name: 'two CR before LF', text: 'A: 1\r\n\r\nx\r\r\n', told: ['bare-cr'] },
    { name: 'a NUL', text: 'A: 1\n\nx\0\n', told: ['nul'] },
    { name: 'mixed line ends', text: 'A: 1\r\n\r\nx\n', told: ['mixed-line-ends'] },
    { name: 'a blank before the colon', text: 'Subject : x\n\n', told: ['space-before-colon'] },
    { name: 'an mbox line at the beginning is nothing', text: 'From bob Sat\nA: 1\n\n', told: [] },
    { name: 'an mbox line later on', text: 'A: 1\nFrom bob Sat\n\n', told: ['no-field'] },
    { name: 'a blank at the beginning', text: ' A: 1\nB: 2\n\n', told: ['leading-blank'] },
    { name: 'two From', text: 'From: a@example.org\nFrom: b@example.org\n\n', told: ['duplicate-field'] },
    { name: 'the same From twice', text: 'From: a@example.org\nFrom: a@example.org\n\n', told: ['repeated-field'] },
    { name: 'two Return-Path', text: 'Return-Path: <a@b.example>\nReturn-Path: <>\n\n', told: ['repeated-field'] },
    { name: 'two From in a part are text', text: `${multipart('b')}--b\nFrom: a\nFrom: b\n\n--b--`, told: [] },
    { name: 'octets that are no UTF-8', text: 'Subject: \xe4\n\n', told: ['eight-bit-header'] },
    { name: 'a From that cannot be read', text: 'From: <a@example.org>b@example.net\n\n', told: ['bad-address'] },
    { name: 'a To that cannot be read', text: 'To: <a@example.org>b@example.net\n\n', told: ['odd-recipient'] },
    {
      name: 'two parts without MIME-Version',
      text: 'Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n',
      told: ['no-mime-version'],
    },
    {
      name: 'one part without it: the text is the same',
      text: 'Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n',
      told: [],
    },
    {
      name: 'a report that some count as parts',
      text: 'Content-Type: message/delivery-status\n\nReporting-MTA: dns; a.example\n\nAction: failed\n',
      told: ['parted-status'],
    },
    { name: 'text without a header section', text: 'hello\nthere\n', told: ['no-field', 'no-header'] },
    { name: 'a long line', text: `A: 1\n\n${'x'.repeat(1002)}\n`, told: ['limit-line'], limits: { lineOctets: 1000 } },
    {
      name: 'a line of just the limit',
      text: `A: 1\r\n\r\n${'x'.repeat(1000)}\r\n`,
      told: [],
      limits: { lineOctets: 1000 },
    },
    { name: 'too many octets', text: `A: 1\n\n${'x'.repeat(100)}`, told: ['limit-octets'], limits: { octets: 50 } },
    { name: 'a large field', text: `A: ${'x'.repeat(100)}\n\n`, told: ['limit-field'], limits: { fieldOctets: 50 } },
    { name: 'many fields', text: `${'A: 1\n'.repeat(51)}\n`, told: ['limit-fields'], limits: { fields: 50 } },
    {
      name: 'a large header section',
      text: `${'A: 1\n'.repeat(51)}\n`,
      told: ['limit-header-section'],
      limits: { headerOctets: 50 },
    },
    {
      name: 'a large header section of a part hides no attachment after it',
      text: `${multipart('b')}--b\n${'A: 1\n'.repeat(51)}\n--b\nContent-Type: x/y; name=a.exe\n\n--b--`,
      told: ['limit-header-section'],
      limits: { headerOctets: 80 },
    },
    {
      name: 'deep nesting',
      text: ['a', 'b', 'c'].map((boundary) => `${multipart(boundary)}--${boundary}\n`).join(''),
      told: ['limit-depth', 'unterminated-multipart'],
      limits: { depth: 2 },
    },
    {
      name: 'many parts',
      text: `${multipart('b')}${'--b\n\n'.repeat(20)}`,
      told: ['limit-parts'],
      limits: { parts: 10 },
    },
  ]
  for (const { name, text, told, limits = {} } of rows) {
    const reading = await read(text, limits)
    t.strictSame(kindsOf(reading).sort(), told.toSorted(), name)
    t.equal(
      reading.isOverLimit,
      told.some((kind) => kind.startsWith('limit-')),
      `${name}: over a limit or not`,
    )
  }
  const many = await read(`${'From : a\n'.repeat(5000)}\n`)
  t.ok(many.findings.length < 300, 'findings are bounded')
  t.ok(many.isAmbiguous, 'and so told')
})

t.test('preamble and epilogue, and where parts stand', async (t) => {
  const text = `${multipart('b')}before\r\n--b\r\nA: 1\r\n\r\none\r\n--b--\r\nafter`
  const { root, parts, header } = await read(text)
  const cut = ({ start, end }: { start: number; end: number }): string => text.slice(start, end)
  t.equal(root.preamble && cut(root.preamble), 'before')
  t.equal(root.epilogue && cut(root.epilogue), 'after')
  t.equal(parts[1] && cut(parts[1]), 'A: 1\r\n\r\none', 'from its header section to its end')
  const [field] = parts[1]?.header.fields ?? []
  t.equal(field && cut(field), 'A: 1\r\n', 'fields of parts have their place in the message')
  t.equal(header, root.header)
  t.equal(parts[1]?.parent, root)
})

/** Pieces of mail that go together in every order. */
const token = fc.constantFrom(
  ...['\n', '\r\n', '\r', '\0', '-', '--', '--a', '--a--', '--b', '--b--', ' ', ':', '=', 'QUJD', 'QUJDQUJDQUJD\r\n'],
  ...['text\n', 'Subject: x\n', 'Content-Type: multipart/mixed; boundary=a\n', 'content-type: message/rfc822\r\n'],
  ...[
    'Content-Type: multipart/digest; boundary=b\r\n\r\n',
    'Content-Transfer-Encoding: base64\n\n',
    '\n--a\n',
    '\r\n--b\r\n',
  ],
)

t.test('pieces: however the octets come, the reading is the same', async (t) => {
  const limits = { ...readingLimits, lineOctets: 60, headerOctets: 300, depth: 5, parts: 12 }
  const summary = (parts: readonly Part[], findings: FindingList): object => ({
    parts: parts.map(({ path, kind, contentType, start, bodyStart, end, preamble, epilogue }) => ({
      ...{ path, kind, contentType, start, bodyStart, end, preamble, epilogue },
    })),
    findings: findings
      .list()
      .map(({ kind, part, offset }) => `${kind} ${part} ${offset ?? ''}`)
      .sort(),
  })
  const scan = (bytes: Buffer, sizes: readonly number[]): object => {
    const findings = new FindingList()
    const scanner = new StructureScanner(limits, findings)
    let [start, end, turn] = [0, 0, 0]
    while (end < bytes.length && !scanner.isDone) {
      end = Math.min(bytes.length, end + (sizes[turn++ % sizes.length] ?? 1))
      start += scanner.push(bytes.subarray(start, end), start, end === bytes.length)
    }
    scanner.finish(bytes.length)
    return summary(scanner.parts, findings)
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(token, { maxLength: 60 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }),
      async (tokens, sizes) => {
        const bytes = latin1(tokens.join(''))
        t.strictSame(scan(bytes, sizes), scan(bytes, [bytes.length]))
        const { findings } = await readMessageBytes(bytes)
        const facts = await octetFacts(piecesOf(bytes, sizes), 0)
        const text = tokens.join('')
        const crlf = text.split('\r\n').length - 1
        const counts = { crlf, bareLf: text.split('\n').length - 1 - crlf, bareCr: text.split('\r').length - 1 - crlf }
        t.match(facts, { ...counts, octets: bytes.length, nul: text.split('\0').length - 1 })
        const kinds = new Set(findings.map(({ kind }) => kind))
        t.equal(kinds.has('bare-cr'), facts.bareCr > 0)
        t.equal(kinds.has('nul'), facts.nul > 0)
        t.equal(kinds.has('mixed-line-ends'), facts.crlf > 0 && facts.bareLf > 0)
      },
    ),
    { numRuns: 600 },
  )
})

t.test('one wrong octet among much base64 is found, wherever it stands', async (t) => {
  const head = 'Content-Transfer-Encoding: base64\n\n'
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 90 }),
      fc.boolean(),
      fc.nat({ max: 99_999 }),
      fc.constantFrom('!', '-', '_', '\xe4', ',', '\x0b'),
      async (digits, isCrlf, place, wrong) => {
        const lineEnd = isCrlf ? '\r\n' : '\n'
        const line = 'Q'.repeat(digits) + lineEnd
        const bytes = latin1(head + line.repeat(Math.ceil(100_000 / line.length)))
        t.strictSame((await readMessageBytes(bytes)).isAmbiguous, false)
        const at = head.length + place - (place % line.length) + ((place % line.length) % digits)
        bytes.write(wrong, at, 'latin1')
        const { findings } = await readMessageBytes(bytes)
        const found = findings.filter(({ kind }) => kind === 'bad-base64').map(({ offset }) => offset)
        t.strictSame(found, [at])
      },
    ),
    { numRuns: 60 },
  )
})

async function* piecesOf(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let turn = 0
  for (let at = 0; at < bytes.length;) {
    const size = sizes[turn++ % sizes.length] ?? 1
    yield await Promise.resolve(bytes.subarray(at, at + size))
    at += size
  }
}

t.test('facts', async (t) => {
  const rows: { name: string; bytes: Buffer; sizes: number[]; want: object }[] = [
    { name: 'UTF-8 broken between pieces', bytes: Buffer.from('äöü€\u{1f600}'), sizes: [1], want: { isUtf8: true } },
    {
      name: 'UTF-8 that is not complete',
      bytes: Buffer.from('äö').subarray(0, 3),
      sizes: [2],
      want: { isUtf8: false },
    },
    { name: 'no UTF-8', bytes: latin1('\xe4b'), sizes: [1], want: { isUtf8: false, hasEightBit: true } },
    { name: 'the last line has no end', bytes: latin1('ab\r\nabc'), sizes: [3], want: { longestLine: 3, crlf: 1 } },
    {
      name: 'CRs before LF are no part of a line',
      bytes: latin1('ab\r\r\n'),
      sizes: [4],
      want: { longestLine: 2, bareCr: 1 },
    },
    {
      name: 'eight bits in the body alone',
      bytes: latin1('A: 1\n\n\xe4'),
      sizes: [4],
      want: { hasEightBitHeader: false },
    },
    {
      name: 'eight bits in the header section',
      bytes: latin1('A: \xe4\n\n'),
      sizes: [2],
      want: { hasEightBitHeader: true },
    },
    ...[1, 2, 3, 4, 5].map((size) => ({
      name: `an empty line with CRLF, in pieces of ${size}`,
      bytes: latin1('a\r\nb\r\n\r\nc\n\n'),
      sizes: Array.from({ length: 12 }, () => size),
      want: { firstEmptyLine: 4 },
    })),
    { name: 'an empty line with LF', bytes: latin1('a\n\nb\r\n\r\n'), sizes: [2], want: { firstEmptyLine: 1 } },
    { name: 'no empty line', bytes: latin1('a\nb\n'), sizes: [1], want: { firstEmptyLine: null } },
  ]
  for (const { name, bytes, sizes, want } of rows) t.match(await octetFacts(piecesOf(bytes, sizes), 6), want, name)
})

t.test('files', async (t) => {
  const folder = t.testdir({ message: `${multipart('b')}--b\nContent-Transfer-Encoding: base64\n\nQUJD\n--b--\n` })
  const path = join(folder, 'message')
  const gather = async (pieces: AsyncIterable<unknown>): Promise<string> => {
    let text = ''
    for await (const piece of pieces) text += String(piece)
    return text
  }

  await t.test('contents are read when somebody asks', async (t) => {
    const reading = await readMessage(path)
    const [leaf] = reading.leaves
    if (leaf === undefined) throw new Error('no leaf')
    t.equal(await gather(reading.content(leaf)), 'ABC')
    t.equal(await gather(reading.raw(leaf)), 'Content-Transfer-Encoding: base64\n\nQUJD')
    t.equal(await gather(reading.raw(leaf, 'body')), 'QUJD')
    t.equal((await reading.text(leaf)).text, 'ABC')
    t.equal(await gather(reading.textStream(leaf)), 'ABC')
    t.equal((await reading.facts()).bareLf, 8)
    t.equal(reading.facts(), reading.facts(), 'facts are counted once')
  })

  await t.test('a file that is no longer the same is not mixed with what was read', async (t) => {
    const reading = await readMessage(path)
    const [leaf] = reading.leaves
    if (leaf === undefined) throw new Error('no leaf')
    appendFileSync(path, 'more')
    await t.rejects(gather(reading.content(leaf)), /was changed since it was read/)
    await t.rejects(reading.facts(), /was changed since it was read/)
    renameSync(path, `${path}.old`)
    await t.rejects(gather(reading.raw(leaf)), { code: 'ENOENT' })
    writeFileSync(path, 'A: 1\n\n')
    await t.rejects(reading.text(leaf), /was changed since it was read/)
  })

  await t.test('what is no message file is refused', async (t) => {
    symlinkSync(path, join(folder, 'link'))
    mkdirSync(join(folder, 'folder'))
    await promisify(execFile)('mkfifo', [join(folder, 'fifo')])
    await t.rejects(readMessage(join(folder, 'link')), { code: 'ELOOP' })
    await t.rejects(readMessage(join(folder, 'folder')), /is not a regular file/)
    await t.rejects(readMessage(join(folder, 'fifo')), /is not a regular file/)
    await t.rejects(readMessage(join(folder, 'nothing')), { code: 'ENOENT' })
  })

  await t.test('a signal ends the reading', async (t) => {
    const reason = new Error('too late')
    await t.rejects(readMessage(path, { signal: AbortSignal.abort(reason) }), reason)
  })
})

t.test('the limits as settings are the limits without settings', (t) => {
  const values = Object.entries(messageLimitSettings).map(([name, schema]) => {
    const checked = checkSetting(schema, schema.default)
    return [name, 'value' in checked ? checked.value : checked.problem]
  })
  t.strictSame(readingLimitsOf(Object.fromEntries(values) as Parameters<typeof readingLimitsOf>[0]), readingLimits)
  t.end()
})

/** Reads in a process of its own, so that its memory can be told. */
const program = `
  import { readMessage } from ${JSON.stringify(new URL('../../courier-compat/message/reader.ts', import.meta.url).href)}
  const [path, what] = process.argv.slice(1)
  await readMessage(${JSON.stringify(import.meta.filename)})
  const before = process.resourceUsage().maxRSS
  let longestTurnMs = 0, turned = performance.now()
  const timer = setInterval(() => { longestTurnMs = Math.max(longestTurnMs, performance.now() - turned); turned = performance.now() }, 1)
  const began = performance.now()
  const reading = await readMessage(path)
  let octets = 0
  if (what === 'content') for await (const piece of reading.content(reading.leaves[0])) octets += piece.length
  const tookMs = performance.now() - began
  clearInterval(timer)
  const { maxRSS } = process.resourceUsage()
  const kinds = [...new Set(reading.findings.map(({ kind }) => kind))]
  console.log(JSON.stringify({ tookMs, longestTurnMs, maxMb: maxRSS / 1024, grownMb: (maxRSS - before) / 1024,
    parts: reading.parts.length, names: reading.leaves.flatMap(({ fileNames }) => fileNames), kinds, octets }))
`

interface BigResult {
  readonly tookMs: number
  readonly longestTurnMs: number
  readonly maxMb: number
  readonly grownMb: number
  readonly parts: number
  readonly names: readonly string[]
  readonly kinds: readonly string[]
  readonly octets: number
}

t.test('giants', async (t) => {
  const folder = t.testdir({})
  const rows: { message: BigMessage; kinds: string[]; parts: number; octets?: number; names?: string[] }[] = [
    { message: 'nest10k', kinds: ['limit-depth'], parts: 101 },
    { message: 'rfc8225k', kinds: ['limit-depth'], parts: 101 },
    { message: 'parts1m', kinds: ['limit-parts'], parts: 1000 },
    { message: 'headers1m', kinds: ['limit-fields'], parts: 1 },
    { message: 'header100m', kinds: ['limit-header-section'], parts: 1 },
    { message: 'fold1m', kinds: ['limit-header-section'], parts: 1 },
    { message: 'line100m', kinds: ['limit-line'], parts: 1 },
    { message: 'hyphens2m', kinds: ['boundary-prefix'], parts: 2 },
    { message: 'lineFeeds20m', kinds: [], parts: 2 },
    { message: 'att50', kinds: [], parts: 2, octets: 36_480_000, names: ['big.bin'] },
  ]
  for (const { message, kinds, parts, octets, names } of rows) {
    const path = join(folder, message)
    writeBigMessage(message, path)
    const args = ['--input-type=module', '-e', program, path, octets === undefined ? 'parts' : 'content']
    const { stdout } = await promisify(execFile)(process.execPath, args)
    const result = JSON.parse(stdout) as BigResult
    t.comment(message, stdout.trim())
    t.equal(result.parts, parts, `${message}: parts`)
    for (const kind of kinds) t.ok(result.kinds.includes(kind), `${message}: ${kind}`)
    if (names !== undefined) t.strictSame(result.names, names, `${message}: names`)
    if (octets !== undefined) t.equal(result.octets, octets, `${message}: all of its content`)
    t.ok(result.tookMs < 5000, `${message}: ${result.tookMs} ms`)
    // Where all content is decoded as well, buffers that are not collected yet come to it: what grew is what counts.
    if (octets === undefined) t.ok(result.maxMb < 150, `${message}: ${result.maxMb} MB`)
    t.ok(result.grownMb < 64, `${message}: ${result.grownMb} MB more`)
  }
})
