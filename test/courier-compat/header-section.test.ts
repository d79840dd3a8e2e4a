/** Header sections: what is a field and what is none, from bytes and from files, of any size. */
import { existsSync, globSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { readHeaderSection } from '../../courier-compat/shared-reading.ts'
import {
  fieldsNamed,
  findHeaderEnd,
  headerLimits,
  parseHeaderSection,
  type HeaderSection,
} from '../../courier-compat/header/section.ts'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const raws = (section: HeaderSection): string => section.lines.map(({ raw }) => raw.toString('latin1')).join('')

t.test('what is a field', (t) => {
  const rows: { name: string; text: string; want: [name: string | null, value: string][]; body?: string }[] = [
    {
      name: 'fields, in order',
      text: 'A: 1\nB: 2\n\nbody\n',
      want: [
        ['A', '1'],
        ['B', '2'],
      ],
      body: 'body\n',
    },
    {
      name: 'CRLF',
      text: 'A: 1\r\nB: 2\r\n\r\nbody\r\n',
      want: [
        ['A', '1'],
        ['B', '2'],
      ],
      body: 'body\r\n',
    },
    {
      name: 'LF, and an empty line of CRLF',
      text: 'A: 1\n\r\nB: 2\n',
      want: [['A', '1']],
      body: 'B: 2\n',
    },
    { name: 'a folded field', text: 'A: 1\n\t2\n  3\n\n', want: [['A', '1\t2  3']], body: '' },
    { name: 'a folded field with CRLF', text: 'A: 1\r\n 2\r\n\r\n', want: [['A', '1 2']], body: '' },
    { name: 'a value that begins on the second line', text: 'A:\n 1\n\n', want: [['A', '1']], body: '' },
    {
      name: 'a line of blanks alone goes on with the field',
      text: 'A: 1\n  \n 2\n\n',
      want: [['A', '1   2']],
      body: '',
    },
    { name: 'a blank before the colon', text: 'A \t: 1\n\n', want: [['A', '1']], body: '' },
    { name: 'no blank after the colon', text: 'A:1\n\n', want: [['A', '1']], body: '' },
    {
      name: 'an empty value',
      text: 'A:\nB: \n\n',
      want: [
        ['A', ''],
        ['B', ''],
      ],
      body: '',
    },
    { name: 'colons in the value', text: 'A: b: c\n\n', want: [['A', 'b: c']], body: '' },
    { name: 'names of every kind', text: "X_a-1!#$'(: 1\n\n", want: [["X_a-1!#$'(", '1']], body: '' },
    {
      name: 'an mbox line is no field',
      text: 'From bob Sat Jan  1 00:00:00 2026\nA: 1\n\n',
      want: [
        [null, 'From bob Sat Jan  1 00:00:00 2026\n'],
        ['A', '1'],
      ],
      body: '',
    },
    {
      name: 'nor is an mbox line that was quoted, and what continues it is neither',
      text: '>From bob\n X: 2\nA: 1\n\n',
      want: [
        [null, '>From bob\n X: 2\n'],
        ['A', '1'],
      ],
      body: '',
    },
    {
      name: 'a line that continues nothing',
      text: ' A: 1\nB: 2\n\n',
      want: [
        [null, ' A: 1\n'],
        ['B', '2'],
      ],
      body: '',
    },
    {
      name: 'a name with raw 8-bit',
      text: 'B\xf6b: 1\nB: 2\n\n',
      want: [
        [null, 'B\xf6b: 1\n'],
        ['B', '2'],
      ],
      body: '',
    },
    {
      name: 'no name',
      text: ': 1\n:\n\n',
      want: [
        [null, ': 1\n'],
        [null, ':\n'],
      ],
      body: '',
    },
    { name: 'a colon on the next line is none', text: 'A\n : 1\n\n', want: [[null, 'A\n : 1\n']], body: '' },
    { name: 'a bare CR ends no line', text: 'A: 1\rB: 2\n\n', want: [['A', '1\rB: 2']], body: '' },
    { name: 'NUL is an octet like others', text: 'A: 1\0\n\n', want: [['A', '1\0']], body: '' },
    {
      name: 'no empty line: all of it is header',
      text: 'A: 1\nB: 2\n',
      want: [
        ['A', '1'],
        ['B', '2'],
      ],
    },
    {
      name: 'nor a last line end',
      text: 'A: 1\nB: 2',
      want: [
        ['A', '1'],
        ['B', '2'],
      ],
    },
    { name: 'an empty line whose LF is missing', text: 'A: 1\n\r', want: [['A', '1']], body: '' },
    { name: 'a CR at the end of a line', text: 'A: 1\r', want: [['A', '1\r']] },
    { name: 'no header', text: '\nbody', want: [], body: 'body' },
    { name: 'no header with CRLF', text: '\r\nbody', want: [], body: 'body' },
    { name: 'nothing at all', text: '', want: [] },
    { name: 'a blank alone', text: ' ', want: [[null, ' ']] },
    { name: 'UTF-8 in a value', text: 'A: gr\xc3\xbc\xc3\x9fe\n\n', want: [['A', 'grüße']], body: '' },
    { name: 'what is no UTF-8 is latin1', text: 'A: gr\xfc\xdfe\n\n', want: [['A', 'grüße']], body: '' },
    {
      name: 'encoded words stand as they are',
      text: 'A: =?utf-8?q?=C3=BC?=\n\n',
      want: [['A', '=?utf-8?q?=C3=BC?=']],
      body: '',
    },
  ]
  for (const { name, text, want, body } of rows) {
    const section = parseHeaderSection(bytes(text))
    t.strictSame(
      section.lines.map((line) =>
        'value' in line ? [line.name, line.value] : [line.name, line.raw.toString('latin1')],
      ),
      want,
      name,
    )
    t.equal(raws(section) + section.separator.toString('latin1') + (body ?? ''), text, `${name}: every octet is there`)
    t.equal(section.bodyStart, text.length - (body ?? '').length, `${name}: the body`)
    t.equal(section.separator.length > 0, body !== undefined, `${name}: the empty line`)
    for (const line of section.lines) t.equal(text.slice(line.start, line.end), line.raw.toString('latin1'))
    t.strictSame(
      section.fields,
      section.lines.filter((line) => line.name !== null),
    )
  }
  t.equal(parseHeaderSection(bytes('A: 1\r\nB: 2\n\n')).lineEnd, '\r\n', 'new fields end as the first line does')
  t.equal(parseHeaderSection(bytes('A: 1\nB: 2\r\n\n')).lineEnd, '\n')
  t.equal(parseHeaderSection(bytes('')).lineEnd, '\n')
  const named = fieldsNamed(parseHeaderSection(bytes('a: 1\nB: 2\nA: 3\n\nA: 4\n')), 'A')
  t.strictSame(
    named.map(({ value }) => value),
    ['1', '3'],
    'fields by name, letter case aside, and none from the body',
  )
  t.strictSame(parseHeaderSection(bytes('A: \xff\n\x20\xc3\xbc\n\n')).fields[0]?.valueBytes, bytes('\xff\x20\xc3\xbc'))
  t.end()
})

t.test('limits', (t) => {
  const text = 'A: 1\nB: 22\nC: 3\n\nbody\n'
  const rows: [name: string, limits: Partial<typeof headerLimits>, over: string | null, lines: number][] = [
    ['a section of exactly the limit', { sectionOctets: 16 }, null, 3],
    ['a section of one octet more', { sectionOctets: 15 }, 'sectionOctets', 2],
    ['a field of exactly the limit', { fieldOctets: 6 }, null, 3],
    ['a field of one octet more', { fieldOctets: 5 }, 'fieldOctets', 1],
    ['exactly as many lines', { lines: 3 }, null, 3],
    ['one line more', { lines: 2 }, 'lines', 2],
    ['nothing is allowed', { sectionOctets: 0 }, 'sectionOctets', 0],
  ]
  const path = join(t.testdir(), 'message')
  writeFileSync(path, text)
  for (const [name, limits, over, lines] of rows) {
    const all = { ...headerLimits, ...limits }
    for (const section of [parseHeaderSection(bytes(text), all), readHeaderSection(path, all)]) {
      t.equal(section.overLimit, over, name)
      t.equal(section.lines.length, lines, `${name}: what is within is there`)
      t.equal(section.bodyStart, over === null ? 17 : null)
    }
  }
  t.end()
})

t.test('files', (t) => {
  const dir = t.testdir()
  const path = join(dir, 'message')
  const at8k = 'X: '.padEnd(8185, 'x')
  const rows: [name: string, text: string][] = [
    ['a small message', 'A: 1\n\nbody\n'],
    ['an empty one', ''],
    ['a header alone', 'A: 1\n'],
    ...Array.from({ length: 8 }, (_, n): [string, string] => [
      `LF LF near the end of the first piece, ${n}`,
      `${at8k}${'y'.repeat(n)}\n\nbody: x\n`,
    ]),
    ...Array.from({ length: 8 }, (_, n): [string, string] => [
      `CRLF CRLF near the end of the first piece, ${n}`,
      `${at8k}${'y'.repeat(n)}\r\n\r\nbody: x\n`,
    ]),
    ['a long section', 'To: <user@example.org>,\n'.concat(' <user@example.org>,\n'.repeat(9000), '\nbody\n')],
  ]
  for (const [name, text] of rows) {
    writeFileSync(path, text)
    const [got, want] = [readHeaderSection(path), parseHeaderSection(bytes(text))]
    t.equal(raws(got), raws(want), name)
    t.strictSame([got.bodyStart, got.separator, got.overLimit], [want.bodyStart, want.separator, null], name)
  }

  t.throws(() => readHeaderSection(join(dir, 'none')), { code: 'ENOENT' })
  symlinkSync(path, join(dir, 'link'))
  t.throws(() => readHeaderSection(join(dir, 'link')), { code: 'ELOOP' }, 'links are not followed')
  mkdirSync(join(dir, 'folder'))
  t.throws(() => readHeaderSection(join(dir, 'folder')), /not a regular file/)
  const sparse = join(dir, 'sparse')
  writeFileSync(sparse, 'A: 1\n\n')
  truncateSync(sparse, 3 * 1024 ** 3)
  t.equal(readHeaderSection(sparse).bodyStart, 6, 'a body of 3 GiB is not read')
  writeFileSync(sparse, 'A: ')
  truncateSync(sparse, 3 * 1024 ** 3)
  t.equal(readHeaderSection(sparse).overLimit, 'sectionOctets', 'a file of 3 GiB without an end of the section')
  t.end()
})

t.test('whatever the octets', (t) => {
  const piece = fc.constantFrom('A: 1', 'b:', ' ', '\t', '\n', '\r\n', '\r', '\n\n', ':', 'From x', '\xff', '\0', 'xyz')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.nat(60), (pieces, from) => {
      const text = bytes(pieces.join(''))
      const section = parseHeaderSection(text)
      if (section.overLimit !== null || section.bodyStart === null) return false
      const head = Buffer.concat([...section.lines.map(({ raw }) => raw), section.separator])
      const again = parseHeaderSection(text.subarray(0, section.bodyStart))
      // The end is found wherever the search was interrupted before it.
      const end = findHeaderEnd(text)
      const cut = Math.min(from, text.length)
      const later = findHeaderEnd(text.subarray(0, cut)) ?? findHeaderEnd(text, cut)
      return (
        head.equals(text.subarray(0, section.bodyStart)) &&
        raws(again) === raws(section) &&
        JSON.stringify(later) === JSON.stringify(end)
      )
    }),
    { numRuns: 2000 },
  )
  t.pass('the lines joined are the section; the end is found in pieces as at once')
  t.end()
})

const shared = join(import.meta.dirname, '../../../shared/corpus')
const missing = !existsSync(shared) && 'the corpus of mail is not beside this repository'
t.test('real and hostile mail', { skip: missing }, (t) => {
  const paths = [
    ...globSync(join(shared, 'mime/**/*.{eml,msg,txt}')),
    ...globSync(join(shared, 'courier/spool/*/data')),
  ]
  let fields = 0
  for (const path of paths) {
    const section = readHeaderSection(path)
    const whole = readFileSync(path)
    const head = Buffer.concat([...section.lines.map(({ raw }) => raw), section.separator])
    const isWhole = section.overLimit === null && head.equals(whole.subarray(0, section.bodyStart ?? 0))
    if (!isWhole) t.fail(`${path}: ${section.overLimit ?? 'octets are missing'}`)
    for (const field of section.fields) if (!field.value.includes('\n')) fields++
  }
  t.ok(paths.length > 600 && fields > 5000, `${paths.length} messages with ${fields} fields, every octet of them kept`)
  t.end()
})
