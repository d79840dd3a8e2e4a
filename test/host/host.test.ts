/** The whole host, as a process, through Courier's socket. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { basename, dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { replyLimits } from '../../courier-compat/reply.ts'
import { converse, requestOf } from '../helpers/converse.ts'
import { makePlace, orders, servingHost, startHost, startStream, type HostProcess } from '../helpers/host-process.ts'
import type { Pair, PairOptions } from '../helpers/pair.ts'
import { until } from '../helpers/until.ts'

const failed = (id: string): string => `451 4.3.0 Local policy check failed, try again later (${id})\n`
const tookLong = (id: string): string => `451 4.3.0 Local policy check took too long, try again later (${id})\n`
const fields = (line: string): Record<string, string> =>
  Object.fromEntries(
    [...line.matchAll(/ ([a-zA-Z]+)=("(?:[^"\\]|\\.)*"|[^ ]*)/g)].map(([, key = '', value = '']) => [key, value]),
  )

type Acts = Parameters<typeof orders>[0]

/** A message for the fixture filter. */
function message(host: HostProcess, id: string, acts: Acts, more: PairOptions = {}): Pair {
  return host.place.pair({ id, content: orders(acts), ...more })
}

/** The octets of every file of a pair, and what else lies in its folder. */
function contents(pair: Pair): Record<string, string> {
  const folder = dirname(pair.bodyPath)
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'latin1')]))
}

/** What a message that is held until `go` is written answers; resolves once its filter runs. */
async function held(host: HostProcess, id: string, alias = 'act'): Promise<Promise<string>[]> {
  const { at } = host.place
  const answer = host.ask(message(host, id, { [alias]: [`journal ${at(`begun-${id}`)}`, `hold ${at('go')}`] }))
  await until(`${id} to be held`, () => existsSync(at(`begun-${id}`)))
  return [answer]
}

t.test('U28, U29 started as Courier starts it', async (t) => {
  const place = makePlace(t, 'debug', 'slow')
  place.filter(
    'slow.mjs',
    `import { existsSync } from 'node:fs'
     export async function initFilter() {
       while (!existsSync(${JSON.stringify(place.at('go'))})) await new Promise((done) => setTimeout(done, 20))
     }
     export const doFilter = () => ''`,
  )
  const host = startHost(t, place, { set: ['runner.threads=1'] })
  let isAnnounced = false
  void host.announced.then(() => (isAnnounced = true))
  await host.logged(/ runner-started /)
  t.notOk(existsSync(host.socketPath), 'U28: while its filters start there is no socket')
  t.notOk(isAnnounced, 'U28: and descriptor 3 is open, so that Courier waits')
  writeFileSync(place.at('go'), '')
  await host.announced
  // At once: whoever waited for descriptor 3 may send.
  const address = 'gordon@mail.example.org'
  const duplicate = place.pair({
    ...{ id: 'DUP.1', sender: 'root@mail.example.org', source: 'local', ip: '127.0.0.1' },
    ...{ receivedFrom: 'dns; localhost (localhost [127.0.0.1])' },
    recipients: [address, { address, original: 'rfc822;postmaster@mail.example.org' }],
  })
  t.equal(await host.ask(duplicate), '200 Ok\n', 'U28, U29: once it has ended, the sample message hears 200 Ok')
  const seen = (words: string) => host.logged(new RegExp(` filter filter=debug queueId=DUP\\.1 text="${words}`))
  t.ok(await seen('recipient: <gordon@mail\\.example\\.org>, original \\\\"rfc822;postmaster@'), 'U29: debug saw it')

  place.list()
  host.signal('SIGHUP')
  await host.logged(/ reloaded/)
  t.equal(await host.ask(place.pair()), '200 Ok\n', 'T01: an empty list hears 200 Ok too')
  await host.stop()
})

