/** The parts at the edges that need no process: requests, answers, log lines and their way out, fault points, tables. */
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { parseReply, replyLimits } from '../../courier-compat/reply.ts'
import { formatTable } from '../../host/cli/table.ts'
import { courierAnswer } from '../../host/doors/courierfilter/answer.ts'
import { createRequestReader, type RequestState } from '../../host/doors/courierfilter/request.ts'
import { createEvents } from '../../host/observe/events.ts'
import {
  escapeText,
  jsonLine,
  maxTextLine,
  quote,
  textLine,
  type Level,
  type LogEvent,
} from '../../host/observe/line-format.ts'
import { openLog } from '../../host/observe/log.ts'
import { createRateLimit } from '../../host/observe/rate-limit.ts'
import { systemClock, type Timer } from '../../host/platform/clock.ts'
import { makeClock } from '../helpers/fake-clock.ts'
import { until } from '../helpers/until.ts'

/** What a reader makes of octets that come in these pieces: the first thing that it says, with the paths in a row. */
function read(parts: readonly Uint8Array[], limit = 1000): string {
  const reader = createRequestReader(limit)
  let state: RequestState = null
  for (const part of parts) if (state === null) state = reader.push(part)
  if (state === null) return 'more'
  return 'pair' in state ? `${state.pair.bodyPath}: ${state.pair.controlPaths.join(' ')}` : state.refused
}

t.test('requests', (t) => {
  const noControl = 'the request names no control file'
  const rows: [name: string, request: string | Buffer, want: string, limit?: number][] = [
    ['as Courier writes it', '/s/D1\n/s/1\n\n', '/s/D1: /s/1'],
    ['several control files keep their order', '/s/D1\n/s/C2\n/s/C1\n\n', '/s/D1: /s/C2 /s/C1'],
    ['CRLF is tolerated', '/s/D1\r\n/s/1\r\n\r\n', '/s/D1: /s/1'],
    ['line ends may be mixed', '/s/D1\r\n/s/1\n\r\n', '/s/D1: /s/1'],
    ['T23: relative paths are handed on as they are', 'D1\n1\n\n', 'D1: 1'],
    ['blanks belong to a path', ' /s/D 1 \n \n\n', ' /s/D 1 :  '],
    ['so does a byte order mark', '\ufeff/s/D1\n/s/1\n\n', '\ufeff/s/D1: /s/1'],
    ['so does a CR that ends no line', '/s/D\r1\n/s/1\n\n', '/s/D\r1: /s/1'],
    ['UTF-8 is read', '/s/Dé\n/s/ü\n\n', '/s/Dé: /s/ü'],
    ['what comes after the empty line is ignored', '/s/D1\n/s/1\n\n/s/2\n\nQUIT', '/s/D1: /s/1'],
    ['even if it is not UTF-8', Buffer.from('/s/D1\n/s/1\n\n\xff\xfe', 'latin1'), '/s/D1: /s/1'],
    ['nothing yet', '', 'more'],
    ['T22: half a request', '/s/D1\n/s/1\n', 'more'],
    ['half a line end', '/s/D1\n/s/1\n\r', 'more'],
    ['no files at all', '\n', 'the request names no data file'],
    ['no files at all, with CRLF', '\r\n', 'the request names no data file'],
    ['the data file alone', '/s/D1\n\n', noControl],
    ['the data file alone, with CRLF', '/s/D1\r\n\r\n', noControl],
    ['an empty line ends it wherever it stands', '\n/s/D1\n/s/1\n\n', 'the request names no data file'],
    ['a path that is not UTF-8', Buffer.from('/s/D\xf6\n/s/1\n\n', 'latin1'), 'a path is not valid UTF-8'],
    ['a character cut by the line end', Buffer.from('/s/D\xc3\n/s/1\n\n', 'latin1'), 'a path is not valid UTF-8'],
    ['up to the limit', '/s/D1\n/s/1\n\n', '/s/D1: /s/1', 11],
    ['beyond it', '/s/D1\n/s/12\n\n', 'the request is longer than 11 octets', 11],
    ['beyond it without an end', 'x'.repeat(12), 'the request is longer than 11 octets', 11],
    ['the limit says nothing of what follows', `/s/D1\n/s/1\n\n${'x'.repeat(99)}`, '/s/D1: /s/1', 11],
  ]
  for (const [name, request, want, limit] of rows) {
    const octets = Buffer.from(request)
    t.equal(read([octets], limit), want, name)
    t.equal(
      read(
        Array.from(octets, (octet) => Buffer.of(octet)),
        limit,
      ),
      want,
      `${name}, octet by octet`,
    )
  }

  const path = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => !/[\r\n]/.test(text))
  const cut = (octets: Buffer, cuts: readonly number[]): Buffer[] => {
    const places = cuts.map((at) => at % (octets.length + 1)).sort((a, b) => a - b)
    return [0, ...places].map((start, index) => octets.subarray(start, places[index] ?? octets.length))
  }
  fc.assert(
    fc.property(
      fc.array(fc.tuple(path, fc.constantFrom('\n', '\r\n')), { minLength: 2, maxLength: 5 }),
      fc.constantFrom('\n', '\r\n'),
      fc.uint8Array({ maxLength: 20 }),
      fc.array(fc.nat()),
      (lines, end, more, cuts) => {
        const text = lines.map(([line, ending]) => line + ending).join('') + end
        const [first, ...others] = lines.map(([line]) => line)
        return read(cut(Buffer.concat([Buffer.from(text), more]), cuts)) === `${first ?? ''}: ${others.join(' ')}`
      },
    ),
  )
  t.pass('a request is read in whatever pieces it comes')
  const octet = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(0x0a, 0x0d, 0x2f, 0x44) }, fc.nat(255))
  fc.assert(
    fc.property(fc.array(octet, { maxLength: 60 }), fc.array(fc.nat()), (octets, cuts) => {
      const whole = Buffer.from(octets)
      return read(cut(whole, cuts)) === read([whole])
    }),
    { numRuns: 2000 },
  )
  t.pass('so is anything else')
  t.end()
})

