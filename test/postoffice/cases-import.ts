/**
 * The acceptance cases of the post office's import (spec postoffice 19.1): groups H, R, B, D, U, A, L and S, as data.
 *
 * An outcome is what the successor must give: `A` is queue A, `A [x]` queue A with mark x, `drop: reason`, or
 * `config error`. Text of messages has one character an octet.
 */

/** One message: changes to the base message. */
export interface CaseMessage {
  /** `Name: value`. Those of a name that the base message has stand in its place. */
  readonly fields?: readonly string[]
  readonly without?: readonly string[]
  readonly body?: string
  /** The whole message, in place of the base message. */
  readonly raw?: string
  /** When it is imported, in seconds after the import clock's begin. */
  readonly atS?: number
}

/** One row. */
export interface ImportCase {
  readonly id: string
  /** What follows the two required lines; `SIZE` and `SIZE-1` stand for the size of the message. */
  readonly ini: string
  readonly files?: Readonly<Record<string, string>>
  readonly messages: readonly CaseMessage[]
  readonly outcomes: readonly string[]
  /** What the row is about. */
  readonly about: string
}

/** The import clock's begin: 2015-06-01T10:00:00Z. */
export const importClockMs = 1_433_152_800_000

const baseFields: readonly string[] = [
  'From: Ann <ann@sender.example>',
  'To: box@example.com',
  'Subject: Hello',
  'Message-Id: <m1@sender.example>',
  'Date: Mon, 01 Jun 2015 10:00:00 +0000',
]

const nameOf = (field: string): string => field.slice(0, field.indexOf(':')).toLowerCase()

/** The octets of a message of a row. */
export function messageText({ fields = [], without = [], body = 'Body\n', raw }: CaseMessage): string {
  if (raw !== undefined) return raw
  const gone = new Set([...fields.map(nameOf), ...without.map((name) => name.toLowerCase())])
  const kept = baseFields.filter((field) => !gone.has(nameOf(field)))
  return `${[...kept, ...fields].join('\n')}\n\n${body}`
}

/** The time of its file: the instant of its Date, or the import clock's begin where that cannot be read. */
export function fileTimeMs(text: string): number {
  const date = Date.parse(/^Date: (.*)$/m.exec(text)?.[1] ?? '')
  return Number.isNaN(date) ? importClockMs : date
}

const base: CaseMessage = {}
const fields = (...lines: string[]): CaseMessage => ({ fields: lines })
const body = (text: string, ...lines: string[]): CaseMessage => ({ body: text, fields: lines })
const queue = (name: string, ...filters: string[]): string =>
  `[queue:${name}]\nfilters =\n${filters.map((filter) => `  ${filter}\n`).join('')}`
const A = queue('A', 'to_hostname: example.com')
const B = queue('B', 'to_hostname: .other.example')
const inA = (...filters: string[]): string => queue('A', ...filters)
const row = (
  id: string,
  ini: string,
  messages: readonly CaseMessage[],
  outcomes: readonly string[],
  about: string,
): ImportCase => ({ id, ini, messages, outcomes, about })
const rules = (
  id: string,
  text: string,
  messages: readonly CaseMessage[],
  outcomes: readonly string[],
  about: string,
) => ({
  ...row(id, inA('header_regexp_file: %(here)s/r.txt'), messages, outcomes, about),
  files: { 'r.txt': text },
})

