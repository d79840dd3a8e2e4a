import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import * as control from '../../courier-compat/control.ts'
import {
  additionBytes,
  atoi,
  changeBytes,
  completion,
  parseControl,
  recipientTriple,
  recipientsOf,
  valuesOf,
} from '../../courier-compat/control/records.ts'
import { factsOfRecords, parseControlFacts } from '../../courier-compat/control/facts.ts'
import { bytesOf, textOf } from '../../courier-compat/control/text.ts'
import { makePair, type PairOptions, type PairRecipient } from '../helpers/pair.ts'

const {
  addRecipient,
  addRecipientData,
  changeRecipients,
  completeRecipient,
  delRecipient,
  delRecipientData,
  getAuthUser,
  getControlData,
  getLines,
  getRecipients,
  getRecipientsData,
  getSender,
  getSendersIp,
  getSendersMta,
  readControl,
  readRecipients,
} = control

const latin1 = (text: string) => Buffer.from(text, 'latin1')

t.test('text: bytes as text and back', (t) => {
  const rows: { name: string; bytes: Buffer; text: string }[] = [
    { name: 'nothing', bytes: Buffer.alloc(0), text: '' },
    { name: 'an address', bytes: Buffer.from('user@example.org'), text: 'user@example.org' },
    { name: 'blanks at both ends stay', bytes: Buffer.from(' "a "@example.org '), text: ' "a "@example.org ' },
    { name: 'UTF-8 is itself', bytes: Buffer.from('jörg@exämple.org'), text: 'jörg@exämple.org' },
    { name: 'a byte order mark is not dropped', bytes: Buffer.from('\ufeffa'), text: '\ufeffa' },
    { name: 'NUL is itself', bytes: Buffer.from('a\0b'), text: 'a\0b' },
    {
      name: 'U19: Latin-2 bytes are percent-encoded',
      bytes: latin1('t\xebst-is\xf6-8859@mail.example.org'),
      text: '(malformed utf8):t%EBst-is%F6-8859@mail.example.org',
    },
    {
      name: 'in the encoded form a blank is + and + is encoded',
      bytes: latin1('a b+c_.-~@%/\xff\x01'),
      text: '(malformed utf8):a+b%2Bc_.-~@%25%2F%FF%01',
    },
    { name: 'a surrogate in UTF-8 is malformed', bytes: latin1('\xed\xa0\x80'), text: '(malformed utf8):%ED%A0%80' },
    { name: 'an overlong form is malformed', bytes: latin1('\xc0\xaf'), text: '(malformed utf8):%C0%AF' },
    {
      name: 'a genuine value that begins with the prefix is encoded',
      bytes: Buffer.from('(malformed utf8):%EB'),
      text: '(malformed utf8):%28malformed+utf8%29%3A%25EB',
    },
    { name: 'half a prefix is itself', bytes: Buffer.from('(malformed utf8)'), text: '(malformed utf8)' },
  ]
  for (const { name, bytes, text } of rows) {
    t.equal(textOf(bytes), text, name)
    t.strictSame(bytesOf(text), bytes, `${name}, and back`)
  }
  const refused = [
    { name: 'a needless encoding', text: '(malformed utf8):abc' },
    { name: 'nothing after the prefix', text: '(malformed utf8):' },
    { name: 'lower-case hex', text: '(malformed utf8):%eb' },
    { name: 'a broken escape', text: '(malformed utf8):%FF%G' },
    { name: 'a character that is never left as it is', text: '(malformed utf8):%FF/' },
    { name: 'a character beyond latin1', text: '(malformed utf8):%FF\u0141' },
    { name: 'half a surrogate pair', text: 'a\ud800' },
  ]
  for (const { name, text } of refused) t.throws(() => bytesOf(text), RangeError, `${name} stands for no bytes`)
  const oneLine = { message: /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,200}$/u }
  t.throws(() => bytesOf(`(malformed utf8):\n\x1b\x85\u2028\u202e${'%41'.repeat(9000)}`), oneLine, 'on one line')
  t.end()
})

t.test('text, property: lossless for any bytes, and no second text for them', (t) => {
  const prefix = Buffer.from('(malformed utf8):')
  const anyBytes = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
  const prefixed = anyBytes.map((bytes) => Buffer.concat([prefix, bytes]))
  fc.assert(
    fc.property(fc.oneof(anyBytes, prefixed), (bytes) => bytesOf(textOf(bytes)).equals(bytes)),
    { numRuns: 2000 },
  )
  const anyText = fc.string({ unit: fc.constantFrom('%', 'F', 'E', 'B', '4', '1', '+', '@', 'a', ' ', 'ü', '\ud800') })
  fc.assert(
    fc.property(
      fc.oneof(
        anyText,
        anyText.map((text) => `(malformed utf8):${text}`),
      ),
      (text) => {
        let bytes: Buffer
        try {
          bytes = bytesOf(text)
        } catch (error) {
          return error instanceof RangeError
        }
        return textOf(bytes) === text
      },
    ),
    { numRuns: 2000 },
  )
  t.pass('both held')
  t.end()
})

