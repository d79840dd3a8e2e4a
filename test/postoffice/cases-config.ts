/**
 * The acceptance cases of the post office that are decided by its ini file and its expressions, in the numbering of the
 * specification. The configuration is what follows the two required lines.
 */

/** The message, as far as the rules look at it. */
export interface CaseMessage {
  readonly fields: Readonly<Record<string, string>>
  readonly body?: string
}

export interface ConfigCase {
  readonly id: string
  readonly says: string
  readonly configuration: string
  /** Of the file r.txt. */
  readonly rules?: string
  /** For each message, the queue, or `null`. */
  readonly sorted?: readonly (readonly [message: CaseMessage, queue: string | null])[]
  /** `LINE:COLUMN: text; cure` of each problem. */
  readonly problems?: readonly string[]
  readonly warnings?: readonly string[]
}

export const base: CaseMessage = {
  fields: {
    From: 'Ann <ann@sender.example>',
    To: 'box@example.com',
    Subject: 'Hello',
    'Message-Id': '<m1@sender.example>',
  },
  body: 'Body\n',
}

const subject = (text: string): CaseMessage => ({ fields: { ...base.fields, Subject: text } })
const to = (text: string): CaseMessage => ({ fields: { ...base.fields, To: text } })
const body = (text: string): CaseMessage => ({ ...base, body: text })

const toExample = '[queue:A]\nfilters =\n  to_hostname: example.com'
const toQueueA = [[base, 'A']] as const
const header = (expression: string): string => `[queue:A]\nfilters =\n  header_regexp: ${expression}`
const inBody = (expression: string): string => `[queue:A]\nfilters =\n  body_regexp: ${expression}`
const byFile = '[queue:A]\nfilters =\n  header_regexp_file: %(here)s/r.txt'
const hosts = (argument: string): string => `[queue:A]\nfilters =\n  to_hostname: ${argument}`