const hostnames: readonly ImportCase[] = [
  row('H01', A, [fields('To: x@sub.example.com')], ['drop: no queue'], 'a name means itself alone'),
  row(
    'H02',
    inA('to_hostname: .example.com'),
    [
      fields('To: x@sub.example.com'),
      fields('To: x@example.com', 'Message-Id: <2@s>'),
      fields('To: x@a.b.example.com', 'Message-Id: <3@s>'),
    ],
    ['A', 'A', 'A'],
    'a name with a dot means itself and all below',
  ),
  row(
    'H03',
    inA('to_hostname: .example.com'),
    [fields('To: x@notexample.com')],
    ['drop: no queue'],
    'labels are whole',
  ),
  row(
    'H04',
    inA('to_hostname: *.example.com'),
    [fields('To: x@sub.example.com'), fields('To: x@example.com', 'Message-Id: <2@s>')],
    ['A', 'drop: no queue'],
    'a name with a star means what is below alone',
  ),
  row('H05', inA('to_hostname: EXAMPLE.com'), [fields('To: x@Example.COM')], ['A'], 'letter case says nothing'),
  row(
    'H06',
    inA('to_hostname: one.example .two.example'),
    [fields('To: x@a.two.example'), fields('To: x@a.one.example', 'Message-Id: <2@s>')],
    ['A', 'drop: no queue'],
    'several names, each of its own kind',
  ),
  row('H07', A, [fields('Cc: Bo <bo@example.com>', 'To: x@q.org')], ['A'], 'Cc counts'),
  row('H08', A, [fields('To: x@q.org', 'X-Original-To: list@example.com')], ['A'], 'X-Original-To counts'),
  row('H09', A, [fields('Delivered-To: list@example.com', 'To: x@q.org')], ['drop: no queue'], 'Delivered-To does not'),
  row(
    'H10',
    inA('to_hostname: example.com;headers=X-Original-To'),
    [fields('To: box@example.com'), fields('To: q@q.org', 'X-Original-To: b@example.com', 'Message-Id: <2@s>')],
    ['drop: no queue', 'A'],
    'headers= in place of the usual ones',
  ),
  row(
    'H11',
    inA('to_hostname: example.com;headers=Delivered-To, x-envelope-to'),
    [fields('To: q@q.org', 'X-Envelope-To: b@example.com')],
    ['A'],
    'names of headers= in any case, with blanks',
  ),
  row('H12', inA('to_hostname: example.com;nonesuch=1'), [base], ['config error'], 'an unknown attribute'),
  row('H13', A, [fields('To: Doe <box@example.com')], ['A'], 'a bracket that is not closed'),
  row('H14', A, [fields('To: box@example.com <>')], ['drop: no queue'], 'the empty brackets are the address'),
  row('H15', A, [fields('To: undisclosed recipients;;')], ['drop: no queue'], 'no address at all'),
  row('H16', A, [fields('To: "Doe, Jane" <box@example.com>')], ['A'], 'a comma in quotes'),
  row('H17', A, [fields('To: box@example.com (the box)')], ['A'], 'a comment'),
  row('H18', A, [fields('To: box@example.com , z@q.org')], ['A'], 'a blank before the comma'),
  row('H19', A, [fields('To: "a@b"@example.com')], ['A'], 'an @ in quotes'),
  row('H20', A, [fields('To: F: a@q.org, b@example.com;')], ['A'], 'a group'),
  row('H21', A, [fields('To: x@q.org', 'To: box@example.com')], ['A'], 'the second field of a name'),
  row('H22', inA('to_hostname: .'), [fields('To: x@q.org')], ['config error'], 'an empty domain'),
  row('H23', A, [fields('To: =?utf-8?Q?J=C3=B6rg?= <box@example.com>')], ['A'], 'an encoded word as name'),
  row('H24', A, [fields('To: box@example.com.')], ['A'], 'the dot of the root'),
]

