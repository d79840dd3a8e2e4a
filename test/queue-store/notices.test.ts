/** Bounces and notices: who is told, what is written, once and not too often; the outbox when processes are killed; the transports. */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { fieldsNamed, parseHeaderSection } from '../../courier-compat/header/section.ts'
import { decodedLine } from '../../courier-compat/quarantine/plain-text.ts'
import { createPostMemory } from '../../filters/postoffice/memory.ts'
import { openIncoming } from '../../filters/postoffice/incoming.ts'
import { sortMessage } from '../../filters/postoffice/sort.ts'
import { defaultSorting } from '../../filters/postoffice/types.ts'
import { openDepot } from '../../queue-store/depot.ts'
import type { Delivery, NewEntry } from '../../queue-store/depot-types.ts'
import { whoToTell } from '../../queue-store/notices/answerable.ts'
import {
  noticeLanguages,
  openNotices,
  openOutbox,
  outboxEntry,
  SendRefused,
  sendOutbox,
  type Drafted,
  type NoticeLanguage,
  type NoticeOptions,
  type NoticeTexts,
} from '../../queue-store/notices/index.ts'
import { originalOf, readHeader } from '../../queue-store/notices/original.ts'
import { sealWith } from '../../queue-store/notices/seal.ts'
import { sendmailTransport, smtpTransport } from '../../queue-store/transports/nodemailer.ts'
import { makeClock } from '../helpers/fake-clock.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'
import { makeSink, readSent } from './sent-mail.ts'

t.setTimeout(120_000)

/** A depot with queue A and a clock that only the test moves. */
async function stage(t: Test, more: Partial<NoticeOptions> = {}) {
  const clock = makeClock()
  const folder = t.testdir({})
  const depot = await openDepot(join(folder, 'depot'), { now: () => clock.wallMs() })
  t.teardown(() => depot.close())
  const queue = await depot.makeQueue('A')
  const notices = await openNotices(depot, { from: 'postmaster@example.com', clock, ...more })
  const take = async (message: string | Buffer, entry: Partial<NewEntry> = {}): Promise<Delivery> => {
    await queue.add({ message: Buffer.from(message), ...entry })
    const [taken] = await queue.receive()
    if (taken === undefined) throw new Error('nothing to take')
    return taken
  }
  return { clock, folder, depot, queue, notices, take, ...makeSink() }
}

const ann = 'From: Ann <ann@sender.example>\nTo: box@example.com\nMessage-Id: <1@sender.example>\n'
const plain = `${ann}\nBody\n`

function mailOf(drafted: Drafted) {
  if (!drafted.ok) throw new Error(`not drafted: ${drafted.text}`)
  return drafted.mail
}

