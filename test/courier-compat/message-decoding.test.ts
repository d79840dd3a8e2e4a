/** Decoding: encoded words, parameters, file names, transfer encodings and character sets, of any octets and in any pieces. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text as textOf } from 'node:stream/consumers'
import fc from 'fast-check'
import t from 'tap'
import { parseHeaderSection, type HeaderField } from '../../courier-compat/header/section.ts'
import { charsetNamed, decodeAll } from '../../courier-compat/message/charset.ts'
import { readContentType, readDisposition, readTransferEncoding } from '../../courier-compat/message/content-fields.ts'
import type { OctetDecoder } from '../../courier-compat/message/content-types.ts'
import { contentStream, readText, textStream } from '../../courier-compat/message/decoded.ts'
import { countEncodedWords, decodedValue, decodeWords } from '../../courier-compat/message/encoded-words.ts'
import { extensionOf, extensionsOf, fileNamesOf } from '../../courier-compat/message/file-names.ts'
import { findingKinds, type FindingKind } from '../../courier-compat/message/findings.ts'
import { readingLimits } from '../../courier-compat/message/limits.ts'
import { lineEnds } from '../../courier-compat/message/line-ends.ts'
import { guessOctets } from '../../courier-compat/message/text-guess.ts'
import type { TransferEncoding } from '../../courier-compat/message/reading.ts'
import { transferDecoder } from '../../courier-compat/message/transfer-decoder.ts'
import { timeOfDoublings } from '../helpers/doubling.ts'
import { until } from '../helpers/until.ts'

const corpus = join(import.meta.dirname, '../../../shared/corpus/mime/train')
const noCorpus = existsSync(corpus) ? false : 'the corpus is not there'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
/** The fields of these lines, given as latin1 text. */
const fields = (...lines: string[]): readonly HeaderField[] =>
  parseHeaderSection(latin1(`${lines.join('\n')}\n\n`)).fields
const raw = (text: string): string => Buffer.from(text).toString('latin1')

/** The fields of all sections of a message that begin with a Content field, as far as they stand in lines. */
function contentFieldsOf(name: string): readonly HeaderField[] {
  const lines = readFileSync(join(corpus, name), 'latin1').split(/\r?\n/)
  return fields(...lines.filter((line) => /^content-[a-z-]+:|^\s/i.test(line)))
}

t.test('encoded words', (t) => {
  const rows: { name: string; value: string; want: string; words?: number; problems?: FindingKind[] }[] = [
    { name: 'plain text stands as it is', value: 'hello  world', want: 'hello  world', words: 0 },
    { name: 'Q', value: '=?utf-8?Q?a_b=20c=c3=a9?=', want: 'a b cé' },
    { name: 'B', value: '=?UTF-8?B?aMOp?=', want: 'hé' },
    { name: 'letters of the encoding in lower case', value: '=?utf-8?q?a?= =?utf-8?b?Yg==?=', want: 'ab', words: 2 },
    {
      name: 'blanks between words go, those beside text stay',
      value: 'x =?utf-8?Q?a?= \t =?utf-8?Q?b?= y',
      want: 'x ab y',
      words: 2,
    },
    {
      name: 'words in different sets are decoded each by itself',
      value: '=?iso-8859-1?Q?=e9?= =?utf-8?Q?=c3=a9?=',
      want: 'éé',
      words: 2,
    },
    {
      name: 'a character that is cut between words is whole',
      value: '=?utf-8?Q?=c3?= =?utf-8?Q?=a9?=',
      want: 'é',
      words: 2,
    },
    {
      name: 'base64 that is cut within a quantum is whole',
      value: '=?utf-8?B?aM?= =?utf-8?B?Op?=',
      want: 'hé',
      words: 2,
    },
    { name: 'padded base64 words are each whole', value: '=?utf-8?B?aA==?= =?utf-8?B?aQ==?=', want: 'hi', words: 2 },
    { name: 'base64 without padding', value: '=?utf-8?B?aA?=', want: 'h' },
    { name: 'a language is left out', value: '=?utf-8*en?Q?a?=', want: 'a' },
    { name: 'an empty word', value: 'a =?utf-8?Q??= b', want: 'a  b' },
    { name: 'words that touch each other', value: '=?utf-8?Q?a?==?utf-8?Q?b?=', want: 'ab', words: 2 },
    { name: 'a word within text', value: 'x=?utf-8?Q?a?=y', want: 'xay' },
    { name: 'blanks in a Q word, as some programs write', value: '=?utf-8?Q?a b?=', want: 'a b' },
    { name: 'windows-1252 under the name of latin1', value: '=?iso-8859-1?Q?=93a=94?=', want: '“a”' },
    { name: 'koi8-r', value: '=?koi8-r?B?89DJ08/LLmRvYw==?=', want: 'Список.doc' },
    {
      name: 'iso-2022-jp, each word from its escape sequence',
      value: '=?iso-2022-jp?B?GyRCJUYlOSVIGyhC?= =?iso-2022-jp?B?GyRCJUYbKEI=?=',
      want: 'テストテ',
      words: 2,
    },
    { name: 'a DOS code page, which the platform does not know', value: '=?cp437?Q?=81?=', want: 'ü' },
    { name: 'raw UTF-8 (RFC 6532)', value: raw('héllo =?utf-8?Q?=c3=a9?='), want: 'héllo é' },
    {
      name: 'raw octets that are not UTF-8 are shown as such',
      value: 'bad \xff',
      want: 'bad \ufffd',
      words: 0,
      problems: ['eight-bit-header'],
    },
    {
      name: 'a word that does not end stays',
      value: '=?utf-8?B?aGVsbG8=',
      want: '=?utf-8?B?aGVsbG8=',
      words: 0,
      problems: ['bad-encoded-word'],
    },
    {
      name: 'a word that does not end before the next begins',
      value: '=?utf-8?Q?a =?utf-8?Q?b?=',
      want: '=?utf-8?Q?a b',
      problems: ['bad-encoded-word'],
    },
    {
      name: 'base64 that is none stays',
      value: '=?utf-8?B?a!b?= x',
      want: '=?utf-8?B?a!b?= x',
      words: 0,
      problems: ['bad-encoded-word'],
    },
    { name: 'what is no sequence stays', value: '=?utf-8?Q?a=zz=4?=', want: 'a=zz=4', problems: ['bad-encoded-word'] },
    {
      name: 'a word in an unknown set stays',
      value: '=?x-none?Q?a?= b',
      want: '=?x-none?Q?a?= b',
      problems: ['unknown-charset'],
    },
    {
      name: 'names of properties are no sets',
      value: '=?constructor?Q?a?==?__proto__?Q?a?=',
      want: '=?constructor?Q?a?==?__proto__?Q?a?=',
      words: 2,
      problems: ['unknown-charset'],
    },
    { name: 'names of codecs are no sets', value: '=?hex?Q?a?=', want: '=?hex?Q?a?=', problems: ['unknown-charset'] },
    {
      name: 'UTF-7 is decoded and told',
      value: '=?utf-7?Q?+ADw-script+AD4-?=',
      want: '<script>',
      problems: ['dangerous-charset'],
    },
    { name: 'octets that are not of the set', value: '=?utf-8?Q?a=ff?=', want: 'a\ufffd', problems: ['bad-text'] },
    {
      name: 'line ends and NUL become blanks',
      value: '=?utf-8?Q?a=0D=0ABcc:_b=0Ac=0Dd=00e?=',
      want: 'a Bcc: b c d e',
      problems: ['hidden-line-end'],
    },
    { name: 'line ends in base64', value: '=?utf-8?B?YQ0KYg==?=', want: 'a b', problems: ['hidden-line-end'] },
    {
      name: 'line ends that a set makes',
      value: '=?utf-7?Q?a+AA0ACg-b?=',
      want: 'a b',
      problems: ['dangerous-charset', 'hidden-line-end'],
    },
    { name: 'other letters are no encoding', value: '=?utf-8?X?a?=', want: '=?utf-8?X?a?=', words: 0 },
  ]
  for (const { name, value, want, words = 1, problems = [] } of rows) {
    const found = decodeWords(latin1(value))
    t.strictSame(found, { text: want, words, problems }, name)
  }
  const many = decodeWords(latin1('=?utf-8?Q?a?= '.repeat(4)), { encodedWords: 2 })
  t.strictSame(
    many,
    { text: 'aa =?utf-8?Q?a?= =?utf-8?Q?a?= ', words: 2, problems: ['limit-encoded-words'] },
    'a limit',
  )
  t.equal(
    fields('Subject: =?utf-8?Q?a?=\n =?utf-8?Q?b?=')
      .map((each) => decodedValue(each).text)
      .join(),
    'ab',
    'a folded field',
  )
  t.end()
})

