import fc from 'fast-check'
import t from 'tap'
import { quoted } from '../../courier-compat/quoted.ts'
import { candidatesAmong, expressionFileLimits, parseExpressionFile } from '../../filters/postoffice/expression-file.ts'
import { compileExpression } from '../../filters/postoffice/expression.ts'
import type { CompiledExpression, ExpressionPlace } from '../../filters/postoffice/expression.ts'
import { formatProblem } from '../../host/problem.ts'

type Kind = ExpressionPlace['kind']

const compile = (source: string, kind: Kind = 'match', syntax?: 'python3'): ReturnType<typeof compileExpression> =>
  compileExpression(source, { file: 'r.txt', line: 7, kind, ...(syntax === undefined ? {} : { syntax }) })

const expressionOf = (source: string, kind: Kind = 'match', syntax?: 'python3'): CompiledExpression => {
  const compiled = compile(source, kind, syntax)
  if ('problem' in compiled) throw new Error(formatProblem(compiled.problem))
  return compiled.expression
}

/** What is behind the place and the expression, for the problem or the first warning. */
const toldOf = (source: string, kind: Kind = 'match'): string => {
  const compiled = compile(source, kind)
  const problem = 'problem' in compiled ? compiled.problem : compiled.warnings[0]
  if (problem === undefined) return 'nothing'
  return formatProblem(problem).replace(/^r\.txt:7:(\d+): the regular expression ".*": /s, '$1: ')
}