t.test('records: how a file is read', (t) => {
  const rows: {
    name: string
    file: string
    want: [address: string, original: string, dsn: string, done: boolean][]
  }[] = [
    { name: 'an empty file has nobody', file: '', want: [] },
    { name: 'one triple', file: 'ra@b\nRc@d\nNSFD\n', want: [['a@b', 'c@d', 'SFD', false]] },
    { name: 'a last line without LF counts', file: 'ra@b\nR\nNF', want: [['a@b', '', 'F', false]] },
    { name: 'CR reads as a blank', file: 'ra@b\r\nR\r\nN\r\n', want: [['a@b ', ' ', ' ', false]] },
    { name: 'blanks are never trimmed', file: 'r"a" \nR x \nN\n', want: [['"a" ', ' x ', '', false]] },
    { name: 'empty lines say nothing', file: '\n\nra@b\n\nR\n\nN\n\n', want: [['a@b', '', '', false]] },
    { name: 'unknown types are ignored', file: 'Zx\nra@b\n\x80y\nR\n \nN\n', want: [['a@b', '', '', false]] },
    { name: 'an r alone is a recipient', file: 'ra@b\n', want: [['a@b', '', '', false]] },
    {
      name: 'an empty r counts',
      file: 'r\nR\nN\nra@b\nR\nN\nS0 1\n',
      want: [
        ['', '', '', true],
        ['a@b', '', '', false],
      ],
    },
    {
      name: 'R and N are paired by number, not by place',
      file: 'ra\nrb\nNN\nRx\nRy\nNF\n',
      want: [
        ['a', 'x', 'N', false],
        ['b', 'y', 'F', false],
      ],
    },
    { name: 'R and N may come before their r', file: 'Rx\nNF\nra\n', want: [['a', 'x', 'F', false]] },
    {
      name: "without an R of its own the first takes the second one's",
      file: 'ra\nrb\nRy\n',
      want: [
        ['a', 'y', '', false],
        ['b', '', '', false],
      ],
    },
    {
      name: 'S and F are done, D, C and I are not',
      file: 'ra\nrb\nrc\nrd\nS0 1 l\nF1 1\nD2 1\nC3 1\nI3 R x\n',
      want: [
        ['a', '', '', true],
        ['b', '', '', true],
        ['c', '', '', false],
        ['d', '', '', false],
      ],
    },
    { name: 'S may come before its r', file: 'S0 1\nra\n', want: [['a', '', '', true]] },
    {
      name: 'S for nobody is ignored',
      file: 'ra\nS1 1\nF-1 1\nS99999999999999999999 1\n',
      want: [['a', '', '', false]],
    },
    {
      name: 'S without a number is 0, as for Courier',
      file: 'ra\nrb\nSx\n',
      want: [
        ['a', '', '', true],
        ['b', '', '', false],
      ],
    },
  ]
  for (const { name, file, want } of rows) {
    const found = recipientsOf(parseControl(latin1(file)))
    t.strictSame(
      found.map(({ address, original, dsn, done }) => [textOf(address), textOf(original), textOf(dsn), done]),
      want,
      name,
    )
    t.strictSame(
      found.map(({ index }) => index),
      want.map((_, index) => index),
      `${name}: numbers`,
    )
  }
  t.equal(recipientsOf(parseControl(latin1('r\n'.repeat(500_000)))).length, 500_000, 'as many records as there may be')
  t.throws(() => parseControl(latin1('r\n'.repeat(500_001))), { message: /more than 500000 records/ }, 'and one more')
  const numbers: [text: string, want: number][] = [
    ['0', 0],
    ['12 1795234395 r', 12],
    ['  \t7x', 7],
    ['+5', 5],
    ['-3', -3],
    ['007', 7],
    ['', 0],
    ['x1', 0],
    ['- 1', 0],
  ]
  for (const [text, want] of numbers) t.equal(atoi(latin1(text)), want, `atoi of "${text}"`)
  t.end()
})

t.test('records, property: as splitting the text would read it', (t) => {
  const mailish = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          'r',
          'R',
          'N',
          'S',
          'F',
          'D',
          's',
          '0',
          '1',
          '2',
          ' ',
          '\n',
          '\n',
          '\n',
          '\r',
          '\0',
          'a@b',
          '\xff',
        ),
        fc.string({ unit: 'binary', maxLength: 3 }),
      ),
      { maxLength: 80 },
    )
    .map((parts) => latin1(parts.join('')))
  fc.assert(
    fc.property(mailish, (file) => {
      const lines = file.toString('latin1').replaceAll('\r', ' ').split('\n')
      const of = (key: string) => lines.filter((line) => line.startsWith(key)).map((line) => line.slice(1))
      const records = parseControl(file)
      for (const key of 'rRNSFDs0 ') {
        assert.deepEqual(
          valuesOf(records, key).map((value) => value.toString('latin1')),
          of(key),
        )
      }
      assert.deepEqual([...records.values()].flat().length, lines.filter((line) => line !== '').length)
      const done = [...of('S'), ...of('F')].map((value) => Number.parseInt(value, 10) || 0)
      const want = of('r').map((_, index) => done.includes(index))
      assert.deepEqual(
        recipientsOf(records).map((recipient) => recipient.done),
        want,
      )
    }),
    { numRuns: 150 },
  )
  t.pass('as splitting would')
  t.end()
})