t.test('encoded words of the corpus', { skip: noCorpus }, (t) => {
  type Labels = Record<string, { props: { encoded_words: number }; ref: { subject?: { value: string } } }>
  const labels = JSON.parse(readFileSync(join(corpus, 'labels.json'), 'utf8')) as Labels
  const wrong: string[] = []
  let subjects = 0
  for (const [name, { props, ref }] of Object.entries(labels)) {
    const message = readFileSync(join(corpus, name))
    const ends = ['\r\n\r\n', '\n\n', '\r\r'].map((end) => message.indexOf(end)).filter((at) => at !== -1)
    const count = countEncodedWords(message.subarray(0, Math.min(message.length, ...ends)))
    if (count !== props.encoded_words) wrong.push(`${name}: ${count} words, not ${props.encoded_words}`)
    const subject = parseHeaderSection(message).fields.find((field) => /^subject$/i.test(field.name))
    if (ref.subject === undefined || subject === undefined) continue
    subjects++
    const spaced = (text: string): string => text.replaceAll(/[\s\0]+/g, ' ').trim()
    const { text } = decodedValue(subject)
    if (spaced(text) !== spaced(ref.subject.value)) wrong.push(`${name}: ${text.slice(0, 80)}`)
  }
  t.ok(subjects > 400)
  t.strictSame(wrong, [])
  t.end()
})