const headers: readonly ImportCase[] = [
  row('R01', inA('header_regexp: Subject:.+[Pp]arty.+'), [fields('Subject: A party tonight')], ['A'], 'a match'),
  row(
    'R02',
    inA('header_regexp: Subject:.+[Pp]arty.+'),
    [fields('Subject: A party')],
    ['drop: no queue'],
    '.+ at the end',
  ),
  row('R03', inA('header_regexp: Party'), [fields('Subject: Party')], ['drop: no queue'], 'from the beginning'),
  row('R04', inA('header_regexp: .*Party'), [fields('X-Mood: The Party')], ['A'], 'any field'),
  row('R05', inA('header_regexp: Subject: hello'), [base], ['drop: no queue'], 'letter case counts'),
  row('R06', inA('header_regexp: (?i)subject: hello'), [base], ['A'], '(?i)'),
  row(
    'R07',
    inA('header_regexp: Subject: x'),
    [{ raw: 'From: a@b.example\nTo: c@d.example\nSubject:x\nMessage-Id: <1@s>\n\nb\n' }],
    ['A'],
    'one blank after the colon',
  ),
  row(
    'R08',
    inA('header_regexp: Subject: x'),
    [{ without: ['Subject'], fields: ['SUBJECT: x'] }],
    ['A'],
    'the name as it is usually written',
  ),
  row(
    'R09',
    inA('header_regexp: Subject: .*R\u00e9ponse'),
    [fields('Subject: =?iso-8859-1?Q?R=E9ponse_automatique?=')],
    ['A'],
    'encoded words are decoded',
  ),
  row('R10', inA('header_regexp: Subject:.+world'), [fields('Subject: hello\n world')], ['A'], 'fields are unfolded'),
  row(
    'R11',
    inA('header_regexp: Received: from b'),
    [fields('Received: from a', 'Received: from b')],
    ['A'],
    'every field of a name',
  ),
  row(
    'R12',
    inA('header_regexp: Subject: x'),
    [fields('Subject: =?x-nope?Q?abc?=')],
    ['drop: no queue'],
    'an unknown character set stops nothing',
  ),
  rules(
    'R13',
    'Subject: nope\nSubject: Hello\n',
    [base, fields('Message-Id: <2@s>', 'Subject: zzz')],
    ['A', 'drop: no queue'],
    'any line of a file',
  ),
  rules('R14', 'Subject: nope\n\n', [base], ['drop: no queue'], 'an empty line matches nothing'),
  rules('R15', 'Subject: Hello\r\n', [base], ['A'], 'a file with CRLF'),
  rules(
    'R16',
    'Subject:.+pecial \n',
    [fields('Subject: Call a specialist'), fields('Message-Id: <2@s>', 'Subject: one pecial for you')],
    ['drop: no queue', 'A'],
    'a blank at the end of a line counts',
  ),
]

const multipart = 'Content-Type: multipart/mixed; boundary=x'

const bodies: readonly ImportCase[] = [
  row('B01', inA('body_regexp: happy.+days'), [body('I am happy for days\n')], ['A'], 'anywhere in the text'),
  row('B02', inA('body_regexp: Happy'), [body('happy\n')], ['drop: no queue'], 'letter case counts'),
  row('B03', inA('body_regexp: happy.+days'), [body('happy\ndays\n')], ['drop: no queue'], '. stops at a line end'),
  row('B04', inA('body_regexp: ^Subject: Auto'), [body('text\nSubject: Auto\n')], ['A'], '^ at each line'),
  row('B05', inA('body_regexp: foo$'), [body('foo\r\nbar\r\n')], ['A'], '$ before CRLF'),
  row(
    'B06',
    inA('body_regexp: caf\u00e9'),
    [body('caf\xe9\n', 'Content-Type: text/plain; charset="iso-8859-1"')],
    ['A'],
    'a character set',
  ),
  row(
    'B07',
    inA('body_regexp: caf\u00e9'),
    [body('caf\xe9\n', 'Content-Type: text/plain; charset=bogus')],
    ['A'],
    'an unknown one is guessed',
  ),
  row(
    'B08',
    inA('body_regexp: \u043f'),
    [body('\xd0\n', 'Content-Type: text/plain; CHARSET=koi8-r')],
    ['A'],
    'the name of the parameter in any case',
  ),
  row(
    'B09',
    inA('body_regexp: hello world'),
    [body('aGVsbG8gd29ybGQ=\n', 'Content-Transfer-Encoding: base64')],
    ['A'],
    'base64',
  ),
  row(
    'B10',
    inA('body_regexp: hello world'),
    [body('hello=20wor=\nld\n', 'Content-Transfer-Encoding: quoted-printable')],
    ['A'],
    'quoted-printable',
  ),
  row(
    'B11',
    inA('body_regexp: secret'),
    [body('--x\nContent-Type: application/octet-stream\n\nsecret\n--x--\n', multipart)],
    ['drop: no queue'],
    'parts of type text alone',
  ),
  row(
    'B12',
    inA('body_regexp: inner text'),
    [body('--x\nContent-Type: message/rfc822\n\nSubject: i\n\ninner text\n--x--\n', multipart)],
    ['A'],
    'an attached message',
  ),
  row(
    'B13',
    inA('body_regexp: pre text'),
    [body('pre text\n--x\n\nhi\n--x--\n', multipart)],
    ['drop: no queue'],
    'what stands before the first part is no text',
  ),
  row(
    'B14',
    inA('body_regexp: x'),
    [fields('Content-Type: text/plain; charset=zip')],
    ['drop: no queue'],
    'a codec that is no character set',
  ),
  row('B15', inA('body_regexp: (a+)+$'), [body(`${'a'.repeat(23)}b\n`)], ['drop: no queue'], 'linear time'),
]