t.test('records: the bytes of a change', (t) => {
  const triple = (address: string, original = '', dsn = '') => ({
    address: latin1(address),
    original: latin1(original),
    dsn: latin1(dsn),
  })
  const text = (bytes: Buffer | undefined) => bytes?.toString('latin1')
  t.equal(text(recipientTriple(triple('t\xeb@b', '\xf6', 'SF'))), 'rt\xeb@b\nR\xf6\nNSF\n', 'a triple keeps its bytes')
  t.equal(
    text(completion(3, 'gone', 1_795_234_395_999)),
    'I3 R 250 Ok - gone\nS3 1795234395\n',
    'a completion, no letter',
  )
  t.equal(text(completion(0, 'für\tuns', 0)), 'I0 R 250 Ok - f?r?uns\nS0 0\n', 'the reason in printable ASCII')
  t.equal(completion(0, 'x'.repeat(999), 0).indexOf('\nS0 0\n'), 15 + 250 - 1, 'a long reason is cut')
  for (const bad of ['a\nb', 'a\rb', 'a\0b']) {
    const shown = JSON.stringify(bad)
    t.throws(() => recipientTriple(triple(bad)), { name: 'RangeError', message: /CR, LF or NUL/ }, `address ${shown}`)
    t.throws(() => recipientTriple(triple('a', bad)), { name: 'RangeError' }, `original recipient ${shown}`)
    t.throws(() => recipientTriple(triple('a', '', bad)), { name: 'RangeError' }, `flags ${shown}`)
    t.throws(() => completion(0, bad, 0), { name: 'RangeError' }, `reason ${shown}`)
  }
  for (const bad of [-1, 0.5, Number.NaN, Infinity]) t.throws(() => completion(bad, 'x', 0), RangeError, `index ${bad}`)

  const additions: { name: string; file: string; want: string | RegExp }[] = [
    { name: 'to an empty file', file: '', want: 'rx\nR\nN\n' },
    { name: 'to a whole file', file: 'ra\nR\nN\n', want: 'rx\nR\nN\n' },
    { name: 'a missing LF is put first', file: 'ra\nR\nN', want: '\nrx\nR\nN\n' },
    { name: 'missing R and N of others are filled in', file: 'ra\nrb\nRy\n', want: 'R\nN\nN\nrx\nR\nN\n' },
    { name: "an R too many would become the new one's", file: 'ra\nR\nR\nN\n', want: /more R records than recipients/ },
    { name: 'so would an N', file: 'ra\nR\nN\nN\n', want: /more N records than recipients/ },
    { name: 'an early S would complete it unseen', file: 'ra\nR\nN\nS1 1\n', want: /calls recipient 1 done/ },
    { name: 'an early F too', file: 'F0 1\n', want: /calls recipient 0 done/ },
  ]
  for (const { name, file, want } of additions) {
    const add = () => additionBytes(latin1(file), [triple('x')])
    if (typeof want === 'string') t.equal(text(add()), want, name)
    else t.throws(add, { message: want }, name)
  }

  const two = 'ra\nR\nN\nrb\nR\nN\n'
  const changes: { name: string; file: string; change: [number, string | null][]; want: string | undefined }[] = [
    { name: 'one removed', file: two, change: [[1, null]], want: 'I1 R 250 Ok - y\nS1 5\n' },
    {
      name: 'a missing LF is put first',
      file: two.slice(0, -1),
      change: [[1, null]],
      want: '\nI1 R 250 Ok - y\nS1 5\n',
    },
    {
      name: 'replacements come before all completions',
      file: two,
      change: [
        [1, 'z'],
        [0, null],
      ],
      want: 'rz\nR\nN\nI1 R 250 Ok - y\nS1 5\nI0 R 250 Ok - y\nS0 5\n',
    },
    {
      name: 'one that is done is left alone, as is its replacement',
      file: `${two}S0 1\n`,
      change: [[0, 'z']],
      want: undefined,
    },
    { name: 'one that is not there too', file: two, change: [[2, 'z']], want: undefined },
    {
      name: 'a second change to the same one does nothing',
      file: two,
      change: [
        [0, null],
        [0, 'z'],
      ],
      want: 'I0 R 250 Ok - y\nS0 5\n',
    },
  ]
  for (const { name, file, change, want } of changes) {
    const list = change.map(([index, by]) => ({ index, why: 'y', replaceBy: by === null ? null : triple(by) }))
    t.equal(text(changeBytes(latin1(file), list, 5000)?.bytes), want, name)
  }
  t.end()
})

t.test('client address', (t) => {
  const dir = t.testdir()
  const rows: { name: string; ip: string | null; want: string | null | RegExp }[] = [
    { name: 'IPv4 mapped into IPv6', ip: '::ffff:192.0.2.1', want: '192.0.2.1' },
    { name: 'the same in hexadecimal', ip: '::FFFF:C000:201', want: '192.0.2.1' },
    { name: 'plain IPv4', ip: '203.0.113.9', want: '203.0.113.9' },
    { name: 'IPv6 loopback', ip: '::1', want: '::1' },
    { name: 'IPv6 in full and upper case', ip: '2001:0DB8:0000:0000:0001:0000:0000:0001', want: '2001:db8::1:0:0:1' },
    { name: 'a single group of zeros is written out', ip: '2001:db8:0:1:1:1:1:1', want: '2001:db8:0:1:1:1:1:1' },
    { name: 'IPv4-compatible is not IPv4-mapped', ip: '::192.0.2.1', want: '::c000:201' },
    { name: 'a dotted tail elsewhere is no mapping', ip: '2001:db8::192.0.2.1', want: '2001:db8::c000:201' },
    { name: 'no record', ip: null, want: null },
    { name: 'an empty value', ip: '', want: /"", which is no IP address/ },
    { name: 'a leading zero', ip: '192.0.2.010', want: /192\.0\.2\.010/ },
    { name: 'an octet too large', ip: '192.0.2.256', want: /no IP address/ },
    { name: 'three octets', ip: '192.0.2', want: /no IP address/ },
    { name: 'a number', ip: '3221225985', want: /no IP address/ },
    { name: 'hexadecimal octets', ip: '0xc0.0.2.1', want: /no IP address/ },
    { name: 'a blank after it', ip: '192.0.2.1 ', want: /no IP address/ },
    { name: 'a zone', ip: 'fe80::1%eth0', want: /no IP address/ },
    { name: 'a port', ip: '[2001:db8::1]:25', want: /no IP address/ },
  ]
  for (const { name, ip, want } of rows) {
    const { controlPaths } = makePair(dir, { ip })
    const { clientIp, invalidClientIp } = readControl(controlPaths)
    if (want instanceof RegExp) {
      t.throws(() => getSendersIp(controlPaths), { message: want }, name)
      t.strictSame(
        { clientIp, invalidClientIp },
        { clientIp: null, invalidClientIp: ip },
        `${name}: readControl says so`,
      )
    } else {
      t.equal(getSendersIp(controlPaths), want, name)
      t.strictSame({ clientIp, invalidClientIp }, { clientIp: want, invalidClientIp: null }, `${name}: readControl`)
    }
  }
  const { controlPaths } = makePair(dir, { extra: ['OTCPREMOTEIP=198.51.100.7'] })
  t.equal(getSendersIp(controlPaths), '203.0.113.9', 'the first record holds')
  t.end()
})