t.test('parameters', (t) => {
  type Row = { name: string; value: string; want: Record<string, string | string[]>; problems?: FindingKind[] }
  const rows: Row[] = [
    { name: 'a token', value: 'a/b; charset=utf-8', want: { charset: 'utf-8' } },
    { name: 'a quoted string', value: 'a/b; name="x; y=z"', want: { name: 'x; y=z' } },
    { name: 'escapes', value: 'a/b; name="x\\"y\\\\z"', want: { name: 'x"y\\z' } },
    {
      name: 'names in upper case, blanks around all',
      value: 'a/b ; NAME = "x" ; b = c ;',
      want: { name: 'x', b: 'c' },
    },
    {
      name: 'a comment after a value',
      value: 'a/b; charset=us-ascii (Plain text)',
      want: { charset: ['us-ascii', 'us-ascii (Plain text)'] },
    },
    { name: 'comments in comments', value: 'a/b (x (y) \\) z); c=d', want: { c: 'd' } },
    { name: 'continuations', value: 'a/b; name*0=x; name*1="y z"; name*2=w', want: { name: 'xy zw' } },
    { name: 'continuations out of order', value: 'a/b; name*1=y; name*0=x', want: { name: 'xy' } },
    { name: 'a character set', value: "a/b; name*=utf-8'en'%c3%a9%20x", want: { name: 'é x' } },
    {
      name: 'a character set and continuations, one of them plain',
      value: "a/b; name*0*=iso-8859-1''%e9; name*1=%41; name*2*=%41",
      want: { name: 'é%41A' },
    },
    { name: 'quotes where none belong', value: `a/b; name*="utf-8''%c3%a9"`, want: { name: 'é' } },
    { name: 'both forms: the newer first', value: "a/b; name=e; name*=utf-8''%c3%a9", want: { name: ['é', 'e'] } },
    { name: 'encoded words in a name', value: 'a/b; name="=?utf-8?Q?=c3=a9?= =?utf-8?Q?x?="', want: { name: 'éx' } },
    { name: 'encoded words without quotes', value: 'a/b; name==?utf-8?Q?=c3=a9?=', want: { name: 'é' } },
    { name: 'encoded words in no name', value: 'a/b; title="=?utf-8?Q?x?="', want: { title: '=?utf-8?Q?x?=' } },
    { name: 'raw UTF-8', value: raw('a/b; name=é.doc'), want: { name: 'é.doc' } },
    {
      name: 'raw octets that are not UTF-8',
      value: 'a/b; name="\xe9.doc"',
      want: { name: 'é.doc' },
      problems: ['eight-bit-header'],
    },
    {
      name: 'raw UTF-8 that is cut',
      value: `a/b; name="${raw('ééé').slice(0, -1)}"`,
      want: { name: 'éé\ufffd' },
      problems: ['eight-bit-header'],
    },
    {
      name: 'names of properties',
      value: 'a/b; __proto__=x; constructor=y; toString=z',
      want: { ['__proto__']: 'x', constructor: 'y', tostring: 'z' },
    },
    { name: 'no semicolon after the type', value: 'a/b name=x', want: { name: 'x' }, problems: ['bad-parameter'] },
    {
      name: 'no semicolon between tokens',
      value: 'a/b; c=d e=f',
      want: { c: ['d', 'd e=f'], e: 'f' },
      problems: ['odd-parameter'],
    },
    {
      name: 'no semicolon after quotes',
      value: 'a/b; c="d" e=f',
      want: { c: 'd', e: 'f' },
      problems: ['odd-parameter'],
    },
    {
      name: 'blanks without quotes',
      value: 'a/b; name=my file.doc; c=d',
      want: { name: ['my file.doc', 'my'], c: 'd' },
      problems: ['bad-parameter'],
    },
    {
      name: 'parentheses without quotes',
      value: 'a/b; name=x(1).doc',
      want: { name: ['x(1).doc', 'x'] },
      problems: ['bad-parameter'],
    },
    {
      name: 'text after quotes',
      value: 'a/b; name="a.txt".exe; c=d',
      want: { name: ['a.txt', 'a.txt.exe', '"a.txt".exe'], c: 'd' },
      problems: ['bad-parameter'],
    },
    {
      name: 'quotes within a token',
      value: 'a/b; name=a"b;c"d; e=f',
      want: { name: ['a"b;c"d', 'a', 'a"b'], e: 'f' },
      problems: ['bad-parameter'],
    },
    {
      name: 'quotes that do not end',
      value: 'a/b; name="x; c=d',
      want: { name: ['x; c=d', 'x'] },
      problems: ['bad-parameter'],
    },
    { name: 'a comment that does not end', value: 'a/b; (x; c=d', want: { c: 'd' }, problems: ['odd-parameter'] },
    { name: 'a parameter within a comment', value: 'a/b; (; c=d) e=f', want: { e: 'f' }, problems: ['odd-parameter'] },
    {
      name: 'single backslashes',
      value: 'a/b; name="C:\\x.exe"',
      want: { name: ['C:\\x.exe', 'C:x.exe'] },
      problems: ['bad-parameter'],
    },
    {
      name: 'a boundary within a comment',
      value: 'a/b; (; boundary=d) e=f',
      want: { e: 'f' },
      problems: ['bad-parameter'],
    },
    { name: 'no parameter', value: 'a/b; utf-8; c=d', want: { c: 'd' }, problems: ['odd-parameter'] },
    { name: 'no name', value: 'a/b; =x; c=d', want: { c: 'd' }, problems: ['odd-parameter'] },
    { name: 'twice the same', value: 'a/b; c=d; c=d', want: { c: 'd' } },
    {
      name: 'twice, but not the same',
      value: 'a/b; c=d; c=e',
      want: { c: ['d', 'e'] },
      problems: ['odd-parameter'],
    },
    {
      name: 'a section twice',
      value: 'a/b; name*0=a; name*1=.txt; name*1=.exe',
      want: { name: ['a.txt', 'a.exe'] },
      problems: ['duplicate-parameter'],
    },
    {
      name: 'a section missing',
      value: 'a/b; name*0=a; name*2=.exe',
      want: { name: ['a.exe', 'a'] },
      problems: ['bad-parameter'],
    },
    {
      name: 'a section with a zero before it',
      value: 'a/b; name*00=a',
      want: { name: 'a' },
      problems: ['bad-parameter'],
    },
    {
      name: 'no character set where one belongs',
      value: 'a/b; name*=x%41',
      want: { name: 'xA' },
      problems: ['bad-parameter'],
    },
    {
      name: 'percent signs that are none',
      value: "a/b; name*=utf-8''%zz%4",
      want: { name: '%zz%4' },
      problems: ['bad-parameter'],
    },
    {
      name: 'an unknown character set',
      value: "a/b; name*=x-none''%e9",
      want: { name: 'é' },
      problems: ['unknown-charset'],
    },
    {
      name: 'a hidden line end',
      value: "a/b; c*=utf-8''x%0D%0Ay%00z",
      want: { c: 'x y z' },
      problems: ['hidden-line-end'],
    },
    {
      name: 'a hidden line end in a name, and a NUL, which stays',
      value: "a/b; name*=utf-8''x%0Ay%00z",
      want: { name: 'x y\0z' },
      problems: ['hidden-line-end'],
    },
  ]
  for (const { name, value, want, problems = [] } of rows) {
    const found = readContentType(fields(`Content-Type: ${value}`), readingLimits)
    const firsts = Object.entries(want).map(([key, text]) => [key, typeof text === 'string' ? text : text[0]])
    t.strictSame([...found.parameters], firsts, name)
    t.strictSame(found.type, 'a/b', `${name}: the type`)
    t.strictSame(found.problems, problems, `${name}: the problems`)
    const names = Object.hasOwn(want, 'name') ? [want['name']].flat() : []
    t.strictSame(found.names, names, `${name}: all names`)
  }
  t.notOk('x' in {}, 'Object.prototype is as it was')
  const many = readContentType(fields('Content-Type: a/b; c=d; e=f; g=h'), { ...readingLimits, parameters: 2 })
  t.strictSame([[...many.parameters.keys()], many.problems], [['c', 'e'], ['limit-parameters']], 'a limit')
  t.end()
})