t.test('who is told', (t) => {
  const own = { domains: new Set(['example.com']), addresses: new Set(['robot@example.com', 'desk@other.example']) }
  const tell = (fields: string, entry: Partial<Pick<Delivery, 'envelope' | 'facts'>> = {}): string => {
    const answer = whoToTell(
      parseHeaderSection(Buffer.from(`${fields}\n`)),
      { envelope: null, facts: {}, ...entry },
      own,
    )
    return answer.ok ? `${answer.address.local}@${answer.address.domain}` : answer.why
  }
  const by = (sender: string | null): Partial<Pick<Delivery, 'envelope'>> => ({ envelope: { sender, recipients: [] } })
  const rows: [what: string, got: string, wanted: string][] = [
    ['the author', tell(ann), 'ann@sender.example'],
    ['Reply-To before From', tell(`${ann}Reply-To: <desk@sender.example>\n`), 'desk@sender.example'],
    ['Return-Path before both', tell(`Return-Path: <r@s.example>\nReply-To: x@y.example\n${ann}`), 'r@s.example'],
    ['the envelope before all', tell(`Return-Path: <r@s.example>\n${ann}`, by('env@s.example')), 'env@s.example'],
    ['the first Return-Path', tell(`Return-Path: <r@s.example>\nReturn-Path: <f@s.example>\n${ann}`), 'r@s.example'],
    ['an unreadable Return-Path says nothing', tell(`Return-Path: r at s\n${ann}`), 'ann@sender.example'],
    ['an unreadable envelope sender is nobody', tell(ann, by('r at s')), 'no-address'],
    ['the null sender in Return-Path', tell(`Return-Path: <>\n${ann}`), 'null-sender'],
    ['the null sender of the envelope', tell(ann, by(null)), 'null-sender'],
    ['an empty sender', tell(ann, by('')), 'null-sender'],
    ['nobody at all', tell('Subject: x\n'), 'no-address'],
    ['two readings of From', tell('From: a@b.example <c@d.example>\n'), 'no-address'],
    ['Auto-Submitted', tell(`${ann}Auto-Submitted: auto-replied; x=y\n`), 'automatic'],
    ['Auto-Submitted of any kind', tell(`${ann}Auto-Submitted: something-new\n`), 'automatic'],
    ['Auto-Submitted: no', tell(`${ann}Auto-Submitted: no\n`), 'ann@sender.example'],
    ['Auto-Submitted: NO (comment)', tell(`${ann}Auto-Submitted: NO (by hand)\n`), 'ann@sender.example'],
    ['Precedence: Bulk', tell(`${ann}Precedence: Bulk\n`), 'bulk'],
    ['Precedence: list', tell(`${ann}Precedence: list\n`), 'bulk'],
    ['Precedence: junk', tell(`${ann}Precedence: junk \n`), 'bulk'],
    ['Precedence: first-class', tell(`${ann}Precedence: first-class\n`), 'ann@sender.example'],
    ['Precedence: auto_reply', tell(`${ann}Precedence: auto_reply\n`), 'automatic'],
    ['List-Id', tell(`${ann}List-Id: <l.example.org>\n`), 'bulk'],
    ['List-Unsubscribe', tell(`${ann}List-Unsubscribe: <mailto:x@example.org>\n`), 'bulk'],
    ['X-Auto-Response-Suppress: OOF, All', tell(`${ann}X-Auto-Response-Suppress: OOF, All\n`), 'automatic'],
    ['X-Auto-Response-Suppress: DR', tell(`${ann}X-Auto-Response-Suppress: DR\n`), 'ann@sender.example'],
    ['X-Autoreply: yes', tell(`${ann}X-Autoreply: yes\n`), 'automatic'],
    ['a report', tell(`${ann}Content-Type: multipart/report; boundary=x\n`), 'automatic'],
    ['multipart/reported is none', tell(`${ann}Content-Type: multipart/reported\n`), 'ann@sender.example'],
    ['marked by the post office', tell(ann, { facts: { marks: ['Throttled', 'Auto-response'] } }), 'automatic'],
    ['marked otherwise', tell(ann, { facts: { marks: ['Throttled'] } }), 'ann@sender.example'],
    ['our own notice', tell(`${ann}X-Postoffice: Bounced\n`), 'own-notice'],
    ['our own, signed', tell(`${ann}X-Postoffice: Bounced; id=1; mac=2\n`), 'own-notice'],
    ['something else of that name', tell(`${ann}X-Postoffice: bounced\n`), 'ann@sender.example'],
    ['a role of ours', tell('From: Postmaster@Example.COM\n'), 'role'],
    ['an address of ours that is named', tell('From: desk@other.example\n'), 'role'],
    ['a role of somebody else', tell('From: postmaster@sender.example\n'), 'postmaster@sender.example'],
    ['a person of ours', tell('From: bob@example.com\n'), 'bob@example.com'],
  ]
  for (const [what, got, wanted] of rows) t.equal(got, wanted, what)
  t.end()
})

