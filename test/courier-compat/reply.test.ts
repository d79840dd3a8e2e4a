import fc from 'fast-check'
import t from 'tap'
import {
  accept,
  defer,
  isReply,
  isVerdict,
  makeReply,
  parseReply,
  pass,
  reject,
  replyLimits,
  replyLines,
  type Verdict,
} from '../../courier-compat/reply.ts'

/** The verdict in one line, for tables. */
function shown(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'pass':
      return 'pass'
    case 'accept':
      return `accept${verdict.skipOthers ? ' skipping others' : ''} | ${replyLines(verdict.reply).join(' | ')}`
    case 'defer':
    case 'reject':
      return `${verdict.kind} | ${replyLines(verdict.reply).join(' | ')}`
  }
}

const longWord = 'x'.repeat(600)

t.test('parseReply: what is a reply', (t) => {
  const rows: { name: string; value: unknown; want: string }[] = [
    { name: 'the empty string decides nothing', value: '', want: 'pass' },
    { name: 'nothing returned decides nothing', value: undefined, want: 'pass' },
    { name: '2xx accepts for this chain', value: '200 Ok', want: 'accept | 200 Ok' },
    { name: '250 accepts as 200 does', value: '250 2.0.0 fine', want: 'accept | 250 2.0.0 fine' },
    { name: '0xx accepts for all filters of the server', value: '000 Ok', want: 'accept skipping others | 000 Ok' },
    { name: 'leading zeros of the code are kept', value: '050 OK', want: 'accept skipping others | 050 OK' },
    {
      name: 'a status of any class may follow 0xx',
      value: '000 5.7.1 x',
      want: 'accept skipping others | 000 5.7.1 x',
    },
    { name: '4xx defers', value: '451 4.7.1 later', want: 'defer | 451 4.7.1 later' },
    { name: '5xx rejects', value: '554 no', want: 'reject | 554 no' },
    { name: 'a code alone is a reply with an empty text', value: '550', want: 'reject | 550 ' },
    { name: 'a code and a blank are one too', value: '550 ', want: 'reject | 550 ' },
    { name: 'a status alone is one too', value: '451 4.3.0', want: 'defer | 451 4.3.0 ' },
    { name: 'T13: two lines are one reply of two lines', value: '554-a\n554 b', want: 'reject | 554-a | 554 b' },
    { name: 'CRLF between lines', value: '554-a\r\n554 b', want: 'reject | 554-a | 554 b' },
    { name: 'one final LF', value: '554 a\n', want: 'reject | 554 a' },
    { name: 'one final CRLF', value: '554-a\r\n554 b\r\n', want: 'reject | 554-a | 554 b' },
    { name: 'a code alone as last line', value: '554-a\n554', want: 'reject | 554-a | 554 ' },
    {
      name: 'the status of the first line is repeated on all',
      value: '550-5.7.1 a\n550-5.7.1 b\n550 c',
      want: 'reject | 550-5.7.1 a | 550-5.7.1 b | 550 5.7.1 c',
    },
    {
      name: 'a status that only a later line has is text',
      value: '550-a\n550 5.7.1 b',
      want: 'reject | 550-a | 550 5.7.1 b',
    },
    { name: 'what is no status is text', value: '451 4.3 x', want: 'defer | 451 4.3 x' },
    { name: 'an IP address is no status', value: '451 5.1.1.1 x', want: 'defer | 451 5.1.1.1 x' },
    { name: 'control characters become ?', value: '451 a\x00b\x1bc', want: 'defer | 451 a?b?c' },
    { name: 'CR without LF cannot end a line', value: '451 a\r250 b', want: 'defer | 451 a?250 b' },
    { name: 'a tab becomes a blank', value: '451 a\tb', want: 'defer | 451 a b' },
    { name: 'non-ASCII becomes ?', value: '451 Grüße', want: 'defer | 451 Gr??e' },
    { name: 'line separators of Unicode become ?', value: '451 a\u2028b\u0085c', want: 'defer | 451 a?b?c' },
    { name: 'a long line is cut', value: `451 ${longWord}`, want: `defer | 451 ${'x'.repeat(506)}` },
    {
      name: 'a long line with a status is cut to the same length',
      value: `451 4.7.1 ${longWord}`,
      want: `defer | 451 4.7.1 ${'x'.repeat(500)}`,
    },
    {
      name: 'many lines are cut, and the last one left ends the reply',
      value: `${'550-x\n'.repeat(60)}550 x`,
      want: `reject | ${'550-x | '.repeat(49)}550 x`,
    },
  ]
  for (const { name, value, want } of rows) {
    const parsed = parseReply(value)
    t.equal('verdict' in parsed ? shown(parsed.verdict) : `malformed: ${parsed.malformed}`, want, name)
  }
  t.end()
})

