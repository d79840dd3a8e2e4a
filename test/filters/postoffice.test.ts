/** The post office as a filter: what is put where, who still gets the message, and what of it is known again. */
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { openFilter, type OpenedFilter, type RunOptions } from '../../courier-compat/testing.ts'
import * as postoffice from '../../filters/postoffice.ts'
import { parsePostOffice } from '../../filters/postoffice/configuration.ts'
import { paceMapMs, paceOf, throttleOf } from '../../filters/postoffice/deliver-pace.ts'
import { openIncoming } from '../../filters/postoffice/incoming.ts'
import { judgeLoop, type LoopRecord } from '../../filters/postoffice/loop.ts'
import { routeMessage } from '../../filters/postoffice/sort.ts'
import { parseList } from '../../host/chain/list.ts'
import { memoryPort, openTtlMaps } from '../../queue-store/ttl/index.ts'
import { readRecipients } from '../../courier-compat/control.ts'
import { openDepot } from '../../queue-store/index.ts'
import { makePlace, startHost, type Place } from '../helpers/host-process.ts'
import { fileTimeMs, importCases, messageText } from '../postoffice/cases-import.ts'

const head = '[post office]\nmaildir = %(here)s/Maildir\n'
const A = '[queue:A]\nfilters =\n  to_hostname: a.example\n'
const B = '[queue:B]\nfilters =\n  to_hostname: b.example\n'

/** A message; what `fields` names stands in place of its own. */
const letter = (fields: readonly string[] = [], body = 'Body\n', without: readonly string[] = []): string => {
  const nameOf = (field: string): string => field.slice(0, field.indexOf(':'))
  const gone = [...without, ...fields.map(nameOf)]
  const own = ['From: Ann <ann@example.com>', 'To: box@a.example', 'Subject: Hello', 'Message-Id: <1@example.com>']
  return `${[...own.filter((field) => !gone.includes(nameOf(field))), ...fields].join('\n')}\n\n${body}`
}

interface Opening {
  readonly settings?: Readonly<Record<string, unknown>>
  readonly alias?: string
  readonly queues?: readonly string[]
}

/** Starts the filter, in place of one that was started before, with what follows the two required lines of an ini file. */
async function start(t: Test, ini: string, { settings = {}, ...more }: Opening = {}): Promise<OpenedFilter> {
  const folder = t.testdir()
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'postoffice.ini')
  writeFileSync(path, head + ini)
  const filter = await openFilter(postoffice, { name: 'postoffice', settings: { ini: path, ...settings }, ...more })
  t.teardown(() => filter.close())
  return filter
}

const to = (...recipients: string[]): RunOptions => ({ recipients })