// The rows of the older program's own tests, with their names in example domains.
const mta = 'dns; localhost (localhost [127.0.0.1])'
const local: PairOptions = {
  sender: 'root@mail.example.org',
  receivedFrom: mta,
  ip: '127.0.0.1',
  source: 'local',
  id: 'ABC',
}
const samples: { name: string; recipients: PairRecipient[]; want: [string, string, string][] }[] = [
  {
    name: 'U18 xalias: a quoted local part verbatim',
    recipients: [{ address: '".xalias/a b"@mail.example.org', original: 'rfc822;list@mail.example.org' }],
    want: [['".xalias/a b"@mail.example.org', 'rfc822;list@mail.example.org', '']],
  },
  {
    name: 'U16 duplicate: the same address twice',
    recipients: [
      'gordon@mail.example.org',
      { address: 'gordon@mail.example.org', original: 'rfc822;postmaster@mail.example.org' },
    ],
    want: [
      ['gordon@mail.example.org', '', ''],
      ['gordon@mail.example.org', 'rfc822;postmaster@mail.example.org', ''],
    ],
  },
  {
    name: 'U17 ldapalias: the completed one is absent',
    recipients: [
      { address: 'rob@mail.example.org', dsn: 'N' },
      { address: 'gordon@mail.example.org', dsn: 'N' },
      { address: 'testldap@mail.example.org', done: true },
    ],
    want: [
      ['rob@mail.example.org', '', 'N'],
      ['gordon@mail.example.org', '', 'N'],
    ],
  },
  {
    name: 'U19 iso-8859-2: bytes that are not UTF-8',
    recipients: [latin1('t\xebst-is\xf6-8859@mail.example.org')],
    want: [['(malformed utf8):t%EBst-is%F6-8859@mail.example.org', '', '']],
  },
]
for (const { name, recipients, want } of samples) {
  t.test(name, (t) => {
    const { controlPaths } = makePair(t.testdir(), { ...local, recipients })
    t.strictSame(getLines(controlPaths, 's'), ['root@mail.example.org'], 'U14: getLines s')
    t.strictSame(getLines(controlPaths, 'f'), [mta], 'U14: getLines f')
    t.strictSame(getLines(controlPaths, 'e'), [''], 'U14: getLines e')
    t.equal(getSendersMta(controlPaths), mta, 'U15: getSendersMta')
    t.equal(getSendersIp(controlPaths), '127.0.0.1', 'U15: getSendersIp')
    t.equal(getSender(controlPaths), 'root@mail.example.org', 'U15: getSender')
    t.strictSame(getRecipientsData(controlPaths), want, 'U16-U19: getRecipientsData')
    t.strictSame(
      getRecipients(controlPaths),
      want.map(([address]) => address),
      'U16-U19: getRecipients',
    )
    t.strictSame(
      getControlData(controlPaths),
      {
        ...{ s: 'root@mail.example.org', f: mta, e: '', M: 'ABC', i: null, t: '', E: '1796731200', p: '1796155200' },
        ...{ W: '1796140800', w: false, '8': false, m: false, V: false, v: null, X: null, U: '', u: 'local', T: false },
        r: want,
      },
      'U20: getControlData',
    )

    addRecipient(controlPaths, 'testcontrol@mail.example.org')
    t.strictSame(
      getRecipientsData(controlPaths),
      [...want, ['testcontrol@mail.example.org', '', '']],
      'U21: addRecipient',
    )
    t.ok(delRecipient(controlPaths, 'testcontrol@mail.example.org'), 'U23: delRecipient finds it')
    t.strictSame(getRecipientsData(controlPaths), want, 'U23: back to the original')

    const data: [string, string, string] = ['testcontrol@mail.example.org', 'testcontrol@example.org', 'N']
    addRecipientData(controlPaths, data)
    t.strictSame(getRecipientsData(controlPaths), [...want, data], 'U22: addRecipientData')
    t.notOk(delRecipientData(controlPaths, [data[0], data[1], '']), 'U23: other flags are another recipient')
    t.ok(delRecipientData(controlPaths, data), 'U23: delRecipientData finds it')
    t.strictSame(getRecipientsData(controlPaths), want, 'U23: back to the original again')
    t.notOk(delRecipientData(controlPaths, data), 'nothing is removed twice')

    for (const each of want) {
      t.ok(delRecipientData(controlPaths, each), 'what was read can be removed')
      addRecipientData(controlPaths, each)
    }
    t.strictSame(getRecipientsData(controlPaths), want, 'and added again, byte for byte')
    t.end()
  })
}