const drops: readonly ImportCase[] = [
  row('D01', A, [{ without: ['From'] }], ['drop: no From'], 'no From'),
  row('D02', A, [fields('From: box@example.com')], ['drop: From equals To'], 'From and To letter for letter'),
  row('D03', A, [fields('From: <box@example.com>')], ['drop: From equals To'], 'From and To as addresses'),
  row('D04', A, [{ without: ['Message-Id'] }], ['drop: no Message-Id'], 'no Message-Id'),
  row('D05', A, [fields('Message-Id: ')], ['drop: no Message-Id'], 'an empty one'),
  row('D06', A, [fields('X-Postoffice: Bounced')], ['drop: ricochet'], 'our own bounce'),
  row('D07', A, [fields('X-Postoffice: bounced')], ['A'], 'the mark letter for letter'),
  row('D08', A, [fields('From: ')], ['drop: no From'], 'an empty From'),
  row(
    'D09',
    `reject_filters =\n  header_regexp: From:.+Ann\n${A}`,
    [base],
    ['drop: rejected by filter'],
    'a reject filter',
  ),
  row(
    'D10',
    `reject_filters =\n  header_regexp: Subject: zzz\n  to_hostname: example.com\n${A}`,
    [base],
    ['drop: rejected by filter'],
    'one of several is enough',
  ),
  row('D11', A, [fields('To: x@q.org')], ['drop: no queue'], 'no queue'),
  row(
    'D12',
    queue('A', 'to_hostname: example.com', 'header_regexp: Subject: Bye') + queue('B', 'to_hostname: example.com'),
    [base],
    ['B'],
    'all filters of a queue, else the next queue',
  ),
  row('D13', A + B, [fields('To: x@a.other.example, box@example.com')], ['A'], 'the first queue alone'),
  row('D14', A, [fields('Date: Mon, 32 Jun 2015 10:00:00 +0000')], ['A'], 'an impossible Date'),
  row('D15', A, [fields('Date: rubbish')], ['A'], 'no Date at all'),
  row('D16', A, [fields('X-Postoffice-Date: 1', 'X-Postoffice-Rejected: Throttled')], ['A'], 'forged fields'),
]

