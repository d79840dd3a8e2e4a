import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { schemaProblems } from '../../courier-compat/setting/declaration.ts'
import { listLimits, parseList } from '../../host/chain/list.ts'
import { lineOptions } from '../../host/chain/with-options.ts'
import { formatProblem } from '../../host/problem.ts'

type Entry = ReturnType<typeof parseList>['entries'][number]

/** An entry in short: `ALIAS=NAME!skip,skip {options}`, each part only where it is not the usual one. */
function inShort(entry: Entry): string {
  const options = {
    ...(entry.onError === null ? {} : { onError: entry.onError }),
    ...(entry.timeLimitMs === null ? {} : { timeLimitMs: entry.timeLimitMs }),
    ...(entry.dryRun ? { dryRun: true } : {}),
    ...(entry.rerun ? {} : { rerun: false }),
    ...entry.settings,
  }
  const name = entry.alias === entry.name ? entry.name : `${entry.alias}=${entry.name}`
  const skips = entry.skips.length === 0 ? '' : `!${entry.skips.join(',')}`
  return `${name}${skips}${Object.keys(options).length === 0 ? '' : ` ${JSON.stringify(options)}`}`
}

/** What a list says: its entries in short, its problems and its warnings as they are told. */
function read(text: string, dialect: 'nodefilter' | 'pythonfilter' = 'nodefilter') {
  const list = parseList(text, 'f', dialect)
  return {
    entries: list.entries.map(inShort),
    problems: list.problems.map(formatProblem),
    warnings: list.warnings.map(formatProblem),
  }
}

interface Case {
  readonly name: string
  readonly text: string
  readonly entries?: readonly string[]
  readonly problems?: readonly string[]
  readonly warnings?: readonly string[]
}

const order = 'write NAME as ALIAS for OTHER ... with key=value ...'
const ownLine = 'put a comment on a line of its own'
const alphabet = 'use letters, digits, _ - . and, for packages, @ and /'
const emptyFor = (name: string) =>
  `"for" has no name after it, so an acceptance by "${name}" ends the whole list; name the filters to skip, or take "for" out`

/** Lines that mean the same in both dialects. */
const shared: Case[] = [
  { name: 'T01 an empty file is a list of no filters', text: '' },
  { name: 'T01 so are comments and blank lines alone', text: '# none\n\n  \t\n   # indented\n' },
  { name: 'T02 a name is a filter', text: 'e', entries: ['e'] },
  { name: 'T03 filters stand in the order of their lines', text: 'w\nr5\n', entries: ['w', 'r5'] },
  { name: 'T04 for names what an acceptance skips', text: 'w for r5\nr5\nr4', entries: ['w!r5', 'r5', 'r4'] },
  { name: 'T05 for may name the whole rest', text: 'w for r5\nr5', entries: ['w!r5', 'r5'] },
  {
    name: 'T06 for with nothing after it is none, with a warning',
    text: 'w for\nr5',
    entries: ['w', 'r5'],
    warnings: [`f:1: ${emptyFor('w')}`],
  },
  { name: 'T09 the reply 0xx needs nothing of the list', text: 'z for r5\nr5', entries: ['z!r5', 'r5'] },
  {
    name: 'T16 a filter that is skipped may itself name filters',
    text: 'w for w2\nw2 for r5\nr5',
    entries: ['w!w2', 'w2!r5', 'r5'],
  },
  {
    name: 'T17 a filter that has run by then cannot be skipped',
    text: 'r4\nw for r4',
    entries: ['r4', 'w!r4'],
    warnings: ['f:2: "r4" after "for" stands in line 1, before this one: nothing is left to skip; take it out'],
  },
  {
    name: 'a filter cannot skip itself',
    text: 'w for w',
    entries: ['w!w'],
    warnings: ['f:1: "w" after "for" is this line itself: nothing is left to skip; take it out'],
  },
  {
    name: 'a filter that is listed before and after can be skipped',
    text: 'a\nw for a\na',
    entries: ['a', 'w!a', 'a'],
    warnings: [
      'f:3: "a" stands in line 1 already, so it runs more than once; take one out, or tell them apart with "as ALIAS"',
    ],
  },
  {
    name: 'T18 a filter listed twice runs twice, with a warning',
    text: 'e\n\ne',
    entries: ['e', 'e'],
    warnings: [
      'f:3: "e" stands in line 1 already, so it runs more than once; take one out, or tell them apart with "as ALIAS"',
    ],
  },
  {
    name: 'T20 lines end in CRLF or LF, the last one need not',
    text: 'w for r5\r\n\r\nr5\r\ne',
    entries: ['w!r5', 'r5', 'e'],
  },
  {
    name: 'a byte order mark and blanks around words say nothing',
    text: '\ufeff \tw  for\t r5 \n r5\t',
    entries: ['w!r5', 'r5'],
  },
  {
    name: 'names may be dotted, scoped or below a folder',
    text: 'a.b\n@x/y-z\np/q_1',
    entries: ['a.b', '@x/y-z', 'p/q_1'],
  },
  {
    name: 'a name after for that is not listed, with and without a guess',
    text: 'w for greylst nothere\ngreylist',
    entries: ['w!greylst,nothere', 'greylist'],
    warnings: [
      'f:1: "greylst" after "for" is not in this list; did you mean "greylist"?',
      'f:1: "nothere" after "for" is not in this list; take it out',
    ],
  },
  ...[
    '..',
    '../x',
    'a/../b',
    '/etc/x',
    '.hidden',
    'a..b',
    'a.',
    'a/',
    'a//b',
    'a\\b',
    '-x',
    '@x',
    '@/x',
    'x@y',
    'a:b',
    'é',
  ].map((name) => ({
    name: `no filter can be called ${name}`,
    text: `e\n${name}`,
    entries: ['e'],
    problems: [`f:2: ${JSON.stringify(name)} is no name of a filter: ${alphabet}`],
  })),
  {
    name: 'no filter can be called __proto__',
    text: '__proto__',
    problems: [`f:1: "__proto__" is no name of a filter: ${alphabet}`],
  },
  {
    name: 'a no-break blank is no blank',
    text: 'w\u00a0for',
    problems: [`f:1: "w\\u00a0for" is no name of a filter: ${alphabet}`],
  },
  {
    name: 'a name is no longer than a package name',
    text: 'x'.repeat(215),
    problems: [`f:1: "${'x'.repeat(60)}..." is no name of a filter: it is longer than 214 characters`],
  },
]