t.test('getters', (t) => {
  const dir = t.testdir()
  const three = makePair(dir, {
    files: [['a@example.org', 'b@example.org'], ['c@example.org'], ['d@example.org']],
  }).controlPaths
  t.strictSame(
    getLines(three, 'r', 3),
    ['a@example.org', 'b@example.org', 'c@example.org'],
    'maxLines counts over all files',
  )
  t.strictSame(getLines([...three.slice(0, 1), '/nowhere'], 'r', 2).length, 2, 'files beyond maxLines are not opened')
  t.strictSame(getLines(three, 'r').length, 4, 'without maxLines all come')
  for (const bad of [0, -1, 1.5, Number.NaN]) t.throws(() => getLines(three, 'r', bad), RangeError, `maxLines ${bad}`)
  for (const bad of ['', 'rr', '\n', ' ', 'ü']) t.throws(() => getLines(three, bad), RangeError, `key "${bad}"`)
  t.strictSame(
    readRecipients(three).map(({ file, index, address }) => [file, index, address]),
    [
      [three[0], 0, 'a@example.org'],
      [three[0], 1, 'b@example.org'],
      [three[1], 0, 'c@example.org'],
      [three[2], 0, 'd@example.org'],
    ],
    'recipients are numbered in each file',
  )
  t.equal(readRecipients([...three, ...three]).length, 4, 'a path given twice has its recipients once')
  t.strictSame(getControlData(three).r.length, 4, 'getControlData has the recipients of all files')

  const bare = makePair(dir, { sender: null, receivedFrom: null, ip: null, source: null, id: null }).controlPaths
  t.equal(getSender(bare), null, 'no s record: null')
  t.equal(getSendersMta(bare), null, 'no f record: null')
  t.equal(getAuthUser(bare), null, 'no i record: null')
  t.strictSame(
    readControl(bare),
    {
      ...{ id: '', sender: null, recipients: [{ address: 'user@example.org', original: '', dsn: '' }], authUser: null },
      ...{ clientIp: null, invalidClientIp: null, source: '', receivedFrom: null, relayClient: false },
    },
    'readControl without any of them',
  )
  t.strictSame(getRecipients([]), [], 'without control files there is nobody')
  t.strictSame(getControlData([]).s, null, 'nor anything else')

  const empty = makePair(dir, { sender: '', authUser: '' }).controlPaths
  t.equal(getSender(empty), '', 'an empty s record: the null sender')
  t.equal(readControl(empty).sender, null, 'which readControl calls null')
  t.equal(getAuthUser(empty, '/nowhere'), '', 'an empty i record is kept, and the data file not opened')

  const flags = ['w', '8', 'm', 'V', 'T', 'vone.example.org', 'vtwo.example.org', 'Xgone', 'USTARTTLS', 'ORELAYCLIENT=']
  const full = makePair(dir, { authUser: 'bob', extra: flags }).controlPaths
  t.match(
    getControlData(full),
    { i: 'bob', w: true, '8': true, m: true, V: true, T: true, v: 'two.example.org', X: 'gone', U: 'STARTTLS' },
    'getControlData with everything; the last record wins',
  )
  t.equal(readControl(full).relayClient, true, 'RELAYCLIENT without a value')

  const uneven = makePair(dir, { files: [['a@example.org'], ['b@example.org']] }).controlPaths
  appendFileSync(uneven[1] ?? '', 'ibob\nw\n')
  t.equal(getAuthUser(uneven), 'bob', 'getAuthUser looks through all files')
  t.match(getControlData(uneven), { i: null, w: false }, 'getControlData tells of the first')
  t.end()
})

t.test('changes to files', (t) => {
  const dir = t.testdir()
  const { controlPaths } = makePair(dir, {
    files: [
      ['a@example.org', 'b@example.org'],
      ['c@example.org', 'b@example.org'],
    ],
  })
  const [first = '', second = ''] = controlPaths
  const before = controlPaths.map((path) => ({ content: readFileSync(path), stat: statSync(path) }))

  addRecipient(controlPaths, 'd@example.org')
  t.equal(grown(second, before[1]?.content), 'rd@example.org\nR\nN\n', 'a recipient goes to the end of the last file')
  t.ok(delRecipient(controlPaths, 'b@example.org', 'spam trap'), 'delRecipient finds one')
  t.match(
    grown(first, before[0]?.content),
    /^I1 R 250 Ok - spam trap\nS1 [0-9]{10}\n$/,
    'the first one, in its own file',
  )
  t.ok(completeRecipient(second, 0, 'why', 1_795_234_395_000), 'completeRecipient by number')
  t.match(grown(second, before[1]?.content), /N\nI0 R 250 Ok - why\nS0 1795234395\n$/, 'with the time it was given')
  t.notOk(completeRecipient(second, 0, 'why'), 'not a second time')
  t.notOk(completeRecipient(second, 9, 'why'), 'nor one that is not there')
  t.strictSame(getRecipients(controlPaths), ['a@example.org', 'b@example.org', 'd@example.org'], 'who is left')
  t.strictSame(changeRecipients(second, []), [], 'no changes write nothing')
  for (const [index, path] of controlPaths.entries()) {
    const { ino, mode } = statSync(path)
    t.strictSame(
      { ino, mode },
      { ino: before[index]?.stat.ino, mode: before[index]?.stat.mode },
      'the same file as before',
    )
  }

  const size = statSync(second).size
  for (const bad of ['', 'a\nb', 'a\rb', 'a\0b', '(malformed utf8):x', 'a\udc00']) {
    t.throws(() => addRecipient(controlPaths, bad), RangeError, `no recipient ${JSON.stringify(bad)}`)
  }
  t.throws(() => addRecipientData(controlPaths, ['a', '', 'NEVER']), RangeError, 'no flags NEVER')
  t.throws(() => delRecipient(controlPaths, 'a@example.org', 'a\nS0 0 l'), RangeError, 'no line end in the reason')
  t.throws(() => addRecipient([], 'a@example.org'), /no control file/, 'no file to add to')
  t.equal(statSync(second).size, size, 'and nothing was written meanwhile')

  truncateSync(second, size - 1)
  addRecipient(controlPaths, 'e@example.org')
  t.strictSame(getRecipients(controlPaths).at(-1), 'e@example.org', 'a file without its last LF is mended first')
  t.match(readFileSync(second, 'latin1'), /\nS0 1795234395\nre@example\.org\nR\nN\n$/, 'in the same write')
  t.end()
})

function grown(path: string, before: Buffer | undefined): string {
  const now = readFileSync(path)
  const length = before?.length ?? 0
  return now.subarray(0, length).equals(before ?? Buffer.alloc(0))
    ? now.subarray(length).toString('latin1')
    : 'rewritten'
}