t.test('answers', (t) => {
  const long = '5'.repeat(600)
  const rows: [name: string, reply: unknown, want: string][] = [
    ['no decision', '', '200 Ok\n'],
    ['an acceptance for this host', '250 fine', '250 fine\n'],
    ['of several lines', '200-a\n200 b', '200-a\n200 b\n'],
    ['an acceptance for all filters', '000 Ok', '000 Ok\n'],
    ['keeps its code', '050 OK', '050 OK\n'],
    ['has one line, the last: Courier turns no other 0 into 2', '000-a\n000-b\n000 c', '000 c\n'],
    ['a deferral', '451 4.7.1 later', '451 4.7.1 later\n'],
    ['a refusal', '554 no', '554 no\n'],
    ['T13: a refusal of two lines', '554-a\n554 b', '554-a\n554 b\n'],
    ['the status stands on each line', '550-5.7.1 a\n550 5.7.1 b', '550-5.7.1 a\n550 5.7.1 b\n'],
    ['a code alone', '550', '550 \n'],
    ['CRLF is LF', '554-a\r\n554 b\r\n', '554-a\n554 b\n'],
    ['control characters are none', '554 a\0b\x1b[2J\x85\u2028', '554 a?b?[2J??\n'],
    ['a long line is cut', `554 ${long}`, `554 ${long.slice(0, replyLimits.lineOctets - 4)}\n`],
  ]
  for (const [name, reply, want] of rows) {
    const parsed = parseReply(reply)
    t.equal('verdict' in parsed ? courierAnswer(parsed.verdict) : parsed.malformed, want, name)
  }
  fc.assert(
    fc.property(
      fc.constantFrom(0, 200, 250, 421, 451, 550, 554),
      fc.array(fc.string({ unit: 'binary', maxLength: 540 }), { minLength: 1, maxLength: 55 }),
      (code, texts) => {
        const three = String(code).padStart(3, '0')
        const reply = texts.map(
          (text, index) => `${three}${index === texts.length - 1 ? ' ' : '-'}${text.replace(/\r?\n/g, '')}`,
        )
        const parsed = parseReply(reply.join('\n'))
        if (!('verdict' in parsed)) return /status/.test(parsed.malformed)
        const answer = courierAnswer(parsed.verdict)
        const lines = answer.split('\n').slice(0, -1)
        return (
          answer.endsWith('\n') &&
          (code !== 0 || lines.length === 1) &&
          lines.every((line, index) => line.startsWith(`${three}${index === lines.length - 1 ? ' ' : '-'}`)) &&
          lines.every((line) => /^[ -~]{4,510}$/.test(line))
        )
      },
    ),
    { numRuns: 40 },
  )
  t.pass('whatever a filter says, each line is one that Courier understands')
  t.end()
})