t.test('content fields', (t) => {
  type Row = { name: string; lines: string[]; type: string | null; boundaries?: string[]; problems?: FindingKind[] }
  const rows: Row[] = [
    { name: 'none', lines: ['Subject: x'], type: null },
    { name: 'a type', lines: ['content-type: Text/HTML'], type: 'text/html' },
    { name: 'a comment before it', lines: ['Content-Type: (x) text/html'], type: 'text/html' },
    {
      name: 'a comment within it',
      lines: ['Content-Type: text(x)/html'],
      type: 'text/html',
      problems: ['bad-content-type'],
    },
    { name: 'no subtype', lines: ['Content-Type: text; charset=x'], type: null, problems: ['bad-content-type'] },
    { name: 'an empty one', lines: ['Content-Type:'], type: null, problems: ['bad-content-type'] },
    { name: 'no type, but a parameter', lines: ['Content-Type: name="x"'], type: null, problems: ['bad-content-type'] },
    { name: 'text after it', lines: ['Content-Type: text/plain>'], type: 'text/plain', problems: ['bad-content-type'] },
    {
      name: 'a boundary',
      lines: ['Content-Type: multipart/mixed; boundary="a b"'],
      type: 'multipart/mixed',
      boundaries: ['a b'],
    },
    {
      name: 'one that real programs write',
      lines: ['Content-Type: multipart/mixed; boundary="--=_{$1@x}#"'],
      type: 'multipart/mixed',
      boundaries: ['--=_{$1@x}#'],
    },
    {
      name: 'a boundary by RFC 2231',
      lines: ["Content-Type: multipart/mixed; boundary*=us-ascii''a%20b"],
      type: 'multipart/mixed',
      boundaries: ['a b'],
      problems: ['odd-boundary'],
    },
    {
      name: 'a boundary without quotes that it wants',
      lines: ['Content-Type: multipart/mixed; boundary=----=_Next'],
      type: 'multipart/mixed',
      boundaries: ['----=_Next'],
      problems: ['odd-boundary'],
    },
    {
      name: 'a boundary with a line end in it',
      lines: ['Content-Type: multipart/mixed; boundary="a\n b"'],
      type: 'multipart/mixed',
      boundaries: ['a b'],
      problems: ['odd-boundary'],
    },
    {
      name: 'what cannot be read, and may be a multipart',
      lines: ['Content-Type: multipart /mixed; boundary=a'],
      type: 'multipart/mixed',
      boundaries: ['a'],
      problems: ['bad-content-type', 'hidden-multipart'],
    },
    {
      name: 'a boundary of no multipart',
      lines: ['Content-Type: text/plain; boundary=a; boundary=b'],
      type: 'text/plain',
      boundaries: ['a', 'b'],
      problems: ['duplicate-parameter'],
    },
    {
      name: 'no boundary',
      lines: ['Content-Type: multipart/mixed'],
      type: 'multipart/mixed',
      problems: ['no-boundary'],
    },
    {
      name: 'an empty one',
      lines: ['Content-Type: multipart/mixed; boundary=""'],
      type: 'multipart/mixed',
      problems: ['no-boundary'],
    },
    {
      name: 'two boundaries',
      lines: ['Content-Type: multipart/mixed; boundary=a; boundary=b'],
      type: 'multipart/mixed',
      boundaries: ['a', 'b'],
      problems: ['duplicate-parameter', 'two-boundaries'],
    },
    {
      name: 'two boundaries in two forms',
      lines: ["Content-Type: multipart/mixed; boundary=a; boundary*0*=us-ascii''b"],
      type: 'multipart/mixed',
      boundaries: ['b', 'a'],
      problems: ['two-boundaries', 'odd-boundary'],
    },
    {
      name: 'a boundary with a comment',
      lines: ['Content-Type: multipart/mixed; boundary=a (b)'],
      type: 'multipart/mixed',
      boundaries: ['a', 'a (b)'],
      problems: ['two-boundaries', 'odd-boundary'],
    },
    {
      name: 'a boundary with a comment before it',
      lines: ['Content-Type: multipart/mixed; boundary=(b)a'],
      type: 'multipart/mixed',
      boundaries: ['a', '(b)a'],
      problems: ['two-boundaries', 'odd-boundary'],
    },
    {
      name: 'a boundary with octets beyond ASCII',
      lines: ['Content-Type: multipart/mixed; boundary="\xe9"'],
      type: 'multipart/mixed',
      boundaries: ['\xe9'],
      problems: ['eight-bit-header', 'odd-boundary'],
    },
    {
      name: 'a long one',
      lines: [`Content-Type: multipart/mixed; boundary="${'a'.repeat(71)}"`],
      type: 'multipart/mixed',
      boundaries: ['a'.repeat(71)],
      problems: ['odd-boundary'],
    },
    {
      name: 'two fields',
      lines: ['Content-Type: text/plain', 'Content-Type: multipart/mixed; boundary=a'],
      type: 'text/plain',
      boundaries: ['a'],
      problems: ['duplicate-field'],
    },
    {
      name: 'two fields with different boundaries',
      lines: ['Content-Type: multipart/mixed; boundary=b', 'Content-Type: multipart/mixed; boundary=a'],
      type: 'multipart/mixed',
      boundaries: ['b', 'a'],
      problems: ['duplicate-field', 'two-boundaries'],
    },
    {
      name: 'the same field twice',
      lines: ['Content-Type: text/plain', 'Content-Type: text/plain'],
      type: 'text/plain',
    },
  ]
  for (const { name, lines, type, boundaries = [], problems = [] } of rows) {
    const found = readContentType(fields(...lines), readingLimits)
    t.equal(found.type, type, name)
    t.strictSame(
      found.boundaries.map((each) => each.toString('latin1')),
      boundaries,
      `${name}: boundaries`,
    )
    t.strictSame(found.boundary, found.boundaries[0] ?? null, `${name}: the first boundary`)
    t.strictSame(found.problems, problems, `${name}: problems`)
  }
  const many = Array.from({ length: 30 }, (_, index) => `boundary=b${index}`).join('; ')
  t.equal(readContentType(fields(`Content-Type: multipart/x; ${many}`), readingLimits).boundaries.length, 8)
  const two = readContentType(fields('Content-Type: text/plain', 'Content-Type: a/b; name=x'), readingLimits)
  t.strictSame([two.types, two.names], [['text/plain', 'a/b'], ['x']], 'both fields are seen')
  t.equal(readContentType(fields('Content-Type: a/b; charset=" UTF-8"'), readingLimits).charset, 'utf-8')

  const dispositions: [string, string | null, string[], FindingKind[]][] = [
    ['Attachment; filename=x', 'attachment', ['x'], []],
    ['attachment filename=x', 'attachment', ['x'], ['bad-parameter']],
    ['filename=x', null, ['x'], ['bad-parameter']],
    ['filename = x', null, ['x'], ['bad-parameter']],
    ['=?utf-8?Q?invalid?=', '=?utf-8?q?invalid?=', [], []],
    ['', null, [], []],
  ]
  for (const [value, disposition, names, problems] of dispositions) {
    const found = readDisposition(fields(`Content-Disposition: ${value}`), readingLimits)
    t.strictSame(
      [found.disposition, found.names, found.problems],
      [disposition, names, problems],
      `disposition ${value}`,
    )
  }

  const encodings: [string[], TransferEncoding, string | null, FindingKind[]][] = [
    [[], 'none', null, []],
    [['7bit'], 'none', '7bit', []],
    [['Base64'], 'base64', 'base64', []],
    [['QUOTED-PRINTABLE'], 'quoted-printable', 'quoted-printable', []],
    [['base64 (really)'], 'base64', 'base64', []],
    [['(7bit) base64'], 'base64', 'base64', ['unknown-encoding']],
    [['base64;'], 'base64', 'base64', ['unknown-encoding']],
    [['"base64"'], 'base64', '"base64"', ['unknown-encoding']],
    [['x-uuencode'], 'uuencode', 'x-uuencode', []],
    [['x-rot13'], 'unknown', 'x-rot13', ['unknown-encoding']],
    [['__proto__'], 'unknown', '__proto__', ['unknown-encoding']],
    [['7bit', 'base64'], 'none', '7bit', ['duplicate-field']],
  ]
  for (const [values, encoding, written, problems] of encodings) {
    const found = readTransferEncoding(fields(...values.map((value) => `Content-Transfer-Encoding: ${value}`)))
    t.strictSame(found, { encoding, written, problems }, `encoding ${values.join(', ')}`)
  }
  t.end()
})