t.test('parseReply: what is none, and why', (t) => {
  const rows: { name: string; value: unknown; want: RegExp }[] = [
    { name: 'T12: null', value: null, want: /^returned null, not a string$/ },
    { name: 'a number', value: 200, want: /^returned number, not a string$/ },
    { name: 'true', value: true, want: /^returned boolean/ },
    { name: 'an object', value: { code: 200 }, want: /^returned object/ },
    { name: 'a String object', value: Object('200 Ok'), want: /^returned object/ },
    { name: 'T14: nonsense', value: 'nonsense', want: /^returned "nonsense", which is no reply/ },
    { name: 'T15: 354 would be an acceptance for Courier', value: '354 hmm', want: /code 354; a reply begins with/ },
    { name: '1xx', value: '100 x', want: /code 100/ },
    { name: '3xx', value: '300 x', want: /code 300/ },
    { name: '6xx', value: '650 x', want: /code 650/ },
    { name: '9xx', value: '999 x', want: /code 999/ },
    { name: 'a blank', value: ' ', want: /no reply/ },
    { name: 'a line end alone', value: '\n', want: /no reply/ },
    { name: 'a blank before the code', value: ' 200 Ok', want: /no reply/ },
    { name: 'two digits', value: '55 x', want: /no reply/ },
    { name: 'four digits', value: '5500 x', want: /no reply/ },
    { name: 'no blank after the code', value: '550xtext', want: /no reply/ },
    { name: 'digits of another script', value: '٢٠٠ Ok', want: /no reply/ },
    { name: 'a reply without its last line', value: '550-one\n550-two', want: /without its last line/ },
    { name: 'a last line that is not the last', value: '550 one\n550 two', want: /goes on after its last line/ },
    { name: 'a bare code that is not the last line', value: '550\n550 two', want: /goes on after its last line/ },
    { name: 'codes that differ', value: '550-one\n450 two', want: /codes 550 and 450/ },
    { name: 'an acceptance that ends as a refusal', value: '200-one\n550 two', want: /codes 200 and 550/ },
    { name: 'junk after the first line', value: '550-one\njunk', want: /no reply/ },
    { name: 'two final line ends', value: '550 one\n\n', want: /goes on after its last line/ },
    {
      name: 'a status of another class',
      value: '550 4.7.1 x',
      want: /code 550 with the status 4\.7\.1 of another class/,
    },
    { name: 'a refusing status on an acceptance', value: '200 5.7.1 x', want: /code 200 with the status 5\.7\.1/ },
    { name: 'more text than is looked at', value: `200 ${'x'.repeat(65_536)}`, want: /^returned 65540 characters/ },
    { name: 'what it quotes is cut and cleaned', value: `\x1b${'n'.repeat(99)}`, want: /^returned "\?n{59}\.\.\."/ },
  ]
  for (const { name, value, want } of rows) {
    const parsed = parseReply(value)
    t.match('malformed' in parsed ? parsed.malformed : `took it: ${shown(parsed.verdict)}`, want, name)
  }
  t.end()
})