t.test('files that are no control files', (t) => {
  const dir = t.testdir()
  const [real = ''] = makePair(dir, {}).controlPaths
  const at = (name: string) => join(dir, name)
  symlinkSync(real, at('link'))
  mkdirSync(at('folder'))
  execFileSync('mkfifo', [at('fifo')])
  writeFileSync(at('large'), '')
  truncateSync(at('large'), 16 * 1024 * 1024 + 1)
  const rows = [
    { name: 'link', message: /ELOOP/ },
    { name: 'folder', message: /not a regular file|EISDIR/ },
    { name: 'fifo', message: /not a regular file/ },
    { name: 'large', message: /large has 16777217 octets, more than the limit of 16777216/ },
    { name: 'missing', message: /ENOENT.*missing/ },
  ]
  for (const { name, message } of rows) {
    t.throws(() => getRecipients([at(name)]), { message }, `${name} is not read`)
    t.throws(() => addRecipient([at(name)], 'a@example.org'), { message }, `${name} is not written`)
  }
  truncateSync(at('large'), 16 * 1024 * 1024)
  t.strictSame(getRecipients([at('large')]), [], 'the limit itself is read')
  t.end()
})

t.test('property: any order of adding and removing leaves what a list would hold', (t) => {
  const dir = t.testdir()
  const address = fc.constantFrom(
    'a@example.org',
    'b@example.org',
    '(malformed utf8):%FF@example.org',
    ' "x "@example.org',
    'ü@example.org',
  )
  const data = fc.tuple(address, fc.constantFrom('', 'rfc822;x'), fc.constantFrom('', 'N', 'SFD'))
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), data }),
    fc.record({ kind: fc.constant('del' as const), data }),
    fc.record({ kind: fc.constant('delData' as const), data }),
    fc.record({ kind: fc.constant('index' as const), at: fc.nat({ max: 12 }) }),
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 25 }), (files, steps) => {
      const { controlPaths } = makePair(dir, {
        files: Array.from({ length: files }, (_, at) => [`start${at}@example.org`]),
      })
      const [first = ''] = controlPaths
      // `place` is the number in the first file, or -1 elsewhere.
      let inFirst = 1
      let model = getRecipientsData(controlPaths).map((entry, at) => ({ entry, place: at === 0 ? 0 : -1 }))
      for (const each of steps) {
        if (each.kind === 'add') {
          addRecipientData(controlPaths, each.data)
          model.push({ entry: each.data, place: files === 1 ? inFirst++ : -1 })
          continue
        }
        const at = model.findIndex(({ entry, place }) => {
          if (each.kind === 'index') return place === each.at
          return each.kind === 'del' ? entry[0] === each.data[0] : entry.join('|') === each.data.join('|')
        })
        const wasThere =
          each.kind === 'index'
            ? completeRecipient(first, each.at, 'x')
            : each.kind === 'del'
              ? delRecipient(controlPaths, each.data[0])
              : delRecipientData(controlPaths, each.data)
        assert.equal(wasThere, at !== -1)
        model = model.filter((_, index) => index !== at)
      }
      assert.deepEqual(
        getRecipientsData(controlPaths),
        model.map(({ entry }) => entry),
      )
    }),
    { numRuns: 60 },
  )
  t.pass('as the list')
  t.end()
})