t.test('where a message is put, and who still gets it', async (t) => {
  const subject = '[queue:S]\nfilters =\n  header_regexp: Subject: .*order\n'
  interface Row {
    readonly name: string
    readonly ini?: string
    readonly settings?: Readonly<Record<string, unknown>>
    readonly message?: string
    readonly recipients: string[]
    readonly queue: string | null
    readonly left: string[]
    /** Of the envelope in the queue. */
    readonly envelope?: string[]
  }
  const box = 'box@a.example'
  const carl = 'carl@example.org'
  const rows: Row[] = [
    { name: 'a recipient at the host: only in the queue', recipients: [box], queue: 'A', left: [] },
    {
      name: 'others go on, and are no business of the application',
      recipients: [box, carl],
      queue: 'A',
      left: [carl],
      envelope: [box],
    },
    {
      name: 'in the header section alone: in the queue, and in the mailbox',
      recipients: [carl],
      queue: 'A',
      left: [carl],
      envelope: [carl],
    },
    {
      name: 'deliver = both in the ini file: to all',
      ini: `deliver = both\n${A}`,
      recipients: [box, carl],
      queue: 'A',
      left: [box, carl],
      envelope: [box],
    },
    {
      name: 'deliver = queue of the queue: nobody else gets what it takes by its subject',
      ini: `${subject}deliver = queue\n`,
      message: letter(['Subject: an order']),
      recipients: [carl],
      queue: 'S',
      left: [],
    },
    {
      name: 'deliver = queue where some are at its host: those alone',
      ini: `deliver = queue\n${A}`,
      recipients: [box, carl],
      queue: 'A',
      left: [carl],
      envelope: [box],
    },
    {
      name: 'a subject alone: the mailbox is not swallowed',
      ini: subject,
      message: letter(['Subject: an order']),
      recipients: [carl],
      queue: 'S',
      left: [carl],
    },
    {
      name: 'the setting wins over the ini file',
      ini: `deliver = queue\n${A}`,
      settings: { deliver: 'both' },
      recipients: [box],
      queue: 'A',
      left: [box],
    },
    {
      name: 'the first queue of the file that matches, and no other',
      ini: A + B,
      message: letter(['To: box@a.example, box@b.example']),
      recipients: [box, 'box@b.example'],
      queue: 'A',
      left: ['box@b.example'],
      envelope: [box],
    },
    {
      name: 'no queue: it goes on',
      message: letter(['To: carl@example.org']),
      recipients: [carl],
      queue: null,
      left: [carl],
    },
    {
      name: 'the envelope, where the ini file asks for it: sent blind, and to somebody else by name',
      ini: '[queue:A]\nfilters =\n  to_hostname: a.example ;headers=envelope\n',
      message: letter(['To: carl@example.org']),
      recipients: [box, carl],
      queue: 'A',
      left: [carl],
      envelope: [box],
    },
    {
      name: 'a host name in another spelling',
      recipients: ['Box@A.Example'],
      queue: 'A',
      left: [],
      envelope: ['Box@A.Example'],
    },
  ]
  for (const { name, ini = A, settings = {}, message = letter(), recipients, queue, left, envelope } of rows) {
    const filter = await start(t, ini, { settings })
    const run = await filter.run(message, to(...recipients))
    t.equal(run.reply, '', `${name}: no decision`)
    t.same(run.recipients, left, `${name}: recipients that are left`)
    t.same(
      run.additions.map((addition) => addition.queue),
      queue === null ? [] : [queue],
      name,
    )
    const [addition] = run.additions
    if (addition === undefined) continue
    t.equal(addition.content.toString('latin1'), message, `${name}: octet for octet`)
    t.same(addition.envelope?.recipients, envelope ?? recipients, `${name}: its envelope`)
  }
})

t.test('what a consumer is told, and what the log says', async (t) => {
  const filter = await start(t, `order = key\n${A}`.replace('order = key\n', ''), { queues: ['other'] })
  const run = await filter.run(letter(['X-Postoffice-Rejected: Throttled', 'Precedence: bulk']), {
    ...to('box@a.example', 'box2@a.example'),
    ...{ sender: 'ann@example.com', clientIp: '192.0.2.7', authUser: 'ann' },
  })
  const [addition] = run.additions
  t.match(addition, { key: 'ann@example.com', envelope: { sender: 'ann@example.com' } })
  t.match(addition?.facts, {
    ...{ queue: 'A', marks: ['Auto-response'], messageId: '<1@example.com>', sender: 'ann@example.com' },
    ...{
      recipients: ['box@a.example', 'box2@a.example'],
      recipientCount: 2,
      forgedFields: 1,
      autoResponse: ['precedence'],
    },
    ...{ source: 'smtp', messageQueueId: 'test.1', client: '192.0.2.7', authUser: 'ann', original: null },
    matched: ['to_hostname: box@a.example matches a.example'],
  })
  t.same([...run.notes], [['queue', 'A']])
  t.match(run.log, [
    /^info: Message is an automatic answer: precedence: From: Ann <ann@example.com> To: box@a.example Subject: Hello/,
    /^info: Message is for queue A: /,
  ])
  const other = await filter.run(letter(['To: carl@example.org']), to('carl@example.org'))
  t.same(other.log, [], 'mail of others is not spoken of')
  const mixed = await filter.run(letter(), to('box@a.example', 'carl@example.org'))
  t.equal(mixed.notes.get('mailboxes'), '1')
})