t.test('isReply: only what makeReply could have made', (t) => {
  const good = { code: 451, status: '4.3.0', lines: ['later'] }
  const sparse: string[] = []
  sparse.length = 1
  const rows: { name: string; value: unknown; want: boolean }[] = [
    { name: 'a reply', value: good, want: true },
    { name: 'without a status', value: { ...good, status: null }, want: true },
    { name: 'no object', value: 'x', want: false },
    { name: 'null', value: null, want: false },
    { name: 'a code as text', value: { ...good, code: '451' }, want: false },
    { name: 'half a code', value: { ...good, code: 451.5 }, want: false },
    { name: 'a status left out', value: { code: 451, lines: ['x'] }, want: false },
    { name: 'a status of class 3', value: { ...good, status: '3.0.0' }, want: false },
    { name: 'a status with a line end', value: { ...good, status: '4.3.0\n' }, want: false },
    { name: 'no lines', value: { ...good, lines: [] }, want: false },
    { name: 'lines that are no array', value: { ...good, lines: 'x' }, want: false },
    { name: 'a line that is no text', value: { ...good, lines: [1] }, want: false },
    { name: 'a hole instead of a line', value: { ...good, lines: sparse }, want: false },
    { name: 'an injected line', value: { ...good, lines: ['x\r\n250 Ok'] }, want: false },
    { name: 'non-ASCII', value: { ...good, lines: ['ü'] }, want: false },
    { name: 'as many lines as there may be', value: { ...good, lines: Array<string>(50).fill('x') }, want: true },
    { name: 'one line more', value: { ...good, lines: Array<string>(51).fill('x') }, want: false },
    { name: 'a line as long as may be', value: { ...good, lines: ['x'.repeat(500)] }, want: true },
    { name: 'too long with code and status before it', value: { ...good, lines: ['x'.repeat(501)] }, want: false },
    {
      name: 'too long with the code before it',
      value: { ...good, status: null, lines: ['x'.repeat(507)] },
      want: false,
    },
  ]
  for (const { name, value, want } of rows) t.equal(isReply(value), want, name)
  t.end()
})

t.test('isVerdict: kind and code agree', (t) => {
  const reply = (code: number) => ({ code, status: null, lines: ['x'] })
  const rows: { name: string; value: unknown; want: boolean }[] = [
    { name: 'pass', value: { kind: 'pass' }, want: true },
    { name: 'accept 200', value: { kind: 'accept', skipOthers: false, reply: reply(200) }, want: true },
    { name: 'accept 000', value: { kind: 'accept', skipOthers: true, reply: reply(0) }, want: true },
    { name: 'accept 000 without skipping', value: { kind: 'accept', skipOthers: false, reply: reply(0) }, want: false },
    { name: 'accept 200 with skipping', value: { kind: 'accept', skipOthers: true, reply: reply(200) }, want: false },
    { name: 'accept with a refusal', value: { kind: 'accept', skipOthers: false, reply: reply(550) }, want: false },
    { name: 'accept without skipOthers', value: { kind: 'accept', reply: reply(200) }, want: false },
    { name: 'defer 451', value: { kind: 'defer', reply: reply(451) }, want: true },
    { name: 'defer with an acceptance', value: { kind: 'defer', reply: reply(250) }, want: false },
    { name: 'defer 551', value: { kind: 'defer', reply: reply(551) }, want: false },
    { name: 'reject 550', value: { kind: 'reject', reply: reply(550) }, want: true },
    { name: 'reject 1550', value: { kind: 'reject', reply: reply(1550) }, want: false },
    { name: 'reject -1', value: { kind: 'reject', reply: reply(-1) }, want: false },
    { name: 'reject without a reply', value: { kind: 'reject' }, want: false },
    { name: 'another kind', value: { kind: 'discard', reply: reply(250) }, want: false },
    { name: 'null', value: null, want: false },
    { name: 'text', value: 'pass', want: false },
  ]
  for (const { name, value, want } of rows) t.equal(isVerdict(value), want, name)
  t.end()
})

