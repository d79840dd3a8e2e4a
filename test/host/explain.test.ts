/** `nodefilter explain`: lines back to events, lines to messages, messages to sentences, and the command as a whole. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { createExplainCommand } from '../../host/cli/explain.ts'
import { createCollector, maxEntries } from '../../host/cli/explain/collect.ts'
import { courierSentence } from '../../host/cli/explain/courier-story.ts'
import { entryOf } from '../../host/cli/explain/entry.ts'
import { partsOfLog } from '../../host/cli/explain/log-files.ts'
import { readLines } from '../../host/cli/explain/log-lines.ts'
import { tellStory } from '../../host/cli/explain/story.ts'
import { createEvents, type Events, type Summary } from '../../host/observe/events.ts'
import { escapeText, jsonLine, maxTextLine, textLine, type LogEvent } from '../../host/observe/line-format.ts'
import { parseJsonLine, parseTextLine, splitSyslogLine, unescapeText } from '../../host/observe/line-parser.ts'

const queueId = '0000000000A1623D.000000006560F0C7.0000A9F2'
const id = '3007c11f901110a8'
const base: Summary = {
  ...{ id, door: 'courierfilter', queueId, client: '192.0.2.7', sender: 'bob@example.com', recipients: 2, octets: 341 },
  ...{
    verdict: 'pass',
    reply: '',
    filter: null,
    ms: 11.26,
    attempts: 1,
    source: null,
    auth: null,
    notes: [],
    errorCode: null,
    errorCause: null,
  },
  trail: [
    { filter: 'noduplicates', outcome: 'pass', dryRun: false, wallMs: 0.18, cpuMs: 0.05, text: null },
    { filter: 'my_rules', outcome: 'pass', dryRun: false, wallMs: 9, cpuMs: null, text: null },
  ],
}

/** The events that `tell` logs. */
function logged(tell: (events: Events) => void): LogEvent[] {
  const events: LogEvent[] = []
  const silent = { dropped: () => 0, reopen: () => undefined, close: () => Promise.resolve() }
  tell(createEvents({ ...silent, write: (event) => void events.push(event) }))
  return events
}

/** As they stand in the system log: courierlogger takes the prefix off. */
const inSyslog = (event: LogEvent): string =>
  `Nov 21 14:03:07 mx courierfilter: ${textLine(event).replace(/^[A-Z]+: /, '')}`
const inJson = (event: LogEvent): string => jsonLine(event, Date.UTC(2026, 10, 21, 14, 3, 7))
const textLog = (tell: (events: Events) => void): string =>
  logged(tell)
    .map((event) => `${inSyslog(event)}\n`)
    .join('')

t.test('a line of text is read back', (t) => {
  const rows: [name: string, line: string, want: unknown][] = [
    ['an event alone', 'INFO: reloaded', { event: 'reloaded', level: 'info', fields: {}, isCut: false }],
    ['without its prefix', 'reloaded', { event: 'reloaded', level: null }],
    [
      'plain values',
      'WARN: settled id=7 client=2001:db8::1',
      { level: 'warn', fields: { id: '7', client: '2001:db8::1' } },
    ],
    [
      'values in quotes',
      'ERR: bug where="a b" cause="\\"x\\u000ay\\\\"',
      { level: 'error', fields: { where: 'a b', cause: '"x\ny\\' } },
    ],
    ['an empty value', 'DEBUG: x a="" b=c', { level: 'debug', fields: { a: '', b: 'c' } }],
    ['a value with = in it', 'x notes="k=v l=w"', { fields: { notes: 'k=v l=w' } }],
    [
      'a refusal',
      'greylist reject,from=<bob@example.com>,addr=<a@example.org>: 451 4.7.1 wait\\na bit',
      {
        event: 'refused',
        fields: {
          filter: 'greylist',
          sender: 'bob@example.com',
          recipient: 'a@example.org',
          reply: '451 4.7.1 wait\na bit',
        },
      },
    ],
    [
      'a refusal of the null sender',
      'f reject,from=<>,addr=<a@example.org>: 550',
      { fields: { sender: '', reply: '550' } },
    ],
    ['prose', 'Starting the mail server', null],
    ['prose that begins like an event', 'settled is not an event here', null],
    ['a line of pythonfilter', 'CPU TIME ACCOUNTING: 1234', null],
    ['a value whose quotes do not end', 'x a="b', null],
    ['an empty line', '', null],
  ]
  for (const [name, line, want] of rows) {
    const got = parseTextLine(line)
    if (want === null) t.equal(got, null, name)
    else t.match(got, want, name)
  }
  t.end()
})

