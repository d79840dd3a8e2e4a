/**
 * R42 and R44: whatever a stranger chose comes out of every text sink as it went in, in one record, and nothing in it is
 * taken for a directive: not by the log, not on the wire, not by a shell.
 */
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test } from 'tap'
import type * as replyModule from '../../courier-compat/reply.ts'
import { courierAnswer } from '../../host/doors/courierfilter/answer.ts'
import type * as eventsModule from '../../host/observe/events.ts'
import type * as logModule from '../../host/observe/log.ts'
import { parseJsonLine, parseTextLine, type ParsedEvent } from '../../host/observe/line-parser.ts'
import { systemClock } from '../../host/platform/clock.ts'
import type * as problemModule from '../../host/problem.ts'
import { makePlace, orders, startHost } from '../helpers/host-process.ts'
import { importWithout } from '../helpers/without.mjs'
import { createFindings, testPromise, type Check } from './check.ts'

/** Every octet as a character, the line ends of Unicode, what turns text around, half a character, and their company. */
const characters = [
  ...Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)),
  ...[
    '\u0085',
    '\u2028',
    '\u2029',
    '\u202e',
    '\u2066',
    '\ufeff',
    '\u200b',
    '\ud800',
    '\udc00',
    '\u{1f4e7}',
    '\r\n',
    '\n\n',
  ],
]
const values = [
  ...characters,
  ...characters.map((character) => `a${character}b`),
  ...[
    '',
    ' ',
    'a b',
    '"',
    '\\',
    '\\n',
    '\\u000a',
    '"a"',
    'x=y',
    'x" y="z',
    '...',
    '<>',
    '>,addr=<c@example.net',
    '>: 250 Ok',
  ],
  ...['\nERR: bug where=x', '\nINFO: settled id=1', 'reject,from=<a>,addr=<b>: 550', '\u001b[2J\u001b]0;x\u0007'],
]

/** What would be a directive to something: formats, templates, shells, configuration. */
const directives = [
  ...[
    '%',
    '%s',
    '%n%n%n',
    '%d %x %%',
    '%(name)s',
    '{}',
    '{0}',
    '{{x}}',
    '${HOME}',
    '#{x}',
    '<%= x %>',
    '$HOME',
    '$(id)',
    '`id`',
  ],
  ...['; id', '| id', '& id', '> /x', '< /x', '* ? [a]', "'", '~', '!!', '\\n', '\\u0041', '#', '//', '--', '-rf /'],
]

/** The line ends that anybody might see in a record. */
const lineEnd = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/

