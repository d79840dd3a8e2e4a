/**
 * R03: a reply that is cut is never heard as an acceptance. Courier's reader takes a line without its end for a whole one
 * and any first digit but 4 and 5 for an acceptance, so an answer leaves in one write, once everything is known.
 */
import { connect } from 'node:net'
import t from 'tap'
import { makeReply, type Verdict } from '../../courier-compat/reply.ts'
import { courierAnswer } from '../../host/doors/courierfilter/answer.ts'
import { requestOf } from '../helpers/converse.ts'
import { makePlace, orders, startHost, type HostProcess } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'

/** What Courier makes of what it read until the end of the file (spec courier 2.3). */
function asCourierReads(text: string): 'accepted' | 'refused' | 'unavailable' {
  // As getline: what follows the last line end counts as a line, unless it is empty.
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  const [first] = lines
  if (first === undefined) return 'unavailable'
  return /^[45]/.test(first) ? 'refused' : 'accepted'
}

const verdicts: Record<string, Verdict> = {
  'no opinion': { kind: 'pass' },
  'an acceptance': { kind: 'accept', skipOthers: false, reply: makeReply(200, null, ['Ok']) },
  'an acceptance of several lines': {
    kind: 'accept',
    skipOthers: false,
    reply: makeReply(250, '2.0.0', ['200 Ok', 'b']),
  },
  'an acceptance that ends all filters': { kind: 'accept', skipOthers: true, reply: makeReply(0, null, ['Ok']) },
  'a deferral': { kind: 'defer', reply: makeReply(451, '4.3.0', ['try again']) },
  'a refusal of many lines': {
    kind: 'reject',
    reply: makeReply(550, '5.7.1', ['200 Ok', '2', 'x'.repeat(400), '', '000 Ok', '250 2.0.0 Ok']),
  },
}

t.test('R03 an answer cut at any length', (t) => {
  for (const [name, verdict] of Object.entries(verdicts)) {
    const answer = courierAnswer(verdict)
    const isRefusal = verdict.kind === 'defer' || verdict.kind === 'reject'
    t.equal(asCourierReads(answer), isRefusal ? 'refused' : 'accepted', name)
    t.equal(asCourierReads(''), 'unavailable')
    for (let length = 1; length < answer.length; length++) {
      const read = asCourierReads(answer.slice(0, length))
      if (isRefusal && read !== 'refused') t.fail(`${name}, cut after ${length}: ${read}`)
      // Nothing is written of an acceptance before the verdict is one, and then any part of it is true.
      if (!isRefusal && read !== 'accepted') t.fail(`${name}, cut after ${length}: ${read}`)
    }
    // The first write is the last: see below.
    t.equal(answer.at(-1), '\n')
    t.ok(answer.length > 5)
  }
  t.end()
})

/** Reads octet by octet, and stops for `act` once it has so many. */
function readSlowly(
  host: HostProcess,
  request: string | Buffer,
  stopAt: number,
  act: () => Promise<void>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    let acted = false
    const socket = connect({ path: host.socketPath, allowHalfOpen: true })
    const readOn = async (): Promise<void> => {
      for (let octet: Buffer | null; (octet = socket.read(1) as Buffer | null) !== null;) {
        text += octet.toString('latin1')
        if (text.length !== stopAt || acted) continue
        acted = true
        socket.pause()
        await act()
      }
    }
    socket.on('readable', () => void readOn().catch(reject))
    socket.on('end', () => resolve(text))
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve(text) : reject(error)))
    socket.on('connect', () => socket.write(request))
  })
}

const lines = Array.from({ length: 12 }, (_, index) => `550${index === 11 ? ' ' : '-'}line ${index} ${'x'.repeat(80)}`)

/** A client that has read but a part when the host dies reads the rest all the same: it was all written. */
const cutReplies: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const replies = { '200 fine': '200 fine\n', [lines.join('\n')]: `${lines.join('\n')}\n` }
  for (const [reply, answer] of Object.entries(replies)) {
    for (const stopAt of without.length === 0 ? [1, 2, 3, answer.length - 1] : [1]) {
      const host = startHost(t, makePlace(t, 'act'), { set: ['runner.threads=1'], without })
      await host.ready()
      const pair = host.place.pair({ content: orders({ act: `reply ${JSON.stringify(reply)}` }) })
      const heard = await readSlowly(host, requestOf(pair), stopAt, async () => {
        await host.kill()
      })
      const what = `${answer.length} octets, the host killed when ${stopAt} were read`
      expect(heard === answer, `${what}: cut to ${heard.length}, ${JSON.stringify(heard.slice(0, 20))}`)
      await until('the host to be dead', () => host.ended)
    }
  }
  return seen
}

testPromise('R03 a client that reads slowly hears the whole answer of a host that dies meanwhile', cutReplies, [
  { without: ['an answer is one write'], sees: /^9 octets, .*: cut to 1, "2"/ },
])