t.test('a bounce is a report that programs understand', async (t) => {
  const { take, notices, clock } = await stage(t, { from: '"J\u00f6rg, B\u00fcro" <buero@example.com>' })
  const header = [
    'Return-Path: <ann@sender.example>',
    'From: Ann <ann@sender.example>',
    'To: =?utf-8?Q?B=C3=B6x?= <box@example.com>, second@example.com',
    'Message-ID: <3@sender.example>',
    'References: <1@sender.example> garbage <2@sender.example>',
    'Date: Mon, 01 Jun 2015 10:00:00 +0000',
    '--not-a-boundary: x',
  ]
  const taken = await take(Buffer.from(`${header.join('\r\n')}\r\nX-Raw: \xe4\r\n\r\nsecret words\r\n`, 'latin1'), {
    envelope: {
      sender: 'ann@sender.example',
      recipients: ['box@example.com', '"odd one"@example.com', 'b\u00f6x@example.com'],
    },
  })
  const reason = `There is no project "x"\u2026\r\nBcc: victim@example.org\n\u202eevil`
  const drafted = await notices.bounce(taken, { reason, status: '5.1.1', host: 'mx.example.com' })
  const mail = mailOf(drafted)
  t.equal(mail.from, null)
  t.same(mail.to, ['ann@sender.example'])
  const { first, leaves, texts, octets, findings } = await readSent(mail)
  t.same(findings, ['parted-status'], 'nothing about it is odd but what every report is')
  t.notMatch(octets.toString('latin1'), /[^\r]\n|\r[^\n]/, 'all lines end with CRLF')
  t.ok(
    octets
      .toString('latin1')
      .split('\r\n')
      .every((line) => line.length <= 78),
    'and are short',
  )
  t.match(octets.toString('latin1'), /^[\t\r\n -~]*$/, 'all of it is 7-bit')
  t.notMatch(octets.toString(), /^Bcc/m, 'a reason writes no fields')
  t.match(first('Content-Type'), /^multipart\/report; report-type=delivery-status; boundary=/)
  t.same(
    leaves.map(({ contentType }) => contentType),
    ['text/plain', 'message/delivery-status', 'text/rfc822-headers'],
  )
  t.match(first('Date'), new Date(clock.wallMs()).toUTCString().replace('GMT', '+0000'))
  t.match(first('Message-ID'), /^<[0-9a-f]{32}@example\.com>$/)
  t.equal(first('In-Reply-To'), '<3@sender.example>')
  t.equal(first('References'), '<1@sender.example> <2@sender.example> <3@sender.example>')
  t.equal(first('Auto-Submitted'), 'auto-replied')
  t.equal(first('X-Auto-Response-Suppress'), 'All')
  t.match(texts[0], /Mon, 01 Jun 2015 10:00:00 \+0000/)
  t.match(texts[0], /^ {4}There is no project "x"\u2026\n {4}Bcc: victim@example\.org\n {4}evil\n/m)
  t.match(texts[0], /B\u00f6x <box@example\.com>, second@example\.com/)
  const status = texts[1]?.split('\n\n').map((group) => parseHeaderSection(Buffer.from(`${group}\n`)).fields)
  t.same(
    status?.map((fields) => fields.slice(0, 3).map(({ name, value }) => `${name}: ${value}`)),
    [
      [
        'Reporting-MTA: dns; mx.example.com',
        `Arrival-Date: ${new Date(taken.addedMs).toUTCString().replace('GMT', '+0000')}`,
      ],
      ['Final-Recipient: rfc822; box@example.com', 'Action: failed', 'Status: 5.1.1'],
      ['Final-Recipient: rfc822; "odd one"@example.com', 'Action: failed', 'Status: 5.1.1'],
      ['Final-Recipient: utf-8; b\\x{F6}x@example.com', 'Action: failed', 'Status: 5.1.1'],
    ],
  )
  t.match(texts[2], header.join('\n'), 'the header section comes back as it was')
  t.notMatch(octets.toString(), /secret/, 'and nothing of what was in the message')
  for (const wrong of ['4.0.0', '2.0.0', '5.6', '5.6.0\r\nX: y', '']) {
    await t.rejects(notices.bounce(taken, { status: wrong }), RangeError, `status ${JSON.stringify(wrong)}`)
  }
  await t.rejects(
    notices.bounce(taken, { language: 'tlh' as NoticeLanguage }),
    RangeError,
    'a language that is not there',
  )
  for (const wrong of ['', 'nobody', 'a@b.example, c@d.example', '<>']) {
    await t.rejects(notices.bounce(taken, { from: wrong }), RangeError, `from ${JSON.stringify(wrong)}`)
  }
})