/** Lines of our own files. */
const own: Case[] = [
  {
    name: 'T07 FOR is not for',
    text: 'w FOR r5\nr5',
    entries: ['r5'],
    problems: ['f:1: "FOR" after "w" is not understood; write "for" in small letters'],
  },
  {
    name: 'a comment cannot stand behind a name',
    text: 'w # with care\nr5',
    entries: ['r5'],
    problems: [`f:1: "#" after "w" is not understood; ${ownLine}`],
  },
  {
    name: 'a word after the name must be understood',
    text: '\n\nw anything',
    problems: [`f:3: "anything" after "w" is not understood; ${order}, or ${ownLine}`],
  },
  {
    name: 'T08 commas do not separate names',
    text: 'w for r5,r4\nx for r5, r4\nr5\nr4',
    entries: ['r5', 'r4'],
    problems: [
      'f:1: "r5,r4" after "for" is no name; separate the names with blanks',
      'f:2: "r5," after "for" is no name; separate the names with blanks',
    ],
  },
  {
    name: 'a comment cannot stand behind for',
    text: 'w for r5 # not r4\nr5',
    entries: ['r5'],
    problems: [`f:1: "#" after "for" is no name; ${ownLine}`],
  },
  {
    name: 'names after for are names of filters',
    text: 'w for ../x',
    problems: [`f:1: "../x" is no name of a filter: ${alphabet}`],
  },
  {
    name: 'a keyword in capitals among names',
    text: 'w for r5 WITH\nr5',
    entries: ['r5'],
    problems: ['f:1: "WITH" after "for" is no name; write "with" in small letters'],
  },
  {
    name: 'as comes before for',
    text: 'w for r5 as b\nr5',
    entries: ['r5'],
    problems: [`f:1: "as" stands among the names after "for"; ${order}`],
  },
  {
    name: 'a line cannot begin with a keyword',
    text: 'for r5\nas b\n with a=b',
    problems: ['for', 'as', 'with'].map(
      (word, index) => `f:${index + 1}: the line begins with "${word}", not with a filter; ${order}`,
    ),
  },
  { name: 'as gives a name of its own', text: 'greylist as strict for e\ne', entries: ['strict=greylist!e', 'e'] },
  { name: 'an alias may be the name itself', text: 'e as e', entries: ['e'] },
  {
    name: 'as needs a name',
    text: 'w as\nx as for e\ny as with a=b\nz as as\ne',
    entries: ['e'],
    problems: [
      `f:1: "as" has no name after it; ${order}`,
      `f:2: "as" has no name after it; ${order}`,
      `f:3: "as" has no name after it; ${order}`,
      `f:4: "as" cannot be an alias; ${order}`,
    ],
  },
  {
    name: 'an alias is one short word',
    text: `w as a/b\nx as ..\ny as ${'a'.repeat(65)}`,
    problems: [
      'f:1: "a/b" is no alias: use letters, digits, _ - . and at most 64 characters',
      'f:2: ".." is no alias: use letters, digits, _ - . and at most 64 characters',
      `f:3: "${'a'.repeat(60)}..." is no alias: use letters, digits, _ - . and at most 64 characters`,
    ],
  },
  {
    name: 'one filter twice is well told apart by an alias',
    text: 'greylist\ngreylist as strict\nw for strict',
    entries: ['greylist', 'strict=greylist', 'w!strict'],
    warnings: ['f:3: "strict" after "for" stands in line 2, before this one: nothing is left to skip; take it out'],
  },
  {
    name: 'two filters cannot have one alias',
    text: 'a as x\nb as x\nc as x',
    entries: ['x=a', 'x=b', 'x=c'],
    problems: [
      'f:2: the filter in line 1 runs as "x" too; choose another alias',
      'f:3: the filter in line 1 runs as "x" too; choose another alias',
    ],
  },
  {
    name: 'an alias cannot be the name of another filter, whatever that one runs as',
    text: 'a as b\nb\nc as d\nd as f',
    entries: ['b=a', 'b', 'd=c', 'f=d'],
    problems: [
      'f:1: the alias "b" is the name of the filter in line 2; choose another alias',
      'f:3: the alias "d" is the name of the filter in line 4; choose another alias',
    ],
  },
  {
    name: 'a filter under its own name as alias clashes with itself in plain',
    text: 'a as a\na',
    entries: ['a', 'a'],
    problems: ['f:1: the filter in line 2 runs as "a" too; choose another alias'],
  },
  {
    name: 'for means what filters run as',
    text: 'w for greylist\ngreylist as strict',
    entries: ['w!greylist', 'strict=greylist'],
    warnings: ['f:1: "greylist" after "for" is a filter that runs under an alias here; write "strict"'],
  },
  {
    name: 'the host takes its options, the filter gets the rest as written',
    text: 'w for r5 with on_error=pass time_limit=5s dry_run=yes rerun=no wait=10m zones=a,b text="a \\"b\\" \\\\ # c" none=""\nr5',
    entries: [
      `w!r5 ${JSON.stringify({ onError: 'pass', timeLimitMs: 5000, dryRun: true, rerun: false, wait: '10m', zones: 'a,b', text: 'a "b" \\ # c', none: '' })}`,
      'r5',
    ],
  },
  {
    name: 'in a plain word nothing is escaped',
    text: 'w with pattern=^a\\d=#$',
    entries: ['w {"pattern":"^a\\\\d=#$"}'],
  },
  {
    name: 'what usually holds may be written',
    text: 'w with on_error=defer rerun=yes dry_run=no',
    entries: ['w {"onError":"defer"}'],
  },
  {
    name: 'for with nothing, before with',
    text: 'w for with a=b',
    entries: ['w {"a":"b"}'],
    warnings: [`f:1: ${emptyFor('w')}`],
  },
  { name: 'with after as', text: 'w as x with a=b', entries: ['x=w {"a":"b"}'] },
  {
    name: 'all problems of a line are told at once',
    text: 'w AS x with on_error=reject time_limit=11m dry_run=true rerun=1',
    problems: [
      'f:1: "AS" after "w" is not understood; write "as" in small letters',
      'f:1: on_error: "reject" is not one of defer, pass',
      'f:1: time_limit: "11m" is above the maximum, 10m',
      'f:1: dry_run: "true" is neither yes nor no',
      'f:1: rerun: "1" is neither yes nor no',
    ],
  },
  { name: 'with needs settings', text: 'w with', problems: [`f:1: "with" has nothing after it; ${order}`] },
  {
    name: 'blanks around = are one mistake',
    text: 'w with a = b\nw2 with a= b\nw3 with a=1 b',
    problems: [
      'f:1: "a" after "with" is not key=value; write no blanks around "="',
      'f:2: a has no value; write no blanks around "=", and a="" for an empty text',
      'f:3: "b" after "with" is not key=value; write no blanks around "="',
    ],
  },
  {
    name: 'settings are separated by blanks, named in snake_case, and written once',
    text: 'w with a=1, b=2\nw2 with maxWait=1\nw3 with a=1 a=2\nw4 with __proto__=1',
    problems: [
      'f:1: the value of a ends in a comma; separate settings with blanks',
      'f:2: "maxWait" is no name of a setting; names are in snake_case',
      'f:3: a stands twice after "with"; take one out',
      'f:4: "__proto__" is no name of a setting; names are in snake_case',
    ],
  },
  {
    name: 'for and comments cannot stand after with',
    text: 'w with a=1 for r5\nw2 with a=1 # text\nr5',
    entries: ['r5'],
    problems: [
      `f:1: "for" stands after "with"; ${order}`,
      'f:1: "r5" after "with" is not key=value; write no blanks around "="',
      `f:2: "#" after "with" is not key=value; ${ownLine}`,
    ],
  },
  {
    name: 'quotes are closed, stand around the whole value, and escape two characters',
    text: 'a with t="x y\nb with t="x"y\nc with t=x"y"\nd with t="\\n"\ne with t="a" u=1',
    entries: ['e {"t":"a","u":"1"}'],
    problems: [1, 2, 3, 4].map(
      (line) =>
        `f:${line}: the quotes in the value of t are not right; close them before a blank or the end of the line, and write \\" and \\\\ for a quote and a backslash inside`,
    ),
  },
  {
    name: 'a faulty line still counts as listed, and is not asked what it skips',
    text: 'w for r5\nr5 anything\nx for y z,',
    entries: ['w!r5'],
    problems: [
      `f:2: "anything" after "r5" is not understood; ${order}, or ${ownLine}`,
      'f:3: "z," after "for" is no name; separate the names with blanks',
    ],
  },
]