export const configCases: readonly ConfigCase[] = [
  { id: 'C01', says: 'a queue by host name', configuration: toExample, sorted: toQueueA },
  {
    id: 'C02',
    says: 'the first filter on the line of the option itself',
    configuration: '[queue:A]\nfilters = to_hostname: example.com',
    sorted: toQueueA,
  },
  {
    id: 'C03',
    says: 'names of options in capitals',
    configuration: '[queue:A]\nFILTERS =\n  to_hostname: example.com',
    sorted: toQueueA,
  },
  {
    id: 'C04',
    says: 'a comment in the first column, in the middle of a list',
    configuration: '[queue:A]\nfilters =\n# column-0 comment\n  to_hostname: example.com',
    sorted: toQueueA,
  },
  {
    id: 'C05',
    says: 'an indented comment in a list',
    configuration: '[queue:A]\nfilters =\n  # indented comment\n  to_hostname: example.com',
    sorted: toQueueA,
  },
  {
    id: 'C06',
    says: 'an empty line does not end a list',
    configuration: '[queue:A]\nfilters =\n  to_hostname: example.com\n\n  header_regexp: Subject: Hel',
    sorted: [
      [base, 'A'],
      [subject('Bye'), null],
    ],
  },
  {
    id: 'C07',
    says: 'an empty list',
    configuration: '[queue:A]\nfilters =',
    problems: [
      '5:10: [queue:A] filters: the list is empty; write one filter a line, indented, for instance to_hostname: example.com, or take the option out',
    ],
  },
  { id: 'C08', says: 'a queue without filters', configuration: '[queue:A]', sorted: [[base, null]] },
  {
    id: 'C09',
    says: 'an unknown filter',
    configuration: '[queue:A]\nfilters =\n  foo: bar',
    problems: [
      '6:3: [queue:A] filters: there is no filter "foo"; there are to_hostname, header_regexp, header_regexp_file, body_regexp, body_regexp_file',
    ],
  },
  {
    id: 'C10',
    says: 'an unknown option of a queue',
    configuration: '[queue:A]\nflutters =\n  to_hostname: example.com',
    problems: ['5:1: [queue:A] flutters: there is no such option; there are filters, deliver, order, max_deliveries'],
  },
  {
    id: 'C11',
    says: 'a comment behind # at the end of a line, as in the README',
    configuration: `ooo_loop_frequency = 60 # 1 Hertz\n${toExample}`,
    sorted: toQueueA,
  },
  {
    id: 'C12',
    says: 'a comment behind ; at the end of a line',
    configuration: `ooo_loop_frequency = 60 ; 1 Hertz\n${toExample}`,
    sorted: toQueueA,
  },
  {
    id: 'C13',
    says: 'a fraction of a size',
    configuration: `max_message_size = 1.5m\n${toExample}`,
    problems: [
      '4:20: [post office] max_message_size: "1.5m" is no size; write digits and k, m or g behind them without a blank, for instance 500m',
    ],
  },
  {
    id: 'C14',
    says: 'a blank before the unit',
    configuration: `max_message_size = 500 m\n${toExample}`,
    problems: [
      '4:20: [post office] max_message_size: "500 m" is no size; write digits and k, m or g behind them without a blank, for instance 500m',
    ],
  },
  {
    id: 'C15',
    says: 'an empty size',
    configuration: `max_message_size =\n${toExample}`,
    problems: [
      '4:19: [post office] max_message_size: "" is no size; write digits and k, m or g behind them without a blank, for instance 500m',
    ],
  },
  {
    id: 'C16',
    says: 'a fraction of seconds',
    configuration: `ooo_throttle_period = 5.5\n${toExample}`,
    problems: ['4:23: [post office] ooo_throttle_period: "5.5" is no whole number'],
  },
  {
    id: 'C17',
    says: 'a word for a number',
    configuration: `ooo_loop_frequency = often\n${toExample}`,
    problems: ['4:22: [post office] ooo_loop_frequency: "often" is no number, 0 or more'],
  },
  { id: 'C18', says: '%(here)s', configuration: byFile, rules: 'Subject: Hello\n', sorted: toQueueA },
  {
    id: 'C19',
    says: 'a percent sign alone',
    configuration: header('Subject: 100% sure'),
    sorted: [
      [subject('100% sure'), 'A'],
      [base, null],
    ],
  },
  {
    id: 'C20',
    says: 'a percent sign alone beside %(here)s',
    configuration: `${header('Subject: 100% sure')}\n  header_regexp_file: %(here)s/r.txt`,
    rules: 'Subject: 100\n',
    sorted: [
      [subject('100% sure'), 'A'],
      [subject('1000'), null],
    ],
  },
  {
    id: 'C21',
    says: 'a comment behind the name of a section',
    configuration: '[queue:A] ; hi\nfilters =\n  to_hostname: example.com',
    sorted: toQueueA,
  },
  {
    id: 'C22',
    says: 'a section without ]',
    configuration: '[queue:A\nfilters =\n  to_hostname: example.com',
    problems: ['4:1: "[queue:A" is no section; write [name] alone on its line'],
  },
  {
    id: 'C23',
    says: 'two sections of one name',
    configuration: `${toExample}\n[queue:A]\nfilters =\n  to_hostname: other.example`,
    problems: ['7:1: [queue:A]: stands twice, first in line 4; put the options under one header, or rename one'],
  },
  {
    id: 'C24',
    says: 'the order of the file, not of the alphabet',
    configuration: `[queue:B]\nfilters =\n  to_hostname: example.com\n${toExample}`,
    sorted: [[base, 'B']],
  },
  {
    id: 'C25',
    says: 'a blank in the name of a queue',
    configuration: '[queue:Customer A]\nfilters =\n  to_hostname: example.com',
    sorted: [[base, 'Customer A']],
  },
  {
    id: 'C26',
    says: 'a blank before the colon of a filter',
    configuration: '[queue:A]\nfilters =\n  to_hostname : example.com',
    sorted: toQueueA,
  },
  {
    id: 'C27',
    says: 'a faulty expression',
    configuration: header('(unclosed'),
    problems: [
      '6:18: the regular expression "(unclosed": the ( is not closed; write ) behind it, or \\( for the mark itself',
    ],
  },
  {
    id: 'H10',
    says: ';headers= names the fields',
    configuration: hosts('example.com;headers=X-Original-To'),
    sorted: [
      [base, null],
      [{ fields: { To: 'q@q.org', 'X-Original-To': 'b@example.com' } }, 'A'],
    ],
  },
  {
    id: 'H11',
    says: 'a list of fields with blanks, case aside',
    configuration: hosts('example.com;headers=Delivered-To, x-envelope-to'),
    sorted: [[{ fields: { To: 'q@q.org', 'X-Envelope-To': 'b@example.com' } }, 'A']],
  },
  {
    id: 'H12',
    says: 'an unknown attribute',
    configuration: hosts('example.com;nonesuch=1'),
    problems: [
      '6:28: [queue:A] filters: to_hostname: "nonesuch=1" is no attribute; the only one is ;headers=NAME,NAME',
    ],
  },
  {
    id: 'H22',
    says: 'a domain without a name',
    configuration: hosts('.'),
    problems: ['6:16: [queue:A] filters: to_hostname: "." is an empty domain; write the domain behind it'],
  },
  {
    id: 'H04',
    says: 'sub-domains alone',
    configuration: hosts('*.example.com'),
    sorted: [
      [to('x@sub.example.com'), 'A'],
      [to('x@example.com'), null],
    ],
  },
  {
    id: 'R01',
    says: 'an expression from the beginning of the field',
    configuration: header('Subject:.+[Pp]arty.+'),
    sorted: [[subject('A party tonight'), 'A']],
  },
  {
    id: 'R02',
    says: 'one character more is wanted',
    configuration: header('Subject:.+[Pp]arty.+'),
    sorted: [[subject('A party'), null]],
  },
  {
    id: 'R03',
    says: 'a word that is not the beginning',
    configuration: header('Party'),
    sorted: [[subject('Party'), null]],
  },
  {
    id: 'R04',
    says: 'any field',
    configuration: header('.*Party'),
    sorted: [[{ fields: { 'X-Mood': 'The Party' } }, 'A']],
  },
  { id: 'R05', says: 'case counts', configuration: header('Subject: hello'), sorted: [[base, null]] },
  { id: 'R06', says: 'case does not count', configuration: header('(?i)subject: hello'), sorted: [[base, 'A']] },
  {
    id: 'R13',
    says: 'one line of a file is enough',
    configuration: byFile,
    rules: 'Subject: nope\nSubject: Hello\n',
    sorted: [
      [base, 'A'],
      [subject('zzz'), null],
    ],
  },
  {
    id: 'R14',
    says: 'an empty line of a file matches nothing',
    configuration: byFile,
    rules: 'Subject: nope\n\n',
    sorted: [[base, null]],
    warnings: [
      'r.txt:2: the line is empty and left out; repoze.postoffice took it for an expression that matches everything; take it out',
    ],
  },
  {
    id: 'R15',
    says: 'a file with CR LF',
    configuration: byFile,
    rules: 'Subject: Hello\r\n',
    sorted: [[base, 'A']],
  },
  {
    id: 'R16',
    says: 'the blanks at the end of a line count',
    configuration: byFile,
    rules: 'Subject:.+pecial \n',
    sorted: [
      [subject('Call a specialist'), null],
      [subject('one pecial for you'), 'A'],
    ],
  },
  {
    id: 'B01',
    says: 'within a line',
    configuration: inBody('happy.+days'),
    sorted: [[body('I am happy for days\n'), 'A']],
  },
  { id: 'B02', says: 'case counts', configuration: inBody('Happy'), sorted: [[body('happy\n'), null]] },
  {
    id: 'B03',
    says: 'the dot does not cross lines',
    configuration: inBody('happy.+days'),
    sorted: [[body('happy\ndays\n'), null]],
  },
  {
    id: 'B04',
    says: '^ at the beginning of every line',
    configuration: inBody('^Subject: Auto'),
    sorted: [[body('text\nSubject: Auto\n'), 'A']],
  },
  { id: 'B05', says: '$ before CR LF', configuration: inBody('foo$'), sorted: [[body('foo\r\nbar\r\n'), 'A']] },
  { id: 'B06', says: 'letters beyond ASCII', configuration: inBody('café'), sorted: [[body('caf\u00e9\n'), 'A']] },
  {
    id: 'B15',
    says: 'an expression that is exponential elsewhere',
    configuration: inBody('(a+)+$'),
    sorted: [[body(`${'a'.repeat(24)}b\n`), null]],
  },
  {
    id: 'D09',
    says: 'a reject filter',
    configuration: `reject_filters =\n  header_regexp: From:.+Ann\n${toExample}`,
    sorted: [[base, 'rejected']],
  },
  {
    id: 'D10',
    says: 'one of several reject filters is enough',
    configuration: `reject_filters =\n  header_regexp: Subject: zzz\n  to_hostname: example.com\n${toExample}`,
    sorted: [[base, 'rejected']],
  },
  {
    id: 'D12',
    says: 'all filters of a queue, then the next queue',
    configuration: `${toExample}\n  header_regexp: Subject: Bye\n[queue:B]\nfilters =\n  to_hostname: example.com`,
    sorted: [[base, 'B']],
  },
]
