/** Sorting: every acceptance case of the import, and what sorting makes of messages that nobody sends by accident. */
import { unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { parseHeaderSection } from '../../courier-compat/header/section.ts'
import { consumerHeader } from '../../filters/postoffice/consumer-copy.ts'
import { parsePostOffice } from '../../filters/postoffice/configuration.ts'
import { openIncoming, type IncomingOptions } from '../../filters/postoffice/incoming.ts'
import { createPostMemory, type PostMemory } from '../../filters/postoffice/memory.ts'
import { oversizeMessage } from '../../filters/postoffice/oversize.ts'
import { classicLine, forLog } from '../../filters/postoffice/reasons.ts'
import { finishSorting, routeMessage, sortMessage } from '../../filters/postoffice/sort.ts'
import type { Queued, Sorting, SortOptions } from '../../filters/postoffice/sort.ts'
import { addressesIn, hostMatches, parseHostPattern } from '../../filters/postoffice/to-hostname.ts'
import type { PostofficeConfiguration } from '../../filters/postoffice/types.ts'
import { cpuTimeOf, cpuTimeOfAsync } from '../helpers/cpu-time.ts'
import { fileTimeMs, importCases, importClockMs, messageText, type ImportCase } from './cases-import.ts'

const required = '[post office]\nstore = %(here)s/var\nmaildir = %(here)s/Maildir\n'

/** The configuration of these lines, or `null` where they are no configuration. */
function configure(ini: string, files: Readonly<Record<string, string>> = {}): PostofficeConfiguration | null {
  const readFile = (path: string): string => {
    const text = files[path.replace('/etc/post/', '')]
    if (text === undefined) throw new Error('there is no such file')
    return text
  }
  return parsePostOffice(required + ini, '/etc/post/postoffice.ini', { readFile, currentDirectory: '/' }).configuration
}

/** The same where they must be one. */
function configured(ini: string): PostofficeConfiguration {
  const configuration = configure(ini)
  if (configuration === null) throw new Error('the configuration of this test is wrong')
  return configuration
}

const A = '[queue:A]\nfilters =\n  to_hostname: example.com\n'
const simple = (fields: string, body = 'Body\n'): string =>
  `From: ann@sender.example\nTo: box@example.com\nMessage-Id: <1@s>\n${fields}\n${body}`

const reasons: Readonly<Record<string, string>> = {
  'no-from': 'no From',
  'from-equals-to': 'From equals To',
  'no-message-id': 'no Message-Id',
  ricochet: 'ricochet',
  rejected: 'rejected by filter',
  'no-queue': 'no queue',
}

function told(sorting: Sorting): string {
  switch (sorting.outcome) {
    case 'queued':
      return sorting.marks.length === 0 ? sorting.queue : `${sorting.queue} [${sorting.marks.join(', ')}]`
    case 'dropped':
      return `drop: ${reasons[sorting.reason] ?? sorting.reason}`
    case 'duplicate':
      return 'drop: duplicate'
  }
}

/** Writes messages, one character an octet, and opens them. */
function stage(t: Test) {
  const folder = t.testdir()
  let count = 0
  return (text: string, options: IncomingOptions = {}) => {
    const path = join(folder, `${String(++count)}.eml`)
    writeFileSync(path, text, 'latin1')
    const seconds = fileTimeMs(text) / 1000
    utimesSync(path, seconds, seconds)
    return openIncoming(path, options)
  }
}

/** What becomes of all messages of a row, in its order; line ends as `shape` says. */
async function outcomes(
  { ini, files, messages }: ImportCase,
  open: ReturnType<typeof stage>,
  shape: (text: string) => string,
) {
  const texts = messages.map((message) => shape(messageText(message)))
  const size = texts[0]?.length ?? 0
  const sized = ini.replace('SIZE-1', String(size - 1)).replace('SIZE', String(size))
  const configuration = configure(sized, files)
  if (configuration === null) return ['config error']
  const memory = createPostMemory()
  const found: string[] = []
  for (const [index, text] of texts.entries()) {
    const nowMs = importClockMs + (messages[index]?.atS ?? 0) * 1000
    found.push(told(await sortMessage(open(text), configuration, memory, nowMs)))
  }
  return found
}

t.test('the acceptance cases', async (t) => {
  const open = stage(t)
  for (const each of importCases) {
    t.same(await outcomes(each, open, (text) => text), each.outcomes, `${each.id}: ${each.about}`)
  }
})

t.test('B15: an expression that takes others exponential time', async (t) => {
  const configuration = configured('[queue:A]\nfilters =\n  body_regexp: (a+)+$\n')
  const open = stage(t)
  const texts = [24, 20_000].map((length) => open(simple('', `${'a'.repeat(length)}b\n`)))
  for (const [index, limitMs] of [100, 1000].entries()) {
    const message = texts[index]
    if (message === undefined) continue
    const { result, tookMs } = await cpuTimeOfAsync(() => sortMessage(message, configuration, createPostMemory(), 0))
    t.equal(told(result), 'drop: no queue')
    t.ok(tookMs < limitMs, `${tookMs} ms, of ${limitMs}`)
  }
})

t.test('the acceptance cases once more, with CRLF', async (t) => {
  const open = stage(t)
  const crlf = (text: string) => text.replaceAll(/\r?\n/g, '\r\n')
  for (const each of importCases) {
    t.same(await outcomes(each, open, crlf), each.outcomes, `${each.id}: ${each.about}`)
  }
})

/** Sorts one message; it must get into a queue. */
async function queued(
  message: ReturnType<typeof openIncoming>,
  ini: string,
  options: SortOptions & { readonly memory?: PostMemory } = {},
): Promise<Queued> {
  const { memory = createPostMemory(), ...rest } = options
  const sorting = await sortMessage(message, configured(ini), memory, importClockMs, rest)
  if (sorting.outcome !== 'queued') throw new Error(`the message of this test is ${told(sorting)}`)
  return sorting
}

t.test('names of hosts', (t) => {
  const rows: [written: string, kind: string, domain: string, meant: string[], others: string[]][] = [
    ['example.com', 'exact', 'example.com', ['example.com'], ['a.example.com', 'xexample.com']],
    ['.Example.COM', 'domain', 'example.com', ['example.com', 'a.b.example.com'], ['notexample.com', 'com']],
    ['*.example.com', 'below', 'example.com', ['a.example.com', 'a.b.example.com'], ['example.com', 'xexample.com']],
    ['example.com.', 'exact', 'example.com', ['example.com'], []],
    ['b\u00fccher.example', 'exact', 'xn--bcher-kva.example', ['xn--bcher-kva.example'], ['bucher.example']],
    ['[192.0.2.1]', 'exact', '[192.0.2.1]', ['[192.0.2.1]'], ['192.0.2.1']],
    ['localhost', 'exact', 'localhost', ['localhost'], []],
  ]
  for (const [written, kind, domain, meant, others] of rows) {
    const pattern = parseHostPattern(written)
    t.match(pattern, { written, kind, domain }, written)
    if (pattern === null) continue
    for (const host of meant) t.ok(hostMatches(pattern, host), `${written} means ${host}`)
    for (const host of others) t.notOk(hostMatches(pattern, host), `${written} does not mean ${host}`)
  }
  for (const written of [
    '',
    '.',
    '*',
    '*.',
    '..',
    'a..b',
    '*a.example',
    'a*b',
    '.[192.0.2.1]',
    'a@b',
    `${'a.'.repeat(41)}b`,
  ]) {
    t.equal(parseHostPattern(written), null, `"${written}" is none`)
  }
  t.end()
})

t.test('addresses of fields that cannot be read for certain', (t) => {
  const rows: [value: string, addresses: string][] = [
    ['Doe <box@example.com', 'box@example.com'],
    ['Doe <box@example.com, Ann <ann@q.org>', 'box@example.com ann@q.org'],
    ['<@relay.example,@two.example:box@example.com>', 'box@example.com'],
    ['<@relay.example:box@example.com>, "Doe, J" <j@q.org', 'box@example.com j@q.org'],
    ['box@example.com.', 'box@example.com'],
    ['box@example.com; z@q.org', 'box@example.com z@q.org'],
    ['F: a@q.org, b@example.com', 'a@q.org b@example.com'],
    ['"Doe, Jane <box@example.com>', 'box@example.com'],
    ['Jane (at work <box@example.com>', 'box@example.com'],
    ['<box@example.com> or so', 'box@example.com'],
    ['"a,b <c@q.org>" <box@example.com> or so', 'box@example.com'],
    ['"a@b"@example.com <', ''],
    ['box@example.com <>', ''],
    ['ann@q.org <box@example.com>', 'box@example.com'],
    ['box@example.com <ann@q.org>', 'ann@q.org'],
    ['<a@q.org> <box@example.com>', ''],
    ['a@q.org@example.com', ''],
    ['Jane box@example.com', ''],
    ['=?utf-8?Q?box=40example.com?=;', ''],
    ['undisclosed recipients;;', ''],
    ['@example.com', ''],
    ['<box@exa mple.com>', ''],
  ]
  for (const [value, addresses] of rows) {
    const found = addressesIn({ valueBytes: Buffer.from(value) })
    t.equal(found.addresses.map(({ text }) => text).join(' '), addresses, value)
    t.notOk(found.isCertain)
  }
  const { tookMs } = cpuTimeOf(() => {
    for (const piece of ['<"\\"', '(', '<@a,', '"<', '<<', 'a@b;', '":,<(', '\\"', '<"(']) {
      addressesIn({ valueBytes: Buffer.from(`;;${piece.repeat((256 * 1024) / piece.length - 4)}`) })
    }
  })
  t.ok(tookMs < 3000, `a quarter of a megabyte made to be slow is not: ${tookMs} ms`)
  t.end()
})

t.test('what a consumer gets to know', async (t) => {
  const open = stage(t)
  const text = simple(
    'Date: Mon, 01 Jun 2015 10:00:00 +0000\nX-Postoffice-Date: 1\nx-postoffice-rejected: Throttled\nPrecedence: list\nX-Original-To: Box@example.com\n',
  )
  const message = open(text, { envelope: { sender: 'ann@sender.example', recipients: ['box@example.com', 'z@q.org'] } })
  const { facts, lines } = await queued(message, A)
  t.match(facts, {
    ...{ queue: 'A', marks: ['Auto-response'], arrivedAtMs: importClockMs, octets: text.length, messageId: '<1@s>' },
    ...{ isMessageIdOurs: false, sender: 'ann@sender.example', originalTo: 'Box@example.com', isBulk: true },
    ...{ autoResponse: ['precedence'], matched: ['to_hostname: box@example.com matches example.com'] },
    ...{ recipients: ['box@example.com'], sizeLimitOctets: null, isBodyCut: false, forgedFields: 2 },
  })
  t.match(facts.bodyDigest, /^[0-9a-f]{64}$/)
  t.same(structuredClone(facts), facts, 'facts are plain data')
  t.same(
    lines.map(({ event }) => event),
    ['auto-response', 'queued'],
  )
  const header = consumerHeader(message.header, facts).toString('latin1')
  t.equal(
    header,
    'X-Postoffice-Date: 1433152800\nX-Postoffice-Rejected: Auto-response\nX-Postoffice-List: Bulk\n' +
      text.slice(0, text.indexOf('\n\n') + 1).replaceAll(/^x-postoffice/gim, 'X-Original-$&'),
    'D16: our fields stand first, forged ones have another name',
  )
})

t.test('the header section of the copy, whatever it looks like', (t) => {
  const facts = { arrivedAtMs: 1999, marks: [], isBulk: false }
  const copy = (text: string) => consumerHeader(parseHeaderSection(Buffer.from(text)), facts).toString()
  t.equal(copy('A: b\r\n\r\n'), 'X-Postoffice-Date: 1\r\nA: b\r\n', 'its own line ends')
  t.equal(copy('From x\nA: b\n\n'), 'From x\nX-Postoffice-Date: 1\nA: b\n', 'after the line of an mbox')
  t.equal(copy(' x\nA: b\n\n'), ' x\nX-Postoffice-Date: 1\nA: b\n', 'after what continues nothing')
  t.equal(copy(''), 'X-Postoffice-Date: 1\n', 'where there is none')
  t.equal(copy('no field'), 'no field\nX-Postoffice-Date: 1\n', 'after a line without an end')
  t.equal(
    copy('X-Postoffice: Bounced\nX-POSTOFFICE-ID : 3\n\n'),
    'X-Postoffice-Date: 1\nX-Postoffice: Bounced\nX-Original-X-POSTOFFICE-ID : 3\n',
  )
  t.end()
})

t.test('the message in place of one over the size limit', async (t) => {
  const open = stage(t)
  const fields =
    'Subject: folded\n here\nSubject: again\nMIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=x\nContent-Transfer-Encoding: base64\nX-Postoffice-Rejected: none\n'
  const message = open(`From nobody\n${simple(fields, 'x'.repeat(500))}`)
  const ini = `max_message_size = 300\n[queue:A]\nfilters =\n  to_hostname: example.com\n`
  const { facts, bodyFiltersMissed } = await queued(message, ini)
  t.equal(facts.sizeLimitOctets, 300)
  t.equal(bodyFiltersMissed, 0)
  const stub = oversizeMessage(message.header, { octets: facts.octets, limitOctets: 300, reference: 'a\r\nb' })
  t.equal(
    stub.toString(),
    `From: ann@sender.example\nTo: box@example.com\nMessage-Id: <1@s>\nSubject: folded\n here\nSubject: again\n` +
      'X-Original-MIME-Version: 1.0\nX-Original-Content-Type: multipart/mixed;\n boundary=x\n' +
      'X-Original-Content-Transfer-Encoding: base64\nX-Postoffice-Rejected: none\n' +
      'MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n' +
      `This message has ${facts.octets} octets, more than the 300 that are allowed, and its content was left out.\n` +
      'The original is kept as a??b.\n',
  )
  const bodyRule = `max_message_size = 300\n[queue:A]\nfilters =\n  body_regexp: x\n${A.replace('A', 'B')}`
  t.equal((await queued(message, bodyRule)).bodyFiltersMissed, 1, 'a body filter that saw no body is counted')
  const memory = createPostMemory()
  const digests: string[] = []
  for (const body of ['x'.repeat(70_000), `${'x'.repeat(69_999)}y`, 'x'.repeat(70_001)]) {
    digests.push(told(await sortMessage(open(simple('', body)), configured(ini), memory, importClockMs)))
  }
  t.same(
    digests,
    ['A [Maximum Message Size Exceeded]', 'drop: duplicate', 'A [Maximum Message Size Exceeded]'],
    'of its body a prefix and the size are compared',
  )
})

t.test('long bodies are searched in windows', async (t) => {
  const open = stage(t)
  const line = `${'lorem ipsum '.repeat(6)}\n`
  const filler = line.repeat(Math.floor((64 * 1024) / line.length) - 1)
  const rest = line.repeat(3000)
  const rows: [body: string, expression: string, isFound: boolean, what: string][] = [
    [`${filler}NEEDLE in the hay\n${rest}`, 'NEEDLE in the hay', true, 'a match at the end of a window'],
    [
      `${'a'.repeat(64 * 1024 - 3)}NEEDLE${'a'.repeat(70_000)}`,
      'NEEDLE',
      true,
      'one that lies across it, in one long line',
    ],
    ['a'.repeat(200_000), 'a$', true, 'the end of the text'],
    [`${'a'.repeat(200_000)}b`, 'a$', false, 'the end of a window is no end of a line'],
    ['a'.repeat(200_000), '^a', true, 'the beginning of the text'],
    [`b${'a'.repeat(200_000)}`, '^a', false, 'the beginning of a window is no beginning of a line'],
    [`b${'a'.repeat(200_000)}`, '\\ba', false, 'nor of a word'],
    [`${rest}x`, '\\Alorem', true, '\\A at the beginning'],
    [`x\n${rest}`, '\\Alorem', false, 'and nowhere else'],
    [`${'\u{1f600}'.repeat(40_000)}NEEDLE`, '\u{1f600}NEEDLE', true, 'characters of two units are not cut'],
    [`${line.repeat(20_000)}NEEDLE`, 'NEEDLE', false, 'what is beyond the limit of a part is not looked at'],
  ]
  for (const [body, expression, isFound, what] of rows) {
    const ini = `[queue:A]\nfilters =\n  body_regexp: ${expression}\n${A.replace('A', 'B')}`
    const message = open(simple('Content-Type: text/plain; charset=utf-8\n', Buffer.from(body).toString('latin1')))
    const { queue, facts } = await queued(message, ini)
    t.equal(queue, isFound ? 'A' : 'B', what)
    t.equal(facts.isBodyCut, body.length > 1024 ** 2, `${what}: cut`)
  }
})

t.test('of a long field the beginning is searched', async (t) => {
  const open = stage(t)
  const rows: [length: number, expression: string, queue: string][] = [
    [60_000, 'X-Long: a+b$', 'A'],
    [70_000, 'X-Long: a+b$', 'B'],
    [70_000, 'X-Long: a+$', 'B'],
    [70_000, 'X-Long: aaa', 'A'],
  ]
  for (const [length, expression, queue] of rows) {
    const ini = `[queue:A]\nfilters =\n  header_regexp: ${expression}\n${A.replace('A', 'B')}`
    const sorting = await queued(open(simple(`X-Long: ${'a'.repeat(length)}b\n`)), ini)
    t.equal(sorting.queue, queue, `${expression} in ${length} characters`)
  }
})

t.test('the limits of a message and of its parts', async (t) => {
  const open = stage(t)
  const part = (text: string) => `--x\nContent-Type: text/plain\n\n${text}\n`
  const parts = [part('a'.repeat(80)), part('b'.repeat(80)), part('c'.repeat(80)), '--x--\n'].join('')
  const message = open(simple('Content-Type: multipart/mixed; boundary=x\n', parts))
  const limited = (expression: string) => {
    const configuration = configured(`[queue:A]\nfilters =\n  body_regexp: ${expression}\n${A.replace('A', 'B')}`)
    const sorting = { ...configuration.sorting, bodyScanCharacters: 50, bodyScanTotalCharacters: 110 }
    return sortMessage(message, { ...configuration, sorting }, createPostMemory(), importClockMs)
  }
  t.equal(told(await limited('a{50}')), 'A')
  t.equal(told(await limited('b{50}')), 'A')
  t.equal(told(await limited('c{10}')), 'A')
  const beyond = await limited('c{11}')
  t.equal(told(beyond), 'B')
  t.same(
    beyond.lines.map(({ event }) => event),
    ['body-cut', 'queued'],
    'the log says that the scan was cut',
  )
})

t.test('automatic answers', async (t) => {
  const open = stage(t)
  const rows: [field: string, marks: string[], signs: string[], isBulk: boolean][] = [
    ['X-Auto-Response-Suppress: DR, OOF', ['Auto-response'], ['x_auto_response_suppress'], false],
    ['X-Auto-Response-Suppress: DR, RN', [], [], false],
    ['X-Autoreply: yes', ['Auto-response'], ['x_autoreply'], false],
    ['X-Autoreply: no', [], [], false],
    ['X-Autorespond: Away', ['Auto-response'], ['x_autorespond'], false],
    ['X-Apple-Action: VACATION', ['Auto-response'], ['x_apple_action'], false],
    ['Return-Path: <>', ['Auto-response'], ['null_sender'], false],
    ['Return-Path: <ann@sender.example>', [], [], false],
    ['Content-Type: Multipart/Report; boundary=x', ['Auto-response'], ['report'], false],
    ['Content-Type: multipart/reporting; boundary=x', [], [], false],
    ['Auto-Submitted: AUTO-generated', ['Auto-response'], ['auto_submitted'], false],
    ['List-Id: <a.example.com>', [], [], true],
    ['Precedence: list', ['Auto-response'], ['precedence'], true],
    ['Subject: Automatic reply: Hello', [], [], false],
    ['Subject: =?iso-8859-1?Q?R=E9ponse_automatique?= : x', [], [], false],
  ]
  for (const [field, marks, signs, isBulk] of rows) {
    const { facts } = await queued(open(simple(`${field}\n`)), A)
    t.match(facts, { marks, autoResponse: signs, isBulk }, field)
    t.same(facts.autoResponseHints, field.startsWith('Subject') ? ['subject'] : [], `${field}: hints`)
  }
  const list = await queued(open(simple('Precedence: list\n')), `compat_precedence = no\n${A}`)
  t.match(list.facts, { marks: [], isBulk: true }, 'list mail is no answer where nobody wants the old mark')
  const notice = open(simple(''), { envelope: { sender: null, recipients: [] } })
  t.same((await queued(notice, A)).marks, ['Auto-response'], 'the null sender of the envelope')
})

t.test('messages without a Message-Id, and ids that are used twice', async (t) => {
  const open = stage(t)
  const memory = createPostMemory()
  const sort = async (text: string, ini: string) =>
    told(await sortMessage(open(text), configured(ini), memory, importClockMs))
  const without = (body: string, field = '') => simple(field, body).replace('Message-Id: <1@s>\n', '')
  const ini = `message_id = synthesize\n${A}`
  t.equal(await sort(without('a'), ini), 'A', 'it gets one')
  t.equal(await sort(without('a'), ini), 'drop: duplicate', 'the same octets get the same')
  t.equal(await sort(without('b'), ini), 'A', 'another body gets another')
  t.equal(await sort(without('a', 'Received: x\n'), ini), 'A', 'and so does another header section')
  const { facts } = await queued(open(without('a')), ini)
  t.match(facts.messageId, /^<[0-9a-f]{40}@synthesized\.invalid>$/)
  t.ok(facts.isMessageIdOurs)
  t.equal(await sort(simple('', 'one'), A), 'A')
  t.equal(await sort(simple('Received: x\n', 'one'), A), 'drop: duplicate', 'another way, the same body')
  t.equal(await sort(simple('', 'two'), A), 'A', 'another body under the same id is another message')
  t.equal(await sort(simple('', 'three'), `duplicate_digest = no\n${A}`), 'A', 'where bodies are not compared')
  t.equal(await sort(simple('', 'four'), `duplicate_digest = no\n${A}`), 'drop: duplicate', 'ids alone count')
})

t.test('the envelope', async (t) => {
  const open = stage(t)
  const from = (...recipients: string[]) => open(simple(''), { envelope: { sender: 'ann@sender.example', recipients } })
  const ini = '[queue:E]\nfilters =\n  to_hostname: .q.org;headers=envelope\n'
  t.same((await queued(from('x@a.Q.org', 'x@z.org'), ini)).facts.recipients, ['x@a.Q.org'])
  t.equal(told(await sortMessage(from('x@z.org'), configured(ini), createPostMemory(), 0)), 'drop: no queue')
  t.equal(told(await sortMessage(open(simple('')), configured(ini), createPostMemory(), 0)), 'drop: no queue')
  const memory = createPostMemory()
  const sort = async (delivery: string, ...recipients: string[]) => {
    const sorting = await sortMessage(from(...recipients), configured(ini), memory, 0, { delivery })
    return sorting.outcome === 'queued' && sorting.isRepeat ? 'repeat' : told(sorting)
  }
  t.equal(await sort('1', 'x@q.org'), 'E')
  t.equal(await sort('2', 'y@q.org'), 'E', 'another delivery, to somebody else')
  t.equal(await sort('3', 'x@q.org'), 'drop: duplicate')
  t.equal(await sort('1', 'x@q.org'), 'repeat', 'the retry of a delivery')
  const routed = await routeMessage(from('y@q.org'), configured(ini), 0)
  if (routed.outcome !== 'routed') throw new Error('it has a queue')
  t.equal(told(finishSorting(routed, await memory.admit(routed.admission, 'look'))), 'drop: duplicate')
})

t.test('each step can be watched', async (t) => {
  const steps: string[] = []
  const ini = `reject_filters =\n  header_regexp: X\n[queue:A\u00e4]\nfilters =\n  to_hostname: q.org\n${A}`
  await queued(stage(t)(simple('')), ini, { onStep: (text) => steps.push(text) })
  t.same(steps, [
    'No reject filter matches',
    'Queue A? does not match',
    'Queue A matches: to_hostname: box@example.com matches example.com',
    'Message added to queue A',
  ])
})

t.test('a sender writes no lines into a log', async (t) => {
  const open = stage(t)
  const hostile = `From: =?utf-8?Q?a=0Ab?= <x@s.example>\nTo: box@example.com,\n\tz@q.org\nSubject: \xe9\x1b[31m\n folded\nMessage-Id: <${'i'.repeat(400)}>\n\nb`
  const { lines, facts } = await queued(open(hostile), A)
  const text = classicLine(lines[0] ?? { level: 'info', event: 'queued', text: '', message: {} })
  t.match(
    text,
    /^Message added to queue A: From: =\?utf-8\?Q\?a=0Ab\?= <x@s\.example> To: box@example\.com,\?z@q\.org Subject: \?\?\[31m folded Message-Id: <i{199}\.\.\.$/,
  )
  t.notMatch(JSON.stringify(facts.messageId + facts.sender), /[\r\n]/)
  t.equal(forLog('a\u2028\u202eb\r\nc'), 'a??b??c')
  const dropped = await sortMessage(open('To: x\n\n'), configured(A), createPostMemory(), 0)
  t.same(
    dropped.lines.map(classicLine),
    ['Message has no From header: To: x'],
    'fields that are not there are not told',
  )
})

t.test('no message stops the post office', async (t) => {
  const open = stage(t)
  const ini = `ooo_loop_frequency = 1\nooo_loop_headers = To,Subject\nmax_message_size = 20k\nreject_filters =\n  body_regexp: qqq\n  header_regexp: X-Q: q\n${A}[queue:B]\nfilters =\n  body_regexp: a\n`
  const memory = createPostMemory()
  const configuration = configured(ini)
  const outcomes = new Set<string>()
  const alphabet = fc.constantFrom(
    ...[
      'From: ',
      'To: ',
      'Subject: ',
      'Message-Id: ',
      'Content-Type: ',
      'Content-Transfer-Encoding: ',
      'X-Postoffice-Id: ',
    ],
    ...[
      '\n',
      '\r\n',
      '\n\n',
      ' ',
      '\t',
      ':',
      ';',
      ',',
      '<',
      '>',
      '@',
      '"',
      '(',
      ')',
      '\\',
      '=',
      '\0',
      '\xe9',
      '\xff',
      'a',
    ],
    ...['example.com', 'box@example.com', 'multipart/mixed; boundary=x', '--x', '--x--', 'text/plain; charset=zip'],
    ...['charset=utf-7', 'charset=hex', 'base64', 'quoted-printable', '=?utf-8?B?////?=', '=?x?Q?=?=', '+AGE-'],
  )
  const text = fc.array(alphabet, { maxLength: 60 }).map((pieces) => pieces.join(''))
  await fc.assert(
    fc.asyncProperty(text, fc.boolean(), async (text, isWhole) => {
      const sorting = await sortMessage(open(isWhole ? simple(text, text) : text), configuration, memory, importClockMs)
      outcomes.add(sorting.outcome)
      for (const line of sorting.lines) if (/[^\x20-\x7e]/.test(classicLine(line))) return false
      return true
    }),
    { numRuns: 400 },
  )
  t.same([...outcomes].sort(), ['dropped', 'duplicate', 'queued'])
})

t.test('a message that is gone is an error, not an outcome', async (t) => {
  const folder = t.testdir({ 'a.eml': simple('') })
  const message = openIncoming(join(folder, 'a.eml'))
  unlinkSync(join(folder, 'a.eml'))
  await t.rejects(sortMessage(message, configured(A), createPostMemory(), 0), { code: 'ENOENT' })
  t.throws(() => openIncoming(folder), /not a regular file/)
})

t.test('many queues, many hosts, one message', async (t) => {
  const names = Array.from({ length: 1000 }, (_, index) => `host${String(index)}.example`)
  const queues = names.map((name) => `[queue:${name}]\nfilters =\n  to_hostname: .${name}\n`).join('')
  const to = names.map((name) => `x@${'a.'.repeat(20)}${name}x`).join(', ')
  const message = stage(t)(simple(`Cc: ${to},\n last@b.host999.example\n`))
  const configuration = configured(queues)
  const sorted = await cpuTimeOfAsync(() => sortMessage(message, configuration, createPostMemory(), 0))
  t.equal(told(sorted.result), 'host999.example')
  t.ok(sorted.tookMs < 1000, `their addresses are looked up, not compared with each other: ${sorted.tookMs} ms`)
  const controller = new AbortController()
  controller.abort(new Error('too late'))
  const { signal } = controller
  const slow = routeMessage(message, configuration, 0, { signal, onStep: () => spin(30) })
  await t.rejects(slow, /too late/, 'whoever waits can end it')
})

/** Keeps the thread busy. */
function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}