t.test('a message and its answer', async (t) => {
  const host = await servingHost(t, [
    'act',
    'act as soft with on_error=pass',
    'act as dry with dry_run=yes',
    'act as skipper for last',
    'act as last',
  ])
  const { place } = host

  const answers: [name: string, acts: Acts, want: string][] = [
    ['without a decision it is accepted', {}, '200 Ok\n'],
    ['an acceptance is told in its own words', { act: 'reply "250 fine by me"' }, '250 fine by me\n'],
    ['an acceptance ends the chain', { act: 'reply "200 fine"', last: 'reply "554 no"' }, '200 fine\n'],
    [
      'an acceptance with "for" skips what it names',
      { skipper: 'reply "200 fine"', last: 'reply "554 no"' },
      '200 Ok\n',
    ],
    ['000 is told to Courier', { act: 'reply "000 none other"' }, '000 none other\n'],
    ['0xx has one line, its last', { act: 'reply "050-a\\n050 b"' }, '050 b\n'],
    ['a refusal is told', { act: 'reply "554 5.7.1 no"' }, '554 5.7.1 no\n'],
    ['T13 a refusal of two lines is told in two lines', { act: 'reply "554-a\\n554 b"' }, '554-a\n554 b\n'],
    ['a deferral is told', { last: 'reply "451 4.7.1 later"' }, '451 4.7.1 later\n'],
    ['T14 nonsense is a failure', { act: 'reply "nonsense"' }, failed('M.1')],
    ['a throw is a failure', { act: 'throw error' }, failed('M.1')],
    ['a throw of a filter that may fail is none', { soft: 'throw error' }, '200 Ok\n'],
    ['a filter on trial refuses nothing', { dry: 'reply "554 no"' }, '200 Ok\n'],
    ['a filter on trial fails nothing', { dry: 'throw error' }, '200 Ok\n'],
    ['control characters do not reach the wire', { act: 'reply "554 a\\u0000b\\u001b[1m\\r"' }, '554 a?b?[1m?\n'],
    [
      'a long line is cut',
      { act: `reply "554 ${'x'.repeat(2000)}"` },
      `554 ${'x'.repeat(replyLimits.lineOctets - 4)}\n`,
    ],
  ]
  for (const [name, acts, want] of answers) t.equal(await host.ask(message(host, 'M.1', acts)), want, name)

  const plain = place.pair()
  const request = String(requestOf(plain))
  const one = (pair: Pair) => pair.controlPaths[0] ?? ''
  t.equal(
    await host.ask({
      bodyPath: `${basename(dirname(plain.bodyPath))}/${basename(plain.bodyPath)}`,
      controlPaths: [`${basename(dirname(one(plain)))}/${basename(one(plain))}`],
    }),
    '200 Ok\n',
    'T23 relative paths count from the spool',
  )
  t.equal(await host.ask(request.replaceAll('\n', '\r\n')), '200 Ok\n', 'CRLF is tolerated')
  t.equal(await host.ask(`${request}more\nof it\n`), '200 Ok\n', 'what follows the empty line is ignored')
  t.equal(await converse(host.socketPath, request, { halfClose: true }), '200 Ok\n', 'a client may close its side')
  t.equal(await converse(host.socketPath, request.slice(0, -1), { halfClose: true }), '', 'T22 half a request')
  t.match(await host.logged(/ request-refused /), 'cause="the connection ended before the empty line"')
  t.equal(await inPieces(host.socketPath, request), '200 Ok\n', 'a request may come octet by octet')

  t.same(await host.stop(), { code: 0, signal: null }, 'it stops')
  t.notOk(
    host.log.find((line) => / bug |thread-lost|runner-ended/.test(line)),
    'and nothing of all that was a bug or cost a thread',
  )
})

function inPieces(path: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(path)
    socket.on('error', reject)
    socket.on('data', (piece: Buffer) => (text += piece.toString()))
    socket.on('end', () => resolve(text))
    const next = (at: number): void => {
      if (at < request.length) socket.write(request.slice(at, at + 1), () => setImmediate(next, at + 1))
    }
    next(0)
  })
}