t.test('file names', (t) => {
  const rows: { name: string; type?: string; disposition?: string; want: string[]; problems?: FindingKind[] }[] = [
    { name: 'none', want: [] },
    { name: 'an empty one', type: 'name=""', want: [] },
    { name: 'that of the type', type: 'name=a.txt', want: ['a.txt'] },
    { name: 'that of the disposition', disposition: 'filename=a.txt', want: ['a.txt'] },
    {
      name: 'twice the same, once encoded',
      type: 'name="=?utf-8?Q?=c3=a9?="',
      disposition: "filename*=utf-8''%c3%a9",
      want: ['é'],
    },
    {
      name: 'letters in one piece or two',
      type: 'name="=?utf-8?Q?e=cc=81?="',
      disposition: "filename*=utf-8''%c3%a9",
      want: ['é', 'e\u0301'],
    },
    {
      name: 'a plain form for old readers',
      disposition: "filename=_.txt; filename*=utf-8''%c3%a9.txt",
      want: ['é.txt', '_.txt'],
    },
    {
      name: 'a plain form with another extension',
      disposition: "filename=a.txt; filename*=utf-8''a.exe",
      want: ['a.exe', 'a.txt'],
      problems: ['two-file-names'],
    },
    {
      name: 'different names',
      type: 'name=a.txt',
      disposition: 'filename=b.txt',
      want: ['b.txt', 'a.txt'],
      problems: ['other-file-name'],
    },
    { name: 'a path', disposition: 'filename="../../x"', want: ['../../x'], problems: ['path-in-file-name'] },
    { name: 'NUL', disposition: "filename*=utf-8''a.exe%00.txt", want: ['a.exe\0.txt'], problems: ['bad-file-name'] },
    {
      name: 'letters turned around',
      disposition: `filename="${raw('a\u202etxt.exe')}"`,
      want: ['a\u202etxt.exe'],
      problems: ['bad-file-name'],
    },
    {
      name: 'blanks before the extension',
      disposition: 'filename="a.txt                .exe"',
      want: ['a.txt                .exe'],
      problems: ['bad-file-name'],
    },
    { name: 'a dot at the end', disposition: 'filename="a.exe."', want: ['a.exe.'], problems: ['bad-file-name'] },
  ]
  for (const { name, type = '', disposition = '', want, problems = [] } of rows) {
    const contentType = readContentType(fields(`Content-Type: a/b; ${type}`), readingLimits)
    const found = fileNamesOf(
      contentType,
      readDisposition(fields(`Content-Disposition: attachment; ${disposition}`), readingLimits),
    )
    t.strictSame(found, { fileName: want[0] ?? null, fileNames: want, problems }, name)
  }

  const extensions: [string, ...string[]][] = [
    ['a.txt', 'txt'],
    ['a.TXT', 'txt'],
    ['a.tar.gz', 'gz'],
    ['a'],
    [''],
    ['...'],
    ['a.'],
    ['.exe', 'exe'],
    ['a.exe. . ', 'exe'],
    ['a.exe"', 'exe'],
    ['a.exe\0.txt', 'exe', 'txt'],
    ['a.txt\0.exe', 'txt', 'exe'],
    ['\0.exe', 'exe'],
    ['a.ex\u200be', 'exe'],
    ['invoice\u202egpj.exe', 'exe'],
    ['a.exe\u202e', 'exe'],
    ['a.e\x01xe\x1f', 'exe'],
    ['a．ｅｘｅ', 'exe'],
    ['x.txt/a', ...[]],
    ['x\\a.js', 'js'],
    ['a.exe:b.txt', 'txt', 'exe'],
    ['Re: a.pdf', 'pdf'],
  ]
  for (const [name, ...want] of extensions) {
    t.strictSame(extensionsOf(name), want, `extensions of ${JSON.stringify(name)}`)
    t.equal(extensionOf(name), want[0] ?? null)
  }
  t.end()
})

t.test('fields of the hostile messages', { skip: noCorpus }, (t) => {
  const rows: [string, string[], string | null, FindingKind[]][] = [
    ['fn-null-ext', ['a.exe\0.txt'], 'exe', ['hidden-line-end', 'bad-file-name']],
    ['fn-rfc2231', ['invoice.exe'], 'exe', []],
    ['fn-traversal', ['../../../../etc/cron.d/owned'], null, ['path-in-file-name']],
    ['utf8-bidi', ['invoice\u202egpj.exe'], 'exe', ['bad-file-name']],
  ]
  for (const [message, names, extension, problems] of rows) {
    const disposition = readDisposition(contentFieldsOf(`hostile/${message}.eml`), readingLimits)
    const found = fileNamesOf({ names: [] }, disposition)
    t.strictSame([found.fileNames, [...disposition.problems, ...found.problems]], [names, problems], message)
    t.equal(extensionOf(names[0] ?? ''), extension, `${message}: the extension`)
  }
  const proto = readContentType(contentFieldsOf('hostile/proto-params.eml'), readingLimits)
  t.strictSame([...proto.parameters.keys()], ['__proto__', 'constructor', 'charset'])
  t.strictSame(readTransferEncoding(contentFieldsOf('hostile/cte-unknown.eml')).problems, ['unknown-encoding'])
  t.end()
})