t.test('facts stay small, whatever a message is like', async (t) => {
  const filter = await start(t, A)
  const many = Array.from({ length: 4000 }, (_, index) => `somebody-with-a-long-name-${String(index)}@a.example`)
  const run = await filter.run(letter([`From: <${'x'.repeat(5000)}@example.com>`]), to(...many))
  t.same(run.recipients, [])
  const [addition] = run.additions
  t.equal(addition?.envelope?.recipients.length, 4000, 'the envelope has all')
  t.equal(addition?.facts['recipientCount'], 4000)
  t.ok(JSON.stringify(addition?.facts).length < 32_000)
  t.ok((addition?.key?.length ?? 0) <= 1000)
})

t.test('mail that is in no queue', async (t) => {
  const reject = `reject_filters =\n  header_regexp: Subject: .*lottery\n`
  const lottery = letter(['Subject: lottery'])
  const elsewhere = letter(['Subject: lottery', 'To: carl@example.org'])
  const refusal = '554 5.7.1 This message is not accepted here'
  interface Row {
    readonly name: string
    readonly ini?: string
    readonly settings?: Readonly<Record<string, unknown>>
    readonly message: string
    readonly reply: string
    readonly left: string[]
    readonly recipients?: string[]
  }
  const box = ['box@a.example']
  const carl = ['carl@example.org']
  const rows: Row[] = [
    { name: 'a reject filter refuses', ini: reject + A, message: lottery, reply: refusal, left: box },
    {
      name: 'or drops, as the ini file says',
      ini: `reject = drop\n${reject}${A}`,
      message: lottery,
      reply: '',
      left: [],
    },
    {
      name: 'the setting wins',
      ini: `reject = drop\n${reject}${A}`,
      settings: { reject: 'refuse' },
      message: lottery,
      reply: refusal,
      left: box,
    },
    {
      name: 'mail that no queue would take is nothing to reject',
      ini: reject + A,
      message: elsewhere,
      recipients: carl,
      reply: '',
      left: carl,
    },
    {
      name: 'but where it is for all mail',
      ini: reject + A,
      settings: { reject_scope: 'all' },
      message: elsewhere,
      recipients: carl,
      reply: refusal,
      left: carl,
    },
    {
      name: 'and there dropping is for all',
      ini: reject + A,
      settings: { reject_scope: 'all', reject: 'drop' },
      message: elsewhere,
      recipients: carl,
      reply: '',
      left: [],
    },
    {
      name: 'dropping throws nothing away that is for a mailbox as well',
      ini: `reject = drop\n${reject}${A}`,
      message: lottery,
      recipients: [...box, ...carl],
      reply: '',
      left: carl,
    },
    { name: 'without From it goes on', message: letter([], 'Body\n', ['From']), reply: '', left: box },
    {
      name: 'or is refused',
      settings: { unfit: 'refuse' },
      message: letter([], 'Body\n', ['From']),
      reply: '554 5.6.0 Message has no From header',
      left: box,
    },
    {
      name: 'or dropped: a notice of ours that came back',
      settings: { unfit: 'drop' },
      message: letter(['X-Postoffice: Bounced']),
      reply: '',
      left: [],
    },
    {
      name: 'but not if it is for somebody else',
      settings: { unfit: 'refuse' },
      message: letter(['To: carl@example.org'], 'Body\n', ['From']),
      recipients: carl,
      reply: '',
      left: carl,
    },
    {
      name: 'without a Message-Id, where the ini file requires one',
      ini: `message_id = require\n${A}`,
      settings: { unfit: 'refuse' },
      message: letter([], 'Body\n', ['Message-Id']),
      reply: '554 5.6.0 Message has no Message-Id',
      left: box,
    },
  ]
  for (const { name, ini = A, settings = {}, message, recipients = box, reply, left } of rows) {
    const filter = await start(t, ini, { settings })
    const run = await filter.run(message, to(...recipients))
    t.equal(run.reply, reply, name)
    t.same(run.recipients, left, `${name}: who is left`)
    t.same(run.additions, [], `${name}: in no queue`)
    if (left.length < recipients.length)
      t.match(run.log.join('\n'), /^info: dropped for </m, `${name}: the log says so`)
  }
  const none = await (await start(t, A)).run(letter(), { recipients: [] })
  t.same(none.additions, [], 'nobody is left to whom it is to be delivered')
})