t.test('the helpers make replies', (t) => {
  const rows: { name: string; value: string; want: string }[] = [
    { name: 'pass', value: pass(), want: '' },
    { name: 'accept', value: accept(), want: '200 Ok' },
    { name: 'accept with a text', value: accept('listed'), want: '200 listed' },
    { name: 'accept for all filters', value: accept('Ok', { skipOthers: true }), want: '000 Ok' },
    { name: 'accept with a line end stays one line', value: accept('a\n550 b'), want: '200 a?550 b' },
    { name: 'accept with a foreign status in its text', value: accept('5.7.1 waived'), want: '200 2.0.0 5.7.1 waived' },
    { name: 'defer', value: defer('4.7.1', 'later'), want: '451 4.7.1 later' },
    { name: 'defer with another code', value: defer('4.3.2', 'later', 421), want: '421 4.3.2 later' },
    { name: 'reject', value: reject('5.7.1', 'no'), want: '550 5.7.1 no' },
    { name: 'reject in lines', value: reject('5.7.1', ['a', 'b'], 554), want: '554-5.7.1 a\n554 5.7.1 b' },
    { name: 'a text with line ends is lines', value: reject('5.7.1', 'a\r\nb'), want: '550-5.7.1 a\n550 5.7.1 b' },
    { name: 'a line with line ends is not', value: reject('5.7.1', ['a\r\nb']), want: '550 5.7.1 a??b' },
    { name: 'no lines are one empty line', value: reject('5.7.1', []), want: '550 5.7.1 ' },
  ]
  for (const { name, value, want } of rows) t.equal(value, want, name)
  t.throws(() => defer('5.7.1', 'x'), RangeError, 'defer refuses a status of class 5')
  t.throws(() => reject('4.7.1', 'x'), RangeError, 'reject refuses a status of class 4')
  t.throws(() => reject('5.7', 'x'), RangeError, 'reject refuses half a status')
  t.throws(() => defer('4.7.1', 'x', 550), RangeError, 'defer refuses the code 550')
  t.throws(() => reject('5.7.1', 'x', 451), RangeError, 'reject refuses the code 451')
  t.throws(() => reject('5.7.1', 'x', 550.5), RangeError, 'reject refuses half a code')
  t.end()
})

/** Noise of which replies are made. */
const noise = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '200',
        '000',
        '451',
        '550',
        '354',
        '5.7.1',
        '4.3.0',
        ' ',
        '-',
        '\n',
        '\r',
        '\0',
        'ü',
        '\u{1f4e7}',
      ),
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constant('x'.repeat(300)),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''))

/** Noise, and noise in the shape of a reply, so that every second one comes past the first line. */
const replyish = fc.oneof(
  noise,
  fc
    .tuple(fc.constantFrom('000', '050', '200', '451', '550', '354'), fc.array(noise, { minLength: 1, maxLength: 60 }))
    .map(([code, texts]) => {
      const rows = texts.map(
        (text, index) => `${code}${index === texts.length - 1 ? ' ' : '-'}${text.replaceAll('\n', '')}`,
      )
      return rows.join('\n')
    }),
)

const onTheWire = (lines: readonly string[]) =>
  lines.length > 0 && lines.every((line) => /^[0-9]{3}[ -][ -~]*$/.test(line) && line.length <= replyLimits.lineOctets)

t.test('property: whatever parseReply yields can stand on a wire and survives a second reading', (t) => {
  const seen = { verdicts: 0, malformed: 0 }
  fc.assert(
    fc.property(replyish, (text) => {
      const parsed = parseReply(text)
      if ('malformed' in parsed) {
        seen.malformed += 1
        return /^[ -~]+$/.test(parsed.malformed)
      }
      const { verdict } = parsed
      if (!isVerdict(verdict)) return false
      if (verdict.kind === 'pass') return text === ''
      seen.verdicts += 1
      const lines = replyLines(verdict.reply)
      const again = parseReply(lines.join('\n'))
      return onTheWire(lines) && 'verdict' in again && shown(again.verdict) === shown(verdict)
    }),
    { numRuns: 3000 },
  )
  t.ok(seen.verdicts > 50 && seen.malformed > 50, `both sides were met: ${JSON.stringify(seen)}`)
  t.end()
})

t.test('property: the helpers cannot be talked into another verdict', (t) => {
  const kindOf = (value: string) => {
    const parsed = parseReply(value)
    return 'verdict' in parsed ? parsed.verdict.kind : parsed.malformed
  }
  fc.assert(
    fc.property(
      fc.oneof(replyish, fc.constant('y'.repeat(100_000))),
      (text) =>
        kindOf(accept(text)) === 'accept' &&
        kindOf(accept(text, { skipOthers: true })) === 'accept' &&
        kindOf(defer('4.7.1', text)) === 'defer' &&
        kindOf(reject('5.7.1', [text, text])) === 'reject',
    ),
    { numRuns: 300 },
  )
  t.pass('none was')
  t.end()
})

t.test('property: makeReply makes what isReply takes', (t) => {
  const status = fc.constantFrom(null, '2.0.0', '4.3.0', '5.255.255')
  fc.assert(
    fc.property(status, fc.array(replyish, { maxLength: 60 }), (value, texts) => isReply(makeReply(451, value, texts))),
  )
  t.pass('all were taken')
  t.end()
})