t.test('both notices in each language, and in words of your own', async (t) => {
  const { take, notices } = await stage(t, { everySeconds: 0 })
  const taken = await take(plain)
  const words: Readonly<Record<NoticeLanguage, readonly [bounce: RegExp, quarantine: RegExp]>> = {
    en: [/bounced/, /error occurred/],
    de: [/kommt zur\u00fcck/, /Fehler/],
    fr: [/retourn\u00e9/, /erreur/],
  }
  const languages = Object.keys(noticeLanguages) as NoticeLanguage[]
  for (const language of languages) {
    const bounce = await readSent(mailOf(await notices.bounce(taken, { language })))
    const notice = await readSent(mailOf(await notices.quarantined(taken, { language })))
    const subjects = [bounce, notice].map(({ octets }) => subjectOf(octets))
    t.match(subjects[0], words[language][0])
    t.match(subjects[1], words[language][1])
    for (const { texts, leaves, findings } of [bounce, notice]) {
      t.match(texts[0], /box@example\.com/)
      t.match(texts[0], /^[^\n]*20\d\d/, 'the date')
      const report = texts.length > 1
      t.same(findings, report ? ['parted-status'] : [])
      const languages = fieldsNamed(leaves[0]?.header ?? { fields: [] }, 'Content-Language')
      t.same(
        languages.map(({ value }) => value),
        [language],
      )
    }
    t.equal(notice.first('Content-Type')?.split(';')[0], 'text/plain', 'a notice is no report: nothing has failed yet')
    t.match(bounce.texts[0], noticeLanguages[language].defaultReason)
    t.match(bounce.texts[1], /^Final-Recipient: rfc822; box@example\.com$/m, 'without an envelope it went to To')
  }
  const own: NoticeTexts = {
    ...noticeLanguages.en,
    language: 'nl',
    bounceSubject: ({ to }) => `Terug: ${to}\r\nBcc: victim@example.org`,
  }
  const { octets, first } = await readSent(mailOf(await notices.bounce(taken, { language: own })))
  t.equal(first('Subject'), 'Terug: box@example.com Bcc: victim@example.org', 'a line end in it ends no field')
  t.equal(first('Bcc'), null)
  t.match(octets.toString(), /Content-Language: nl/)
})

/** The subject, decoded. */
function subjectOf(octets: Buffer): string {
  return fieldsNamed(parseHeaderSection(octets), 'Subject')
    .map(({ valueBytes }) => decodedLine(valueBytes))
    .join()
}

t.test('what is known of a message has bounds, whatever is in it', async (t) => {
  const many = Array.from({ length: 5000 }, (_, at) => `<${at}@sender.example>`).join(' ')
  const big = `${ann}References: ${many}\nX-Big: ${'x'.repeat(100_000)}\nReply-To: late@sender.example\nX-More: ${'y'.repeat(200_000)}\n`
  const octets = Buffer.from(`${big}\nBody`)
  for (const pieceOctets of [octets.length, 65_536, 4099]) {
    const pieces = function* (): Generator<Buffer> {
      for (let at = 0; at < octets.length; at += pieceOctets) yield octets.subarray(at, at + pieceOctets)
    }
    const header = await readHeader({ stream: () => Readable.from(pieces()) })
    const original = originalOf(header, null)
    t.equal(original.references.length, 21)
    t.ok(original.returned.length <= 65_536)
    const isWhole = pieceOctets === octets.length
    const last = header.fields.at(-1)?.name
    t.equal(last, isWhole ? 'X-More' : 'Reply-To', 'what is beyond the limit is not read, and half a field is none')
  }
  const rows: [id: string, wanted: string | null][] = [
    ['<a@b.example>', '<a@b.example>'],
    ['<a@b.example> (comment)', '<a@b.example>'],
    ['a@b.example', null],
    ['<a b@c.example>', null],
    [`<${'x'.repeat(300)}@b.example>`, null],
    ['<\u00e4@b.example>', null],
  ]
  for (const [id, wanted] of rows) {
    const section = parseHeaderSection(Buffer.from(`From: a@b.example\nMessage-Id: ${id}\n\n`))
    t.equal(originalOf(section, null).messageId, wanted, id.slice(0, 40))
  }
  const none = originalOf(parseHeaderSection(Buffer.from('\n')), null)
  t.match(none, { to: '?', date: null, messageId: null, references: [] })
})