t.test('a message that comes again has the same name in its queue, another one has another', async (t) => {
  const filter = await start(t, A)
  const keyOf = async (message: string, ...recipients: string[]) => {
    const { additions } = await filter.run(message, to(...(recipients.length === 0 ? ['box@a.example'] : recipients)))
    return additions[0]?.idempotencyKey
  }
  const first = await keyOf(letter())
  t.type(first, 'string')
  const rows: [name: string, isSame: boolean, key: typeof first][] = [
    ['with other traces of its way', true, await keyOf(`Received: from x by y; Mon, 01 Jun 2015\n${letter()}`)],
    ['another body', false, await keyOf(letter([], 'Other\n'))],
    ['another Message-Id', false, await keyOf(letter(['Message-Id: <2@example.com>']))],
    ['another recipient', false, await keyOf(letter(), 'box2@a.example')],
    ['the same recipients in another order', false, await keyOf(letter(), 'x@a.example', 'box@a.example')],
    ['somebody else in another place', true, await keyOf(letter(), 'carl@example.org', 'box@a.example')],
  ]
  for (const [name, isSame, key] of rows) t.equal(key === first, isSame, name)
  const two = [await keyOf(letter(), 'x@a.example', 'y@a.example'), await keyOf(letter(), 'y@a.example', 'x@a.example')]
  t.equal(two[0], two[1], 'the order of recipients says nothing')
  t.equal(await keyOf(letter([], 'Body\n', ['Message-Id'])), undefined, 'without an id the host makes a name of it all')
  const without = await start(t, `duplicate_window = 0s\n${A}`)
  const { additions } = await without.run(letter(), to('box@a.example'))
  t.match(
    additions,
    [{ queue: 'A', idempotencyKey: undefined }],
    'where nothing is a duplicate, only a second delivery is',
  )
})

t.test('a message over the size limit', async (t) => {
  const filter = await start(t, `max_message_size = 300\n${A}`)
  const long = letter(['Content-Type: multipart/mixed; boundary=x'], `${'x'.repeat(500)}\n`)
  const run = await filter.run(long, to('box@a.example'))
  const [original, short] = run.additions
  t.equal(run.additions.length, 2)
  t.equal(original?.queue, 'oversize')
  t.equal(original?.content.toString('latin1'), long, 'the original is kept whole')
  t.equal(short?.queue, 'A')
  const reference = (short?.facts['original'] as { reference?: string } | null)?.reference ?? ''
  t.match(reference, /^[\w-]{16}$/)
  t.match(original?.facts['original'], { reference })
  t.match(short?.content.toString(), new RegExp(`kept as message ${reference} of queue oversize\\.\\n$`))
  t.match(short?.content.toString(), /^Content-Type: text\/plain; charset=utf-8$/m)
  t.match(short?.facts, { marks: ['Maximum Message Size Exceeded'], octets: long.length, sizeLimitOctets: 300 })
  t.equal(short?.idempotencyKey, original?.idempotencyKey)
  const again = await filter.run(long, to('box@a.example'))
  t.match(again.additions[1]?.facts['original'], { reference }, 'what comes again names the same original')
  t.same(run.recipients, [])

  const fields = Array.from({ length: 4000 }, (_, index) => `X-${index}: ${'y'.repeat(200)}`)
  const { additions } = await filter.run(letter(fields), to('box@a.example'))
  t.ok(
    (additions[1]?.content.length ?? Infinity) < 300_000,
    'a header section of any size makes no message of that size',
  )

  const byBody = await start(t, 'max_message_size = 300\n[queue:A]\nfilters =\n  body_regexp: xxx\n')
  const unseen = await byBody.run(long, to('box@a.example'))
  t.match(
    [unseen.additions, unseen.log],
    [[], ['info: 1 filters did not look at the body: the message is over the size limit']],
  )

  const named = await start(t, `max_message_size = 300\n${A}`, { settings: { oversize_queue: 'whole' } })
  t.same(
    (await named.run(long, to('box@a.example'))).additions.map(({ queue }) => queue),
    ['whole', 'A'],
  )
  await t.rejects(
    start(t, `max_message_size = 1\n${A}`, { settings: { oversize_queue: 'A' } }),
    /is a queue of the ini/,
  )
})