void t.test('the table of section 18: what matches, as Python 2.7 does', (t) => {
  const nul = '\u0000'
  const rows: [row: string, source: string, matching: string[], other: string[]][] = [
    ['start anchoring', 'a|b', ['ax', 'bx'], ['xa', 'xb', '']],
    ['start anchoring', '^a', ['a'], ['ba', '\na']],
    ['named groups', '(?P<n>a)b', ['ab'], ['b']],
    ['comments', 'a(?#x|y)*b', ['aab', 'b'], ['x']],
    ['flags in the middle', 'a(?i)b', ['AB', 'ab'], ['b']],
    ['flags in a group', '(a(?i))|b', ['A', 'B'], ['c']],
    ['(?s) at the end', 'a.b(?s)', ['a\nb'], ['ab']],
    ['(?m) behind $', 'a$(?m)', ['a\nb'], ['ab']],
    ['(?x)', '(?x) a b # c', ['ab'], ['a b']],
    ['(?x) before a repetition', '(?x)a +\\ [ #]\\#', ['aa ##', 'a  #'], ['a##']],
    ['(?x) at the end', 'a b(?x)', ['ab'], ['a b']],
    ['(?x): a flag in a comment does not count', '(?x)a # (?i)', ['a'], ['A']],
    ['(?x): but one that was read before it did', '[ab] # (?i)(?x)', ['A', 'b'], ['c']],
    ['(?u) is left out', '(?u)\\w', ['a'], ['\u00e9']],
    ['scoped flags', '(?i:a)b', ['Ab'], ['AB']],
    ['scoped flags', '(?m-i:a$)', ['a\nb'], ['A\nb']],
    ['scoped flags', '(?x: a b )c d', ['abc d'], ['abcd']],
    ['\\A and \\Z', '\\Aa\\Z', ['a'], ['a\n', 'ba']],
    ['$ without m', 'a$', ['a', 'a\n'], ['a\nb', 'ab', 'a\n\n']],
    ['the dot', 'a.b', ['a\rb', 'a\u2028b', `a${nul}b`], ['a\nb']],
    ['\\s', 'a\\sb', ['a b', 'a\vb', 'a\fb', 'a\rb', 'a\nb', 'a\tb'], ['a\u00a0b', 'a\u0085b', 'a\u2003b']],
    ['\\S', 'a\\Sb', ['axb', 'a\u00a0b', 'a\u{1f600}b'], ['a\vb', 'a b']],
    ['\\s in a class', '[\\s,]b', [',b', '\vb'], ['\u00a0b']],
    ['\\S in a class', '[\\S ]b', ['xb', ' b', '\u00e9b'], ['\vb', '\tb']],
    ['a class without \\s', '[^\\s]b', ['xb', '\u00a0b'], ['\vb', ' b']],
    ['a class without \\S', '[^\\S]b', ['\vb', ' b'], ['xb']],
    ['\\d, \\w and \\b', '\\d\\w\\b', ['1a', '1a\u00e9'], ['\u0661a', '1\u00e9', '1ab']],
    ['\\D and \\W', '\\D\\W\\B', ['a-', '\u0661\u00e9'], ['1-', 'a-b']],
    ['case', '(?i)caf\u00e9', ['CAF\u00c9', 'caf\u00e9'], ['cafe']],
    ['] first in a class', '[]a]', [']', 'a'], ['b', '[']],
    ['] first in a class', '[^]a]', ['b'], [']', 'a']],
    ['[[:alpha:]] is a class and a ]', '[[:alpha:]]', [':]', '[]', 'a]'], ['b', 'a', 'z]']],
    ['{,n}', 'a{,2}b', ['b', 'ab', 'aab'], ['aaab']],
    ['{,}', 'a{,}b', ['b', 'aaaab'], ['c']],
    ['{m,}', 'a{2,}b', ['aaab'], ['ab']],
    ['{n}', '(?:ab){2}?c', ['ababc'], ['abc']],
    ['braces that count nothing', 'a{x}{1,b{}', ['a{x}{1,b{}'], ['a']],
    ['letters behind a backslash', '\\e\\z\\u0041\\q', ['ezu0041q'], ['ezAq']],
    ['other characters behind a backslash', '\\_\\-\\\u00e9\\/', ['_-\u00e9/'], ['-']],
    ['letters in a class', '[\\A\\Z\\e]', ['A', 'Z', 'e'], ['\\']],
    ['\\b in a class', '[\\b]', ['\b'], ['b']],
    ['control characters', '\\a\\f\\n\\r\\t\\v', ['\u0007\f\n\r\t\v'], ['a']],
    ['octal', '\\07\\0\\101\\1012', [`\u0007${nul}AA2`], ['7']],
    ['octal beyond a byte', '\\501', ['A'], ['\u0141']],
    ['octal in a class', '[\\7\\0778]', ['\u0007', '?', '8'], ['7']],
    ['\\x', '\\x41\\x412', ['AA2'], ['x']],
    ['characters of two units', '^.[\u{1f600}-\u{1f602}]$', ['\u{1f600}\u{1f601}'], ['\u{1f600}']],
    ['an empty expression', '', ['', 'a'], []],
    ['empty branches', '(|a)b|', ['x', 'b'], []],
    ['ranges', '[+--][a-c-e]', [',-', '-b'], ['*b']],
    ['a backslash before z', '\\\\z\\Z', ['\\z'], ['\\', 'z']],
    ['marks of the engine alone', 'a\\Qb', ['aQb'], ['ab']],
    ['a class of the engine alone', '\\pL[\\p]', ['pLp'], ['a']],
    ['&& in a class', '[a&&b]', ['&', 'a'], ['c']],
    ['lazy repetitions', 'a*?b??c+?', ['ac', 'abcc'], ['ab']],
  ]
  for (const [row, source, matching, other] of rows) {
    const expression = expressionOf(source)
    for (const text of matching) t.equal(expression.test(text), true, `${row}: ${source} matches ${quoted(text)}`)
    for (const text of other) t.equal(expression.test(text), false, `${row}: ${source}, not ${quoted(text)}`)
  }

  const searches: [row: string, source: string, matching: string[], other: string[]][] = [
    ['anywhere', 'b', ['abc'], ['ac']],
    ['^ and $ by lines', '^b$', ['a\nb\nc', 'b', 'a\nb'], ['ab', 'b c']],
    ['an empty line', '^$', ['', 'a\n', 'a\n\nb'], ['a', 'a\nb']],
    ['\\A and \\Z by the text', '\\Aa|z\\Z', ['ab\nc', 'b\nz'], ['b\na', 'z\n', '\nz\n']],
    ['CR LF', 'foo$', ['foo\r\nbar', 'foo'], ['foo\rbar']],
    ['CR LF', 'a.$\\s^b', ['ax\r\nb'], ['ax\rb']],
    ['scoped flags', '(?-m:^a$)', ['a', 'a\n'], ['b\na', 'a\nb']],
    ['the dot', 'a.b', ['a\rb'], ['a\nb', 'a\r\nb']],
  ]
  for (const [row, source, matching, other] of searches) {
    const expression = expressionOf(source, 'search-multiline')
    for (const text of matching) t.equal(expression.test(text), true, `${row}: ${source} is in ${quoted(text)}`)
    for (const text of other) t.equal(expression.test(text), false, `${row}: ${source} not in ${quoted(text)}`)
  }

  t.equal(expressionOf('\\u0041\\U0001F600[\\u0042]', 'match', 'python3').test('A\u{1f600}B'), true, 'python3: \\u')
  t.equal(expressionOf('\\u004', 'match', 'python3').test('u004'), true, 'python3: too few digits')
  t.end()
})

