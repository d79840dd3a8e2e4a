/** XFilter: header edits byte for byte, new fields as they go out, and what lies in the spool before and after. */
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { appendFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { editHeader, type HeaderEdit } from '../../courier-compat/header/edit.ts'
import { parseHeaderSection } from '../../courier-compat/header/section.ts'
import { fieldBytes, type ValueOptions } from '../../courier-compat/header/value.ts'
import { DummyXFilter, InitError, parseMessage, XFilter } from '../../courier-compat/index.ts'
import { keptOriginalPath, newVersionPath } from '../../courier-compat/kept-original.ts'
import { makePair, type Pair, type PairOptions } from '../helpers/pair.ts'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** A section after an edit, as text, and what the edit answered. */
function edited(text: string, edit: (header: HeaderEdit) => unknown): { text: string; answer: unknown } {
  const header = editHeader(parseHeaderSection(latin1(text)))
  const answer: unknown = edit(header)
  return { text: header.bytes().toString('latin1'), answer }
}

t.test('edits', (t) => {
  const odd = 'From bob Sat\nA:  1\n\tfolded \nb: \xff\n>From x\nA : 2\nC:3\n\n'
  const rows: { name: string; from?: string; edit: (header: HeaderEdit) => unknown; want: string; answer?: unknown }[] =
    [
      { name: 'nothing', edit: () => undefined, want: odd },
      {
        name: 'a field is added at the end',
        edit: (h) => h.add('X', 'v'),
        want: odd.replace(/\n\n$/, '\nX: v\n\n'),
      },
      {
        name: 'on top, below what is no field',
        edit: (h) => h.insert(0, 'X', 'v'),
        want: odd.replace('A:  1', 'X: v\nA:  1'),
      },
      { name: 'before the second field', edit: (h) => h.insert(1, 'X', 'v'), want: odd.replace('b:', 'X: v\nb:') },
      { name: 'before the last field', edit: (h) => h.insert(3, 'X', 'v'), want: odd.replace('C:', 'X: v\nC:') },
      { name: 'beyond the last field', edit: (h) => h.insert(9, 'X', 'v'), want: odd.replace('C:3\n', 'C:3\nX: v\n') },
      {
        name: 'two on top: the later one is above',
        edit: (h) => {
          h.insert(0, 'X', '1')
          h.insert(0, 'Y', '2')
        },
        want: odd.replace('A:  1', 'Y: 2\nX: 1\nA:  1'),
      },
      {
        name: 'the first is replaced',
        edit: (h) => h.replace('a', 'v'),
        want: odd.replace('A:  1\n\tfolded \n', 'a: v\n'),
        answer: true,
      },
      {
        name: 'the second',
        edit: (h) => h.replace('A', 'v', { at: 1 }),
        want: odd.replace('A : 2', 'A: v'),
        answer: true,
      },
      {
        name: 'the last',
        edit: (h) => h.replace('A', 'v', { at: -1 }),
        want: odd.replace('A : 2', 'A: v'),
        answer: true,
      },
      { name: 'one that is not there', edit: (h) => h.replace('A', 'v', { at: 2 }), want: odd, answer: false },
      {
        name: 'all of a name are removed',
        edit: (h) => h.remove('a'),
        want: 'From bob Sat\nb: \xff\n>From x\nC:3\n\n',
        answer: 2,
      },
      { name: 'the second is removed', edit: (h) => h.remove('A', 1), want: odd.replace('A : 2\n', ''), answer: 1 },
      {
        name: 'the last but one is removed',
        edit: (h) => h.remove('A', -2),
        want: odd.replace('A:  1\n\tfolded \n', ''),
        answer: 1,
      },
      { name: 'a third that is not there', edit: (h) => h.remove('A', 2), want: odd, answer: 0 },
      { name: 'a third from the end that is not there', edit: (h) => h.remove('A', -3), want: odd, answer: 0 },
      { name: 'a name that is not there', edit: (h) => h.remove('Z'), want: odd, answer: 0 },
      {
        name: 'an edit of what was added',
        edit: (h) => (h.add('X', '1'), h.replace('x', '2'), h.add('X', '3'), h.remove('X', 0)),
        want: odd.replace(/\n\n$/, '\nX: 3\n\n'),
        answer: 1,
      },
      { name: 'the first value, unfolded', edit: (h) => h.get('a'), want: odd, answer: '1\tfolded' },
      { name: 'the last value', edit: (h) => h.get('a', -1), want: odd, answer: '2' },
      { name: 'no value', edit: (h) => h.get('Z'), want: odd, answer: null },
      {
        name: 'all values',
        edit: (h) => (h.insert(0, 'a', '0'), h.getAll('A')),
        want: odd.replace('A:  1', 'a: 0\nA:  1'),
        answer: ['0', '1\tfolded', '2'],
      },
      { name: 'all fields', edit: (h) => h.fields.map(({ name }) => name).join(), want: odd, answer: 'A,b,A,C' },
      { name: 'CRLF', from: 'A: 1\r\n\r\n', edit: (h) => h.add('X', 'v'), want: 'A: 1\r\nX: v\r\n\r\n' },
      { name: 'no empty line', from: 'A: 1\n', edit: (h) => h.add('X', 'v'), want: 'A: 1\nX: v\n' },
      { name: 'no last line end', from: 'A: 1', edit: (h) => h.add('X', 'v'), want: 'A: 1\nX: v\n' },
      { name: 'no last line end, on top', from: 'A: 1', edit: (h) => h.insert(0, 'X', 'v'), want: 'X: v\nA: 1' },
      { name: 'no last line end, removed', from: 'A: 1', edit: (h) => h.remove('A'), want: '', answer: 1 },
      {
        name: 'an empty line whose LF is missing',
        from: 'A: 1\n\r',
        edit: (h) => h.add('X', 'v'),
        want: 'A: 1\nX: v\n\r',
      },
      { name: 'no header', from: '\n', edit: (h) => h.insert(0, 'X', 'v'), want: 'X: v\n\n' },
      { name: 'nothing at all', from: '', edit: (h) => h.add('X', 'v'), want: 'X: v\n' },
      {
        name: 'what continues nothing does not continue a new field',
        from: ' x\nA: 1\n\n',
        edit: (h) => h.insert(0, 'X', 'v'),
        want: ' x\nX: v\nA: 1\n\n',
      },
    ]
  for (const { name, from = odd, edit, want, answer } of rows) {
    const got = edited(from, edit)
    t.equal(got.text, want, name)
    if (answer !== undefined) t.strictSame(got.answer, answer, `${name}: the answer`)
  }
  t.throws(
    () => editHeader(parseHeaderSection(latin1('A: 1\n'), { sectionOctets: 2, fieldOctets: 9, lines: 9 })),
    RangeError,
  )
  t.end()
})

/** Decodes the encoded words that we make: UTF-8 in base64; a blank between two of them is none. */
function decoded(value: string): string {
  return value
    .replaceAll(/(\?=)[ \t]+(?==\?)/g, '$1')
    .replaceAll(
      /=\?utf-8\?B\?([A-Za-z0-9+/=]+)\?=/g,
      (_, text: string) => `\0${Buffer.from(text, 'base64').toString()}`,
    )
    .replaceAll('\0', '')
}

t.test('a flood of fields', (t) => {
  const { header } = parseMessage(latin1('X: 1\n'.repeat(9999)))
  const beganMs = performance.now()
  let count = 0
  while (header.get('X', count) !== null) count++
  t.equal(count, 9999, 'can be gone through one by one')
  t.ok(performance.now() - beganMs < 2000, 'in no time')
  t.equal(header.replace('x', '2', { at: -1 }), true)
  t.equal(header.get('X', -1), '2', 'and an edit is seen at once')
  t.end()
})

t.test('values', (t) => {
  const words = (count: number): string => Array.from({ length: count }, (_, n) => `word${n}`).join(' ')
  const rows: { name: string; value: string | Buffer; options?: ValueOptions; want: string; field?: string }[] = [
    { name: 'a value', value: 'v', want: 'X: v\n' },
    { name: 'an empty value', value: '', want: 'X:\n' },
    { name: 'blanks at both ends go', value: ' \tv \t', want: 'X: v\n' },
    { name: 'blanks inside stay', value: 'a  b\tc', want: 'X: a  b\tc\n' },
    {
      name: 'a value of 78 octets with its name stays in one line',
      value: `${'a'.repeat(40)} ${'b'.repeat(34)}`,
      want: `X: ${'a'.repeat(40)} ${'b'.repeat(34)}\n`,
    },
    {
      name: 'one of 79 does not',
      value: `${'a'.repeat(40)} ${'b'.repeat(35)}`,
      want: `X: ${'a'.repeat(40)}\n ${'b'.repeat(35)}\n`,
    },
    {
      name: 'it is folded before all the blanks',
      value: `${'a'.repeat(60)} \t${'b'.repeat(20)}`,
      want: `X: ${'a'.repeat(60)}\n \t${'b'.repeat(20)}\n`,
    },
    { name: 'a first word is not folded', value: 'a'.repeat(200), want: `X: ${'a'.repeat(200)}\n` },
    { name: 'unless it must be', value: 'a'.repeat(997), field: 'Name', want: `Name:\n ${'a'.repeat(997)}\n` },
    { name: 'an umlaut', value: 'Grüße an alle', want: 'X: =?utf-8?B?R3LDvMOfZQ==?= an alle\n' },
    {
      name: 'an address stays one',
      value: 'Jörg Müller <j@example.org>',
      want: 'X: =?utf-8?B?SsO2cmcgTcO8bGxlcg==?= <j@example.org>\n',
    },
    {
      name: 'an encoded word of the caller stays one',
      value: '=?utf-8?q?=C3=BC?= a',
      want: 'X: =?utf-8?q?=C3=BC?= a\n',
    },
    {
      name: 'beside other letters it is text',
      value: '=?utf-8?q?=C3=BC?= ü',
      want: 'X: =?utf-8?B?PT91dGYtOD9xPz1DMz1CQz89IMO8?=\n',
    },
    { name: 'control characters are encoded', value: 'a \x1b[1m', want: 'X: a =?utf-8?B?G1sxbQ==?=\n' },
    { name: 'raw UTF-8', value: 'Grüße', options: { encoding: 'utf8' }, want: 'X: Gr\xc3\xbc\xc3\x9fe\n' },
    { name: 'octets stay octets', value: latin1('Gr\xfc\xdfe'), want: 'X: Gr\xfc\xdfe\n' },
    {
      name: 'octets are folded',
      value: latin1(`${'\xfc'.repeat(70)} ${'a'.repeat(10)}`),
      want: `X: ${'\xfc'.repeat(70)}\n ${'a'.repeat(10)}\n`,
    },
  ]
  for (const { name, value, options, want, field = 'X' } of rows) {
    t.equal(fieldBytes(field, value, '\n', options).toString('latin1'), want, name)
  }
  t.equal(
    fieldBytes('X', words(30), '\r\n').toString().replaceAll('\r\n ', ' '),
    `X: ${words(30)}\r\n`,
    'folded with CRLF',
  )
  t.equal(
    fieldBytes('X-Long', 'ü'.repeat(60), '\n').toString(),
    `X-Long: =?utf-8?B?${Buffer.from('ü'.repeat(21)).toString('base64')}?=\n =?utf-8?B?${Buffer.from('ü'.repeat(22)).toString('base64')}?=\n =?utf-8?B?${Buffer.from('ü'.repeat(17)).toString('base64')}?=\n`,
    'long encoded text: no line has more than 76 octets, no character is cut',
  )
  const beganMs = performance.now()
  t.equal(fieldBytes('X', `a${' \t'.repeat(100_000)}`, '\n').toString(), 'X: a\n', 'a flood of blanks at the end')
  t.ok(performance.now() - beganMs < 2000, 'costs no time')
  t.match(
    decoded(
      fieldBytes('X', 'a'.repeat(3000), '\n')
        .toString()
        .replaceAll(/\n(?=.)/g, ''),
    ),
    'a'.repeat(3000),
    'a word too long for a line is encoded',
  )

  const refused: [name: string, field: string, value: string | Buffer, options?: ValueOptions][] = [
    ['LF in a value', 'X', 'a\nBcc: b'],
    ['LF and a blank, too', 'X', 'a\n b'],
    ['CR in a value', 'X', 'a\rb'],
    ['NUL in a value', 'X', 'a\0b'],
    ['LF where it would be encoded', 'X', 'ü\nb'],
    ['LF in octets', 'X', latin1('a\nb')],
    ['LF in raw UTF-8', 'X', 'ü\nb', { encoding: 'utf8' }],
    ['half of a surrogate pair', 'X', 'a\ud800'],
    ['a raw word too long for a line', 'X', Buffer.alloc(998, 'a')],
    ['no name', '', 'v'],
    ['a blank in a name', 'X Y', 'v'],
    ['a colon in a name', 'X:', 'v'],
    ['LF in a name', 'X\nY', 'v'],
    ['an umlaut in a name', 'Ü', 'v'],
    ['a name too long', 'x'.repeat(256), 'v'],
  ]
  for (const [name, field, value, options] of refused) {
    t.throws(() => fieldBytes(field, value, '\n', options), RangeError, `${name} is refused`)
    t.throws(() => edited('X: 1\n\n', (h) => h.add(field, value, options)), RangeError)
    t.throws(() => edited('X: 1\n\n', (h) => h.insert(0, field, value, options)), RangeError)
    t.throws(() => edited('X: 1\n\n', (h) => h.replace(field, value, options)), RangeError)
  }
  for (const name of ['', 'X:', 'X Y']) {
    t.throws(() => edited('', (h) => h.get(name)), RangeError, `"${name}" cannot be asked for either`)
    t.throws(() => edited('', (h) => h.remove(name)), RangeError)
  }
  for (const place of [-1, 0.5, Number.NaN]) t.throws(() => edited('', (h) => h.insert(place, 'X', 'v')), RangeError)

  const text = fc.string({
    unit: fc.constantFrom('a', 'bc', ' ', '  ', '\t', 'ü', '漢', '😀', '=?', '\x7f', 'x'.repeat(90)),
    maxLength: 60,
  })
  const name = fc.constantFrom('X', 'Subject', 'X-A-Name-Of-Some-Length-That-Is-Not-Seldom', 'x'.repeat(80))
  fc.assert(
    fc.property(name, text, fc.constantFrom('\n' as const, '\r\n' as const), (field, value, end) => {
      const trimmed = value.replaceAll(/^[ \t]+|[ \t]+$/g, '')
      for (const encoding of ['words', 'utf8'] as const) {
        const octets = fieldBytes(field, value, end, { encoding })
        const section = parseHeaderSection(octets)
        const [parsed] = section.fields
        const lines = octets.toString('latin1').split(end)
        const got = parsed?.value ?? ''
        if (section.lines.length !== 1 || parsed?.name !== field) return false
        // A value of ASCII alone is not touched; one that holds other characters is encoded where it holds them.
        if ((encoding === 'words' && /[^\t -~]/.test(trimmed) ? decoded(got) : got) !== trimmed) return false
        if (lines.some((line) => line.length > 998 || /^[ \t]+$/.test(line))) return false
        if (
          encoding === 'words' &&
          lines.some((line) => line.includes('=?utf-8?B?') && line.trimStart().length > field.length + 78)
        )
          return false
      }
      return true
    }),
    { numRuns: 1000 },
  )
  t.pass('whatever is added reads back as what it was')
  t.end()
})

t.test('whatever is edited, nothing else changes', (t) => {
  const line = fc.constantFrom(
    'A: 1\n',
    'b:  2 \n',
    'A : x\n\ty\n',
    'C:\r\n',
    'From x\n',
    'D: \xff\0\r\n',
    'a:z\n \n',
    'nothing\n\tat all\n',
  )
  const step = fc.record({
    what: fc.constantFrom('add', 'insert', 'replace', 'remove', 'removeAll'),
    name: fc.constantFrom('A', 'b', 'C', 'New'),
    at: fc.integer({ min: -3, max: 3 }),
    place: fc.nat(6),
  })
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 8 }),
      fc.constantFrom('', '\n', '\r\n'),
      fc.array(step, { maxLength: 6 }),
      (lines, separator, steps) => {
        const from = latin1(lines.join('') + separator)
        const header = editHeader(parseHeaderSection(from))
        // The same on a plain list of names and values.
        const model: { name: string; value: string; raw: Buffer | null }[] = parseHeaderSection(from).fields.map(
          ({ name, value, raw }) => ({ name, value, raw }),
        )
        for (const [count, { what, name, at, place }] of steps.entries()) {
          const value = `new ${count}`
          const made = { name, value, raw: null }
          const same = model.filter((field) => field.name.toLowerCase() === name.toLowerCase())
          const target = same.at(at)
          if (what === 'add') {
            header.add(name, value)
            model.push(made)
          } else if (what === 'insert') {
            header.insert(place, name, value)
            model.splice(place, 0, made)
          } else if (what === 'replace') {
            header.replace(name, value, { at })
            if (target !== undefined) model[model.indexOf(target)] = made
          } else {
            const gone = what === 'removeAll' ? same : target === undefined ? [] : [target]
            if (header.remove(name, what === 'removeAll' ? undefined : at) !== gone.length) return false
            for (const field of gone) model.splice(model.indexOf(field), 1)
          }
        }
        const after = parseHeaderSection(header.bytes())
        const oddOnes = (section: typeof after): string =>
          section.lines
            .filter(({ name }) => name === null)
            .map(({ raw }) => raw.toString('latin1'))
            .join('')
        return (
          JSON.stringify(after.fields.map(({ name, value }) => [name, value])) ===
            JSON.stringify(model.map(({ name, value }) => [name, value])) &&
          after.fields.every(({ raw }, index) => model[index]?.raw?.equals(raw) !== false) &&
          oddOnes(after) === oddOnes(parseHeaderSection(from)) &&
          after.separator.equals(parseHeaderSection(from).separator)
        )
      },
    ),
    { numRuns: 2000 },
  )
  t.pass(
    'fields read back in their order, untouched ones octet for octet; lines that are none stay; so does the empty line',
  )
  t.end()
})