// What spec courier 4 and the README of the corpus say of each set.
interface CorpusSet {
  sender: string | null
  /** Pending recipients: a list, or how many. */
  to: (string | [string, string, string])[] | number
  ip?: string | null
  user?: string
  source?: string
  id: string
  files?: number
  data?: Partial<control.ControlData>
}
const out = '127.0.0.2'
const own = '127.0.0.1'
const alice = 'alice@vm.test.example'
const bob = 'bob@vm.test.example'
const carol = 'carol@vm.test.example'
const remote = 'bob@example.com'
const hosted = 'carol@hosted.example.org'
const smtp = { sender: remote, to: [alice], ip: out, source: 'smtp', data: { T: true } }
const relayed = { sender: remote, to: [alice], ip: own, source: 'authsmtp' }
const submitted = { sender: alice, to: [bob], ip: own, source: 'local' }
const corpus: Record<string, CorpusSet> = {
  'esmtp-plain': { ...smtp, id: '0000000000162390.000000006B011ED1.000011FA' },
  'esmtp-relayclient': { ...relayed, id: '0000000000162427.000000006B011ED1.00001200', data: { i: null, T: false } },
  'esmtp-authenticated': {
    ...{ sender: hosted, to: [alice, 'dave@example.net'], ip: out, source: 'authsmtp', user: hosted },
    ...{ id: '00000000001623C0.000000006B011ED1.00001207', data: { T: false } },
  },
  'esmtp-authenticated-system-user': {
    ...{ sender: bob, to: [alice], ip: out, source: 'authsmtp', user: 'bob' },
    id: '0000000000162484.000000006B011ED1.0000120E',
  },
  'esmtp-starttls': { ...smtp, sender: bob, id: '00000000001624D2.000000006B011ED3.000012C4', data: { U: '' } },
  'esmtp-starttls-authenticated': {
    ...{ sender: bob, to: [alice], ip: out, source: 'authsmtp', user: 'bob' },
    ...{ id: '00000000001624AF.000000006B011ED3.000012EC', data: { U: '' } },
  },
  'smtp-helo': { ...smtp, id: '00000000001624D0.000000006B011ED2.000012A6' },
  'esmtp-ipv6': { ...relayed, ip: '::1', id: '00000000001623C0.000000006B011ED1.00001255' },
  'esmtp-null-sender': { ...smtp, sender: null, id: '0000000000162484.000000006B011ED1.00001215' },
  'esmtp-dsn-options': {
    ...smtp,
    to: [
      [alice, 'Alice+Tag@example.com', 'SFD'],
      [carol, '', 'N'],
      [bob, '', ''],
    ],
    id: '000000000016249E.000000006B011ED1.0000121C',
    data: { e: 'QQ314159', t: 'H' },
  },
  'esmtp-dsn-ret-full': { ...smtp, id: '000000000016249F.000000006B011ED1.00001226', data: { t: 'F' } },
  'esmtp-verp': { ...smtp, to: [alice, bob], id: '00000000001623C0.000000006B011ED1.0000122A', data: { V: true } },
  'esmtp-security-starttls': { ...smtp, id: '00000000001624AA.000000006B011ED2.00001261', data: { U: 'STARTTLS' } },
  'esmtp-size': { ...smtp, id: '00000000001624AA.000000006B011ED2.0000125B' },
  'esmtp-8bitmime': { ...smtp, id: '00000000001624A8.000000006B011ED1.0000122E', data: { '8': true, m: false } },
  'esmtp-8bit-undeclared': { ...smtp, id: '00000000001623C0.000000006B011ED1.0000123A', data: { '8': true, m: false } },
  'esmtp-8bit-header': { ...smtp, id: '00000000001623C0.000000006B011ED1.00001243', data: { '8': false, m: true } },
  'esmtp-smtputf8': {
    ...{ sender: 'jörg@exämple.example', to: [[alice, 'alice€@example.com', '']], ip: out, source: 'smtp' },
    ...{ id: '00000000001623C0.000000006B011ED1.00001249', data: { '8': true, m: true } },
  },
  'esmtp-punycode-sender': { ...smtp, sender: 'bob@exämple.example', id: '00000000001623C0.000000006B011ED1.0000124F' },
  'esmtp-invalid-utf8-sender': {
    ...{ ...smtp, sender: '(malformed utf8):b%F6b@example.com' },
    id: '000000000016241F.000000006B011EF7.000026F9',
  },
  'esmtp-recipients-odd': {
    ...relayed,
    to: ['carol@mail.hosted.example.org', '"a b"@example.net', alice, "o'brien+tag@example.net"],
    id: '00000000001624AA.000000006B011ED2.00001267',
  },
  'alias-one': {
    ...smtp,
    to: [[alice, 'single@vm.test.example', '']],
    id: '00000000001624B4.000000006B011ED2.00001279',
  },
  'alias-many': {
    ...smtp,
    to: [
      [alice, '', 'N'],
      [bob, '', 'N'],
      [hosted, '', 'N'],
    ],
    id: '00000000001624AF.000000006B011ED2.0000126F',
  },
  'alias-virtual-domain': {
    ...relayed,
    to: [['alice-sales@vm.test.example', 'sales@virtual.example.com', '']],
    id: '00000000001624AA.000000006B011ED2.0000127F',
  },
  'alias-250-members': { ...smtp, to: 251, files: 3, id: '00000000001624B1.000000006B011ED2.00001287' },
  'recipients-100': { ...relayed, to: 100, id: '00000000001624BA.000000006B011ED2.0000128F' },
  'recipients-101': { ...relayed, to: 101, files: 2, id: '00000000001624AA.000000006B011ED2.00001295' },
  'recipients-250': { ...relayed, to: 250, files: 3, id: '00000000001624B1.000000006B011ED2.00001299' },
  'recipients-1200': { ...relayed, to: 1200, files: 12, id: '00000000001624AF.000000006B011ED2.0000129D' },
  'recipients-150-8bit-authenticated': {
    ...{ sender: remote, to: 150, files: 2, ip: out, user: hosted, source: 'authsmtp' },
    ...{ id: '00000000001624CD.000000006B011ED2.000012A2', data: { '8': true, m: true } },
  },
  'local-sendmail': { ...submitted, id: '00000000001624B1.000000006B011ED3.000012F2', data: { T: false } },
  'local-sendmail-options': {
    ...{ ...submitted, to: [[bob, '', 'SFD']] },
    ...{ id: '00000000001624D4.000000006B011ED4.00001309', data: { e: 'envid+2B1', t: 'H' } },
  },
  'local-sendmail-header-recipients': {
    ...submitted,
    to: [bob, carol, alice, 'dave@example.net'],
    id: '00000000001624D9.000000006B011ED5.00001336',
  },
  'local-sendmail-null-sender': { ...submitted, sender: null, id: '00000000001624D9.000000006B011ED5.00001357' },
  'local-sendmail-verp': {
    ...{ ...submitted, to: [bob, 'dave@example.net'] },
    ...{ id: '00000000001624DC.000000006B011ED6.00001377', data: { V: true } },
  },
  'local-sendmail-as-courier': { ...submitted, sender: null, id: '00000000001624F1.000000006B011ED7.00001394' },
  'local-sendmail-bs': { ...submitted, source: 'authsmtp', id: '0000000000162511.000000006B011ED8.000013B5' },
  'local-forward': {
    ...{ sender: carol, to: [[bob, 'alice-fwd@vm.test.example', 'F']], ip: null, source: 'local' },
    id: '0000000000162515.000000006B011ED9.000013DE',
  },
  'dsn-bounce': {
    ...{ sender: null, to: [carol], ip: null, source: 'authsmtp/dsn' },
    id: '00000000001624A8.000000006B011F26.0000367F',
  },
  'uucp-rmail': {
    ...{ sender: 'dave@example.net', to: [alice], ip: own, source: 'uucp' },
    ...{ id: '000000000016251B.000000006B011EDC.00001462', data: { f: 'unknown; uucp (uuhost.example!dave)' } },
  },
  vhost: { ...smtp, id: '000000000016251E.000000006B011EDD.0000148E', data: { v: '127.0.0.1' } },
  'warntime-zero': { ...smtp, id: '000000000016251E.000000006B011EDD.00001488', data: { w: true } },
  'queue-deferred-after-filter-edits': {
    ...{ sender: carol, to: ['x@dead.example.org'], ip: own, source: 'authsmtp' },
    id: '00000000001624E6.000000006B011EF7.00002703',
  },
  'queue-second-attempt': {
    ...{ sender: carol, to: ['x@dead.example.org'], ip: own, source: 'authsmtp' },
    id: '00000000001624E6.000000006B011EF7.00002703',
  },
}