void t.test('the table of section 18: what is refused, and what is warned of', (t) => {
  const rows: [row: string, source: string, told: string][] = [
    [
      'back-references',
      '(a)x\\1',
      '5: a back-reference is not possible in linear time; write out what shall stand there',
    ],
    [
      'back-references by name',
      '(?P<n>a)(?P=n)',
      '9: a back-reference is not possible in linear time; write out what shall stand there',
    ],
    [
      'look-ahead',
      'a(?=b)',
      '2: look-ahead (?= is not possible in linear time; split it into several filters or lines',
    ],
    [
      'look-ahead',
      '(?!spam)',
      '1: look-ahead (?! is not possible in linear time; split it into several filters or lines',
    ],
    ['look-behind', '(?<=a)b', '1: look-behind (?<= is not possible in linear time; match what stands before instead'],
    ['look-behind', '(?<!a)b', '1: look-behind (?<! is not possible in linear time; match what stands before instead'],
    ['conditions', '(a)?(?(1)b|c)', '5: a condition (?(...) is not possible in linear time; write both cases with |'],
    ['names of JavaScript', '(?<n>a)', '1: (?< begins no group; a group with a name is (?P<name>...)'],
    [
      'atomic groups',
      '(?>a)',
      '1: an atomic group (?> is not possible in linear time; write (?:, no guard is needed here',
    ],
    ['possessive', 'a*+', '3: *+ is no repetition of Python 2; take the second + out, no guard is needed here'],
    ['possessive', 'a++', '3: ++ is no repetition of Python 2; take the second + out, no guard is needed here'],
    [
      '(?L)',
      '(?L)a',
      '1: the flag L is not possible; take it out: what a letter is does not depend on the language of the system here',
    ],
    ['(?t)', '(?t)a', '1: t is no flag; the flags are i, m, s, x and u'],
    ['(?-i)', '(?-i)a', '1: (?-i) is no group and no flag; write (?-i:...) around what it is for'],
    ['(?)', '(?)a', '1: (?) is no group and no flag; write (?:...) for a group'],
    ['(?u)', '(?u)a', '1: the flag u is left out: \\w, \\d, \\s and \\b go by ASCII; take it out'],
    [
      '{n}',
      'a{1001}',
      '2: more than 1000 repetitions are not possible; write * or +, or a number of at most 1000, groups multiplied',
    ],
    [
      '{n}',
      '(?:a{40}){26}',
      '10: more than 1000 repetitions are not possible; write * or +, or a number of at most 1000, groups multiplied',
    ],
    [
      '{n}',
      'a{65535}',
      '2: more than 1000 repetitions are not possible; write * or +, or a number of at most 1000, groups multiplied',
    ],
    ['{m,n}', 'a{2,1}', '2: {2,1} has its numbers in the wrong order; write {1,2}'],
    ['letters', '\\z', '1: \\z is the letter z itself; write \\Z for the end of the text'],
    ['letters', 'a[\\h]', '3: \\h is the letter h itself; take the backslash out if that is meant'],
    ['repetitions', '*a', '1: there is nothing to repeat before *; write \\* for the mark itself'],
    ['repetitions', '^*', '2: there is nothing to repeat before *; write \\* for the mark itself'],
    ['repetitions', 'a|?', '3: there is nothing to repeat before ?; write \\? for the mark itself'],
    ['repetitions', '\\b+', '3: there is nothing to repeat before +; write \\+ for the mark itself'],
    ['repetitions', 'a**', '3: * repeats a repetition; write (?:...) around what it shall repeat'],
    ['repetitions', 'a{2}{3}', '5: {3} repeats a repetition; write (?:...) around what it shall repeat'],
    ['groups', 'a(b', '2: the ( is not closed; write ) behind it, or \\( for the mark itself'],
    ['groups', 'a)b', '2: there is no ( for this ); write \\) for the mark itself'],
    ['groups', '(?P<n>a)(?P<n>b)', '9: two groups are called n; rename one'],
    ['groups', '(?P<1>a)', '1: "1" is no name of a group; use letters, digits and _'],
    ['groups', '(?', '1: (? begins no group; write (?:...) for a group, \\(\\? for the marks themselves'],
    ['comments', 'a(?#b', '2: the comment (?# is not closed; write ) behind it'],
    ['classes', '[a', '1: the [ is not closed; write ] behind it, or \\[ for the mark itself'],
    ['classes', '[]', '1: the [ is not closed; write ] behind it, or \\[ for the mark itself'],
    [
      'classes',
      '[z-a]',
      '2: z-a is no range of characters; begin it with the lower character, or write \\- for the mark itself',
    ],
    [
      'classes',
      '[\\d-z]',
      '2: \\d-z is no range of characters; begin it with the lower character, or write \\- for the mark itself',
    ],
    ['classes', '[\\8]', '2: \\8 is no character; take the backslash out'],
    ['\\x', '\\x4', '1: \\x has two hexadecimal digits behind it; for instance \\x41'],
    ['the end', 'a\\', '2: it ends in a backslash; write two for the mark itself'],
    ['depth', '('.repeat(201), '201: groups are more than 200 deep; make it simpler'],
    ['length', 'a'.repeat(4097), '1: it is longer than 4096 octets; make several expressions of it'],
    [
      'size',
      '(?:.{1000})'.repeat(21),
      '1: with its repetitions written out it has more than 20000 steps; use smaller numbers in {...}',
    ],
    ['nothing to tell', '(?i)Subject: [a-z]+', 'nothing'],
  ]
  for (const [row, source, told] of rows) t.equal(toldOf(source), told, `${row}: ${source.slice(0, 20)}`)
  t.match(compile('a('), { problem: { file: 'r.txt', line: 7, column: 2 } }, 'the place of a problem')
  t.match(
    compileExpression('ab(', { file: 'r.txt', line: 7, column: 20, kind: 'match' }),
    { problem: { column: 22 } },
    'an expression that begins within a line',
  )
  t.end()
})