t.test('the mark is signed by the depot, and brings nothing back', async (t) => {
  const { take, notices, folder, depot } = await stage(t)
  const mail = mailOf(await notices.bounce(await take(plain)))
  const header = parseHeaderSection(mail.message)
  t.equal(notices.isOurs(header), true)
  const again = await openNotices(depot, { from: 'postmaster@example.com' })
  t.equal(again.isOurs(header), true, 'the key is the depot\u2019s')
  const other = await openDepot(join(folder, 'other'))
  t.teardown(() => other.close())
  t.equal((await openNotices(other, { from: 'a@example.com' })).isOurs(header), false, 'and no other\u2019s')
  const seal = sealWith(Buffer.alloc(32, 7))
  const value = seal.markFor('0'.repeat(32))
  t.equal(seal.isOurs(value), true)
  t.equal(seal.isOurs(value.replaceAll('; ', ';\t ')), true, 'however it was folded on its way')
  for (const forged of [
    'Bounced',
    value.replace('id=0', 'id=1'),
    value.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
    `${value} `,
    value.toUpperCase(),
    '',
  ]) {
    t.equal(seal.isOurs(forged), false, forged)
  }
  const path = join(folder, 'came-back')
  writeFileSync(path, mail.message)
  const rules = { sorting: defaultSorting, rejectFilters: [], queues: [] }
  const sorted = await sortMessage(openIncoming(path), rules, createPostMemory(), Date.now())
  t.match(sorted, { outcome: 'dropped', reason: 'ricochet' }, 'the post office knows it when it comes back')
})

t.test('a recipient is told once in 24 hours, and of one message as often as it takes', async (t) => {
  const { take, notices, clock } = await stage(t)
  const first = await take(plain)
  const drafted = await notices.bounce(first)
  t.equal(drafted.ok, true)
  const second = await take(plain.replace('ann@sender.example', 'ANN@SENDER.EXAMPLE'))
  t.match(await notices.bounce(second), { ok: false, why: 'recently', text: /\w/ })
  t.match(await notices.quarantined(first), { ok: false, why: 'recently' }, 'of whatever kind')
  const again = await notices.bounce(first)
  t.equal(again.ok && drafted.ok && again.id, drafted.ok && drafted.id, 'the same bounce is the same again')
  t.match(await notices.bounce(second, { everySeconds: 0 }), { ok: true }, 'a limit of 0 is none')
  const other = await take(plain.replace('ann@', 'bob@'))
  t.match(await notices.bounce(other), { ok: true }, 'others are told')
  clock.pass(86_400_000)
  t.match(await notices.bounce(second), { ok: false }, 'after 24 hours exactly')
  clock.pass(1)
  t.match(await notices.bounce(second), { ok: true }, 'asking does not prolong it')
})