/** Lines of pythonfilter*.conf: what pythonfilter ignores is ignored, and a warning says so. */
const old: Case[] = [
  {
    name: 'T07 FOR is not for: the rest is ignored, an acceptance ends the list',
    text: 'w FOR r5\nr5',
    entries: ['w', 'r5'],
    warnings: [
      'f:1: everything after "w" is ignored, as in pythonfilter: "FOR" is not "for"; write "for" in small letters',
    ],
  },
  {
    name: 'T08 a,b is one name that no filter has: an acceptance skips nothing, and does not end the list',
    text: 'w for r5,r4\nr5\nr4',
    entries: ['w!r5,r4', 'r5', 'r4'],
    warnings: ['f:1: "r5,r4" after "for" is not in this list; separate the names with blanks'],
  },
  {
    name: 'what stands after a name is ignored',
    text: 'a # text\nb anything\nc as d\ne with x=1',
    entries: ['a', 'b', 'c', 'e'],
    warnings: [
      `f:1: everything after "a" is ignored, as in pythonfilter: "#" is not "for"; ${ownLine}`,
      'f:2: everything after "b" is ignored, as in pythonfilter: "anything" is not "for"; take it out',
      'f:3: everything after "c" is ignored, as in pythonfilter: "as" is not "for"; take it out',
      'f:4: everything after "e" is ignored, as in pythonfilter: "with" is not "for"; take it out',
    ],
  },
  {
    name: 'after for a # begins no comment',
    text: 'w for r5 # r4\nr5\nr4',
    entries: ['w!r5,#,r4', 'r5', 'r4'],
    warnings: [
      `f:1: "#" begins no comment here: it and the words after it count as names; ${ownLine}`,
      'f:1: "#" after "for" is not in this list; take it out',
    ],
  },
  { name: 'a filter may be called for', text: 'for for with\nwith', entries: ['for!with', 'with'] },
]