const seen: readonly ImportCase[] = [
  row('U01', A, [base, base], ['A', 'drop: duplicate'], 'the same again'),
  row(
    'U02',
    A,
    [fields('X-Original-To: x@example.com'), fields('X-Original-To: y@example.com')],
    ['A', 'A'],
    'for another recipient',
  ),
  row(
    'U03',
    A,
    [
      fields('X-Original-To: x@example.com'),
      fields('X-Original-To: y@example.com'),
      fields('X-Original-To: x@example.com'),
    ],
    ['A', 'A', 'drop: duplicate'],
    'each recipient is remembered',
  ),
  row('U04', A, [{ atS: 0 }, { atS: 86_400 }], ['A', 'drop: duplicate'], 'after exactly a day'),
  row('U05', A, [{ atS: 0 }, { atS: 86_401 }], ['A', 'A'], 'a second later'),
  row(
    'U06',
    A + B,
    [fields('To: box@example.com'), fields('To: z@a.other.example')],
    ['A', 'B'],
    'each queue by itself',
  ),
  row(
    'U07',
    A + B,
    [fields('To: x@a.other.example, box@example.com'), fields('To: x@a.other.example, box@example.com')],
    ['A', 'drop: duplicate'],
    'no other queue is tried',
  ),
]

const answers: readonly ImportCase[] = [
  row(
    'A01',
    A,
    [
      fields('Precedence: bulk'),
      fields('Message-Id: <2@s>', 'Precedence: List'),
      fields('Message-Id: <3@s>', 'Precedence: JUNK'),
    ],
    ['A [Auto-response]', 'A [Auto-response]', 'A [Auto-response]'],
    'three precedences',
  ),
  row('A02', A, [fields('Precedence: first-class')], ['A'], 'another precedence'),
  row('A03', A, [fields('Precedence: auto_reply')], ['A [Auto-response]'], 'auto_reply'),
  row('A04', A, [fields('Precedence: bulk ')], ['A [Auto-response]'], 'a blank at the end'),
  row('A05', A, [fields('Auto-Submitted: auto-replied; owner-email="x"')], ['A [Auto-response]'], 'Auto-Submitted'),
  row('A06', A, [fields('Auto-Submitted: no')], ['A'], 'Auto-Submitted that says no'),
  row(
    'A07',
    A,
    [fields('Auto-Submitted: auto-generated', 'Precedence: bulk')],
    ['A [Auto-response]'],
    'both, one mark',
  ),
]

/** Messages of one sender at these seconds after ten o'clock. */
const at = (...seconds: number[]): CaseMessage[] =>
  seconds.map((second, index) => {
    const clock = `10:${String(Math.floor(second / 60)).padStart(2, '0')}:${String(second % 60).padStart(2, '0')}`
    return fields(`Date: Mon, 01 Jun 2015 ${clock} +0000`, `Message-Id: <${index}@s>`)
  })
const T = 'A [Throttled]'