t.test('a sender that is too fast is marked, and a message counts once', async (t) => {
  const filter = await start(t, `ooo_loop_frequency = 1\n${A}`)
  const marksOf = async (id: string, fields: string[] = [], attempt = 1) => {
    const message = letter([`Message-Id: <${id}@example.com>`, ...fields])
    const { additions } = await filter.run(message, { ...to('box@a.example'), attempt })
    return additions[0]?.facts['marks']
  }
  t.same(await marksOf('1'), [])
  t.same(await marksOf('1', [], 2), [], 'the same message once more')
  t.same(await marksOf('1a', ['X-Original-To: bcc@example.org']), [], 'sent blind, as its field says')
  t.same(await marksOf('1b', ['To: list@a.example']), [], 'sent blind, as its envelope says')
  t.same(await marksOf('2', ['From: bob@example.com']), [], 'somebody else')
  t.same(await marksOf('3'), ['Throttled'], 'another message of the first one')
  t.same(await marksOf('4', ['X-Original-To: bcc@example.org']), ['Throttled'], 'a throttle holds for all')

  const noId = (fields: string[]) => letter(fields, 'Body\n', ['Message-Id'])
  const throttled = async (message: string) => {
    const { additions } = await filter.run(message, to('box@a.example'))
    return (additions[0]?.facts['marks'] as string[]).includes('Throttled')
  }
  const dated = ['From: eve@example.com', 'Date: Mon, 01 Jun 2015 10:00:00 +0000']
  t.equal(await throttled(noId(dated)), false)
  t.equal(await throttled(`Received: from x by y; now\n${noId(dated)}`), false, 'known by its date, author and text')
  t.equal(await throttled(noId(['From: eve@example.com', 'Date: Mon, 01 Jun 2015 10:00:01 +0000'])), true)
})

t.test('settings and ini files that are wrong', async (t) => {
  const rows: [name: string, ini: string, want: RegExp][] = [
    ['a filter', '[queue:A]\nfilters =\n  foo: bar\n', /\[queue:A\] filters: .*foo/],
    [
      'several at once',
      '[queue:A]\nflutters = x\n[queue:B]\nfilters =\n',
      /\[queue:A\] flutters: .*; also line \d: \[queue:B\]/,
    ],
  ]
  for (const [name, ini, want] of rows) {
    const error = await start(t, ini).then(
      () => null,
      (thrown: unknown) => thrown as Error,
    )
    t.match(error?.message, want, name)
    t.match(error?.stack, /^\/.*postoffice\.ini:\d+\n/, `${name}: at its place`)
  }
  await t.rejects(openFilter(postoffice, { settings: { ini: '/nonexistent/x.ini' } }), /cannot be read/)
  await t.rejects(openFilter(postoffice), /which ini file\?/)
})

t.test('the example sorts as its comments say', async (t) => {
  const ini = join(import.meta.dirname, '../../examples/postoffice/postoffice.ini')
  const filter = await openFilter(postoffice, { name: 'postoffice', settings: { ini } })
  t.teardown(() => filter.close())
  const rows: [queue: string | null, recipient: string, message: string, left: boolean][] = [
    ['orders', 'x@orders.example.com', letter(['To: x@orders.example.com']), false],
    ['support', 'x@eu.support.example.com', letter(['To: x@eu.support.example.com']), false],
    ['invoices', 'x@example.org', letter(['To: x@example.org', 'Subject: Your invoice'], 'Amount due: 3\n'), true],
    [null, 'x@example.org', letter(['To: x@example.org', 'Subject: Your invoice']), true],
  ]
  for (const [queue, recipient, message, left] of rows) {
    const { additions, recipients } = await filter.run(message, to(recipient))
    t.same(
      additions.map((addition) => addition.queue),
      queue === null ? [] : [queue],
      String(queue),
    )
    t.equal(recipients.length === 1, left)
  }
  const spam = letter(['To: x@orders.example.com', 'X-Spam-Flag: YES'])
  t.match((await filter.run(spam, to('x@orders.example.com'))).reply, /^554 /)
  const list = readFileSync(join(import.meta.dirname, '../../examples/postoffice/filters.conf'), 'utf8')
  const parsed = parseList(list, 'filters.conf', 'nodefilter')
  t.same(parsed.problems, [])
  t.same(
    parsed.entries.map(({ name }) => name),
    ['whitelist_auth', 'deliveredto', 'postoffice'],
  )
})