t.test('an acknowledgement and its bounce are one transaction', async (t) => {
  const { take, notices, depot, queue } = await stage(t)
  const taken = await take(plain)
  const drafted = await notices.bounce(taken)
  if (!drafted.ok) throw new Error(drafted.text)
  await t.rejects(taken.ack({ add: [{ ...drafted.entry, queue: 'nowhere' }] }), { code: 'QUEUE_UNKNOWN' })
  t.match(await queue.counts(), { leased: 1 }, 'without the one there is not the other')
  t.equal(await taken.ack({ add: [drafted.entry] }), 'done')
  t.equal(await taken.ack({ add: [drafted.entry] }), 'gone', 'a second acknowledgement adds nothing')
  const outbox = await openOutbox(depot)
  t.match(await outbox.counts(), { ready: 1 })
  t.match(await outbox.peek(), [
    { envelope: { sender: null, recipients: ['ann@sender.example'] }, facts: { notice: 'bounce', queue: 'A' } },
  ])
})

t.test('the outbox: sent, tried again, refused, given up', async (t) => {
  const { depot, clock } = await stage(t)
  const outbox = await openOutbox(depot)
  const put = (to: string[]) =>
    outbox.add(outboxEntry({ from: null, to, message: Buffer.from(`to ${to.join()}`) }, { key: to.join() }))
  for (const to of [['good@a.example'], ['busy@a.example'], ['gone@a.example'], []]) await put(to)
  t.equal((await put(['good@a.example'])).isNew, false, 'the same key adds nothing more')
  const seen: string[] = []
  const errors: string[] = []
  let isBusy = true
  const send = async ({ from, to: [to = ''], message }: Parameters<Parameters<typeof sendOutbox>[1]>[0]) => {
    t.equal(from, null)
    if (to === 'gone@a.example') throw new SendRefused('550 no such user')
    if (to === 'busy@a.example' && isBusy) throw new Error('451 later')
    let text = ''
    for await (const piece of message) text += String(piece)
    seen.push(text)
  }
  const onError = (error: unknown): void => void errors.push((error as Error).message)
  const once = () => sendOutbox(depot, send, { once: true, onError })
  t.same(await once(), { sent: 1, failed: 1, refused: 2 })
  t.same(seen, ['to good@a.example'])
  t.same(errors.toSorted(), ['451 later', '550 no such user', 'it has no recipients'])
  t.match(await outbox.counts(), { ready: 0, delayed: 1, buried: 2 })
  t.same((await outbox.peek({ what: 'buried' })).map(({ reason }) => reason).toSorted(), [
    '550 no such user',
    'it has no recipients',
  ])
  t.same(await once(), { sent: 0, failed: 0, refused: 0 }, 'not again at once')
  clock.pass(60_000)
  t.same(await once(), { sent: 0, failed: 1, refused: 0 }, 'after a minute')
  clock.pass(60_000)
  t.same(await once(), { sent: 0, failed: 0, refused: 0 }, 'then after two')
  clock.pass(60_000)
  isBusy = false
  const stop = new AbortController()
  const going = sendOutbox(depot, (mail) => send(mail).then(() => stop.abort()), { signal: stop.signal, onError })
  t.same(await going, { sent: 1, failed: 0, refused: 0 }, 'where it goes on it stops at the signal')
  isBusy = true
  await put(['busy@a.example'].map((to) => to))
  await outbox.add(outboxEntry({ from: null, to: ['busy@a.example'], message: Buffer.from('x') }, { key: 'other' }))
  let days = 0
  for (; (await outbox.counts()).dead === 0 && days < 20; days += 1 / 6) {
    await once()
    clock.pass(4 * 3_600_000)
  }
  t.ok(days > 4 && days < 7, `given up after ${days.toFixed(1)} days`)
})