/** Everything that can end a line, move a cursor, hide text or turn its direction, each between two letters. */
const hostile = [
  ...Array.from({ length: 256 }, (_, octet) => `a${String.fromCharCode(octet)}b`),
  ...['\u0085', '\u2028', '\u2029', '\u202a', '\u202e', '\u2066', '\u2069', '\u200b', '\u200f', '\ufeff', '\u061c'].map(
    (unit) => `a${unit}b`,
  ),
  ...[
    '\x1b[2J',
    '\x1b]0;title\x07',
    '\x9b31m',
    '\x1bP1$r\x1b\\',
    '\r\nERR: forged',
    '\ud800',
    '\udfff',
    '😀',
    '\u{e0001}',
  ],
  ...['', ' ', '"', '\\', '\\"', '\\n', 'a=b', "'", '%s', '{}', '\0'],
]

t.test('log lines', (t) => {
  const clean = /^[ -~]{1,500}$/
  const levels: Level[] = ['error', 'warn', 'info', 'debug']
  const event = (fields: LogEvent['fields'], level: Level = 'info'): LogEvent => ({ level, event: 'settled', fields })
  t.strictSame(
    levels.map((level) => textLine(event({}, level))),
    ['ERR: settled', 'WARN: settled', 'INFO: settled', 'DEBUG: settled'],
  )
  t.equal(
    textLine(event({ a: 'x', b: 7, c: true, d: null, e: undefined, f: ['p', 'q'], g: '', h: 'x y' })),
    'INFO: settled a=x b=7 c=true f="p q" g="" h="x y"',
  )

  const told: { text: string; json: string; event: LogEvent }[] = []
  const events = createEvents({
    write: (event) => void told.push({ event, text: textLine(event), json: jsonLine(event, 1_796_126_400_000) }),
    ...{ dropped: () => 0, reopen: () => undefined, close: () => Promise.resolve() },
  })
  const faults: string[] = []
  for (const value of hostile) {
    const shown = JSON.stringify(value)
    const quoted = quote(value)
    if ((quoted.startsWith('"') ? JSON.parse(quoted) : quoted) !== value) faults.push(`${shown} is not read back`)
    if (!clean.test(quoted) || !/^[ -~]*$/.test(escapeText(value))) faults.push(`${shown} is not escaped`)
    events.settled({
      ...{ id: value, door: value, queueId: value, client: value, sender: value, verdict: value, reply: value },
      ...{ filter: value, errorCode: value, errorCause: value, notes: [[value, value]] },
      ...{ recipients: 1, octets: 2, ms: 3, attempts: 2, source: value, auth: value },
      trail: [{ filter: value, outcome: 'pass', dryRun: true, wallMs: 1, cpuMs: null, text: value }],
    })
    events.refused(value, value, value, value, 'f00dfeed12345678', null)
    events.dryRun(value, value, value, value, value)
    events.filterSaid('warn', value, value, value)
    events.filterOutput(value, 'stdout', value)
    events.configurationBroken({ file: value, line: 1, column: null, text: value, cure: value })
    events.bug(value, value)
  }
  t.equal(escapeText('a"b\\c\n'), 'a"b\\\\c\\n', 'a quote inside other punctuation stays')
  t.strictSame(faults, [], 'a value is escaped, and read back as it was')
  t.strictSame(
    told.filter(({ text }) => !clean.test(text)),
    [],
    'a line of text is one line, printable, of at most 500 octets',
  )
  t.strictSame(
    told.filter(({ json }) => !/^[ -~]+$/.test(json)),
    [],
    'a line of JSON is one line, and printable',
  )
  t.strictSame(
    told.filter(({ json, event }) => {
      const { time, ...rest } = JSON.parse(json) as Record<string, unknown>
      const want: unknown = JSON.parse(JSON.stringify({ level: event.level, event: event.event, ...event.fields }))
      return time !== '2026-12-01T12:00:00.000Z' || JSON.stringify(rest) !== JSON.stringify(want)
    }),
    [],
    'and says the same when it is read back',
  )
  t.equal(
    told.find(({ text }) => text.includes('reject,from='))?.text,
    'INFO: a\\u0000b reject,from=<a\\u0000b>,addr=<a\\u0000b>: a\\u0000b',
    'a refusal has the shape of pythonfilter',
  )

  const any = fc.string({ unit: 'binary', maxLength: 700 })
  const value = fc.oneof(
    any,
    fc.array(any, { maxLength: 4 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
  )
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), value), (fields) => {
      const said = event(fields)
      const { time, level, event: name, ...rest } = JSON.parse(jsonLine(said, 0)) as Record<string, unknown>
      return (
        clean.test(textLine(said)) &&
        /^[ -~]+$/.test(jsonLine(said, 0)) &&
        JSON.stringify({ time, level, event: name }) !== '' &&
        JSON.stringify(rest) === JSON.stringify(fields)
      )
    }),
  )
  t.pass('so is any other event')

  const huge = textLine(event({ sender: 'x'.repeat(1e5), trail: Array.from({ length: 999 }, () => 'word') }))
  t.equal(huge.length, maxTextLine, 'a long line is cut to 500 octets')
  t.match(huge, / sender=x{160}\.\.\. trail="word .*\.\.\.$/, 'the trail is what is left out')
  t.equal(
    textLine(event({ a: 'x'.repeat(99) }), 30),
    `INFO: settled a=${'x'.repeat(11)}...`,
    'to another limit as well',
  )
  t.end()
})