t.test('L01 to L15 by the operation that all threads share', async (t) => {
  const folder = t.testdir()
  mkdirSync(folder, { recursive: true })
  const rows = importCases.filter(({ id }) => /^L\d/.test(id))
  t.equal(rows.length, 15)
  for (const { id, ini, messages, outcomes, about } of rows) {
    const read = parsePostOffice(head + ini, '/etc/post/postoffice.ini', { currentDirectory: '/etc/post' })
    if (read.configuration === null) throw new Error(`the configuration of ${id} is wrong`)
    const { sorting } = read.configuration
    const maps = openTtlMaps(memoryPort(), { sweep: null })
    const map = maps.ttlMap('pace', { ttlMs: sorting.loopFrequency > 0 ? paceMapMs(sorting) : 1 })
    const found: string[] = []
    for (const [index, message] of messages.entries()) {
      const text = messageText(message)
      const path = join(folder, `${id}-${String(index)}`)
      writeFileSync(path, text)
      utimesSync(path, fileTimeMs(text) / 1000, fileTimeMs(text) / 1000)
      const routed = await routeMessage(openIncoming(path), read.configuration, Date.now())
      if (routed.outcome !== 'routed') throw new Error(`a message of ${id} has no queue`)
      const { loop } = routed.admission
      const throttle =
        loop === null ? 'none' : throttleOf(await map.pace(loop.key, paceOf(loop, `${id} ${String(index)}`)), loop)
      found.push(throttle === 'none' ? 'A' : 'A [Throttled]')
    }
    t.same(found, outcomes, `${id}: ${about}`)
    await maps.close()
  }
})

t.test('the operation decides as the arithmetic does, whatever the rates', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 90_000 }), fc.boolean(), fc.boolean()), { maxLength: 40 }),
      fc.constantFrom(0.01, 0.25, 0.3, 1, 2, 7, 13.7, 60, 599.9, 60_000),
      fc.constantFrom(0, 1000, 60_000),
      async (events, frequency, throttleMs) => {
        const maps = openTtlMaps(memoryPort(), { sweep: null })
        const map = maps.ttlMap('pace', { ttlMs: paceMapMs({ loopFrequency: frequency, throttleMs }) })
        let record: LoopRecord | null = null
        let atMs = 1_433_152_800_000
        for (const [index, [gapMs, isShort, isExempt]] of events.entries()) {
          // Gaps around the limit, too.
          atMs += isShort ? Math.max(0, Math.round(60_000 / frequency) - 1 + (gapMs % 3)) : gapMs
          const question = { atMs, frequency, throttleMs, isExempt: isExempt && gapMs % 2 === 0 }
          const judged = judgeLoop(record, question)
          record = judged.record
          const paced = throttleOf(await map.pace('key', paceOf(question, String(index))), question)
          if ((paced === 'none') !== (judged.throttle === 'none')) return false
        }
        await maps.close()
        return true
      },
    ),
    { numRuns: 200 },
  )
  const gaps = (frequency: number) =>
    paceOf({ atMs: 0, frequency, throttleMs: 0, isExempt: false }, null).leastGapMs ?? 0
  for (const frequency of [0.1, 0.3, 0.7, 1.1, 3, 59.9, 61, 7777]) {
    t.ok(60_000 / gaps(frequency) <= frequency, `${frequency}: the least gap is not too fast`)
    t.ok(60_000 / (gaps(frequency) - 1) > frequency, `${frequency}: and one less is`)
  }
})

/** A place whose host sorts by this ini file; a filter after the post office refuses what says so. */
function makeOffice(t: Test, ini: string, line = 'postoffice'): Place {
  const place = makePlace(t, line, 'refuser')
  writeFileSync(place.at('c/postoffice.ini'), head + ini)
  writeFileSync(place.at('c/modules.conf'), `[postoffice]\nini = '${place.at('c/postoffice.ini')}'\n`)
  place.filter(
    'refuser.mjs',
    `import { readFileSync } from 'node:fs'
export const doFilter = (path) => (/^X-Refuse: /m.test(readFileSync(path, 'latin1')) ? '550 5.7.1 no' : '')
`,
  )
  return place
}