void t.test('any text compiles or is refused, and what compiles runs', (t) => {
  const token = fc.constantFrom(
    'a',
    'b',
    '0',
    '(',
    ')',
    '(?:',
    '(?i)',
    '(?x)',
    '(?P<n>',
    '[',
    ']',
    '^',
    '-',
    '$',
    '.',
    '*',
    '+',
    '?',
    '|',
    '{',
    '}',
    ',',
    '2',
    '\\',
    'd',
    'S',
    'Z',
    'x41',
    '#',
    ' ',
    '\n',
    '\u00e9',
    '\u{1f600}',
    '&&',
    '[:alpha:]',
    '{1,3}',
    'z',
  )
  const source = fc.oneof(
    fc.array(token, { maxLength: 14 }).map((parts) => parts.join('')),
    fc.string({ unit: 'binary' }),
  )
  let compiledCount = 0
  fc.assert(
    fc.property(source, fc.constantFrom<Kind>('match', 'search-multiline'), (text, kind) => {
      const compiled = compile(text, kind)
      if ('problem' in compiled) return !compiled.problem.text.includes('the engine does not take it')
      compiledCount++
      compiled.expression.test('ab 0\r\n\u00e9', 1, true)
      return true
    }),
    { numRuns: 300 },
  )
  t.ok(compiledCount > 100, 'many of them compile, and the engine refuses none that the translation lets pass')
  t.end()
})

void t.test('a long text in windows', (t) => {
  const search = (source: string): CompiledExpression => expressionOf(source, 'search-multiline')
  const rows: [says: string, source: string, text: string, from: number, goesOn: boolean, found: boolean][] = [
    ['^ looks at the character before', '^b', 'ab', 1, false, false],
    ['^ looks at the line end before', '^b', '\nb', 1, false, true],
    ['\\b looks at the character before', '\\bb', 'ab', 1, false, false],
    ['\\B looks at the character before', '\\Bb', 'ab', 1, false, true],
    ['\\A is at the beginning of the text alone', '\\Ab', 'ab', 1, false, false],
    ['what stands before is not matched', 'a', 'ab', 1, false, false],
    ['CR LF before it moves nothing', 'a', '\r\na\r\nb', 5, false, false],
    ['CR LF before it moves nothing', '^b', '\r\na\r\nb', 5, false, true],
    ['the end of a window is no end of the text', 'b\\Z', 'ab', 0, true, false],
    ['nor of a line', 'b$', 'ab', 0, true, false],
    ['nor of a word', 'b\\b', 'ab', 0, true, false],
    ['but the end of the last one is', 'b\\Z', 'ab', 0, false, true],
    ['a line end within a window is one', 'b$', 'ab\nc', 0, true, true],
    ['what needs no look is found at the end of a window', 'b', 'ab', 0, true, true],
  ]
  for (const [says, source, text, from, goesOn, found] of rows) {
    t.equal(search(source).test(text, from, goesOn), found, `${says}: ${source}`)
  }

  // Whatever runs the search inside the engine, a window with its context gives what the whole text gives.
  const word = fc.constantFrom('foo', 'bar', ' ', '\n', 'x'.repeat(300))
  const sources = ['^foo', 'bar$', '\\bfoo\\b', 'o\\Bo', 'x+\\nfoo', '(?i)FOO|^bar', '^$', '\\Afoo', '[^x]bar']
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 30 }), fc.nat(2000), (words, at) => {
      const text = words.join('')
      const from = Math.min(at, text.length)
      return sources.every((source) => {
        const native = new RegExp(
          source.replace('\\A', '(?<![^])').replace('(?i)', ''),
          source.startsWith('(?i)') ? 'gim' : 'gm',
        )
        native.lastIndex = from
        return search(source).test(text, from) === native.test(text)
      })
    }),
    { numRuns: 80 },
  )

  const begin = performance.now()
  for (const source of ['(a+)+$', '(a|a)*b$', '(a*)*c', '\\s+$', '(.*a){20}b', '(?i)(x+x+)+y']) {
    const text = `${'a'.repeat(40_000)} ${'x'.repeat(20_000)}b!`
    t.equal(search(source).test(text), false, source)
  }
  t.ok(performance.now() - begin < 5000, 'expressions that are exponential elsewhere take linear time on 64 KiB')
  t.end()
})