t.test('a line that was cut says so, and keeps what is left of it', (t) => {
  for (const long of ['x'.repeat(2000), '"'.repeat(2000), 'ü'.repeat(2000), 'a b '.repeat(500)]) {
    for (let shift = 0; shift < 12; shift++) {
      const fields = {
        id,
        pad: 'p'.repeat(shift),
        sender: long,
        reply: long,
        trail: Array(99).fill('filter:pass:1.00') as string[],
      }
      const line = textLine({ level: 'info', event: 'settled', fields })
      const read = parseTextLine(line.slice('INFO: '.length))
      t.match(read, { event: 'settled', isCut: true, fields: { id } }, `cut after ${shift} more octets`)
      t.notOk(read === null || Object.keys(read.fields).some((key) => !(key in fields)), 'no field is made up')
    }
  }
  const refusal = logged((events) =>
    events.refused('f', 'a@example.com', 'b@example.org', `550 ${'ü'.repeat(300)}`, 'f00dfeed12345678', null),
  )[0]
  const read = refusal && parseTextLine(textLine(refusal))
  t.match(read, { event: 'refused', isCut: true, fields: { sender: 'a@example.com', recipient: 'b@example.org' } })
  t.end()
})

t.test('any event is read back as it was', (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.stringMatching(/^[ "\\<>=:,.a\n\u2028-]{0,20}$/),
    fc.constantFrom('', '"', '\\', 'a b', '\n', '\u0085', '\u2028', 'x=y', '...', '>,addr=<', 'reject,from=<'),
  )
  const key = fc.stringMatching(/^[a-z][a-zA-Z0-9]{0,7}$/)
  fc.assert(
    fc.property(
      fc.constantFrom('error', 'warn', 'info', 'debug'),
      fc.dictionary(key, text, { maxKeys: 6 }),
      (level, fields) => {
        const line = textLine({ level, event: 'some-event', fields })
        const want = { event: 'some-event', level, time: null, fields: { ...fields }, isCut: false }
        if (line.length >= maxTextLine - 10) return true
        return JSON.stringify(parseTextLine(line)) === JSON.stringify(want)
      },
    ),
  )
  fc.assert(
    fc.property(text, text, text, (sender, recipient, reply) => {
      const [event] = logged((events) => events.refused('my_rules', sender, recipient, reply, 'f00dfeed12345678', null))
      if (event === undefined || textLine(event).length >= maxTextLine - 10) return true
      const want = { filter: 'my_rules', sender, recipient, reply }
      return JSON.stringify(parseTextLine(textLine(event))?.fields) === JSON.stringify(want)
    }),
  )
  fc.assert(fc.property(text, (value) => unescapeText(escapeText(value)) === value))
  fc.assert(
    fc.property(fc.dictionary(key, text), (fields) => {
      const taken = ['time', 'level', 'event']
      if (taken.some((name) => name in fields)) return true
      const read = parseJsonLine(jsonLine({ level: 'info', event: 'e', fields }, 0))
      return JSON.stringify(read?.fields) === JSON.stringify({ ...fields })
    }),
  )
  fc.assert(
    fc.property(
      fc.string({ maxLength: 600 }),
      (line) => [parseTextLine(line), entryOf(line), entryOf(`{${line}`)].length === 3,
    ),
  )
  t.pass('text lines, refusals, escapes and JSON lines; and no line at all makes it throw')
  for (const line of ['{"event":1}', '{"event":"x"}', '{', '[]', 'null', '{"time":"x"}'])
    t.equal(parseJsonLine(line), null, line)
  t.end()
})

t.test('what the system log puts before a line', (t) => {
  const rows: [line: string, want: unknown][] = [
    ['Nov 21 14:03:07 mx courierfilter: settled', { time: 'Nov 21 14:03:07', tag: 'courierfilter', text: 'settled' }],
    [
      'Nov  1 04:03:07 mx.example.com courieresmtp: id=1',
      { time: 'Nov  1 04:03:07', tag: 'courieresmtp', text: 'id=1' },
    ],
    ['2026-11-21T14:03:07.123456+01:00 mx courierfilter[812]: a: b', { tag: 'courierfilter', text: 'a: b' }],
    ['2026-11-21T14:03:07+0100 mx courierd[1]: newmsg', { time: '2026-11-21T14:03:07+0100', tag: 'courierd' }],
    ['Nov 21 14:03:07 mx last message repeated 2 times', null],
    ['no time at all', null],
  ]
  for (const [line, want] of rows) {
    const got = splitSyslogLine(line)
    if (want === null) t.equal(got, null, line)
    else t.match(got, want, line)
  }
  t.end()
})

/** The story that lines tell of the message. */
function storyOf(lines: string, wanted = queueId): string {
  const collector = createCollector(wanted)
  for (const line of lines.split('\n')) collector.take(line)
  const [found, ...others] = collector.found()
  return found === undefined
    ? 'nothing'
    : others.length > 0
      ? 'several'
      : tellStory(found)
          .map(({ text }) => text)
          .join('\n')
}

t.test('what is told', (t) => {
  const settled = (change: Partial<Summary>) => (events: Events) => events.settled({ ...base, ...change })
  const step = (filter: string, outcome: Summary['trail'][number]['outcome'], dryRun = false) => ({
    ...{ filter, outcome, dryRun, wallMs: 1, cpuMs: null, text: null },
  })
  const failure = { verdict: 'defer', reply: '451 4.3.0 Local policy check failed', filter: 'my_rules' }
  const rows: [name: string, tell: (events: Events) => void, want: readonly RegExp[]][] = [
    [
      'who, when, how many',
      settled({}),
      [
        /^A message of 341 octets came in by courierfilter from 192\.0\.2\.7\. Its envelope sender is bob@example\.com; it has 2 recipients\. It took 11\.26 ms/,
        /These filters ran, in this order: noduplicates had no objection \(0\.18 ms, of which the processor worked 0\.05 ms\); my_rules had no objection \(9\.00 ms\)\./,
        /No filter decided, so the mail server was told to go on\.$/,
      ],
    ],
    ['no client', settled({ client: null }), [/with no client address \(local mail/]],
    ['a login', settled({ auth: 'bob' }), [/from 192\.0\.2\.7, logged in as bob\. Its/]],
    [
      'a failure for a forward, which is no delay',
      settled({ ...failure, source: 'local', errorCode: 'threw', errorCause: 'Error: no' }),
      [/Courier makes a bounce of any refusal, of a temporary one too\./],
    ],
    [
      'what a filter on trial would have answered',
      (events) => {
        events.dryRun(base.id, base.queueId, 'strict', 'reject', '550 5.7.1 No')
        settled({})(events)
      },
      [/strict, which runs on trial, would have answered: 550 5\.7\.1 No/],
    ],
    ['the null sender', settled({ sender: null }), [/sender is the null sender/]],
    ['no filter', settled({ trail: [] }), [/No filter is known to have run/]],
    [
      'a refusal, and for whom',
      (events) => {
        events.refused('my_rules', 'bob@example.com', 'alice@example.org', '550 5.7.1 No', 'f00dfeed12345678', null)
        events.refused('my_rules', 'bob@example.com', 'carol@example.org', '550 5.7.1 No', 'f00dfeed12345678', null)
        settled({ verdict: 'reject', reply: '550 5.7.1 No', filter: 'my_rules', trail: [step('my_rules', 'reject')] })(
          events,
        )
      },
      [
        /my_rules refused it for good \(1\.00 ms\)/,
        /my_rules refused it for good\. The client heard: 550 5\.7\.1 No\./,
        /concerned alice@example\.org, carol@example\.org;/,
      ],
    ],
    [
      "another message's refusal is not its own",
      (events) => {
        events.refused('my_rules', 'eve@example.com', 'mallory@example.org', '550 5.7.1 No', 'f00dfeed12345678', null)
        events.settled({
          ...base,
          id: 'f'.repeat(16),
          queueId: 'x',
          sender: 'eve@example.com',
          verdict: 'reject',
          reply: '550 5.7.1 No',
          filter: 'my_rules',
        })
        events.refused('my_rules', 'bob@example.com', 'alice@example.org', '550 5.7.1 No', 'f00dfeed12345678', null)
        settled({ verdict: 'reject', reply: '550 5.7.1 No', filter: 'my_rules' })(events)
      },
      [/concerned alice@example\.org;/],
    ],
    [
      'greylisting',
      settled({ verdict: 'defer', reply: '451 4.7.1 Wait', filter: 'greylist' }),
      [/greylist refused it for now\. The client heard: 451 4\.7\.1 Wait\. That is temporary: /],
    ],
    [
      'an acceptance',
      settled({ verdict: 'accept', reply: '200 Ok', filter: 'whitelist_auth' }),
      [/whitelist_auth accepted it, and the filters after it were not asked\./],
    ],
    [
      'an acceptance for all',
      settled({ verdict: 'accept', reply: '000 Ok', filter: 'w' }),
      [/told to ask no other filter of its own/],
    ],
    [
      'a dry run',
      settled({ trail: [step('new_rules', 'reject', true), step('other', 'pass', true)] }),
      [/new_rules runs dry: it would have refused it for good/, /other runs dry: it had no objection/],
    ],
    [
      'a failure',
      settled({ ...failure, errorCode: 'threw', errorCause: 'TypeError: x at /f.ts:3' }),
      [
        /could not be decided \(threw\): a filter threw an error\. The filter is my_rules\. The cause: TypeError: x at \/f\.ts:3\./,
        /nothing is lost/,
      ],
    ],
    [
      'a failure of an unknown kind',
      settled({ ...failure, errorCode: 'odd' }),
      [/\(odd\): of a kind that this version does not know/],
    ],
    [
      'a failure that passed',
      (events) => {
        events.failurePassed(id, queueId, 'on_failure_local', 'TypeError: x')
        settled({ verdict: 'accept', reply: '200 Ok', errorCode: 'threw', errorCause: 'TypeError: x' })(events)
      },
      [/It passed unfiltered, because on_failure_local = pass: what the filters had changed was undone\./],
    ],
    [
      'a filter that was passed over',
      (events) => {
        events.filterFailed(id, queueId, 'observer', 'Error: y')
        settled({ trail: [step('observer', 'failed')] })(events)
      },
      [/observer failed and was passed over, because its on_error is "pass": Error: y\./],
    ],
    [
      'a second attempt',
      (events) => {
        events.threadBlocked('main', 1, 2001.4, queueId, 'slow')
        events.runsAgain(id, queueId, 2, 'its thread was ended')
        settled({ attempts: 2 })(events)
      },
      [
        /stood still for 2001 ms while slow ran/,
        /had to run again \(attempt 2\): its thread was ended\./,
        /in 2 attempts/,
      ],
    ],
    [
      'what a filter wrote',
      (events) => {
        events.filterSaid('info', 'my_rules', queueId, 'score 7')
        settled({})(events)
      },
      [/my_rules wrote: score 7/],
    ],
    [
      'notes',
      settled({
        notes: [
          ['score', '7'],
          ['list', 'a b'],
        ],
      }),
      [/The filters noted: score=7.* list=a b/],
    ],
    [
      'nobody waited',
      settled({ verdict: 'reject,nobody-there', reply: '550 No', filter: 'f' }),
      [/nobody waited for the answer/],
    ],
    ['no end', (events) => events.runsAgain(id, queueId, 2, 'x'), [/No line tells how it ended/]],
  ]
  for (const [name, tell, want] of rows) {
    const events = logged(tell)
    for (const [how, lines] of [
      ['text', events.map(inSyslog)],
      ['JSON', events.map(inJson)],
    ] as const) {
      const story = storyOf(lines.join('\n'))
      for (const pattern of want) t.match(story, pattern, `${name}, from ${how}`)
    }
  }
  const long = textLog((events) =>
    events.settled({
      ...base,
      verdict: 'reject',
      reply: `550 ${'x'.repeat(300)}`,
      sender: 'y'.repeat(200),
      filter: 'f',
    }),
  )
  t.match(storyOf(long), /was cut at 500 octets/, 'a line that was cut')
  const event = logged((events) => events.settled(base))
  const both = [...event.map(inSyslog), ...event.map(inJson)].join('\n')
  t.equal(storyOf(both).match(/A message of/g)?.length, 1, 'what stands in two logs is told once')
  t.end()
})

t.test("Courier's own lines", (t) => {
  const rows: [program: string, text: string, want: string | null][] = [
    [
      'courierd',
      `newmsg,id=${queueId}: dns; mail.example.com (mail.example.com [::ffff:192.0.2.7])`,
      'Courier took the message into its queue (from dns; mail.example.com (mail.example.com [::ffff:192.0.2.7])).',
    ],
    [
      'courierd',
      `newmsg,id=${queueId}, auth=bob: dns; x`,
      'Courier took the message into its queue (from dns; x); the client had logged in as bob.',
    ],
    ['courierd', `started,id=${queueId},from=<a@example.com>,module=local,host=x,addr=<y>`, null],
    [
      'courierlocal',
      `id=${queueId},from=<a@example.com>,addr=<b@example.org>,size=341,success: Message delivered.`,
      'Courier delivered it to b@example.org: Message delivered.',
    ],
    [
      'courieresmtp',
      `id=${queueId},from=<a@example.com>,addr=<b@example.org>,status: deferred`,
      'Courier could not deliver it to b@example.org yet, and tries again.',
    ],
    [
      'courieresmtp',
      `id=${queueId},from=<a@example.com>,addr=<b@example.org>,status: failure`,
      'Courier could not deliver it to b@example.org, and gave up.',
    ],
    [
      'courieresmtp',
      `id=${queueId},from=<a@example.com>,addr=<b@example.org>: 450 Try later`,
      `courieresmtp said: id=${queueId},from=<a@example.com>,addr=<b@example.org>: 450 Try later`,
    ],
    ['courierd', `completed,id=${queueId}`, 'Courier is done with the message.'],
  ]
  for (const [program, text, want] of rows) {
    const entry = entryOf(`Nov 21 14:03:08 mx ${program}: ${text}`)
    t.match(entry, { from: 'courier', queueId, program }, text)
    if (entry?.from === 'courier') t.equal(courierSentence(entry), want, text)
  }
  t.end()
})

t.test('which messages an id means', (t) => {
  const log = textLog((events) => {
    for (const [n, own] of ['aaaa', 'aaab', 'bbbb'].entries()) {
      events.settled({ ...base, id: own.padEnd(16, '0'), queueId: `0000.${n}`, sender: `q${queueId}@example.com` })
    }
  })
  t.match(storyOf(log, 'aaaa'), /A message of/, 'the beginning of our id')
  t.match(storyOf(log, 'aaab000000000000'), /A message of/, 'all of it')
  t.equal(storyOf(log, 'aaa'), 'several')
  t.equal(storyOf(log, '0000.'), 'several')
  t.match(storyOf(log, '0000.1'), /A message of/)
  t.equal(storyOf(log, queueId), 'nothing', 'an id in an address is none')
  const nested = textLog((events) => {
    events.settled({ ...base, queueId: '0000.1' })
    events.settled({ ...base, queueId: '0000.12', id: 'f'.repeat(16) })
  })
  t.match(storyOf(nested, '0000.1'), /A message of/, 'the whole of one id is not the beginning of another')
  const collector = createCollector('0000')
  for (let n = 0; n < maxEntries + 10; n++)
    collector.take('Nov 21 14:03:07 mx courierfilter: filter filter=f queueId=0000 text=x')
  t.equal(collector.found()[0]?.entries.length, maxEntries, 'it keeps no more than a bounded number')
  t.end()
})

t.test('lines out of pieces', async (t) => {
  const read = async (pieces: string[]): Promise<string[]> => {
    const lines: string[] = []
    await readLines(Readable.from(pieces.map((piece) => Buffer.from(piece))), (line) => lines.push(line))
    return lines
  }
  t.strictSame(await read(['a\nb', 'c\n', '\n', 'd']), ['a', 'bc', '', 'd'])
  t.strictSame(await read([]), [])
  const huge = 'x'.repeat(700_000)
  const [first, ...rest] = await read([huge, huge, huge, '\nnext\n'])
  t.equal(first?.length, 1024 * 1024, 'the rest of an endless line is left out')
  t.strictSame(rest, ['next'])
  const umlaut = Buffer.from('ü\n')
  const lines: string[] = []
  await readLines(Readable.from([umlaut.subarray(0, 1), umlaut.subarray(1)]), (line) => lines.push(line))
  t.strictSame(lines, ['ü'], 'a character in two pieces is one')
})

interface Desk {
  readonly at: (name: string) => string
  write(name: string, content: string | Buffer, ageHours?: number): void
  run(
    words: string,
    more?: { journal?: string; isTerminal?: boolean },
  ): Promise<{ code: number; out: string; err: string }>
}

function desk(t: Test): Desk {
  const top = mkdtempSync(join(tmpdir(), 'nf-'))
  t.teardown(() => rmSync(top, { recursive: true, force: true }))
  const at = (name: string): string => join(top, name)
  mkdirSync(at('c'))
  writeFileSync(at('c/filters.conf'), '')
  return {
    at,
    write: (name, content, ageHours = 0) => {
      writeFileSync(at(name), content)
      const seconds = Date.now() / 1000 - ageHours * 3600
      utimesSync(at(name), seconds, seconds)
    },
    run: async (words, more = {}) => {
      let clockMs = 0
      const command = createExplainCommand({
        ...{ systemLogs: [at('mail.log'), at('maillog')], sysconfdir: () => Promise.resolve(null) },
        ...{ isTerminal: () => more.isTerminal === true, nowMs: () => (clockMs += 3000) },
        openJournal: () =>
          Promise.resolve(more.journal === undefined ? null : Readable.from([Buffer.from(more.journal)])),
      })
      let [out, err] = ['', '']
      const io = { out: (text: string) => void (out += text), err: (text: string) => void (err += text), env: {} }
      const code = await command.run([...words.split(' ').filter(Boolean), '-c', at('c')], io)
      return { code, out, err: err.replaceAll(top, '') }
    },
  }
}

const settledText = textLog((events) => events.settled(base))
const saidText = textLog((events) => events.filterSaid('info', 'my_rules', queueId, 'score 7'))
const other = textLog((events) => events.settled({ ...base, id: 'f'.repeat(16), queueId: 'other' }))

t.test('the command finds a message in the system log, and tells of it', async (t) => {
  const { write, run } = wrapped(desk(t))
  write('mail.log', `${other}${settledText}Nov 21 14:03:09 mx courierd: completed,id=${queueId}\n`)
  const found = await run(queueId)
  t.strictSame([found.code, found.err], [0, ''])
  t.equal(
    found.out,
    `Courier's id ${queueId}, nodefilter's id ${id}

Nov 21 14:03:07 A message of 341 octets came in by courierfilter from 192.0.2.7. Its envelope sender
  is bob@example.com; it has 2 recipients. It took 11.26 ms to decide.
Nov 21 14:03:07 These filters ran, in this order: noduplicates had no objection (0.18 ms, of which
  the processor worked 0.05 ms); my_rules had no objection (9.00 ms).
Nov 21 14:03:07 No filter decided, so the mail server was told to go on.
Nov 21 14:03:09 Courier is done with the message.
`,
  )
  t.match(JSON.parse((await run(`--json ${queueId}`)).out), {
    ...{ queueId, ids: [id] },
    events: [{ event: 'settled', isCut: false, fields: { client: '192.0.2.7' } }],
    courier: [{ program: 'courierd', text: `completed,id=${queueId}` }],
  })
})

t.test('by our own id, what is known by the other id alone is found as well', async (t) => {
  const { write, run } = wrapped(desk(t))
  write('mail.log', `${saidText}${other}${settledText}Nov 21 14:03:09 mx courierd: completed,id=${queueId}\n`)
  const { code, out } = await run(id.slice(0, 6))
  t.equal(code, 0)
  t.match(out, /my_rules wrote: score 7[^]*Courier is done/)
})

t.test('older parts of a log, packed ones too, in the order of time', async (t) => {
  const { write, run, at } = wrapped(desk(t))
  write('mail.log', `Nov 21 15:00:00 mx courierd: completed,id=${queueId}\n`)
  write('mail.log.1', settledText, 24)
  write('mail.log.2.gz', gzipSync(saidText), 48)
  write('mail.log-20261101.gz', gzipSync(other), 400)
  write('mail.log.old', settledText)
  t.strictSame(
    partsOfLog(at('mail.log')).map((path) => path.slice(at('x').length - 1)),
    ['mail.log', 'mail.log.1', 'mail.log.2.gz', 'mail.log-20261101.gz'],
  )
  const { out } = await run(queueId)
  t.match(out, /^Courier's id .*\n\n.*\n?.*came in[^]*my_rules wrote[^]*These filters[^]*Courier is done/)
})

t.test('the JSON log of the configuration goes before the system log, which tells what Courier did', async (t) => {
  const { write, run, at } = wrapped(desk(t))
  write('c/nodefilter.conf', `[log]\nfile = ${at('n.json')}\n`)
  const long = { ...base, reply: `550 ${'x'.repeat(400)}`, verdict: 'reject', sender: 'y'.repeat(300), filter: 'f' }
  const events = logged((events) => events.settled(long))
  write('n.json', events.map((event) => `${inJson(event)}\n`).join(''))
  write('mail.log', `${events.map(inSyslog).join('\n')}\nNov 21 14:03:09 mx courierd: completed,id=${queueId}\n`)
  const { out } = await run(queueId)
  t.match(out, /2026-11-21T14:03:07\.000Z A message/)
  t.match(out, 'x'.repeat(400), 'whole, not cut')
  t.notMatch(out, /was cut/)
  t.match(out, /Courier is done/)
})

t.test('where nothing is found, and other ends', async (t) => {
  const { write, run, at } = wrapped(desk(t))
  t.match(await run('none'), { code: 66, out: '', err: /nothing is known of none\. No log was found/ })
  t.match(
    await run(queueId, { journal: settledText }),
    { code: 0, out: /A message of/ },
    'the journal is asked where there is no file',
  )
  t.match(await run('none', { journal: settledText }), { code: 66, err: /Looked in the journal\./ })
  write('maillog', other)
  t.match(await run(queueId), { code: 66, err: /Looked in \/maillog\.\n$/ })
  t.match(await run(`--log ${at('gone')} ${queueId}`), {
    code: 66,
    err: /\/gone \(not to its end: there is no such file\)/,
  })
  write('broken.gz', 'no gzip')
  t.match(await run(`--log ${at('broken.gz')} ${queueId}`), { code: 66, err: /not to its end: incorrect header check/ })
  write(
    'two',
    `${settledText}${textLog((events) => events.settled({ ...base, queueId: 'zzzz', id: `${id.slice(0, 8)}00000000` }))}`,
  )
  t.match(await run(`--log ${at('two')} ${id.slice(0, 8)}`), {
    code: 65,
    out: '',
    err: /ids of 2 messages begin with .*\n {2}0000/,
  })
  for (const words of ['', 'a', 'a b', '--frob aaaa', 'abc\u001b[2J', '../../etc/passwd']) {
    t.match(await run(words), { code: 64, out: '' }, JSON.stringify(words))
  }
  write('big', 'line\n'.repeat(120_000))
  t.match(
    (await run(`--log ${at('big')} ${queueId}`, { isTerminal: true })).err,
    /^\/big: 50000 lines read\n\/big: 100000 lines read\n/,
  )
  t.notMatch((await run(`--log ${at('big')} ${queueId}`)).err, /lines read/)
})

t.test('what a stranger wrote cannot move the cursor', async (t) => {
  const { write, run } = wrapped(desk(t))
  write(
    'mail.log',
    textLog((events) => events.settled({ ...base, sender: '\u001b[2J\u202e@example.com' })),
  )
  const { out } = await run(queueId)
  t.match(out, /sender\s+is \?\[2J\?@example\.com/)
  t.notMatch(out, /[^\n -~]/)
})

/** The desk's functions, free of it. */
function wrapped(given: Desk): {
  at: Desk['at']
  write: (...args: Parameters<Desk['write']>) => void
  run: (...args: Parameters<Desk['run']>) => ReturnType<Desk['run']>
} {
  return { at: given.at, write: (...args) => given.write(...args), run: (...args) => given.run(...args) }
}