for (const [title, cases, dialects] of [
  ['in both dialects', shared, ['nodefilter', 'pythonfilter']],
  ['in filters.conf', own, ['nodefilter']],
  ['in pythonfilter.conf', old, ['pythonfilter']],
] as const) {
  void t.test(title, (t) => {
    for (const { name, text, entries = [], problems = [], warnings = [] } of cases) {
      for (const dialect of dialects) t.strictSame(read(text, dialect), { entries, problems, warnings }, name)
    }
    t.end()
  })
}

void t.test('an entry', (t) => {
  const [, entry] = parseList(
    '# list\na\nw for x with time_limit=1s k=v\nx',
    '/etc/nodefilter/filters.conf',
    'nodefilter',
  ).entries
  t.strictSame(entry, {
    name: 'w',
    alias: 'w',
    skips: ['x'],
    onError: null,
    timeLimitMs: 1000,
    dryRun: false,
    rerun: true,
    settings: { k: 'v' },
    file: '/etc/nodefilter/filters.conf',
    line: 3,
  })
  t.ok(Object.isFrozen(entry) && Object.isFrozen(entry?.skips) && Object.isFrozen(entry?.settings), 'it is frozen')
  t.strictSame(structuredClone(entry), entry, 'it can be sent to a thread')
  t.strictSame(schemaProblems(lineOptions), [], "the host's options are well declared")
  t.end()
})