const loops: readonly ImportCase[] = [
  row('L01', `ooo_loop_frequency = 0.25\n${A}`, at(0, 239), ['A', T], '60/239 is more than 0.25'),
  row('L02', `ooo_loop_frequency = 0.25\n${A}`, at(0, 240), ['A', 'A'], '0.25 is not more than 0.25'),
  row('L03', `ooo_loop_frequency = 60\n${A}`, at(0, 0), ['A', T], 'the same second'),
  row('L04', `ooo_loop_frequency = 60\n${A}`, at(0, 1, 2), ['A', 'A', 'A'], '60 is not more than 60'),
  row('L05', `ooo_loop_frequency = 1\n${A}`, at(0, 5, 70), ['A', T, T], 'a throttle lasts'),
  row(
    'L06',
    `ooo_loop_frequency = 1\nooo_throttle_period = 60\n${A}`,
    at(0, 5, 65, 66),
    ['A', T, T, T],
    'its last second is in it; then the sender is too fast again',
  ),
  row('L07', `ooo_loop_frequency = 1\n${A}`, at(0, 1, 2, 3, 4, 5, 100), ['A', T, T, T, T, T, T], 'a burst'),
  row(
    'L08',
    `ooo_loop_frequency = 1\nooo_loop_headers = To,Subject\n${A}`,
    [
      fields('Date: Mon, 01 Jun 2015 10:00:00 +0000', 'Message-Id: <1@s>', 'Subject: a'),
      fields('Date: Mon, 01 Jun 2015 10:00:05 +0000', 'Message-Id: <2@s>', 'Subject: b'),
      fields('Date: Mon, 01 Jun 2015 10:00:10 +0000', 'Message-Id: <3@s>', 'Subject: a'),
    ],
    ['A', 'A', T],
    'only messages with equal headers count together',
  ),
  row(
    'L09',
    `ooo_loop_frequency = 1\n${A}`,
    [1, 2].map((id) => fields('X-Original-To: bcc@example.com', `Message-Id: <${id}@s>`)),
    ['A', 'A'],
    'sent blind',
  ),
  row(
    'L10',
    `ooo_loop_frequency = 1\n${A}`,
    [1, 2].map((id) => fields('X-Original-To: box@example.com', `Message-Id: <${id}@s>`)),
    ['A', T],
    'an X-Original-To that is in To',
  ),
  row(
    'L11',
    `ooo_loop_frequency = 1\n${A}`,
    [
      fields('Date: Mon, 01 Jun 2015 10:00:00 +0000', 'Message-Id: <1@s>'),
      fields('Date: Mon, 01 Jun 2015 12:00:30 +0200', 'Message-Id: <2@s>'),
    ],
    ['A', T],
    'instants, whatever the zone',
  ),
  row('L12', A, at(0, 0, 0), ['A', 'A', 'A'], 'without a frequency nobody is throttled'),
  row(
    'L13',
    `ooo_loop_frequency = 1\n${A}`,
    [fields('Message-Id: <1@s>'), fields('From: ann@sender.example', 'Message-Id: <2@s>')],
    ['A', T],
    'the address, not the text of From',
  ),
  row(
    'L14',
    `ooo_loop_frequency = 1\nooo_throttle_period = 1\n${A}`,
    at(0, 1, 2, 3, 4, 5, 100),
    ['A', T, T, T, T, T, T],
    'the average after a burst',
  ),
  row(
    'L15',
    `ooo_loop_frequency = 1\nooo_throttle_period = 1\n${A}`,
    at(0, 1, 2, 70),
    ['A', T, T, 'A'],
    'an average that is low enough',
  ),
]

const long = (length: number): string => `${'x'.repeat(length)}\n`
const tooLong = 'A [Maximum Message Size Exceeded]'

const sizes: readonly ImportCase[] = [
  row('S01', `max_message_size = 100\n${A}`, [body(long(200))], [tooLong], 'over the limit'),
  row('S02', `max_message_size = SIZE\n${A}`, [base], ['A'], 'exactly the limit'),
  row('S03', `max_message_size = SIZE-1\n${A}`, [base], [tooLong], 'one octet over'),
  row(
    'S04',
    `max_message_size = 1k\n${A}`,
    [body(long(2000), 'To: x@q.org')],
    ['drop: no queue'],
    'it is sorted all the same',
  ),
  row(
    'S05',
    `max_message_size = 100\n${inA('body_regexp: xxx')}`,
    [body(long(200))],
    ['drop: no queue'],
    'its body is not',
  ),
  row(
    'S06',
    `max_message_size = 100\n${A}`,
    [
      {
        raw: `From MAILER-DAEMON Mon Jun  1 10:00:00 2015\nFrom: a@b.example\nTo: box@example.com\nMessage-Id: <1@s>\n\n${long(200)}`,
      },
    ],
    [tooLong],
    'a first line without a colon',
  ),
  row(
    'S07',
    `max_message_size = 100\n${A}`,
    [body(long(200), 'Precedence: bulk')],
    ['A [Maximum Message Size Exceeded, Auto-response]'],
    'two marks, in this order',
  ),
]

/** All rows, in the order of the specification. */
export const importCases: readonly ImportCase[] = [
  ...hostnames,
  ...headers,
  ...bodies,
  ...drops,
  ...seen,
  ...answers,
  ...loops,
  ...sizes,
]