void t.test('files of expressions', (t) => {
  const read = (text: string, kind: Kind = 'match'): ReturnType<typeof parseExpressionFile> =>
    parseExpressionFile(text, 'r.txt', { kind })
  const sources = (text: string): string[] => read(text).expressions.map(({ source }) => source)
  t.same(sources(''), [], 'an empty file')
  t.same(sources('a\nb'), ['a', 'b'], 'no line end at the end')
  t.same(sources(' a \r\n\tb\r\n'), [' a ', '\tb'], 'blanks count, CR LF does not')
  t.same(sources('#a\n;b\n'), ['#a', ';b'], 'there are no comments')
  t.same(sources('\n\na\n \n'), ['a', ' '], 'empty lines are left out, blank ones are not')
  t.match(read('a\n\n\nb\n').warnings, [{ line: 2, text: /and so are 1 more/ }], 'empty lines are warned of once')
  t.match(read('a\n(\nb\n*').problems, [{ line: 2 }, { line: 4 }], 'each fault has its line')
  t.ok(read('\\e\\e\\e\\e\n'.repeat(500)).warnings.length < 25, 'not all of many warnings are told')
  t.equal(read('(\n'.repeat(500)).problems.length, expressionFileLimits.problems, 'not all of many faults are told')
  t.match(
    read('a\n'.repeat(expressionFileLimits.expressions + 5)).problems,
    [{ line: expressionFileLimits.expressions + 1, text: 'there are more than 10000 expressions' }],
    'too many',
  )
  t.match(
    read('.{1000}.{1000}.{1000}.{1000}\n'.repeat(200)).problems.at(-1)?.text,
    /^the expressions up to here have more than 500000 steps together$/,
    'too much together',
  )

  const rules = Array.from({ length: 300 }, (_, index) => `word${index}`)
  const headers = read(
    [...rules.map((word) => `Subject: .*${word}`), '(?i)x-mood: bad', '.*anywhere', 'From: a|To: b'].join('\n'),
  ).expressions
  const among = candidatesAmong(headers, 'match')
  const chosen = (text: string): string[] => (among?.(text) ?? []).map(({ source }) => source)
  t.same(chosen('To: x').length, 2, 'those for another field are not tried')
  t.same(chosen('X-Mood: bad'), ['(?i)x-mood: bad', '.*anywhere', 'From: a|To: b'])
  t.equal(chosen('SUBJECT: x').length, 302)
  t.equal(candidatesAmong(headers.slice(0, 3), 'match'), null, 'few are all tried')

  const bodies = read(
    [...rules.map((word) => `(?i)\\A?${word}|^${word}[xyz]$`.replace('\\A?', '')), 'x.*y', '\\bend\\b'].join('\n'),
    'search-multiline',
  ).expressions
  const inBody = candidatesAmong(bodies, 'search-multiline')
  const texts = ['', 'WORD17 and', 'a\r\nword299x\r\nb', 'x and y', 'the end', 'word1word2word3', 'xword5']
  for (const text of texts) {
    for (const from of [0, Math.min(1, text.length)]) {
      const found = (inBody?.(text) ?? []).map(({ source }) => source)
      const missing = bodies.filter((expression) => expression.test(text, from) && !found.includes(expression.source))
      t.same(missing, [], `none is missing for ${quoted(text)} from ${from}`)
    }
  }
  t.ok(
    (inBody?.('nothing of it') ?? bodies).length === 2,
    'those that a pass over the text finds nowhere are not tried',
  )
  t.end()
})