async function* cut(octets: Buffer, ...at: number[]): AsyncGenerator<Buffer> {
  await Promise.resolve()
  const places = [...at].sort((one, other) => one - other)
  for (const [index, place] of [0, ...places].entries()) yield octets.subarray(place, places[index])
}

function decodeAtOnce(encoding: TransferEncoding, pieces: readonly Buffer[]) {
  const problems = new Set<FindingKind>()
  const decoder: OctetDecoder = transferDecoder(encoding, (kind) => problems.add(kind))
  const decoded = pieces.map((piece) => Buffer.from(decoder.write(piece)))
  return { octets: Buffer.concat([...decoded, decoder.end()]), problems: [...problems].sort() }
}

t.test('transfer encodings', (t) => {
  const rows: [TransferEncoding, string, string, FindingKind?][] = [
    ['none', 'a=41\r\n', 'a=41\r\n'],
    ['unknown', 'uryyb', 'uryyb'],
    ['base64', 'aGVs\r\nbG8=\r\n', 'hello'],
    ['base64', 'aGVsbG8', 'hello'],
    ['base64', 'aGVsbA==', 'hell'],
    ['base64', 'a G\tV s bA = =', 'hell'],
    ['base64', 'aGVsbG8=\nd29ybGQ=', 'helloworld', 'bad-base64'],
    ['base64', 'aGVs!!bG8=', 'hello', 'bad-base64'],
    ['base64', 'aGVs====', 'hel', 'bad-base64'],
    ['base64', 'aGVsb', 'hel', 'bad-base64'],
    ['base64', 'aGVsbG8=\n-- \nZnJvbSBhIGxpc3Q', 'hellofrom a list', 'bad-base64'],
    ['base64', '', ''],
    ['quoted-printable', 'a=3D=c3=A9\r\n', 'a=\xc3\xa9\r\n'],
    ['quoted-printable', 'a=\r\nb=\nc= \t\r\nd', 'abcd'],
    ['quoted-printable', 'a \t\r\nb \nc ', 'a\r\nb\nc'],
    ['quoted-printable', 'a=20\r\nb', 'a \r\nb'],
    ['quoted-printable', 'a=', 'a'],
    ['quoted-printable', 'a\rb \rc', 'a\rb \rc'],
    ['quoted-printable', 'a=zb', 'a=zb', 'bad-quoted-printable'],
    ['quoted-printable', 'a=4', 'a=4', 'bad-quoted-printable'],
    ['quoted-printable', 'a=4\nb', 'a=4\nb', 'bad-quoted-printable'],
    ['quoted-printable', 'a==41', 'a=A', 'bad-quoted-printable'],
    ['quoted-printable', 'a= b', 'a= b', 'bad-quoted-printable'],
    ['quoted-printable', 'a=\rb', 'a=\rb', 'bad-quoted-printable'],
    ['quoted-printable', `a${' '.repeat(5000)}b`, `a${' '.repeat(5000)}b`],
    ['quoted-printable', '\xe9', '\xe9'],
    ['uuencode', 'begin 644 x\n#0V%T\n`\nend\n', 'Cat'],
    ['uuencode', 'text\r\nbegin 644 x\r\n#0V%T\r\n`\r\nend\r\n', 'Cat'],
    ['uuencode', 'begin 644 x\n#0V%T\n', 'Cat', 'bad-uuencode'],
    ['uuencode', 'begin 644 x\n#0V%T\nend\nmore', 'Cat', 'bad-uuencode'],
    ['uuencode', 'no file', '', 'bad-uuencode'],
    ['uuencode', `begin 644 x\n${'x'.repeat(500)}\n#0V%T\nend`, 'Cat', 'bad-uuencode'],
    ['uuencode', 'begin 644 x\n#\nend', '\0\0\0'],
  ]
  for (const [encoding, text, want, problem] of rows) {
    const { octets, problems } = decodeAtOnce(encoding, [latin1(text)])
    const name = `${encoding}: ${JSON.stringify(text.slice(0, 40))}`
    t.equal(octets.toString('latin1'), want, name)
    t.strictSame(problems, problem === undefined ? [] : [problem], `${name}: problems`)
  }
  t.end()
})

/** Octets of which decoders make something, and any others. */
const oddOctets = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((octets) => Buffer.from(octets)),
  fc
    .array(
      fc.constantFrom(
        ...Array.from('=\r\n \t4Aaz+/!"(;*\\?_%\'M#`\x00\xe9\x1b$B'),
        '=?utf-8?Q?',
        '=?utf-7?B?',
        '?=',
        '\r\n',
        '=41',
        'begin 644 x\n',
        'end\n',
        'name*0*=',
        '; a="',
      ),
      { maxLength: 120 },
    )
    .map((pieces) => latin1(pieces.join(''))),
)
const encodingNames: TransferEncoding[] = ['none', 'base64', 'quoted-printable', 'uuencode', 'unknown']

t.test('any octets, cut anywhere', async () => {
  const places = fc.array(fc.nat(300), { maxLength: 5 })
  const cutUp = (octets: Buffer, at: readonly number[]): Buffer[] => {
    const sorted = [0, ...at.map((place) => Math.min(place, octets.length)).sort((one, other) => one - other)]
    return sorted.map((place, index) => octets.subarray(place, sorted[index + 1] ?? octets.length))
  }
  fc.assert(
    fc.property(fc.constantFrom(...encodingNames), oddOctets, places, (encoding, octets, at) => {
      const whole = decodeAtOnce(encoding, [octets])
      assert.deepEqual(decodeAtOnce(encoding, cutUp(octets, at)), whole)
      assert.ok(whole.octets.length <= (encoding === 'uuencode' ? 32 : 1) * octets.length)
    }),
    { numRuns: 500 },
  )
  const labels = [
    ...[
      'utf-8',
      'us-ascii',
      'iso-8859-15',
      'windows-1251',
      'utf-7',
      'utf-16',
      'utf-16be',
      'utf-32',
      'iso-2022-jp',
      'gb18030',
    ],
    ...['gb2312', 'big5', 'shift_jis', 'euc-jp', 'euc-kr', 'ks_c_5601-1987', 'koi8-r', 'cp437', 'viscii'],
    ...['cp932', 'ms936', 'windows-949', 'cp-950'],
  ]
  fc.assert(
    fc.property(fc.constantFrom(...labels), oddOctets, places, (label, octets, at) => {
      const charset = charsetNamed(label)
      if (charset === null) throw new Error(`${label} is not known`)
      const decoder = charset.decoder()
      const pieces = cutUp(octets, at).map((piece) => decoder.write(piece))
      const text = [...pieces, decoder.end()].join('')
      assert.equal(text, decodeAll(charset.decoder(), octets), label)
      assert.ok(text.isWellFormed(), label)
    }),
    { numRuns: 1000 },
  )
  await fc.assert(
    fc.asyncProperty(
      ...([fc.constantFrom(...encodingNames), fc.constantFrom(null, 'x-none', ...labels), oddOctets, places] as const),
      async (encoding, charset, octets, at) => {
        const form = { encoding, charset }
        const whole = await readText(cut(octets), form, readingLimits)
        const inPieces = await readText(Readable.from(cutUp(octets, at)), form, readingLimits)
        assert.deepEqual(inPieces.text, whole.text)
        assert.deepEqual([...inPieces.problems].sort(), [...whole.problems].sort())
        assert.doesNotMatch(whole.text, /\r/)
        assert.ok(whole.text.isWellFormed())
      },
    ),
    { numRuns: 200 },
  )
  fc.assert(
    fc.property(fc.array(fc.constantFrom('\r', '\n', 'a', '\r\n')), (pieces) => {
      const lines = lineEnds()
      assert.equal(
        pieces.map((piece) => lines.write(piece)).join('') + lines.end(),
        pieces.join('').replaceAll(/\r\n?/g, '\n'),
      )
    }),
  )
})