t.test('filters of every kind, from a folder outside the project', async (t) => {
  const place = makePlace(t, 'typed', 'old', 'common', 'counter', 'counter as other', 'closing')
  place.filter(
    'typed.ts',
    `import { addRecipient, type DoFilter } from 'nodefilter/courier-compat'
     export const doFilter: DoFilter = (bodyPath: string, controlPaths, context) => {
       if (context.envelope.sender === 'add@example.net') addRecipient(controlPaths, 'added@example.org')
       return context.client.ip === '203.0.113.9' ? '' : \`554 \${String(context.client.ip)}\`
     }`,
  )
  place.filter(
    'old.mjs',
    `let begun = false
     export const init_filter = () => void (begun = true)
     export const do_filter = () => (begun ? '' : '554 old')`,
  )
  place.filter('common.cjs', `exports.doFilter = async (body) => (body.includes('/tmp/') ? '' : '554 common')`)
  place.filter(
    'counter.mjs',
    `let alias = ''
     let seen = 0
     export const initFilter = (setup) => void (alias = setup.alias)
     export const doFilter = (body, control, context) => void context.notes.set(alias, String(++seen))`,
  )
  place.filter(
    'closing.mjs',
    `export const doFilter = () => undefined\nexport const closeFilter = () => console.log('closed')`,
  )
  const host = startHost(t, place, { set: ['runner.threads=1'] })
  await host.ready()
  const added = place.pair({ sender: 'add@example.net', id: 'ADD.1' })
  t.equal(await host.ask(added), '200 Ok\n')
  t.match(readFileSync(added.controlPaths[0] ?? '', 'utf8'), /^radded@example\.org$/m, 'the library works in a filter')
  t.equal(fields(await host.settled('ADD.1'))['notes'], '"counter=1 other=1"', 'each alias has its own variables')
  t.equal(await host.ask(place.pair({ id: 'ADD.2' })), '200 Ok\n')
  t.equal(fields(await host.settled('ADD.2'))['notes'], '"counter=2 other=2"', 'which live as long as the thread')
  await host.stop()
  t.ok(
    host.log.some((line) => line.includes(' filter-output ') && line.endsWith('text=closed')),
    'filters are closed at the end',
  )
})