const corpusDir = join(import.meta.dirname, '../../../shared/corpus/courier/spool')
const absent = existsSync(corpusDir) ? false : 'the corpus of Courier spool files is not here'

t.test('corpus', { skip: absent }, (t) => {
  const names = readdirSync(corpusDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
  t.strictSame(names.sort(), Object.keys(corpus).sort(), 'every set has its row, every row its set')
  const work = t.testdir()
  for (const [name, want] of Object.entries(corpus)) {
    const folder = join(work, name)
    cpSync(join(corpusDir, name), folder, { recursive: true })
    const number = (path: string) => Number(/\.([0-9]+)$/.exec(path)?.[1] ?? 0)
    const paths = readdirSync(folder)
      .filter((path) => path.startsWith('control'))
      .sort((a, b) => number(a) - number(b))
      .map((path) => join(folder, path))
    // The corpus may be there to be read only, and its copies come with its modes.
    for (const path of paths) chmodSync(path, 0o660)
    t.test(name, (t) => {
      t.equal(paths.length, want.files ?? 1, 'control files')
      const facts = readControl(paths)
      const { sender, clientIp, authUser, source, id } = facts
      t.strictSame(
        { sender, clientIp, authUser, source, id },
        {
          sender: want.sender,
          clientIp: want.ip ?? null,
          authUser: want.user ?? null,
          source: want.source,
          id: want.id,
        },
        'sender, client, source, id',
      )
      t.strictSame(
        control.parseControlFacts(paths.map((path) => readFileSync(path, 'latin1'))),
        facts,
        'the same from contents',
      )
      t.equal(facts.relayClient, facts.source === 'authsmtp', 'RELAYCLIENT goes with authsmtp')
      t.equal(getSender(paths), want.sender ?? '', 'getSender')
      t.equal(getSendersIp(paths), want.ip ?? null, 'getSendersIp')
      t.equal(getAuthUser(paths), want.user ?? null, 'getAuthUser')
      const data = getControlData(paths)
      t.strictSame({ ...data, ...want.data, M: want.id, u: want.source }, data, 'getControlData')
      const found = getRecipientsData(paths)
      t.strictSame(
        facts.recipients.map(({ address, original, dsn }) => [address, original, dsn]),
        found,
        'envelope',
      )
      if (typeof want.to === 'number') t.equal(found.length, want.to, 'number of recipients')
      else
        t.strictSame(
          found,
          want.to.map((to) => (typeof to === 'string' ? [to, '', ''] : to)),
          'recipients',
        )

      const before = paths.map((path) => readFileSync(path))
      const added = '(malformed utf8):%FF@example.org'
      addRecipient(paths, added)
      t.strictSame(getRecipientsData(paths), [...found, [added, '', '']], 'one more recipient')
      t.ok(delRecipient(paths, added), 'and away again')
      t.strictSame(getRecipientsData(paths), found, 'as before')
      for (const [index, path] of paths.entries()) t.not(grown(path, before[index]), 'rewritten', 'only appended to')
      t.end()
    })
  }

  t.test('numbers and order over several files', (t) => {
    const of = (name: string, files: string[]) => readRecipients(files.map((file) => join(corpusDir, name, file)))
    const many = of('recipients-1200', ['control', ...Array.from({ length: 11 }, (_, index) => `control.${index + 1}`)])
    const wanted = Array.from({ length: 1200 }, (_, at) => [at % 100, `r${String(at).padStart(4, '0')}@example.net`])
    t.strictSame(
      many.map(({ index, address }) => [index, address]),
      wanted,
      'a hundred to a file, each counted from 0',
    )
    const alias = of('alias-250-members', ['control', 'control.1', 'control.2'])
    t.strictSame(
      alias.filter(({ done }) => done).map(({ file, index, address }) => [file.slice(-9), index, address]),
      [['control.2', 50, 'everyone@vm.test.example']],
      'the expanded alias is done, in the middle of the third file',
    )
    t.match(alias.at(-1), { index: 51, address: alice, done: false }, 'a recipient comes after its completion')
    const queued = of('queue-second-attempt', ['control'])
    t.strictSame(
      queued.map(({ done }) => done),
      [true, false, true, true],
      'deferred is not done, removed and delivered are',
    )
    t.end()
  })
  t.end()
})

t.test('facts of plain text are those of the records', (t) => {
  const letters = fc.constantFrom('s', 'f', 'M', 'i', 'u', 'O', 'r', 'R', 'N', 'S', 'F', 'E', '', '\xff')
  const values = fc.constantFrom(
    ...[
      '',
      ' ',
      'a@example.com',
      'x',
      '0 250 Ok',
      '\xe9',
      '\xc3\xa9',
      'a\rb',
      '\0',
      '(malformed utf8):%41',
      'TCPREMOTEIP=192.0.2.1',
    ],
    ...['TCPREMOTEIP=::ffff:192.0.2.1', 'TCPREMOTEIP=none', 'RELAYCLIENT='],
  )
  const lines = fc.array(
    fc.tuple(letters, values).map(([letter, value]) => letter + value),
    { maxLength: 14 },
  )
  const file = fc.tuple(lines, fc.constantFrom('', '\n')).map(([all, end]) => all.join('\n') + end)
  fc.assert(
    fc.property(fc.array(file, { maxLength: 3 }), (files) => {
      const records = files.map((text) => parseControl(Buffer.from(text, 'latin1')))
      assert.deepEqual(parseControlFacts(files), factsOfRecords(records))
    }),
    { numRuns: 2000 },
  )
  t.pass('in 2,000 made-up files')
  t.end()
})