function folderOf(t: Test): string {
  const root = mkdtempSync(join(tmpdir(), 'nf-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  return root
}

/** One event for each value, in every sink that the log has; and how its values are found again in what was read. */
const logSinks: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const { openLog } = (await importWithout('host/observe/log.ts', without)) as typeof logModule
  const { createEvents } = (await importWithout('host/observe/events.ts', without)) as typeof eventsModule
  const root = folderOf(t)
  const [textFile, jsonFile] = [join(root, 'text'), join(root, 'json')]
  const descriptor = openSync(textFile, 'a')
  const options = { level: 'info', textDescriptor: descriptor, jsonFile, maxBufferOctets: 2 ** 26 } as const
  const log = openLog(options, systemClock)
  const events = createEvents(log)
  const wanted: { event: string; fields: Readonly<Record<string, string>> }[] = []
  const want = (event: string, fields: Readonly<Record<string, string>>): void => void wanted.push({ event, fields })
  for (const value of [...values, ...directives]) {
    events.settled({
      ...{ id: '3007c11f901110a8', door: 'courierfilter', queueId: value, client: value, sender: value },
      ...{ recipients: 1, octets: 1, verdict: 'reject', reply: value, filter: value, ms: 1, attempts: 1 },
      ...{ source: value, auth: value },
      ...{ trail: [], notes: [], errorCode: value, errorCause: value },
    })
    want('settled', { queueId: value, client: value, sender: value, reply: value, filter: value, errorCause: value })
    events.refused('my_rules', value, value, value, 'f00dfeed12345678', null)
    want('refused', { filter: 'my_rules', sender: value, recipient: value, reply: value })
    events.filterSaid('warn', 'my_rules', 'Q', value)
    want('filter', { text: value })
    events.filterOutput(value, 'stderr', value)
    want('filter-output', { lane: value, text: value })
    events.failurePassed('1', 'Q', 'on_failure', value)
    want('failure-passed', { cause: value })
    events.bug(value, value)
    want('bug', { where: value, cause: value })
  }
  await log.close(5000)
  closeSync(descriptor)
  expect(log.dropped() === 0, 'lines were dropped')

  const readers: [sink: string, path: string, read: (line: string) => ParsedEvent | null][] = [
    ['text', textFile, parseTextLine],
    ['JSON', jsonFile, parseJsonLine],
  ]
  for (const [sink, path, read] of readers) {
    const text = readFileSync(path, 'utf8')
    const records = text.replace(/\n$/, '').split(lineEnd)
    expect(records.length === wanted.length, `${sink}: more or fewer records than events`)
    expect(/^[ -~\n]*$/.test(text), `${sink}: an octet that a terminal may obey`)
    const rest = records.map(read)
    for (const [index, { event, fields }] of wanted.entries()) {
      const got = rest[index]
      if (got === null || got === undefined || got.event !== event) {
        seen.push(`${sink}: a record of ${event} is not read back`)
        break
      }
      for (const [name, value] of Object.entries(fields)) {
        if (got.fields[name] !== value) seen.push(`${sink}: ${event} ${name} is another value than was logged`)
      }
      if (seen.length > 20) return seen
    }
  }
  return seen
}

testPromise('R42 R44 one record an event, and every value read back as it was', logSinks, [
  { without: ['what is no ASCII is escaped'], sees: /an octet that a terminal may obey|records than events/ },
  { without: ['a value has quotes'], sees: /text: (more or fewer records|.* is not read back|.* another value)/ },
  { without: ['the text of a refusal is escaped'], sees: /text: more or fewer records than events/ },
  {
    without: ['an address ends at its bracket'],
    sees: /text: (a record of refused is not read back|refused .* another value)/,
  },
])

/** What a mail server is told, and what an administrator is. */
const replySinks: Check = async (_, without) => {
  const { seen, expect } = createFindings()
  const { makeReply, parseReply, reject } = (await importWithout(
    'courier-compat/reply.ts',
    without,
  )) as typeof replyModule
  const { formatProblem } = (await importWithout('host/problem.ts', without)) as typeof problemModule
  for (const value of values) {
    const answer = courierAnswer({ kind: 'reject', reply: makeReply(550, '5.7.1', [value]) })
    expect(/^550 5\.7\.1 [ -~]*\n$/.test(answer), 'a reply made of parts is more than one printable line')
    const parsed = parseReply(reject('5.7.1', value))
    if (!('verdict' in parsed)) seen.push("the library's own reply is none")
    else
      expect(
        /^(550[ -]5\.7\.1 [ -~]*\n)+$/.test(courierAnswer(parsed.verdict)),
        'a reply of a filter is no reply on the wire',
      )
    const told = formatProblem({ file: value, line: 1, column: null, text: value, cure: value })
    expect(!lineEnd.test(told), 'a problem is more than one line')
  }
  for (const value of directives) {
    const answer = courierAnswer({ kind: 'reject', reply: makeReply(550, '5.7.1', [value]) })
    expect(answer === `550 5.7.1 ${value}\n`, 'a directive is not literal in a reply')
    const parsed = parseReply(`550 5.7.1 ${value}`)
    expect('verdict' in parsed && courierAnswer(parsed.verdict) === `550 5.7.1 ${value}\n`, 'nor in one of a filter')
    const told = formatProblem({ file: value, line: 1, column: null, text: value, cure: value })
    expect(told === `${value}:1: ${value}; ${value}`, 'a directive is not literal in a problem')
  }
  return seen
}

testPromise('R42 R44 one line a reply and a problem, and directives are literal', replySinks, [
  { without: ['a reply is printable'], sees: /a reply made of parts is more than one printable line/ },
  { without: ['a problem is one line'], sees: /a problem is more than one line/ },
])

/** The same through a host that runs: what a filter answers, throws, notes and writes. */
const throughHost: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'hostile')
  const proof = place.at('proof')
  const commands = [`$(touch ${proof})`, `\`touch ${proof}\``, `; touch ${proof} #`, `| touch ${proof}`]
  const texts = [
    ...directives,
    ...commands,
    'a\u2028b\u0085c',
    '\u202e\u001b[2J',
    'x\nERR: bug where=forged cause=x',
    'ü \u{1f4e7}',
  ]
  place.filter(
    'hostile.mjs',
    `import { readFileSync } from 'node:fs'
export function doFilter(bodyPath, controlPaths, context) {
  const [, act, json] = /^X-Act-hostile: ([a-z]+) (.*)$/m.exec(readFileSync(bodyPath, 'utf8'))
  const text = JSON.parse(json)
  if (act === 'throw') throw new Error(text)
  context.log.info(text)
  context.notes.set('note', text)
  console.error(text)
  return '550 5.7.1 ' + text
}
`,
  )
  const host = startHost(t, place, { without })
  await host.ready()
  for (const text of texts) {
    const json = JSON.stringify(text).replace(
      /[^ -~]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    const answer = await host.ask(place.pair({ content: orders({ hostile: `answer ${json}` }) }))
    if (/^[ -~]*$/.test(text)) expect(answer === `550 5.7.1 ${text}\n`, `the client does not hear ${json} as it is`)
    expect(/^(550|451)[ -][ -~]*\n$/.test(answer), `the answer to ${json} is no reply of one line`)
    const thrown = await host.ask(place.pair({ content: orders({ hostile: `throw ${json}` }) }))
    expect(
      /^451 4\.3\.0 Local policy check failed[^%$`{]*\n$/.test(thrown),
      `the client hears what was thrown: ${json}`,
    )
  }
  await host.stop()
  expect(!existsSync(proof), 'a shell has run a command')
  for (const line of host.log) {
    expect(/^[ -~]*$/.test(line), 'the log has an octet that a terminal may obey')
    expect(parseTextLine(line) !== null, 'the log has a line that is no event')
  }
  const said = host.log.map(parseTextLine).filter((event) => event?.event === 'filter')
  for (const text of texts)
    expect(
      said.some((event) => event?.fields['text'] === text),
      `the log has not ${JSON.stringify(text)}`,
    )
  expect(!host.log.some((line) => line.startsWith('ERR: bug where=forged')), 'a line was forged')
  return seen
}

testPromise('R42 R44 what a filter says is literal on the wire and in the log', throughHost, [
  { without: ['a value has quotes'], sees: /a line that is no event|a line was forged|the log has not/ },
])