t.test('the rate limit', async (t) => {
  const clock = makeClock(10_000)
  const limit = createRateLimit(3, () => clock.monotonicMs())
  const ask = (count: number): number => Array.from({ length: count }, () => limit.allow()).filter(Boolean).length
  t.equal(ask(10), 3, 'three of ten pass')
  t.equal(limit.takeRefused(), 7, 'the others are counted')
  t.equal(limit.takeRefused(), 0, 'once')
  await clock.advance(999)
  t.equal(ask(1), 0, 'none in the same second')
  await clock.advance(1)
  t.equal(ask(10), 3, 'three in the next')
  await clock.advance(60_000)
  t.equal(ask(10), 3, 'what was not used is not saved up')
  t.equal(limit.takeRefused(), 15)
  t.equal(ask(0), 0)
  const none = createRateLimit(0, () => 0)
  t.notOk(none.allow(), 'a limit of none lets none pass')
})

t.test('the log’s way out', async (t) => {
  const dir = t.testdir()
  const event = (name: string, level: Level = 'info'): LogEvent => ({
    level,
    event: name,
    fields: { text: 'x'.repeat(100) },
  })
  const quiet = { textDescriptor: null, jsonFile: null, maxBufferOctets: 65_536 }

  const file = join(dir, 'log.json')
  const json = openLog({ ...quiet, level: 'warn', jsonFile: file }, systemClock)
  for (const level of ['error', 'warn', 'info', 'debug'] as const) json.write(event(level, level))
  const lines = (path: string): string[] =>
    (existsSync(path) ? readFileSync(path, 'utf8') : '').split('\n').slice(0, -1)
  const names = (path: string): unknown[] => lines(path).map((line) => (JSON.parse(line) as { event: unknown }).event)
  await until('two lines in the file', () => lines(file).length === 2)
  t.strictSame(names(file), ['error', 'warn'], 'what is less urgent than the level is left out')
  t.equal(statSync(file).mode & 0o007, 0, 'nobody else reads the file')
  renameSync(file, `${file}.1`)
  json.reopen()
  json.write(event('after', 'error'))
  await until('a line in the new file', () => lines(file).length === 1)
  t.strictSame(
    [names(file), names(`${file}.1`)],
    [['after'], ['error', 'warn']],
    'after a rotation lines go to the new file',
  )
  t.equal(statSync(file).mode & 0o007, 0, 'which nobody else reads either')
  json.write(event('last', 'error'))
  await json.close(5000)
  json.write(event('too late', 'error'))
  await json.close(5000)
  t.strictSame(names(file), ['after', 'last'], 'closing waits for what is buffered, and nothing comes after it')
  t.equal(json.dropped(), 0)

  const fifo = join(dir, 'fifo')
  spawnSync('mkfifo', [fifo])
  // Both ends in one descriptor: there is a reader, and it does not read.
  const ours = openSync(fifo, constants.O_RDWR)
  /** The descriptors of the FIFO, each with whether a write to it can block. */
  const descriptors = (): [descriptor: number, blocks: boolean][] =>
    readdirSync('/proc/self/fd')
      .map(Number)
      .filter((number) => {
        const link = `/proc/self/fd/${number}`
        return existsSync(link) && readlinkSync(link) === fifo
      })
      .map((number) => {
        const flags = /flags:\s+([0-7]+)/.exec(readFileSync(`/proc/self/fdinfo/${number}`, 'utf8'))?.[1] ?? ''
        return [number, (parseInt(flags, 8) & constants.O_NONBLOCK) === 0]
      })
  const text = openLog({ ...quiet, level: 'info', textDescriptor: ours }, systemClock)
  const total = 3000
  const sinceMs = performance.now()
  for (let count = 0; count < total; count++) text.write(event(`e${count}`))
  t.ok(performance.now() - sinceMs < 2000, 'a reader that stopped does not stop the writer')
  t.ok(text.dropped() > 0 && text.dropped() < total, `what fits nowhere is dropped and counted (${text.dropped()})`)
  t.strictSame(
    descriptors().map(([number, blocks]) => [number === ours, blocks]),
    [
      [true, true],
      [false, false],
    ],
    'it writes through a descriptor of its own, that never blocks; the one that others share is as it was',
  )
  const dropped = text.dropped()
  const closingMs = performance.now()
  let heard = ''
  const reading = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const drain = (): string => {
    const chunk = Buffer.alloc(65_536)
    try {
      for (let count = readSync(reading, chunk); count > 0; count = readSync(reading, chunk))
        heard += chunk.toString('latin1', 0, count)
    } catch {
      // Empty for now.
    }
    return heard
  }
  const count = await until('the number of lost lines', () => / log-lines-dropped lines=([0-9]+)\n/.exec(drain())?.[1])
  t.equal(Number(count), dropped, 'the reader is told how many lines it lost')
  const complete = heard.split('\n').slice(0, -1)
  t.equal(complete.length, total - dropped + 1, 'and has all the others')
  t.strictSame(
    complete.filter((line) => !/^INFO: e[0-9]+ text=x{100}$|^WARN: log-lines-dropped lines=[0-9]+$/.test(line)),
    [],
    'whole and unmixed',
  )
  t.ok(performance.now() - closingMs < 5000)

  // Full to the brim, or what is buffered might just fit.
  const filler = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK)
  t.throws(
    () => {
      for (;;) writeSync(filler, 'x')
    },
    { code: 'EAGAIN' },
  )
  for (let count = 0; count < total; count++) text.write(event(`e${count}`))
  const waitMs = performance.now()
  await text.close(150)
  const took = performance.now() - waitMs
  t.ok(took > 100 && took < 5000, `closing does not wait for it either (${Math.round(took)} ms of 150)`)
  drain()
  closeSync(filler)
  closeSync(reading)
  closeSync(ours)

  const nowhere = openLog({ ...quiet, level: 'info' }, systemClock)
  nowhere.write(event('nothing'))
  await nowhere.close(1000)
  t.equal(nowhere.dropped(), 0, 'a log that goes nowhere loses nothing')

  const late = join(dir, 'late')
  const lateFile = join(late, 'log.json')
  const textFile = join(dir, 'log.txt')
  const textDescriptor = openSync(textFile, 'a')
  const patient = openLog({ ...quiet, level: 'info', textDescriptor, jsonFile: lateFile }, systemClock)
  patient.write(event('one'))
  await until('two lines of text', () => lines(textFile).length === 2)
  t.match(
    lines(textFile),
    [/^ERR: log-file-failed file=.* cause="ENOENT: /, /^INFO: one /],
    'a file that cannot be opened is told of, and ends nothing',
  )
  mkdirSync(late)
  patient.reopen()
  patient.write(event('two'))
  await until('a line of JSON', () => lines(lateFile).length === 1)
  t.strictSame(names(lateFile), ['two'], 'when the log is opened anew it is tried again')
  renameSync(late, `${late}.moved`)
  patient.reopen()
  patient.write(event('three'))
  await until('the text of the third', () => lines(textFile).length === 4)
  await patient.close(5000)
  t.strictSame(
    names(join(`${late}.moved`, 'log.json')).slice(0, 2),
    ['two', 'three'],
    'where it cannot be opened any more the old one is kept',
  )
  closeSync(textDescriptor)
})