t.test('the log', async (t) => {
  const place = makePlace(t, 'act', 'act as soft with on_error=pass', 'act as dry with dry_run=yes')
  const host = startHost(t, place, { set: [`log.file=${place.at('log')}`] })
  await host.ready()

  const pair = message(host, 'SUM.1', { act: ['note a b', 'print hello', 'log "said\\nso"'], dry: 'reply "554 no"' })
  await host.ask(pair)
  const summary = fields(await host.settled('SUM.1'))
  t.same(
    Object.keys(summary),
    'id door queueId client sender recipients octets verdict reply ms source notes trail'.split(' '),
    'the summary has its fields',
  )
  const { id, ms, trail, ...rest } = summary
  t.same(rest, {
    ...{ door: 'courierfilter', queueId: 'SUM.1', client: '203.0.113.9', sender: 'sender@example.net' },
    ...{
      recipients: '1',
      octets: String(statSync(pair.bodyPath).size),
    },
    ...{ verdict: 'pass', reply: '""', source: 'smtp', notes: 'a=b' },
  })
  t.match(id, /^[0-9a-f]{16}$/)
  t.match(ms, /^[0-9.]+$/)
  t.match(trail, /^"act:pass:[0-9.]+(\/[0-9.]+)? soft:pass:[0-9./]+ dry:\?reject:[0-9./]+"$/)
  t.match(await host.logged(/ dry-run /), 'queueId=SUM.1 filter=dry outcome=reject text="554 no"')
  t.match(await host.logged(/ filter filter=act queueId=SUM\.1 /), 'text="said\\nso"')
  t.match(await host.logged(/ filter-output /), 'stream=stdout text=hello')

  await host.ask(message(host, 'FAIL.1', { act: 'throw error' }))
  const why = fields(await host.settled('FAIL.1'))
  t.match(why, { filter: 'act', errorCode: 'threw', verdict: 'defer' })
  t.match(why['errorCause'], /^"Error: told to at .*act\.mjs:[0-9]+"$/)
  await host.ask(message(host, 'SOFT.1', { soft: 'throw error' }))
  t.match(await host.logged(/ filter-failed-passed /), /^WARN: .* queueId=SOFT\.1 filter=soft cause="Error: told to/)

  const refused = message(
    host,
    'REF.1',
    { act: 'reply "554-a\\n554 b"' },
    { recipients: ['one@example.org', { address: 'done@example.org', done: true }, 'two@example.org'] },
  )
  await host.ask(refused)
  await host.settled('REF.1')
  t.same(
    host.log.filter((line) => line.includes(' reject,')),
    ['user', 'one', 'two'].map((user, index) =>
      index === 0
        ? `INFO: act reject,from=<sender@example.net>,addr=<user@example.org>: ${failed('FAIL.1').trimEnd()}`
        : `INFO: act reject,from=<sender@example.net>,addr=<${user}@example.org>: 554-a\\n554 b`,
    ),
    'T26 a refusal has a line for each pending recipient, in the shape that fail2ban knows, each on one physical line',
  )
  await host.ask(
    message(
      host,
      'REF.2',
      { act: 'reply "554 no"' },
      { files: [['a@example.org'], ['b@example.org', 'c@example.org']] },
    ),
  )
  t.equal(fields(await host.settled('REF.2'))['recipients'], '3', 'recipients of several control files are counted')
  t.equal(host.log.filter((line) => /addr=<[abc]@example\.org>: 554 no$/.test(line)).length, 3, 'and told')

  const pending = ['a@example.org', { address: 'b@example.org', done: true }, 'c@example.org']
  await host.ask(message(host, 'REF.3', { act: 'reply "451 4.7.1 later"' }, { recipients: pending }))
  await host.settled('REF.3')
  t.same(
    host.log.flatMap((line) => /addr=<(.)@example\.org>: 451 4\.7\.1 later$/.exec(line)?.[1] ?? []),
    ['a', 'c'],
    'T26: so has a deferral: two, not three',
  )

  const hostile = Buffer.from([0x1b, 0x5b, 0x32, 0x4a, 0xff, 0x80, 0xe2, 0x80, 0xa8, 0x22, 0x20, 0x5c])
  await host.ask(message(host, 'ESC.1', { act: 'reply "554 no"' }, { sender: hostile, recipients: [hostile] }))
  await host.settled('ESC.1')
  t.notOk(
    host.log.find((line) => /[^ -~]/.test(line)),
    'nothing but printable ASCII reaches the log',
  )
  t.ok(
    host.log.every((line) => line.length <= 500),
    'no line is longer than 500 octets',
  )

  // Rotation: the file is moved away, and a reload opens a new one.
  renameSync(place.at('log'), place.at('log.1'))
  host.signal('SIGHUP')
  await host.logged(/ reloaded/)
  await host.stop()
  for (const file of ['log.1', 'log']) {
    const events = readFileSync(place.at(file), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    t.ok(
      events.every(({ time, level, event }) => typeof time === 'string' && level !== undefined && event !== undefined),
      `every line of ${file} is one event in JSON`,
    )
    if (file === 'log')
      t.ok(
        events.some(({ event }) => event === 'host-stopped'),
        'and goes on after a rotation',
      )
    else
      t.match(
        events.find(({ queueId, event }) => event === 'settled' && queueId === 'REF.1'),
        { reply: '554-a\n554 b' },
      )
  }
})

t.test('edits are kept, or taken back whole', async (t) => {
  const host = await servingHost(
    t,
    ['act', 'act as soft with on_error=pass', 'act as dry with dry_run=yes', 'act as last'],
    { set: ['runner.blocked_limit=400ms'] },
  )
  const edits = ['append rlate@example.org', 'append R', 'append N', 'rewrite X: y']
  const rows: [name: string, acts: Acts, more: PairOptions, want: RegExp, kept: boolean][] = [
    ['an edit of an accepted message stays', { act: 'append U' }, {}, /^200/, true],
    ['after a failure that passes', { soft: [...edits, 'throw error'] }, {}, /^200/, false],
    ['of a filter on trial', { dry: edits }, {}, /^200/, false],
    [
      'of a first attempt that lost its thread',
      { act: [...edits.map((edit) => `first ${edit}`), 'first exit 1'] },
      {},
      /^200/,
      false,
    ],
    [
      'of a first attempt that lost its runner',
      { act: [...edits.map((edit) => `first ${edit}`), 'first kill SIGKILL'] },
      {},
      /^200/,
      false,
    ],
    ['of a filter that may fail and blocks', { soft: [...edits, 'loop'] }, {}, /^200/, false],
    [
      'of a failed filter where failures of local mail pass',
      { act: [...edits, 'throw error'] },
      { source: 'local' },
      /^200/,
      false,
    ],
  ]
  for (const [name, acts, more, want, kept] of rows) {
    const pair = message(host, 'E.1', acts, more)
    const before = contents(pair)
    t.match(await host.ask(pair), want, name)
    if (kept) t.not(contents(pair)[basename(pair.controlPaths[0] ?? '')], before[basename(pair.controlPaths[0] ?? '')])
    else t.same(contents(pair), before, `${name}: every file is as it was, octet for octet`)
  }

  const journal = host.place.at('journal')
  const edited = message(host, 'E.2', {
    act: ['append U', `journal ${journal}`],
    soft: ['append V', 'throw 0'],
    last: 'append T',
  })
  const before = contents(edited)
  t.equal(await host.ask(edited), '200 Ok\n')
  const control = basename(edited.controlPaths[0] ?? '')
  t.equal(
    contents(edited)[control],
    `${before[control] ?? ''}U\nT\n`,
    'what stands before and after a failed filter stays',
  )
  await host.stop()
})

t.test('what a failure means is chosen by the source of the mail', async (t) => {
  const host = await servingHost(t, ['act'])
  const rows: [source: string, want: string, setting: string | null][] = [
    ['smtp', failed('S.1'), null],
    ['esmtp', failed('S.1'), null],
    ['authsmtp', failed('S.1'), null],
    ['uucp', failed('S.1'), null],
    ['', failed('S.1'), null],
    ['local', '200 Ok\n', 'on_failure_local'],
    ['smtp/dsn', '200 Ok\n', 'on_failure_dsn'],
    ['local/dsn', '200 Ok\n', 'on_failure_dsn'],
  ]
  for (const [source, want, setting] of rows) {
    t.equal(await host.ask(message(host, 'S.1', { act: 'throw error' }, { source })), want, `source "${source}"`)
    t.equal(
      await host.ask(message(host, 'S.1', { act: 'reply "554 no"' }, { source })),
      '554 no\n',
      'a verdict is none',
    )
    if (setting === null) continue
    t.match(
      await host.logged(/ failure-passed /),
      new RegExp(`^WARN: .* queueId=S\\.1 setting=${setting} cause=`),
      'with a warning',
    )
    ;(host.log as string[]).length = 0
  }
  await host.stop()
})

t.test('filters that block, exit or kill cost their own message alone', async (t) => {
  const place = makePlace(t, 'act', 'act as soft with on_error=pass', 'act as calm')
  const set = ['runner.threads=2', 'runner.blocked_limit=400ms', 'host.deadline=20s']
  const host = startHost(t, place, { set })
  await host.ready()
  execFileSync('mkfifo', [place.at('fifo')])
  const rows: [name: string, acts: Acts, want: string, event: RegExp][] = [
    ['an endless loop', { act: 'loop' }, tookLong('B.1'), / thread-blocked .*queueId=B\.1 filter=act$/],
    ['an endless loop after a pause', { act: ['later 5 ""', 'loop'] }, tookLong('B.1'), / thread-blocked /],
    ['an exit', { act: 'exit 0' }, failed('B.1'), / thread-lost .*exit/],
    ['a SIGKILL', { act: 'kill SIGKILL' }, failed('B.1'), / runner-ended .*SIGKILL/],
    ['a native call that waits', { act: `read ${place.at('fifo')}` }, tookLong('B.1'), / thread-stuck /],
    [
      'an endless loop of a filter that may fail',
      { soft: 'loop' },
      '200 Ok\n',
      / runs-again .*did not give its thread back/,
    ],
  ]
  for (const [name, acts, want, event] of rows) {
    ;(host.log as string[]).length = 0
    // What was in hand of a killed runner runs again one by one, so a message that is held would hold up the others.
    const beside = name === 'a SIGKILL' ? [] : await held(host, 'CALM', 'calm')
    const stream = startStream(host, 3)
    const sinceMs = performance.now()
    t.equal(await host.ask(message(host, 'B.1', acts)), want, `${name}: its own message`)
    t.ok(performance.now() - sinceMs < 8000, `${name}: answered long before the deadline`)
    t.ok(await host.logged(event), `${name}: the log tells of it`)
    writeFileSync(place.at('go'), '')
    const { sent, wrong, slowestMs } = await stream.stop()
    t.same(wrong, [], `${name}: ${sent} neighbours are accepted`)
    t.ok(slowestMs < 8000, `${name}: none of them waits for long`)
    for (const answer of beside) t.equal(await answer, '200 Ok\n', `${name}: one that was in hand is accepted`)
    for (const file of ['go', 'begun-CALM']) execFileSync('rm', ['-f', place.at(file)])
  }
  t.same(await host.stop(), { code: 0, signal: null })
})

t.test('too many messages, and too little time', async (t) => {
  const set = ['runner.threads=1', 'runner.messages_per_thread=1', 'host.max_waiting=2', 'host.deadline=1500ms']
  const host = await servingHost(t, ['act'], { set })
  const [first] = await held(host, 'H.1')
  const waiting = [host.ask(message(host, 'W.1', {})), host.ask(message(host, 'W.2', {}))]
  const tooBusy = '451 4.3.2 Mail filter is too busy, try again later (W.3)\n'
  await until('one too many', async () => (await host.ask(message(host, 'W.3', {}))) === tooBusy, 1000)
  t.match(await host.settled('W.3'), /errorCode=overloaded errorCause="2 messages wait already"/)
  writeFileSync(host.place.at('go'), '')
  t.same(await Promise.all([first, ...waiting]), Array(3).fill('200 Ok\n'), 'those who waited are served')

  const never = host.ask(message(host, 'N.1', { act: 'never' }))
  const behind = host.ask(message(host, 'N.2', {}))
  t.equal(await never, tookLong('N.1'), 'a message without a verdict hears 451 at its deadline')
  t.equal(await behind, tookLong('N.2'), 'and so does one that only waited')
  t.match(await host.settled('N.2'), /errorCode=deadline/)
  t.equal(await host.ask(message(host, 'N.3', {})), '200 Ok\n', 'the next one is served')
  await host.stop()
})

t.test('a stop', async (t) => {
  const host = await servingHost(t, ['act'], { set: ['host.grace=600ms', 'runner.threads=2'] })
  const long = host.ask(message(host, 'T.1', { act: 'never' }))
  const [short] = await held(host, 'T.2')
  const ended = host.stop()
  await host.logged(/ host-stopping reason="end of standard input" inHand=2/)
  writeFileSync(host.place.at('go'), '')
  t.equal(await short, '200 Ok\n', 'T24 what ends within the grace is answered')
  t.equal(
    await long,
    '451 4.3.2 Mail filter is being restarted, try again later (T.1)\n',
    'T25 what does not hears 451',
  )
  t.same(await ended, { code: 0, signal: null })
  t.ok(existsSync(host.socketPath), 'the socket file stays')
})

t.test('a broken configuration', async (t) => {
  const place = makePlace(t, 'atc')
  const broken = '451 4.3.5 Mail filter is not configured correctly, try again later (C.1)\n'
  const host = startHost(t, place)
  await host.ready()
  t.equal(await host.ask(message(host, 'C.1', {})), broken, 'T21: with an unknown module the door answers 451 4.3.5')
  t.match(
    await host.logged(/ configuration-broken /),
    /^ERR: .*filters\.conf:1: there is no filter .*did you mean .*act/,
    'T21: and the log says which one',
  )
  for (const [what, list] of Object.entries({
    'a fault in the list': 'act whith x',
    'a setting that is none': 'act with x=y',
  })) {
    ;(host.log as string[]).length = 0
    place.list(list)
    host.signal('SIGHUP')
    t.match(await host.logged(/ configuration-broken /), /filters\.conf:1: /, `${what} is told with its line`)
    t.equal(await host.ask(message(host, 'C.1', {})), broken, what)
  }
  place.list('act')
  host.signal('SIGHUP')
  await host.logged(/ reloaded/)
  t.equal(await host.ask(message(host, 'C.1', {})), '200 Ok\n', 'is mended by a reload')
  await host.stop()

  place.list('atc')
  writeFileSync(join(place.config, 'nodefilter.conf'), '[host]\nwhen_broken = pass\n')
  const lenient = startHost(t, place)
  await lenient.ready()
  t.equal(await lenient.ask(message(lenient, 'C.1', {})), '200 Ok\n', 'passes mail where when_broken says so')
  t.match(await lenient.logged(/ failure-passed /), /^WARN: .* setting=when_broken /, 'with a warning')
  await lenient.kill()

  writeFileSync(join(place.config, 'nodefilter.conf'), '[host]\nwhen_brocken = pass\n')
  const strict = startHost(t, place)
  await strict.ready()
  t.equal(await strict.ask(message(strict, 'C.1', {})), broken, 'a misspelt setting is no setting')
  t.match(await strict.logged(/ configuration-broken .*nodefilter\.conf:2/), /did you mean .*when_broken/)
  await strict.kill()
})

t.test('a door that is not wanted', async (t) => {
  const host = startHost(t, makePlace(t, 'act'), { set: ['courierfilter.enabled=no'] })
  t.match(await host.logged(/ door-disabled /), /^WARN: .* door=courierfilter /, 'is told of')
  t.notOk(existsSync(host.socketPath), 'is not opened')
  t.same(await host.stop(), { code: 0, signal: null }, 'and its host stops as any other')
})

t.test('a reload', async (t) => {
  const set = ['runner.threads=1', 'runner.messages_per_thread=1', 'host.deadline=5s']
  const host = await servingHost(t, ['act'], { set })
  const runners = (): number => host.log.filter((line) => line.includes(' runner-started ')).length
  const reload = async (event: RegExp): Promise<void> => {
    ;(host.log as string[]).length = 0
    host.signal('SIGHUP')
    await host.logged(event)
  }
  // More than the threads have in hand: some wait while the runner is replaced.
  const stream = startStream(host, 12)
  for (let round = 0; round < 3; round++) await reload(/ reloaded/)
  const [acrossReload] = await held(host, 'R.1')
  await reload(/ reloaded/)
  writeFileSync(host.place.at('go'), '')
  t.equal(await acrossReload, '200 Ok\n', 'a message in hand is finished by the old runner')
  const { sent, wrong, slowestMs } = await stream.stop()
  t.same(wrong, [], `none of ${sent} messages is refused during four reloads`)
  t.ok(slowestMs < 4000, `none waits for its deadline: ${slowestMs} ms`)
  t.ok(runners() > 0, 'each time with a new runner')

  host.place.list('atc')
  await reload(/ reload-refused /)
  t.equal(await host.ask(host.place.pair()), '200 Ok\n', 'a broken one changes nothing')
  host.place.filter('no.mjs', "export const doFilter = () => '554 no'\n")
  host.place.list('no')
  await reload(/ reloaded/)
  t.equal(await host.ask(host.place.pair()), '554 no\n', 'a sound one takes over')
  await alone(t, host)
  await host.stop()
})

/** Waits until the host has one runner. */
async function alone(t: Test, host: HostProcess): Promise<void> {
  const children = (): string[] => readFileSync(`/proc/${host.pid}/task/${host.pid}/children`, 'utf8').trim().split(' ')
  await until('the old runners to end', () => children().length === 1)
  t.pass('the old runners end')
}
