import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { parsePostOffice, readPostOffice } from '../../filters/postoffice/configuration.ts'
import type { PostofficeSettings, ReadPostOffice } from '../../filters/postoffice/configuration.ts'
import { interpolate } from '../../filters/postoffice/interpolation.ts'
import { parsePostofficeSize } from '../../filters/postoffice/size.ts'
import { hostMatches } from '../../filters/postoffice/to-hostname.ts'
import type { PostofficeFilter } from '../../filters/postoffice/types.ts'
import { formatProblem } from '../../host/problem.ts'
import { cpuTimeOf } from '../helpers/cpu-time.ts'
import { configCases } from './cases-config.ts'
import type { CaseMessage } from './cases-config.ts'

const file = '/etc/po/postoffice.ini'
const required = '[post office]\nstore = /var/po\nmaildir = /var/mail/po\n'

/** Reads text, with other files by their names in the folder of the ini file. */
const parse = (
  text: string,
  files: Readonly<Record<string, string>> = {},
  currentDirectory = '/etc/po',
): ReadPostOffice =>
  parsePostOffice(text, file, {
    currentDirectory,
    readFile: (path) => {
      const found = files[path.replace('/etc/po/', '')]
      if (found === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`)
      return found
    },
  })

/** `LINE:COLUMN: text; cure`, with the name of the file before it where it is another than the ini file. */
const told = (problems: ReadPostOffice['problems']): string[] =>
  problems.map((problem) =>
    formatProblem(problem)
      .replace(/^\/etc\/po\/postoffice.ini: ?/, '')
      .replaceAll('/etc/po/', ''),
  )

const settingsOf = (text: string, files: Readonly<Record<string, string>> = {}): PostofficeSettings => {
  const { configuration, problems } = parse(text, files)
  if (configuration === null) throw new Error(told(problems).join('\n'))
  return configuration
}

const matches = (filter: PostofficeFilter, { fields, body = '' }: CaseMessage): boolean => {
  if (filter.kind === 'to_hostname') {
    return Object.entries(fields).some(
      ([name, value]) =>
        filter.headers.includes(name.toLowerCase()) &&
        filter.hosts.some((host) => hostMatches(host, value.slice(value.indexOf('@') + 1))),
    )
  }
  const texts = filter.kind.startsWith('header') ? Object.entries(fields).map((field) => field.join(': ')) : [body]
  return filter.expressions.some((expression) => texts.some((text) => expression.test(text)))
}

const sort = ({ rejectFilters, queues }: PostofficeSettings, message: CaseMessage): string | null => {
  if (rejectFilters.some((filter) => matches(filter, message))) return 'rejected'
  const found = queues.find(({ filters }) => filters.length > 0 && filters.every((filter) => matches(filter, message)))
  return found?.name ?? null
}

void t.test('the acceptance cases of the ini file and its expressions', (t) => {
  for (const { id, says, configuration, rules, sorted, problems = [], warnings = [] } of configCases) {
    const read = parse(`${required}${configuration}`, rules === undefined ? {} : { 'r.txt': rules })
    t.same(told(read.problems), problems, `${id}: ${says}: problems`)
    t.same(told(read.warnings), warnings, `${id}: ${says}: warnings`)
    t.equal(
      read.configuration === null,
      problems.length > 0,
      `${id}: there is a configuration unless there are problems`,
    )
    for (const [index, [message, queue]] of (sorted ?? []).entries()) {
      const found = read.configuration === null ? 'no configuration' : sort(read.configuration, message)
      t.equal(found, queue, `${id}: ${says}: message ${index + 1}`)
    }
  }
  const slow = settingsOf(`${required}[queue:A]\nfilters = body_regexp: (a+)+$`)
  const { tookMs } = cpuTimeOf(() => sort(slow, { fields: {}, body: `${'a'.repeat(24)}b\n` }))
  t.ok(tookMs < 100, `B15: ${tookMs} ms, of 100`)
  t.end()
})

void t.test('the lines of the file', (t) => {
  const cases: [says: string, text: string, problems: string[], warnings?: string[]][] = [
    ['an empty file', '', ['there is no section [post office]; write it above its options']],
    [
      'another case of the name',
      '[Post Office]\nmaildir = /m',
      ['there is no section [post office]; write it so, not [Post Office]'],
      ['1:1: [Post Office] is no section of a post office, and left out; did you mean "post office"?'],
    ],
    ['a line of rem', `rem a comment\nREM\n${required}`, []],
    [
      'an option before any section',
      `maildir = /m\n${required}`,
      ['1:1: there is no section above this line; begin the file with [post office]'],
    ],
    [
      'no option, no section',
      `${required}nonsense\n  and more`,
      [
        '4:1: [post office]: "nonsense" is neither [section] nor option = value; write option = value, or indent the line if it belongs to the value above',
      ],
    ],
    [
      'an indented line below a header',
      `${required}[queue:A]\n  filters = to_hostname: example.com`,
      [
        '5:3: [queue:A]: "filters = to_hostname: example.com" is indented, but there is no value above it; begin sections and options in the first column',
      ],
    ],
    [
      'an indented header goes on with the value above',
      `${required}[queue:A]\nfilters = to_hostname: example.com\n  [queue:B]`,
      [
        '6:3: [queue:A] filters: there is no filter "[queue"; there are to_hostname, header_regexp, header_regexp_file, body_regexp, body_regexp_file',
      ],
    ],
    [
      'words behind a header',
      `${required}[queue:A] b`,
      ['4:11: [queue:A]: "b" stands after the name of the section; take it out, or begin it with ; if it is a comment'],
    ],
    [
      'an option twice',
      `${required}MAILDIR : /n`,
      ['4:1: [post office] maildir: stands twice, first in line 3; take one out'],
    ],
    [
      'no maildir',
      '[post office]\nstore = /s',
      ['1:1: [post office] has no maildir; write maildir = DIRECTORY, where incoming mail is; it is made if missing'],
    ],
    [
      'a value of two lines',
      '[post office]\nmaildir = /m\n  /n',
      ['3:3: [post office] maildir: the value goes on in a second line; write it in one line'],
    ],
    [
      'an empty path',
      '[post office]\nmaildir = # none',
      ['2:11: [post office] maildir: the value is empty; write a value, or take the option out'],
    ],
    [
      'an unknown option',
      `${required}max_mesage_size = 1m`,
      ['4:1: [post office] max_mesage_size: there is no such option; did you mean "max_message_size"?'],
    ],
    [
      'an unknown option where that is no fault',
      `${required}strict = no\nflavour = x`,
      [],
      ['5:1: [post office] flavour: there is no such option'],
    ],
    [
      'another section',
      `${required}[logging]\nx = 1`,
      [],
      ['4:1: [logging] is no section of a post office, and left out'],
    ],
    [
      'a section that nearly is a queue',
      `${required}[queue A]\nfilters =`,
      [],
      ['4:1: [queue A] is no section of a post office, and left out; a queue is [queue:NAME]'],
    ],
    ['a queue without a name', `${required}[queue:]`, ['4:1: [queue:] has no name; write [queue:NAME]']],
    [
      'a queue with blanks at an end of its name',
      `${required}[queue: A]`,
      [],
      ['4:1: the queue " A" has blanks at an end of its name; take them out'],
    ],
    [
      'the options of the object database',
      '[post office]\nzodb_uri = zconfig://%(here)s/zodb.conf#main\nmaildir = /m',
      [],
      ['2:1: [post office] zodb_uri: there is no ZODB here, the option is left out; write store = DIRECTORY instead'],
    ],
    [
      'two options for one thing',
      `${required}zodb_path = /a\nstore_prefix = /b`,
      ['4:1: [post office] zodb_path: store_prefix says the same; take one out'],
    ],
    [
      'a filter without a colon, and one without an argument',
      `${required}[queue:A]\nfilters =\n  to_hostname example.com\n  header_regexp:\n  body_regexp_file:\n  to_hostname:`,
      [
        '6:3: [queue:A] filters: "to_hostname example.com" is no filter; write name: argument',
        '7:3: [queue:A] filters: header_regexp has no argument; write .* if everything shall match',
        '8:3: [queue:A] filters: body_regexp_file has no argument; write the path of a file',
        '9:3: [queue:A] filters: to_hostname has no argument; write the names of hosts behind it',
      ],
    ],
    [
      'a misspelt filter',
      `${required}[queue:A]\nfilters = header_regex: x`,
      ['5:11: [queue:A] filters: there is no filter "header_regex"; did you mean "header_regexp"?'],
    ],
    [
      'attributes of to_hostname',
      `${required}[queue:A]\nfilters =\n  to_hostname: example.com;\n  to_hostname: ;headers=To\n  to_hostname: a.example;headers=\n  to_hostname: a.example;headers=To;headers=Cc\n  to_hostname: a.example;headers=T o\n  to_hostname: *. a..b`,
      [
        '6:27: [queue:A] filters: to_hostname: nothing stands behind the ;; take the ; out',
        '7:16: [queue:A] filters: to_hostname: there is no name of a host; write at least one',
        '8:26: [queue:A] filters: to_hostname: headers has an empty name; write names with commas between them',
        '9:37: [queue:A] filters: to_hostname: headers stands twice; make one list of both',
        '10:26: [queue:A] filters: to_hostname: "T o" is no name of a header field; write names with commas between them',
        '11:16: [queue:A] filters: to_hostname: "*." is an empty domain; write the domain behind it',
        '11:19: [queue:A] filters: to_hostname: "a..b" is no name of a host; write example.com, .example.com or *.example.com',
      ],
    ],
    [
      'a file of expressions that is not there',
      `${required}[queue:A]\nfilters = body_regexp_file: /etc/po/none.txt`,
      [`5:29: "none.txt" cannot be read: ENOENT: no such file or directory, open 'none.txt'`],
    ],
    [
      'an engine that is not offered',
      `${required}regex_engine = backtracking`,
      [
        '4:1: [post office] regex_engine: backtracking is not offered: one message could stop all others; take it out; what the linear engine refuses is told with its line',
      ],
    ],
    [
      'signs of automatic answers',
      `${required}auto_response = precedence, subjekt`,
      ['4:17: [post office] auto_response: there is no sign "subjekt"; did you mean "subject"?'],
    ],
    [
      'limits that contradict each other, and other faulty values',
      `${required}body_scan_limit = 2m\nbody_scan_total = 1m\nmessage_id = maybe\nduplicate_window = 24\nprune_queues = true\nooo_loop_headers = To, Sub ject`,
      [
        '5:1: [post office] body_scan_total: is less than body_scan_limit, which is for one part of a message; write at least as much',
        '6:14: [post office] message_id: "maybe" is none of require, synthesize',
        '7:20: [post office] duplicate_window: "24" is no duration; write for instance 24h, 30m or 90s',
        '8:16: [post office] prune_queues: "true" is none of yes, no',
        '9:20: [post office] ooo_loop_headers: "Sub ject" is no name of a header field; write names with commas between them',
      ],
    ],
    [
      'an interpolation of nothing',
      `${required}[queue:A]\nfilters = body_regexp: %(nothing)s`,
      [],
      [
        '5:11: [queue:A] filters: nothing is called "nothing", so %(nothing)s stays as it is; write it in [DEFAULT], if it is meant to be replaced',
      ],
    ],
    [
      'values that name one another',
      `[DEFAULT]\na = %(b)s\nb = %(a)s\n${required}[queue:A]\nfilters = %(a)s`,
      ['8:1: [queue:A] filters: "%(a)s" names values that name one another, more than 10 deep; write the values out'],
    ],
    [
      'faults of a file of expressions, told once though two queues use it',
      `${required}[queue:A]\nfilters = header_regexp_file: %(here)s/r.txt\n[queue:B]\nfilters = header_regexp_file: %(here)s/r.txt`,
      [
        'r.txt:2:4: the regular expression "abc(?=d)": look-ahead (?= is not possible in linear time; split it into several filters or lines',
        'r.txt:3:1: the regular expression "*": there is nothing to repeat before *; write \\* for the mark itself',
      ],
    ],
  ]
  const files = { 'r.txt': 'Subject: x\nabc(?=d)\n*\n' }
  for (const [says, text, problems, warnings = []] of cases) {
    const read = parse(text, files)
    t.same(told(read.problems), problems, `${says}: problems`)
    t.same(told(read.warnings), warnings, `${says}: warnings`)
  }
  t.end()
})

void t.test('values', (t) => {
  const old = settingsOf(
    [
      '[post office]',
      '# Required parameters',
      'maildir = %(here)s/incoming/Maildir',
      'store = %(here)s/depot',
      'ooo_loop_frequency = 60 # 1 Hertz',
      'ooo_loop_headers = To,Subject',
      'ooo_throttle_period = 300 # 5 minutes',
      'max_message_size = 500m',
      'zodb_path = /mail/postoffice',
      'reject_filters =',
      '  header_regexp_file: %(here)s/reject.txt',
      '  to_hostname: *.party.example # they must change their MX',
      '[queue:Customer A]',
      'filters = to_hostname: app.a.example .b.example ;headers=envelope, To',
      'order = strict',
      'max_deliveries = 3',
      '[queue:Customer B]',
      'filters =',
      '  header_regexp: Subject: a # b ; c',
      'deliver = both',
    ].join('\r\n'),
    { 'reject.txt': 'From: x\n' },
  )
  t.match(old, {
    file,
    directory: '/etc/po',
    store: '/etc/po/depot',
    storePrefix: '/mail/postoffice',
    maildir: '/etc/po/incoming/Maildir',
    reject: 'refuse',
    pruneQueues: false,
    sorting: { loopFrequency: 60, loopHeaders: ['to', 'subject'], throttleMs: 300_000, maxMessageOctets: 524_288_000 },
    rejectFilters: [
      { kind: 'header_regexp_file', place: { file, line: 11 }, expressions: [{ source: 'From: x' }] },
      { kind: 'to_hostname', hosts: [{ written: '*.party.example', kind: 'below', domain: 'party.example' }] },
    ],
    queues: [
      {
        name: 'Customer A',
        place: { file, line: 13 },
        filters: [{ hosts: [{ domain: 'app.a.example' }, { domain: 'b.example' }], headers: ['envelope', 'to'] }],
        deliver: 'auto',
        order: 'strict',
        maxDeliveries: 3,
      },
      {
        name: 'Customer B',
        filters: [{ kind: 'header_regexp', expressions: [{ source: 'Subject: a # b ; c' }] }],
        deliver: 'both',
        order: null,
        maxDeliveries: null,
      },
    ],
  })

  const few = settingsOf('[post office]\nmaildir = /m')
  t.match(few, { store: '/etc/po/var/postoffice', storePrefix: '/postoffice', rejectFilters: [], queues: [] })
  t.match(few.sorting, {
    loopFrequency: 0,
    maxMessageOctets: null,
    duplicateWindowMs: 86_400_000,
    compatPrecedence: true,
  })

  const all = settingsOf(
    `${required}max_message_size = 0\nmessage_id = synthesize\nduplicate_window = 2d\nduplicate_digest = no\nauto_response = none\ncompat_precedence = no\nbody_scan_limit = 8m\nreject = drop\ndeliver = queue\nprune_queues = yes\nregex_engine = linear\nooo_loop_frequency = .25\n[queue:A]`,
  )
  t.match(all, { reject: 'drop', pruneQueues: true, queues: [{ deliver: 'queue', filters: [] }] })
  t.match(all.sorting, {
    maxMessageOctets: null,
    messageId: 'synthesize',
    duplicateWindowMs: 172_800_000,
    duplicateDigest: false,
    compatPrecedence: false,
    bodyScanCharacters: 8 * 2 ** 20,
    bodyScanTotalCharacters: 8 * 2 ** 20,
    loopFrequency: 0.25,
  })
  t.equal(all.sorting.autoResponse.size, 0, 'no sign at all')
  t.match(
    settingsOf(`${required}regex_syntax = python3\n[queue:A]\nfilters = body_regexp: \\u0041`).queues[0]?.filters[0],
    { expressions: [{ translated: '(?m)A' }] },
    'python3',
  )

  const sizes: [string, number | null][] = [
    ['0', 0],
    ['1024', 1024],
    ['500m', 524_288_000],
    ['2KB', 2048],
    ['1Gb', 2 ** 30],
    ['', null],
    ['1b', null],
    ['-1', null],
    ['+1', null],
    ['1.5m', null],
    ['1 m', null],
    ['m', null],
    ['9999999999999g', null],
  ]
  for (const [text, octets] of sizes) t.equal(parsePostofficeSize(text), octets, `the size "${text}"`)
  t.end()
})

void t.test('interpolation, paths and files', (t) => {
  const values: [says: string, text: string, expected: string[]][] = [
    ['a variable of [DEFAULT]', '%(base)s/x', ['/b/x']],
    ['case aside', '%(BASE)s', ['/b']],
    ['a variable that names another', '%(deep)s', ['/b/deep']],
    ['%% beside an interpolation', '100%% %(base)s', ['100% /b']],
    ['%% alone', '100%%', ['100%%']],
    ['% beside an interpolation', '5% %s %(base)s', ['5% %s /b']],
    ['%%( is no interpolation', '%%(base)s', ['%%(base)s']],
    ['a name that nothing has', '%(none)s %%', ['%(none)s %%']],
    ['a variable of several lines', '%(two)s!', ['a', 'b!']],
  ]
  const variables = new Map([
    ['base', '/b'],
    ['deep', '%(base)s/deep'],
    ['two', 'a\nb'],
  ])
  for (const [says, text, expected] of values) {
    const { pieces, fault } = interpolate([{ text, line: 1, column: 1 }], variables)
    t.same([pieces.map((piece) => piece.text), fault], [expected, null], says)
  }
  const bomb = new Map(Array.from({ length: 9 }, (_, i) => [`v${i}`, `%(v${i + 1})s`.repeat(50)]))
  t.match(
    interpolate([{ text: '%(v0)s', line: 1, column: 1 }], bomb).fault,
    /^becomes longer than 65536 characters$/,
    'values that multiply',
  )

  const shared = settingsOf(
    `[DEFAULT]\nplace = %(here)s/lists ; of rules\n[post office]\nmaildir = %(place)s/m\n[queue:A]\nfilters = header_regexp_file: %(place)s/r.txt`,
    { 'lists/r.txt': 'a\n' },
  )
  t.equal(shared.maildir, '/etc/po/lists/m', '[DEFAULT] holds variables, and they are no options')

  const odd = parsePostOffice('[post office]\nmaildir = %(here)s/m # incoming', '/srv/post #1/po.ini')
  t.equal(odd.configuration?.maildir, '/srv/post #1/m', 'a folder whose name looks like a comment')

  const relative = parse(
    '[post office]\nmaildir = in\n[queue:A]\nfilters = body_regexp_file: r.txt',
    { 'r.txt': 'x' },
    '/home',
  )
  t.equal(relative.configuration?.maildir, '/etc/po/in', 'a relative path belongs to the folder of the file')
  t.same(told(relative.warnings), [
    '2:11: [post office] maildir: "in" is "in"; repoze.postoffice started here takes "/home/in"; write %(here)s/ before it, or the whole path',
    '4:29: a file of expressions: "r.txt" is "r.txt"; repoze.postoffice started here takes "/home/r.txt"; write %(here)s/ before it, or the whole path',
  ])
  t.same(relative.files, [file, '/etc/po/r.txt'], 'the files to watch')

  const folder = t.testdir({})
  mkdirSync(join(folder, 'po'))
  const path = join(folder, 'po', 'postoffice.ini')
  writeFileSync(
    path,
    '\ufeff[post office]\nmaildir = %(here)s/m\n[queue:A]\nfilters = header_regexp_file: %(here)s/r.txt\n',
  )
  writeFileSync(join(folder, 'po', 'r.txt'), 'Subject: H.llo\n')
  const read = readPostOffice(path)
  t.same([read.problems, read.warnings], [[], []], 'a real file, with a byte-order mark')
  t.equal(read.configuration?.maildir, join(folder, 'po', 'm'))
  writeFileSync(join(folder, 'po', 'r.txt'), Buffer.from('caf\u00e9\n', 'latin1'))
  t.match(readPostOffice(path).problems, [{ file: path, line: 4, text: /is not UTF-8 in line 1/ }], 'rules in latin1')
  t.match(
    readPostOffice(join(folder, 'none.ini')).problems,
    [{ line: null, text: /^cannot be read: ENOENT/ }],
    'no file',
  )
  t.end()
})

void t.test('any text is read without an exception, and each problem has its line', (t) => {
  const lines = fc.array(
    fc.oneof(
      fc.constantFrom(
        '[post office]',
        'maildir = m',
        '[queue:A]',
        '[queue:B',
        'filters =',
        '  to_hostname: example.com ;headers=To',
        '  header_regexp: (',
        '[DEFAULT]',
        'a = %(b)s%%',
        '  %(a)s',
        '',
        '# x',
        '[x] y',
        'reject_filters = x',
        'rem',
      ),
      fc.string(),
    ),
    { maxLength: 20 },
  )
  fc.assert(
    fc.property(lines, (rows) => {
      const { configuration, problems } = parse(rows.join('\n'))
      const places = problems.filter(({ line, text }) => line === null && !text.startsWith('there is no section'))
      return (configuration === null) === problems.length > 0 && places.length === 0
    }),
    { numRuns: 300 },
  )
  t.pass('300 files')
  t.end()
})