t.test('any octets in fields', (t) => {
  const known = new Set(Object.keys(findingKinds))
  fc.assert(
    fc.property(oddOctets, (octets) => {
      const { text, words, problems } = decodeWords(octets)
      assert.doesNotMatch(text, /[\r\n\0]/)
      assert.ok(words <= countEncodedWords(octets))
      assert.ok(text.length <= octets.length * 2)
      const value = octets.toString('latin1').replaceAll(/[\r\n]/g, ' ')
      const lines = ['Type', 'Disposition', 'Transfer-Encoding'].map((name) => `Content-${name}: a/b; ${value}`)
      for (const line of [...lines, ...lines.map((line) => line.replace('a/b; ', ''))]) {
        const type = readContentType(fields(line), readingLimits)
        const disposition = readDisposition(fields(line), readingLimits)
        const names = fileNamesOf(type, disposition)
        for (const name of names.fileNames) assert.equal(extensionOf(name), extensionsOf(name)[0] ?? null)
        for (const name of names.fileNames) assert.doesNotMatch(name, /[\r\n]/)
        for (const [key, text] of type.parameters) assert.doesNotMatch(text, key === 'name' ? /[\r\n]/ : /[\r\n\0]/)
        const all = [type, disposition, names, readTransferEncoding(fields(line))].flatMap((each) => each.problems)
        for (const kind of [...problems, ...all]) assert.ok(known.has(kind))
      }
    }),
    { numRuns: 300 },
  )
  t.end()
})

t.test('what is encoded is decoded again', (t) => {
  const anyText = fc
    .string({ unit: 'grapheme', maxLength: 60 })
    .filter((text) => !/[\r\n\0]/.test(text) && text.isWellFormed())
  const quoted = (text: string): string =>
    Array.from(Buffer.from(text), (octet) => `=${octet.toString(16).padStart(2, '0')}`).join('')
  fc.assert(
    fc.property(anyText, fc.nat(60), (text, at) => {
      const octets = Buffer.from(text)
      const words = [octets.subarray(0, at), octets.subarray(at)].map(
        (piece) => `=?utf-8?B?${piece.toString('base64')}?=`,
      )
      assert.equal(decodeWords(latin1(words.join('\t'))).text, text.replace(/^\ufeff/, ''))
      assert.equal(decodeWords(latin1(`=?utf-8?Q?${quoted(text)}?=`)).text, text.replace(/^\ufeff/, ''))
      const percent = quoted(text).replaceAll('=', '%')
      const type = readContentType(
        fields(`Content-Type: a/b; name*0*=utf-8''${percent.slice(0, 30)}; name*1*=${percent.slice(30)}`),
        readingLimits,
      )
      assert.equal(type.parameters.get('name'), text.replace(/^\ufeff/, ''))
      const escaped = raw(text).replaceAll(/["\\]/g, '\\$&')
      const title = readContentType(fields(`Content-Type: a/b; title="${escaped}"`), readingLimits).parameters.get(
        'title',
      )
      if (!/[\x80-\x9f\ufffd]/.test(text)) assert.equal(title, text)
    }),
    { numRuns: 300 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const octets = Buffer.from(bytes)
      const base64 = octets.toString('base64').replaceAll(/(.{76})/g, '$1\r\n')
      assert.deepEqual(decodeAtOnce('base64', [latin1(base64)]), { octets, problems: [] })
      const printable = [...octets]
        .map((octet) => `=${octet.toString(16).toUpperCase().padStart(2, '0')}=\r\n`)
        .join('')
      assert.deepEqual(decodeAtOnce('quoted-printable', [latin1(printable)]), { octets, problems: [] })
    }),
  )
  t.end()
})

t.test('texts', async (t) => {
  const limits = readingLimits
  const read = (
    text: string | Buffer,
    charset: string | null,
    maxCharacters?: number,
    encoding: TransferEncoding = 'none',
  ) => readText(cut(typeof text === 'string' ? latin1(text) : text), { encoding, charset }, limits, maxCharacters)
  t.strictSame(await read('a\r\nb\rc\n', null), { text: 'a\nb\nc\n', isCut: false, problems: [] }, 'line ends')
  t.strictSame(await read(raw('é'), null), { text: 'é', isCut: false, problems: [] }, 'no set, UTF-8')
  t.strictSame(await read('\xe9 \x93', null), { text: 'é “', isCut: false, problems: [] }, 'no set, not UTF-8')
  t.strictSame(
    await read('\xe9', 'us-ascii'),
    { text: 'é', isCut: false, problems: ['bad-text'] },
    'ASCII that is none',
  )
  t.strictSame(
    await read('caf\xe9', 'x-no-such-set'),
    { text: 'café', isCut: false, problems: ['unknown-charset'] },
    'a set that nobody knows',
  )
  t.strictSame(
    await read('+ADw-script+AD4-', 'utf-7'),
    { text: '<script>', isCut: false, problems: ['dangerous-charset'] },
    'UTF-7',
  )
  t.strictSame(await read('\xff', 'utf-8'), { text: '\ufffd', isCut: false, problems: ['bad-text'] }, 'broken UTF-8')
  t.strictSame(
    await read('=E9=\r\n', 'iso-8859-1', 5, 'quoted-printable'),
    { text: 'é', isCut: false, problems: [] },
    'encoded',
  )
  t.strictSame(await read('abc', null, 3), { text: 'abc', isCut: false, problems: [] }, 'as long as wanted')
  t.strictSame(await read('abcd', null, 3), { text: 'abc', isCut: true, problems: [] }, 'longer than wanted')
  t.strictSame(await read(raw('a😀'), null, 2), { text: 'a', isCut: true, problems: [] }, 'not cut within a character')
  t.strictSame(await read('', 'utf-8'), { text: '', isCut: false, problems: [] }, 'an empty text')
  const wide = await read(Buffer.from('\ufeffa\r\nb', 'utf16le'), 'utf-16')
  t.strictSame(wide, { text: 'a\nb', isCut: false, problems: ['dangerous-charset'] }, 'UTF-16')
  const short = await readText(cut(latin1('abcd')), { encoding: 'none', charset: null }, { decodedOctets: 3 })
  t.strictSame(short, { text: 'abc', isCut: true, problems: ['limit-decoded'] }, 'over the limit')

  const long = Buffer.concat([latin1('a'.repeat(10)), Buffer.from('é'.repeat(guessOctets)), latin1('\xe9')])
  const guessed = await read(long, null)
  t.strictSame([guessed.text.length, guessed.problems], [guessOctets + 11, ['bad-text']], 'decided by what comes first')
})

t.test('streams hold little, stop early and pass errors on', async (t) => {
  let given = 0
  let isEnded = false
  const piece = latin1('QUJD'.repeat(4096))
  async function* endless(): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        await Promise.resolve()
        given++
        yield piece
      }
    } finally {
      isEnded = true
    }
  }
  const problems: FindingKind[] = []
  const stream = contentStream(endless(), 'base64', { decodedOctets: 100_000 }, (kind) => problems.push(kind))
  const iterator = stream[Symbol.asyncIterator]()
  t.ok((await iterator.next()).done === false)
  await new Promise((resolve) => setImmediate(resolve))
  t.ok(given <= 20, `a reader that waits holds back what is read: ${given} pieces`)
  let octets = 0
  for await (const chunk of stream) octets += (chunk as Buffer).length
  t.ok(octets < 100_000 && (await until('the end', () => isEnded)), 'the rest is read up to the limit')
  t.strictSame(problems, ['limit-decoded'])

  isEnded = false
  const text = textStream(endless(), { encoding: 'base64', charset: null }, readingLimits, () => undefined)
  for await (const chunk of text) {
    t.type(chunk, 'string')
    break
  }
  t.ok(await until('the end of the reading', () => isEnded), 'who stops early ends the reading')

  async function* broken(): AsyncGenerator<Buffer> {
    await Promise.resolve()
    yield latin1('a')
    throw new Error('read failed')
  }
  await t.rejects(textOf(contentStream(broken(), 'none', readingLimits, () => undefined)), /read failed/)
  const form = { encoding: 'none', charset: null } as const
  await t.rejects(readText(broken(), form, readingLimits), /read failed/)
  t.equal(await textOf(textStream(cut(latin1('a\r\nb'), 2), form, readingLimits, () => undefined)), 'a\nb')
})