/** What is in the queues, as another process sees it. */
async function inQueues(place: Place): Promise<Record<string, string[]>> {
  const depot = await openDepot(place.at('s/depot'))
  try {
    const found: Record<string, string[]> = {}
    for (const name of await depot.queues()) {
      const queue = await depot.queue(name)
      found[name] = (await queue.peek({ max: 100 })).map(({ facts }) => facts['messageId'] as string)
    }
    return found
  } finally {
    await depot.close()
  }
}

const three = `${A}${B}[queue:C]\nfilters =\n  to_hostname: .c.example\n`
const mailTo = (place: Place, recipient: string, id: string, fields: readonly string[] = []) =>
  place.pair({ recipients: [recipient], content: letter([`To: ${recipient}`, `Message-Id: <${id}>`, ...fields]) })

t.test('in a host: three queues, and nothing of what is refused later', async (t) => {
  const place = makeOffice(t, three)
  const host = startHost(t, place)
  await host.ready()
  for (const [recipient, id] of [
    ['x@a.example', '1'],
    ['x@b.example', '2'],
    ['x@sub.c.example', '3'],
  ] as const) {
    const pair = mailTo(place, recipient, id)
    t.equal(await host.ask(pair), '200 Ok\n')
    t.ok(
      readRecipients(pair.controlPaths).every(({ done }) => done),
      `${recipient} is done`,
    )
  }
  const refused = mailTo(place, 'x@a.example', '4', ['X-Refuse: yes'])
  t.match(await host.ask(refused), /^550 /)
  const other = mailTo(place, 'carl@example.org', '5')
  t.equal(await host.ask(other), '200 Ok\n')
  t.same(
    readRecipients(other.controlPaths).map(({ done }) => done),
    [false],
    'who is in no queue is still to be delivered to',
  )
  t.same(await inQueues(place), { A: ['<1>'], B: ['<2>'], C: ['<3>'] })

  t.equal(await host.ask(mailTo(place, 'x@a.example', '1')), '200 Ok\n', 'a duplicate is accepted')
  const again = mailTo(place, 'x@b.example', '2', ['X-Refuse: yes'])
  t.match(await host.ask(again), /^550 /, 'known, but refused all the same')
  t.same(await inQueues(place), { A: ['<1>'], B: ['<2>'], C: ['<3>'] }, 'and nothing is there twice')
  await host.logged(/ published .*queue=A .*isNew=false/)
  await host.stop()
})

t.test(
  'a host that is killed between queue and reply: the mail server brings it again, and it is there once',
  async (t) => {
    for (const point of ['store.staged', 'store.publishing', 'store.published']) {
      const place = makeOffice(t, three)
      const first = startHost(t, place, { faults: `${point}=kill` })
      await first.ready()
      t.equal(await first.ask(mailTo(place, 'x@a.example', '1')), '', `${point}: no reply`)
      await first.ended
      t.same((await inQueues(place))['A'], point === 'store.published' ? ['<1>'] : [], `${point}: what is there then`)
      const second = startHost(t, place)
      await second.ready()
      t.equal(await second.ask(mailTo(place, 'x@a.example', '1', ['Received: from x by y; later'])), '200 Ok\n', point)
      t.same((await inQueues(place))['A'], ['<1>'], `${point}: once`)
      await second.stop()
    }
  },
)

t.test('on trial it shows what it would do, and a broken ini file is told at its line', async (t) => {
  const place = makeOffice(t, three, 'postoffice with dry_run=yes')
  const host = startHost(t, place)
  await host.ready()
  const pair = mailTo(place, 'x@a.example', '1')
  t.equal(await host.ask(pair), '200 Ok\n')
  t.ok(readRecipients(pair.controlPaths).every(({ done }) => !done))
  await host.logged(/ dry-run .*added to .*A/)
  t.same((await inQueues(place))['A'], [])
  await host.stop()

  writeFileSync(place.at('c/postoffice.ini'), `${head}[queue:A]\nfilters =\n  to_hostnam: x\n`)
  const broken = startHost(t, place)
  await broken.ready()
  t.match(await broken.ask(mailTo(place, 'x@a.example', '2')), /^451 4\.3\.5 /)
  await broken.logged(/configuration-broken .*postoffice\.ini:5: .*to_hostname/)
})