/** A consumer that bounces is killed at each place of its work, and another goes on. */
const answered =
  (places: readonly string[], way = ''): Check =>
  async (t) => {
    const { seen, expect } = createFindings()
    for (const place of places) {
      const folder = mkdtempSync(join(tmpdir(), 'nodefilter-outbox-'))
      t.teardown(() => rmSync(folder, { recursive: true, force: true }))
      const [directory, file] = [join(folder, 'depot'), join(folder, 'sent')]
      const depot = await openDepot(directory)
      const queue = await depot.makeQueue('in', { maxDeliveries: 100 })
      const names = [1, 2].map((at) => `user${at}@sender.example`)
      for (const name of names) await queue.add({ message: Buffer.from(plain.replace('ann@sender.example', name)) })
      await depot.close()
      const run = async (until: string): Promise<{ lines: string[]; code: number | null }> => {
        const child = spawn(process.execPath, [childFile, directory, file, until, way], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        t.teardown(() => child.kill('SIGKILL'))
        let text = ''
        child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more))
        const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
        return { lines: text.split('\n'), code }
      }
      const killed = await run(place)
      expect(killed.code === null, `it was not killed ${place}`)
      const other = await run('')
      expect(other.lines.includes('end'), `${place}: the second did not come to its end`)
      const sent = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
      for (const name of names) {
        const times = sent.filter((to) => to === name).length
        expect(times > 0, `killed ${place}: the bounce to ${name} is lost`)
        expect(times <= 2, `killed ${place}: the bounce to ${name} was sent ${times} times`)
      }
      for (const line of killed.lines.filter((one) => one.startsWith('acknowledged '))) {
        const taken = line.replace('acknowledged', 'taken')
        expect(!other.lines.includes(taken), `killed ${place}: what was acknowledged came again`)
      }
    }
    return seen
  }
const childFile = new URL('outbox-child.ts', import.meta.url).pathname
const places = [
  'before the acknowledgement',
  'after the acknowledgement',
  'before the bounce is sent',
  'after the bounce is sent',
  'after the outbox',
]
testPromise('a message is acknowledged and its bounce sent, wherever the consumer is killed', answered(places), [
  { without: ['the outbox'], sees: /the bounce to .* is lost/, check: answered([places[1] ?? ''], 'apart') },
])

/** A mail server that answers as it is told to; port, and what it took. */
async function mailServer(t: Test, answers: Readonly<Record<string, string>> = {}) {
  const taken: string[] = []
  let lines: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let rest = ''
    let isData = false
    socket.on('error', () => undefined)
    const say = (text: string): void => void socket.write(`${text}\r\n`)
    socket.setEncoding('latin1').on('data', (piece: string) => {
      const all = (rest + piece).split('\n')
      rest = all.pop() ?? ''
      for (const line of all) {
        lines.push(line)
        if (isData) {
          if (line !== '.\r') continue
          isData = false
          taken.push(lines.join('\n'))
          lines = []
          say('250 Taken')
          continue
        }
        const verb = line.slice(0, 4).toUpperCase()
        const key = Object.keys(answers).find((begin) => line.startsWith(begin))
        const answer = key === undefined ? null : (answers[key] ?? null)
        isData = verb === 'DATA' && answer === null
        say(answer ?? (isData ? '354 Go on' : verb === 'EHLO' ? '250-there\r\n250 8BITMIME' : '250 Ok'))
      }
    })
    say('220 there')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { port, taken }
}

t.test('smtpTransport hands a message on as it is', async (t) => {
  const { port, taken } = await mailServer(t)
  const { send, close } = smtpTransport({ host: '127.0.0.1', port, tls: 'none', name: 'us.example.com' })
  t.teardown(close)
  await send({ from: null, to: ['ann@sender.example'], message: Buffer.from('Subject: x\r\n\r\n.dot\r\nend\r\n') })
  const message = Readable.from([Buffer.from('Subject: y\n'), Buffer.from('\nlf\n')])
  await send({ from: 'us@example.com', to: ['a@b.example', 'c@d.example'], message })
  t.match(
    taken[0],
    /^EHLO us\.example\.com\r\nMAIL FROM:<>.*\r\nRCPT TO:<ann@sender\.example>\r\nDATA\r\nSubject: x\r\n\r\n\.\.dot\r\nend\r\n\.\r$/,
  )
  t.match(
    taken[1],
    /MAIL FROM:<us@example\.com>.*\r\nRCPT TO:<a@b\.example>\r\nRCPT TO:<c@d\.example>\r\nDATA\r\nSubject: y\r\n\r\nlf\r\n/,
  )
})