t.test('time grows with length (R36)', async (t) => {
  const limits = { ...readingLimits, encodedWords: Infinity, parameters: Infinity }
  const words = (value: Buffer): unknown => decodeWords(value, limits)
  const parameters = (value: Buffer): unknown =>
    readContentType(fields(`Content-Type: a/b; ${value.toString('latin1')}`), limits)
  const rows: [string, (value: Buffer) => unknown, string, string?][] = [
    ['words', words, '=?utf-8?Q?a?= '],
    ['base64 words', words, '=?utf-8?B?YWJj?= '],
    ['base64 words of one letter', words, '=?utf-8?B?Y?= '],
    ['words that do not end', words, '=?utf-8?Q?'],
    ['beginnings of words', words, '=?'],
    ['ends of words', words, '?='],
    ['long character sets', words, 'a', '=?'],
    ['blanks in base64', words, ' ', '=?utf-8?B?a'],
    ['parameters', parameters, '; a=b'],
    ['parameters without semicolons', parameters, 'a=b '],
    ['parameters with blanks', parameters, 'a=b c; '],
    ['sections', parameters, ';a*0=b'],
    ['comments that do not end', parameters, '('],
    ['comments that do not end, in values', parameters, ';a=(b'],
    ['comments', parameters, '()'],
    ['quotes that do not end', parameters, ';a=x"'],
    ['escaped quotes', parameters, ';a=x\\"'],
    ['escapes', parameters, '\\', ';a="'],
    ['digits of a name', parameters, '1', ';a=b '],
    ['asterisks', parameters, '*', ';a'],
    ['percent signs', parameters, '%', ";name*=utf-8''"],
    ['quotes of a character set', parameters, "'", ';name*='],
    ['words in a name', parameters, '=?utf-8?Q?', ';name="'],
    ['blanks', parameters, ' ', ';a=b'],
  ]
  for (const [name, run, unit, before = ''] of rows) {
    const value = (octets: number): Buffer => latin1(before + unit.repeat(Math.ceil(octets / unit.length)) + '!')
    const work = (octets: number) => {
      const input = value(octets)
      return () => run(input)
    }
    const { isLinear, text } = await timeOfDoublings(work, 3 * 1024)
    t.ok(isLinear, `${name}: ${text}`)
  }
})

t.test('every hostile message through every decoder', { skip: noCorpus }, async (t) => {
  for (const name of globSync('hostile/*.eml', { cwd: corpus })) {
    const message = readFileSync(join(corpus, name))
    for (const encoding of encodingNames) {
      const { text } = await readText(cut(message, 100, 1000), { encoding, charset: null }, readingLimits)
      if (encoding === 'none') t.ok(text.length <= message.length, name)
    }
  }
  const problems = new Set<FindingKind>()
  const garbage = readFileSync(join(corpus, 'hostile/b64-garbage.eml'))
  const body = garbage.subarray(garbage.indexOf('\r\n\r\n') + 4)
  const read = await textOf(contentStream(cut(body), 'base64', readingLimits, (kind) => problems.add(kind)))
  t.match(read, /^helloworld/)
  t.strictSame([...problems], ['bad-base64'])
})