t.test('a log line that comes while its way out is busy needs no further line', async (t) => {
  const dir = t.testdir()
  const event = (name: string): LogEvent => ({ level: 'info', event: name, fields: {} })
  const options = { level: 'info', textDescriptor: null, jsonFile: null, maxBufferOctets: 65_536 } as const

  // A reader that stops for a while.
  const fifo = join(dir, 'fifo')
  spawnSync('mkfifo', [fifo])
  const ours = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
  const text = openLog({ ...options, textDescriptor: ours }, systemClock)
  t.throws(
    () => {
      for (;;) writeSync(ours, 'x')
    },
    { code: 'EAGAIN' },
  )
  text.write(event('first'))
  // Its writer tries the first until there is room.
  await setTimeout(60)
  text.write(event('last'))
  await setTimeout(60)
  let heard = ''
  await until('both lines', () => {
    const chunk = Buffer.alloc(65_536)
    try {
      heard += chunk.toString('latin1', 0, readSync(ours, chunk))
    } catch {
      // Empty for now.
    }
    return heard.endsWith('INFO: first\nINFO: last\n')
  })
  await text.close(5000)
  closeSync(ours)

  const due: (() => void)[] = []
  const after = (_delayMs: number, action: () => void): Timer => {
    due.push(action)
    return { cancel: () => undefined }
  }
  const jsonFile = join(dir, 'log.json')
  const json = openLog({ ...options, jsonFile }, { ...systemClock, after })
  json.write(event('first'))
  // Told to write before its file is open.
  due.pop()?.()
  await until('a line in the file', () => {
    due.pop()?.()
    return existsSync(jsonFile) && readFileSync(jsonFile, 'utf8').endsWith('\n')
  })
  await json.close(5000)
})

t.test('tables', (t) => {
  t.equal(
    formatTable(
      ['message', 'ms', 'reply'],
      [
        ['a.eml', '1.5', '200 Ok'],
        ['longer.eml', '12', ''],
        ['c', 'n/a', '554 no'],
      ],
    ),
    [
      'message     ms   reply',
      '----------  ---  ------',
      'a.eml       1.5  200 Ok',
      'longer.eml   12',
      'c           n/a  554 no',
      '',
    ].join('\n'),
    'columns are as wide as they must be, numbers to the right, no blanks at the end',
  )
  t.equal(formatTable(['a', 'b'], []), 'a  b\n-  -\n', 'no rows')
  t.equal(formatTable(['a'], [['x', 'y'], []]), 'a\n-\nx  y\n\n', 'rows of another length')
  t.end()
})