void t.test("the manual's page", (t) => {
  const page = readFileSync(new URL('../../docs/filters-conf.md', import.meta.url), 'utf8')
  const [example = ''] = /(?<=^```\n)# [^]*?(?=^```)/m.exec(page) ?? []
  const { entries, problems, warnings } = read(example)
  t.strictSame([entries.length, problems, warnings], [5, [], []], 'its example is a sound list')
  const told = page
    .match(/^(?:warning: )?\/etc\/nodefilter\/filters\.conf:\d: .*$/gm)
    ?.map((line) => line.replace(/^.*?:\d: /, ''))
  const wrong = read('w for greylst\ngreylist\nclamav FOR greylist')
  t.strictSame(
    [...wrong.warnings, ...wrong.problems].map((line) => line.replace(/^.*?: /, '')),
    told,
    'its messages are those that are told',
  )
  for (const option of Object.keys(lineOptions)) t.match(page, `| \`${option}\` |`, `it names ${option}`)
  t.end()
})

void t.test('limits', (t) => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `f${index}`).join('\n')
  t.strictSame(read(many(listLimits.entries)).problems, [], 'a thousand filters are a list')
  t.strictSame(read(`#\n${many(1002)}`).problems, ['f:1002: the list has more than 1000 filters'], 'one more is not')
  t.equal(read('é\n'.repeat(400_000)).problems.length, 1001, 'faulty lines count too')
  const long = `e for ${'x'.repeat(listLimits.lineChars)}`
  t.strictSame(
    read(`a\n${long}\n#${long}`).problems,
    ['f:2: the line has more than 4096 characters'],
    'comments may be long',
  )
  t.strictSame(read(`a\n${'#\n'.repeat(listLimits.fileChars / 2)}`).problems, [
    'f:1: the list has more than 1048576 characters; is this the right file?',
  ])
  const wrong = Array.from({ length: 900 }, (_, index) => `f${index} for ${'qq '.repeat(300)}`).join('\n')
  const started = performance.now()
  t.equal(read(wrong).warnings.length, 270_000, 'every one of many warnings is told')
  t.ok(performance.now() - started < 10_000, 'and no time is lost on guessing for each')
  t.end()
})

void t.test('no text makes it throw, and every problem has a line of the file', (t) => {
  const words = [
    'w',
    'r5',
    'for',
    'as',
    'with',
    'FOR',
    '#',
    ' ',
    '  ',
    '\t',
    '\n',
    '\r\n',
    '\r',
    '=',
    'a=b',
    '"',
    '\\',
    ',',
  ]
  const more = ['on_error=pass', 'time_limit=', '1s', '../', '@x/y', '\u00a0', '\u2028', '\0', '\ufeff', 'é']
  const mailLike = fc.array(fc.constantFrom(...words, ...more), { maxLength: 60 }).map((parts) => parts.join(''))
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.oneof(mailLike, fc.string(), fc.string({ unit: 'binary' })), fc.boolean(), (text, isOwn) => {
        const list = parseList(text, 'f', isOwn ? 'nodefilter' : 'pythonfilter')
        const lines = text.split(/\r\n|\n|\r/).length
        const all = [...list.problems, ...list.warnings]
        const isInside = all.every(({ line }) => line !== null && line >= 1 && line <= lines)
        const isOneLine = all.every((problem) => !/[\r\n]/.test(formatProblem(problem)) && problem.text !== '')
        const isSafe = list.entries.every(
          ({ name, alias }) => !/\.\.|^[/.]|\\|\s/.test(`${name} ${alias}`.replace(' ', '')),
        )
        return isInside && isOneLine && isSafe
      }),
      { numRuns: 1000 },
    ),
  )
  t.end()
})