const look = ({ bodyPath, controlPaths }: Pair): { data: string; flags: string[]; names: string[] } => ({
  data: readFileSync(bodyPath, 'latin1'),
  flags: controlPaths.map((path) =>
    readFileSync(path, 'latin1')
      .split('\n')
      .filter((record) => /^[8m]$/.test(record))
      .join(''),
  ),
  names: readdirSync(dirname(bodyPath)).filter((name) => name.startsWith('nodefilter')),
})

t.test('submit', async (t) => {
  const dir = t.testdir()
  const open = (options: PairOptions = {}): { pair: Pair; xfilter: XFilter; header: HeaderEdit; kept: string } => {
    const pair = makePair(dir, options)
    const xfilter = new XFilter('test', pair.bodyPath, pair.controlPaths)
    return { pair, xfilter, header: xfilter.getMessage().header, kept: keptOriginalPath(pair.bodyPath) }
  }

  await t.test('the file', async (t) => {
    const { pair, xfilter, header, kept } = open({ content: 'A: 1\n\nbody\n' })
    const before = statSync(pair.bodyPath)
    t.equal(await xfilter.submit(), '')
    t.equal(statSync(pair.bodyPath).ino, before.ino, 'without an edit nothing is written')
    header.replace('A', '1')
    header.remove('Z')
    t.equal(await xfilter.submit(), '')
    t.strictSame(
      [statSync(pair.bodyPath).ino, look(pair).names],
      [before.ino, []],
      'nor after one that changes nothing',
    )

    const umask = process.umask(0o077)
    header.add('X', 'v')
    t.equal(await xfilter.submit(), '')
    process.umask(umask)
    const after = statSync(pair.bodyPath)
    t.strictSame(look(pair), {
      data: 'A: 1\nX: v\n\nbody\n',
      flags: [''],
      names: [kept.slice(dirname(kept).length + 1)],
    })
    t.equal(after.mode & 0o7777, 0o660, 'whatever the umask, the group can read it')
    t.equal(after.gid, before.gid)
    t.equal(after.nlink, 1)
    t.equal(readFileSync(kept, 'latin1'), 'A: 1\n\nbody\n', 'the original is kept')
    t.equal(statSync(kept).ino, before.ino, 'itself, not a copy')
    t.equal(await xfilter.submit(), '', 'a second submit has nothing to do')
    header.add('Y', 'v')
    await t.rejects(xfilter.submit(), /test: the edited message was not written: .* was changed since it was read/)
    t.equal(look(pair).data, 'A: 1\nX: v\n\nbody\n')

    const next = new XFilter('next', pair.bodyPath, pair.controlPaths)
    t.equal(next.getMessage().header.get('x'), 'v', 'the next filter sees what the one before it did')
    next.getMessage().header.remove('A')
    await next.submit()
    t.equal(look(pair).data, 'X: v\n\nbody\n')
    t.equal(readFileSync(kept, 'latin1'), 'A: 1\n\nbody\n', 'the original stays the first one')
  })

  const rows: {
    name: string
    content: string
    edit: (header: HeaderEdit) => unknown
    want: string
    flags?: string
    extra?: string[]
  }[] = [
    {
      name: 'a last line end that is missing is added',
      content: 'A: 1\n\nbody',
      edit: (h) => h.add('X', 'v'),
      want: 'A: 1\nX: v\n\nbody\n',
    },
    { name: 'also where all is header', content: 'A: 1', edit: (h) => h.insert(0, 'X', 'v'), want: 'X: v\nA: 1\n' },
    {
      name: 'and after an empty line of CR',
      content: 'A: 1\n\r',
      edit: (h) => h.add('X', 'v'),
      want: 'A: 1\nX: v\n\r\n',
    },
    {
      name: 'a body of empty lines stays',
      content: 'A: 1\n\n\n\n',
      edit: (h) => h.add('X', 'v'),
      want: 'A: 1\nX: v\n\n\n\n',
    },
    { name: 'an empty message', content: '', edit: (h) => h.add('X', 'v'), want: 'X: v\n' },
    {
      name: 'octets of a body stay',
      content: 'A: 1\n\n\xff\0\r\n.\n',
      edit: (h) => h.add('X', 'v'),
      want: 'A: 1\nX: v\n\n\xff\0\r\n.\n',
    },
    {
      name: 'raw 8-bit in a new field is told to Courier',
      content: 'A: 1\n\n',
      edit: (h) => h.add('X', 'ü', { encoding: 'utf8' }),
      want: 'A: 1\nX: \xc3\xbc\n\n',
      flags: 'm',
    },
    {
      name: 'encoded words are not',
      content: 'A: 1\n\n',
      edit: (h) => h.add('X', 'ü'),
      want: 'A: 1\nX: =?utf-8?B?w7w=?=\n\n',
    },
    {
      name: 'what was there before is not told again',
      content: 'A: \xff\n\n\xff\n',
      edit: (h) => h.add('X', 'v'),
      want: 'A: \xff\nX: v\n\n\xff\n',
    },
    {
      name: 'a record that is there is not written again',
      content: 'A: 1\n\n',
      edit: (h) => h.add('X', latin1('\xfc')),
      want: 'A: 1\nX: \xfc\n\n',
      flags: 'm',
      extra: ['m'],
    },
    {
      name: 'a new field that went again is not told',
      content: 'A: 1\n\n',
      edit: (h) => (h.add('X', latin1('\xfc')), h.replace('X', 'v')),
      want: 'A: 1\nX: v\n\n',
    },
  ]
  for (const { name, content, edit, want, flags = '', extra = [] } of rows) {
    const pair = makePair(dir, { content: latin1(content), extra, files: [['a@example.org'], ['b@example.org']] })
    const xfilter = new XFilter('test', pair.bodyPath, pair.controlPaths)
    edit(xfilter.getMessage().header)
    await xfilter.submit()
    t.match(look(pair), { data: want, flags: [flags, flags] }, name)
  }

  await t.test('a large message', async (t) => {
    const { pair, xfilter, header } = open()
    truncateSync(pair.bodyPath, 40 * 1024 * 1024)
    appendFileSync(pair.bodyPath, 'end\n')
    const large = new XFilter('test', pair.bodyPath, pair.controlPaths)
    large.getMessage().header.add('X', 'v')
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const heap = process.memoryUsage().arrayBuffers
    await large.submit()
    clearInterval(timer)
    t.equal(statSync(pair.bodyPath).size, 40 * 1024 * 1024 + 4 + 5, 'every octet of it')
    t.ok(turns >= 5, `the thread did other things meanwhile: ${turns} turns`)
    t.ok(process.memoryUsage().arrayBuffers - heap < 20e6, 'and it was not held in memory')
    header.add('X', 'v')
    await t.rejects(xfilter.submit(), /was changed since it was read/)
  })

  await t.test('what goes wrong leaves the message as it was', async (t) => {
    const content = 'A: 1\n\nbody\n'
    const gone = open({ content })
    gone.header.add('X', 'v')
    rmSync(gone.pair.bodyPath)
    await t.rejects(gone.xfilter.submit(), { message: /^test: .*ENOENT/, cause: { code: 'ENOENT' } })

    const changed = open({ content })
    changed.header.add('X', 'v')
    writeFileSync(`${changed.pair.bodyPath}.x`, content)
    renameSync(`${changed.pair.bodyPath}.x`, changed.pair.bodyPath)
    await t.rejects(changed.xfilter.submit(), /was changed since it was read/)
    t.strictSame(look(changed.pair), { data: content, flags: [''], names: [] })

    const aborted = open({ content })
    aborted.header.add('X', 'v')
    await t.rejects(aborted.xfilter.submit({ signal: AbortSignal.abort(new Error('late')) }), { message: 'late' })
    t.strictSame(look(aborted.pair), { data: content, flags: [''], names: [] }, 'an aborted edit is none')

    const untold = open({ content })
    untold.header.add('X', 'ü', { encoding: 'utf8' })
    for (const path of untold.pair.controlPaths) rmSync(path)
    await t.rejects(untold.xfilter.submit(), { message: /^test: .*ENOENT/ })
    t.strictSame(
      look({ ...untold.pair, controlPaths: [] }),
      { data: content, flags: [], names: [] },
      'no new octets without the record that tells Courier',
    )

    const stale = open({ content })
    writeFileSync(newVersionPath(stale.pair.bodyPath), 'half of a')
    stale.header.add('X', 'v')
    await stale.xfilter.submit()
    t.match(
      look(stale.pair),
      { data: 'A: 1\nX: v\n\nbody\n', names: { length: 1 } },
      'what a dead thread left is no hindrance',
    )

    // Two at once, which a filter should not do: one of them wins, whole, and the original stays.
    const one = open({ content })
    const other = new XFilter('other', one.pair.bodyPath, one.pair.controlPaths)
    one.header.add('X', 'one')
    other.getMessage().header.add('X', 'two')
    const results = await Promise.allSettled([one.xfilter.submit(), other.submit()])
    t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1, 'of two edits at once one fails')
    t.match(look(one.pair).data, /^A: 1\nX: (one|two)\n\nbody\n$/)
    t.equal(readFileSync(one.kept, 'latin1'), content)
    t.equal(look(one.pair).names.length, 1)
  })

  await t.test('opening', (t) => {
    const pair = makePair(dir)
    const link = join(dir, 'link')
    symlinkSync(pair.bodyPath, link)
    mkdirSync(join(dir, 'folder'))
    const long = join(dir, 'long')
    writeFileSync(long, `A: ${'x'.repeat(2e6)}`)
    const refused: [name: string, body: string, controls: readonly string[]][] = [
      ['a message that is gone', join(dir, 'none'), pair.controlPaths],
      ['a control file that is gone', pair.bodyPath, [...pair.controlPaths, join(dir, 'none')]],
      ['no control file', pair.bodyPath, []],
      ['a link', link, pair.controlPaths],
      ['a folder', join(dir, 'folder'), pair.controlPaths],
      ['a header section beyond all measure', long, pair.controlPaths],
    ]
    for (const [name, body, controls] of refused) {
      t.throws(() => new XFilter('test', body, controls), InitError, `${name}: InitError`)
    }
    const { xfilter } = open({ sender: 'a@example.net' })
    t.equal(xfilter.getControlData().s, 'a@example.net')
    t.end()
  })

  await t.test('a dummy, and another message', async (t) => {
    const pair = makePair(dir, { content: 'A: 1\n\nbody\n' })
    const dummy = new DummyXFilter('test', pair.bodyPath, pair.controlPaths)
    dummy.getMessage().header.add('X', 'v')
    t.equal(await dummy.submit(), '')
    t.strictSame(look(pair), { data: 'A: 1\n\nbody\n', flags: [''], names: [] }, 'a dummy does nothing')

    const xfilter = new XFilter('test', pair.bodyPath, pair.controlPaths)
    xfilter.setMessage(parseMessage(latin1('B: \xfc\r\n\r\nother \xff\r\nbody')))
    xfilter.getMessage().header.add('C', '3')
    await xfilter.submit()
    t.match(
      look(pair),
      { data: 'B: \xfc\nC: 3\n\nother \xff\nbody\n', flags: ['m8'] },
      'another message takes its place',
    )
    t.throws(() => parseMessage(latin1('A: 1\n\n\0')), RangeError)
    const next = new XFilter('test', pair.bodyPath, pair.controlPaths)
    t.throws(() => next.setMessage(dummy.getMessage()), TypeError, 'but not that of another XFilter')
    t.throws(() => next.setMessage({ ...next.getMessage() }), TypeError)
    next.setMessage(next.getMessage())
    t.equal(await next.submit(), '')
  })

  await t.test('U26, U27: an 8-bit message in ISO-8859-2', async (t) => {
    const content = latin1(
      'Subject: \xbeivot\nContent-Type: text/plain; charset=iso-8859-2\nContent-Transfer-Encoding: 8bit\n\n\xe8lov\xeck\n',
    )
    const { pair, xfilter, header } = open({ content, extra: ['8', 'm'] })
    t.equal(await xfilter.submit(), '')
    t.equal(look(pair).data, content.toString('latin1'))
    t.equal(header.remove('content-transfer-encoding'), 1)
    t.equal(await xfilter.submit(), '')
    t.equal(look(pair).data, content.toString('latin1').replace('Content-Transfer-Encoding: 8bit\n', ''))
  })
})