t.test('smtpTransport tells what is of no use to try again', async (t) => {
  const rows: [what: string, answers: Record<string, string>, isRefused: boolean][] = [
    ['an unknown recipient', { 'RCPT TO:<ann': '550 5.1.1 unknown' }, true],
    ['a sender that is not wanted', { 'MAIL FROM': '553 no' }, true],
    ['a content that is not wanted', { DATA: '554 no' }, true],
    ['one of two recipients', { 'RCPT TO:<two': '550 unknown' }, true],
    ['a full mailbox', { 'RCPT TO:<ann': '452 full', 'RCPT TO:<two': '452 full' }, false],
    ['a server that is closing', { EHLO: '421 closing', HELO: '421 closing' }, false],
    ['a server that wants nobody now', { EHLO: '554 no', HELO: '554 no' }, false],
  ]
  for (const [what, answers, isRefused] of rows) {
    const { port } = await mailServer(t, answers)
    const { send, close } = smtpTransport({ host: '127.0.0.1', port, tls: 'none' })
    const to = what.includes('two') ? ['one@b.example', 'two@b.example'] : ['ann@sender.example']
    const error: unknown = await send({ from: null, to, message: Buffer.from('Subject: x\r\n\r\n') }).catch(
      (thrown: unknown) => thrown,
    )
    t.ok(error instanceof Error, what)
    t.equal(error instanceof SendRefused, isRefused, what)
    close()
    await t.rejects(send({ from: null, to, message: Buffer.from('x') }), /closed/)
  }
  const { send, close } = smtpTransport({ host: '127.0.0.1', port: 1 })
  t.teardown(close)
  const error: unknown = await send({ from: null, to: ['a@b.example'], message: Buffer.from('x') }).catch(
    (e: unknown) => e,
  )
  t.ok(error instanceof Error && !(error instanceof SendRefused), 'nobody listens')
})

t.test('sendmailTransport says who sends, and the null sender is one', async (t) => {
  const folder = t.testdir({
    sendmail: '#!/bin/sh\nfor word in "$@"; do printf "[%s]" "$word"; done > "$0.args"\ncat > "$0.body"\n',
    failing: '#!/bin/sh\ncat > /dev/null\nexit 75\n',
  })
  const path = join(folder, 'sendmail')
  for (const name of ['sendmail', 'failing']) chmodSync(join(folder, name), 0o755)
  const { send } = sendmailTransport({ path, args: ['-oi'] })
  await send({ from: null, to: ['a@b.example'], message: Buffer.from('Subject: x\r\n\r\n.\r\nend\r\n') })
  t.equal(readFileSync(`${path}.args`, 'utf8'), '[-i][-f][][-oi][a@b.example]')
  t.equal(readFileSync(`${path}.body`, 'utf8'), 'Subject: x\n\n.\nend\n', 'with the line ends of the machine')
  await send({ from: 'us@example.com', to: ['a@b.example'], message: Readable.from([Buffer.from('x\n')]) })
  t.equal(readFileSync(`${path}.args`, 'utf8'), '[-i][-f][us@example.com][-oi][a@b.example]')
  for (const mail of [
    { from: null, to: ['-oQ/tmp@b.example'] },
    { from: '"-x"@b.example', to: ['a@b.example'] },
  ]) {
    await t.rejects(send({ ...mail, message: Buffer.from('x') }), SendRefused)
  }
  const failing = sendmailTransport({ path: join(folder, 'failing') })
  const missing = sendmailTransport({ path: join(folder, 'missing') })
  for (const transport of [failing, missing]) {
    const thrown: unknown = await transport
      .send({ from: null, to: ['a@b.example'], message: Buffer.from('x') })
      .catch((e: unknown) => e)
    t.ok(thrown instanceof Error && !(thrown instanceof SendRefused))
  }
})
