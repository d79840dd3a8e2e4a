/** A depot over HTTP: every call, what is refused, and clients that go, stall or send nonsense. */
import { execFile, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openDepot, type OpenedDepot } from '../../queue-store/depot.ts'
import type { Depot, QueueSettings } from '../../queue-store/depot-types.ts'
import { isDepotError } from '../../queue-store/errors.ts'
import { serveDepot, type DepotServer, type ServeOptions } from '../../queue-store/http/index.ts'
import { openApi } from '../../queue-store/http/openapi.ts'
import { named } from '../../queue-store/http/routes.ts'
import { faultOf, type Schema } from '../../queue-store/http/schema.ts'
import { until } from '../helpers/until.ts'

const token = 'a-token-of-these-tests'

interface Response {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The body as JSON; `null` where it is none. */
  readonly json: Readonly<Record<string, unknown>>
}

interface Asked {
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

interface Stage {
  readonly depot: OpenedDepot
  readonly server: DepotServer
  readonly socket: string
  readonly errors: unknown[]
  readonly ask: (method: string, path: string, asked?: Asked) => Promise<Response>
  /** A call with a body of JSON. */
  readonly post: (path: string, body: unknown) => Promise<Response>
}

async function stage(
  t: Test,
  { limits = {}, settings = {} }: ServeOptions & { settings?: Partial<QueueSettings> } = {},
) {
  // Not t.testdir: the path of a socket has at most 107 octets.
  const directory = mkdtempSync(join(tmpdir(), 'nodefilter-http-'))
  const socket = join(directory, 's')
  const depot = await openDepot(join(directory, 'depot'), { insideOctets: 1000 })
  await depot.makeQueue('in', settings)
  const errors: unknown[] = []
  const server = await serveDepot(depot, { socket }, { limits, onError: (error) => errors.push(error) })
  t.teardown(async () => {
    await server.close()
    await depot.close()
    rmSync(directory, { recursive: true })
  })
  const ask: Stage['ask'] = (method, path, asked) => askAt({ socketPath: socket }, method, path, asked)
  const post: Stage['post'] = (path, body) =>
    ask('POST', path, { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
  return { depot, server, socket, errors, ask, post }
}

/** Every answer is looked up in the document: what is not written there may not be said. */
function askAt(
  where: { readonly socketPath: string } | { readonly port: number },
  method: string,
  path: string,
  { body, headers = {} }: Asked = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ ...where, method, path, headers, agent: false }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.once('error', reject)
      response.once('end', () => {
        const octets = Buffer.concat(pieces)
        const isJson = /json/.test(response.headers['content-type'] ?? '')
        const json = (isJson ? JSON.parse(octets.toString()) : {}) as Response['json']
        const fault = undocumented(method, path, response.statusCode ?? 0, response.headers['content-type'], json)
        if (fault !== null) reject(new Error(`${method} ${path}: ${fault}: ${octets.toString()}`))
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: octets, json })
      })
    })
    asked.once('error', reject)
    asked.end(body)
  })
}

type Answers = Readonly<Record<string, { content?: Readonly<Record<string, { schema: Schema }>> }>>
const answered = new Set<string>()

function undocumented(method: string, path: string, status: number, type: string | undefined, json: unknown) {
  const problem = openApi.components.responses.Problem
  let answers: Answers = { '4XX': problem, '5XX': problem }
  for (const [pattern, calls] of Object.entries(openApi.paths)) {
    const found = Object.entries(calls).find(([name]) => name === method.toLowerCase())?.[1] as
      { readonly operationId: string; readonly responses: Answers } | undefined
    if (found === undefined || !new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, '[^/?]+')}(\\?.*)?$`).test(path)) continue
    answers = { ...found.responses, ...answers }
    answered.add(`${found.operationId} ${status < 400 ? status : 'problem'}`)
  }
  const answer = answers[String(status)] ?? answers[`${String(status).charAt(0)}XX`]
  if (answer === undefined) return `${status} is not in the document`
  if (answer.content === undefined) return type === undefined ? null : `has a body of ${type}`
  const content = answer.content[type ?? '']
  if (content === undefined) return `${type ?? 'no type'} is not in the document`
  return /json/.test(type ?? '') ? faultOf(content.schema, json, named) : null
}

const rfc822 = { 'content-type': 'message/rfc822' }
const messagesOf = ({ json }: Response) => json['messages'] as { readonly id: string; readonly token: number }[]

t.test('every call does what the document says', async (t) => {
  const { depot, ask, post, errors } = await stage(t, { settings: { order: 'none', firstRetrySeconds: 0 } })
  await depot.makeQueue('other/büro')
  const content = Buffer.concat([Buffer.from('Subject: x\r\n\r\nFrom x\r\n'), Buffer.from([0, 0x80, 0xff])])
  const large = randomBytes(300_000)
  const envelope = { sender: null, recipients: ['a@example.com'] }
  const notes = {
    'nodefilter-envelope': JSON.stringify(envelope),
    'nodefilter-facts': Buffer.from('{"where":"büro"}').toString('latin1'),
    'nodefilter-key': 'k',
    'idempotency-key': 'once',
  }

  const added = await ask('POST', '/v1/queues/in/messages', { body: content, headers: { ...rfc822, ...notes } })
  t.match(added, { status: 201, json: { isNew: true }, headers: { location: /^\/v1\/queues\/in\/messages\/[0-9]+$/ } })
  const again = await ask('POST', '/v1/queues/in/messages', { body: content, headers: { ...rfc822, ...notes } })
  t.match(again, { status: 200, json: { id: added.json['id'], isNew: false } })
  const plain = { 'content-type': 'application/octet-stream' }
  t.match(await ask('POST', '/v1/queues/in/messages', { body: large, headers: plain }), { status: 201 })

  t.match(await ask('GET', '/v1/queues/in'), {
    status: 200,
    json: { name: 'in', counts: { ready: 2, octets: content.length + large.length }, settings: { order: 'none' } },
  })
  t.match(await ask('GET', '/v1/queues'), { json: { queues: [{ name: 'in' }, { name: 'other/büro' }] } })
  t.match(await ask('GET', '/v1/queues/other%2Fb%C3%BCro'), { json: { name: 'other/büro', counts: { ready: 0 } } })
  t.match(await ask('GET', '/v1/health'), { status: 200, json: { status: 'ok', waiting: 0 } })
  t.same((await ask('GET', '/v1/openapi.json')).json, JSON.parse(JSON.stringify(openApi)))

  const first = await ask('GET', '/v1/queues/in/messages?max=1')
  t.match(first, { json: { messages: [{ id: added.json['id'], state: 'ready' }], next: added.json['id'] } })
  const rest = await ask('GET', `/v1/queues/in/messages?what=live&after=${String(first.json['next'])}`)
  t.match(rest, { json: { messages: [{ octets: large.length }], next: null } })

  const received = messagesOf(await post('/v1/queues/in/receive', { max: 5, leaseSeconds: 30 }))
  const [one, two] = received
  if (one === undefined || two === undefined) throw new Error('two messages were expected')
  t.match(one, { queue: 'in', envelope, facts: { where: 'büro' }, key: 'k', state: 'leased', deliveries: 1 })
  for (const [{ id }, octets] of [
    [one, content],
    [two, large],
  ] as const) {
    const got = await ask('GET', `/v1/queues/in/messages/${id}/content`)
    t.ok(got.body.equals(octets), 'octet for octet')
    t.equal(got.headers['repr-digest'], `sha-256=:${createHash('sha256').update(octets).digest('base64')}:`)
    t.equal(got.headers['content-length'], String(octets.length))
  }
  const call = (id: string, verb: string) => `/v1/queues/in/messages/${id}/${verb}`
  t.match(await post(call(one.id, 'extend'), { token: one.token, leaseSeconds: 90 }), { status: 204 })
  t.match(await post(call(one.id, 'nack'), { token: one.token, delaySeconds: 0, reason: 'busy' }), {
    json: { settled: 'done' },
  })
  t.match(await post(call(one.id, 'extend'), { token: one.token }), { status: 409, json: { code: 'LEASE_LOST' } })
  const [back] = messagesOf(await ask('POST', '/v1/queues/in/receive'))
  if (back === undefined) throw new Error('one message was expected')
  t.match(back, { id: one.id, deliveries: 2, reason: 'busy' })
  t.match(
    await post(call(one.id, 'ack'), { token: one.token }),
    { status: 409, json: { code: 'LEASE_LOST' } },
    'a late token',
  )
  t.match(await post(call(back.id, 'bury'), { token: back.token, reason: 'odd' }), { json: { settled: 'done' } })
  t.match(await ask('GET', '/v1/queues/in/messages?what=buried'), {
    json: { messages: [{ id: back.id, reason: 'odd' }] },
  })
  t.match(await ask('POST', call(back.id, 'requeue')), { json: { requeued: true } })
  t.match(await ask('POST', call(back.id, 'requeue')), { json: { requeued: false } })
  await depot.queue('in').then((queue) => queue.setAside(back.id, 'again'))
  t.match(await post('/v1/queues/in/requeue', { what: 'dead' }), { json: { requeued: 0 } })
  t.match(await post('/v1/queues/in/requeue', { what: 'buried' }), { json: { requeued: 1 } })

  const moved = await post(call(two.id, 'ack'), {
    token: two.token,
    moveTo: { queue: 'other/büro', facts: { by: 'a' } },
  })
  t.match(moved, { json: { settled: 'done' } })
  t.match(await ask('GET', '/v1/queues/other%2Fb%C3%BCro/messages'), { json: { messages: [{ facts: { by: 'a' } }] } })
  t.match(await post(call(two.id, 'ack'), { token: two.token }), { json: { settled: 'gone' } })
  t.match(await ask('GET', `/v1/queues/in/messages/${back.id}`), { json: { id: back.id } })
  t.match(await ask('DELETE', `/v1/queues/in/messages/${back.id}`), { status: 204 })
  t.match(await ask('GET', call(back.id, 'content')), { status: 404, json: { code: 'ENTRY_UNKNOWN' } })
  t.match(await post('/v1/queues/in/receive', { max: 3 }), { json: { messages: [] } })

  const paths = Object.values<Readonly<Record<string, { operationId: string; responses: object }>>>(openApi.paths)
  const operations = paths.flatMap((calls) => Object.values(calls))
  for (const { operationId, responses } of operations) {
    for (const status of Object.keys(responses)) {
      if (/^2/.test(status)) t.ok(answered.has(`${operationId} ${status}`), `${operationId} ${status} was seen`)
    }
  }
  t.same(errors, [])
})

const json = { 'content-type': 'application/json' }
const refused: readonly { name: string; method: string; path: string; asked?: Asked; status: number; code: string }[] =
  [
    { name: 'a queue that is not there', method: 'GET', path: '/v1/queues/none', status: 404, code: 'QUEUE_UNKNOWN' },
    {
      name: 'a message that is not there',
      method: 'GET',
      path: '/v1/queues/in/messages/99',
      status: 404,
      code: 'ENTRY_UNKNOWN',
    },
    { name: 'an id that is none', method: 'DELETE', path: '/v1/queues/in/messages/0x1', status: 400, code: 'ENTRY_ID' },
    { name: 'a path that is not there', method: 'GET', path: '/v2/queues', status: 404, code: 'ROUTE_UNKNOWN' },
    { name: 'a path with an empty name', method: 'GET', path: '/v1/queues/', status: 404, code: 'ROUTE_UNKNOWN' },
    {
      name: 'a path that climbs',
      method: 'GET',
      path: '/v1/queues/../../etc/passwd',
      status: 404,
      code: 'ROUTE_UNKNOWN',
    },
    { name: 'a name that climbs', method: 'GET', path: '/v1/queues/..%2F..%2Fetc', status: 404, code: 'QUEUE_UNKNOWN' },
    {
      name: 'a path with half a character',
      method: 'GET',
      path: '/v1/queues/%C3',
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    { name: 'a method that is not there', method: 'PUT', path: '/v1/queues/in', status: 405, code: 'METHOD_WRONG' },
    {
      name: 'a page of a browser that asks first',
      method: 'OPTIONS',
      path: '/v1/queues',
      status: 405,
      code: 'METHOD_WRONG',
    },
    {
      name: 'a number in the query that is none',
      method: 'GET',
      path: '/v1/queues/in/messages?max=1e3',
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'a number in the query that is too high',
      method: 'GET',
      path: '/v1/queues/in/messages?max=1001',
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'a word in the query that is not known',
      method: 'GET',
      path: '/v1/queues/in/messages?limit=1',
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'what is not JSON',
      method: 'POST',
      path: '/v1/queues/in/receive',
      asked: { body: '{"max":', headers: json },
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'JSON that is no object',
      method: 'POST',
      path: '/v1/queues/in/receive',
      asked: { body: '[1]', headers: json },
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'a field that is not known',
      method: 'POST',
      path: '/v1/queues/in/receive',
      asked: { body: '{"lease":5}', headers: json },
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'a wait without end',
      method: 'POST',
      path: '/v1/queues/in/receive',
      asked: { body: '{"waitSeconds":61}', headers: json },
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'a body that is not UTF-8',
      method: 'POST',
      path: '/v1/queues/in/receive',
      asked: { body: Buffer.from([0x22, 0xff, 0x22]), headers: json },
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'a form of a browser',
      method: 'POST',
      path: '/v1/queues/in/receive',
      asked: { body: '{}', headers: { 'content-type': 'text/plain' } },
      status: 415,
      code: 'MEDIA_TYPE_WRONG',
    },
    {
      name: 'a body of JSON that is too long',
      method: 'POST',
      path: '/v1/queues/in/receive',
      asked: { body: `{"max":${' '.repeat(3_000_000)}1}`, headers: json },
      status: 413,
      code: 'REQUEST_TOO_LARGE',
    },
    {
      name: 'a body of JSON without a length that is too long',
      method: 'POST',
      path: '/v1/queues/in/receive',
      asked: { body: ' '.repeat(3_000_000), headers: { ...json, 'transfer-encoding': 'chunked' } },
      status: 413,
      code: 'REQUEST_TOO_LARGE',
    },
    {
      name: 'an order without a body',
      method: 'POST',
      path: '/v1/queues/in/requeue',
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'an order without a token',
      method: 'POST',
      path: '/v1/queues/in/messages/1/ack',
      asked: { body: '{}', headers: json },
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'a message of another type',
      method: 'POST',
      path: '/v1/queues/in/messages',
      asked: { body: 'x', headers: json },
      status: 415,
      code: 'MEDIA_TYPE_WRONG',
    },
    {
      name: 'no message',
      method: 'POST',
      path: '/v1/queues/in/messages',
      asked: { headers: rfc822 },
      status: 411,
      code: 'LENGTH_MISSING',
    },
    {
      name: 'facts that are no object',
      method: 'POST',
      path: '/v1/queues/in/messages',
      asked: { body: 'x', headers: { ...rfc822, 'nodefilter-facts': '[]' } },
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'an envelope without recipients',
      method: 'POST',
      path: '/v1/queues/in/messages',
      asked: { body: 'x', headers: { ...rfc822, 'nodefilter-envelope': '{"sender":null}' } },
      status: 400,
      code: 'REQUEST_MALFORMED',
    },
    {
      name: 'a message that is too long',
      method: 'POST',
      path: '/v1/queues/in/messages',
      asked: { body: Buffer.alloc(50_001), headers: rfc822 },
      status: 413,
      code: 'REQUEST_TOO_LARGE',
    },
    {
      name: 'a message without a length that is too long',
      method: 'POST',
      path: '/v1/queues/in/messages',
      asked: { body: Buffer.alloc(90_000), headers: { ...rfc822, 'transfer-encoding': 'chunked' } },
      status: 413,
      code: 'REQUEST_TOO_LARGE',
    },
  ]

t.test('what is refused is told as a problem, with a code', async (t) => {
  const { depot, ask, errors } = await stage(t, { limits: { messageOctets: 50_000 } })
  for (const { name, method, path, asked, status, code } of refused) {
    const { status: got, json, headers } = await ask(method, path, asked)
    t.match(
      { got, ...json, type: headers['content-type'] },
      { got: status, status, code, type: 'application/problem+json' },
      name,
    )
  }
  t.same(readdirSync(join(depot.directory, 'messages')), [], 'nothing stays of messages that were refused')
  t.match(await ask('GET', '/v1/queues/in'), { json: { counts: { ready: 0 } } })
  t.same(errors, [])
})

t.test('more messages at the same time than are taken are to come later', async (t) => {
  const { ask, socket } = await stage(t, { limits: { uploads: 1 } })
  const add = { body: 'Subject: x\n\nx\n', headers: { 'content-type': 'message/rfc822' } }
  const slow = connect({ path: socket })
  t.teardown(() => slow.destroy())
  const head =
    'POST /v1/queues/in/messages HTTP/1.1\r\nHost: x\r\nContent-Type: message/rfc822\r\nContent-Length: 50\r\n\r\n'
  slow.write(`${head}half`)
  const answers = new Set<number>()
  await until('one is refused', async () => {
    const { status, headers } = await ask('POST', '/v1/queues/in/messages', add)
    answers.add(status)
    return status === 503 && headers['retry-after'] === '1'
  })
  slow.destroy()
  await until('and then taken', async () => (await ask('POST', '/v1/queues/in/messages', add)).status === 201)
  for (const status of answers) t.ok([201, 503].includes(status), String(status))
})

t.test('waiting', async (t) => {
  const { depot, socket, ask, post, errors } = await stage(t, { limits: { waiting: 2, idleMs: 100 } })
  const queue = await depot.queue('in')
  const waiting = async (count: number) =>
    until(`${count} wait`, async () => (await ask('GET', '/v1/health')).json['waiting'] === count)
  const answer = async (order: object) => post('/v1/queues/in/receive', order)

  t.test('a message ends the wait, of one of two clients', async (t) => {
    const both = [answer({ waitSeconds: 60 }), answer({ waitSeconds: 60 })]
    await waiting(2)
    t.match(
      await answer({ waitSeconds: 60 }),
      { status: 503, json: { code: 'SERVER_BUSY' } },
      'no more than may wait do',
    )
    await queue.add({ message: Buffer.from('one') })
    const winner = await Promise.race(both)
    t.equal(messagesOf(winner).length, 1)
    await waiting(1)
    await queue.add({ message: Buffer.from('two') })
    const got = (await Promise.all(both)).flatMap(messagesOf)
    t.equal(new Set(got.map(({ id }) => id)).size, 2, 'each got another one')
    for (const receipt of got) await queue.ack(receipt)
  })

  t.test('a client that goes while it waits gets no message', async (t) => {
    const [dead, half] = [await waitingClient(socket), await waitingClient(socket)]
    await waiting(2)
    dead.destroy()
    half.end()
    await waiting(0)
    await queue.add({ message: Buffer.from('three') })
    const [got] = messagesOf(await answer({}))
    t.match(got, { deliveries: 1 }, 'nobody else had it')
    if (got !== undefined) await queue.ack(got)
  })

  t.test('where it goes in the moment of the delivery, the message is let go at once', async (t) => {
    const other = join(socket, '../moment')
    const clients: Socket[] = []
    const late: Depot = {
      ...depot,
      queue: async (name) => ({
        ...(await depot.queue(name)),
        receive: async ({ signal = null, ...options } = {}) => {
          const taken = await queue.receive(options)
          for (const client of clients) client.destroy()
          await new Promise((resolve) => signal?.addEventListener('abort', resolve))
          return taken
        },
      }),
    }
    const server = await serveDepot(late, { socket: other })
    t.teardown(() => server.close())
    const client = await waitingClient(other)
    clients.push(client)
    await queue.add({ message: Buffer.from('four') })
    await until('the client has gone', () => client.closed)
    const [got] = await queue.receive({ waitSeconds: 10 })
    t.match(got, { deliveries: 2, reason: 'its consumer went' })
    await got?.ack()
  })

  t.test('the wait ends after its time, and the connection lives through it', async (t) => {
    const startedMs = performance.now()
    t.match(await answer({ waitSeconds: 0.5 }), { status: 200, json: { messages: [] } })
    t.ok(performance.now() - startedMs > 400, 'it did wait')
  })
  t.same(errors, [])
})

/** A client that has asked for a message, and is nobody's but the test's. */
async function waitingClient(path: string): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true })
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('connect', resolve))
  const body = '{"waitSeconds":60}'
  socket.write(
    `POST /v1/queues/in/receive HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  return socket
}

t.test('clients that stall or send nonsense cost their own connection', async (t) => {
  const { depot, server, socket, ask, errors } = await stage(t, {
    limits: { idleMs: 150, headersMs: 300, jsonMs: 150, graceMs: 600_000 },
  })
  const head = (path: string, more: string): string => `POST ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`
  const cases = [
    { name: 'that says nothing', says: '', hears: '' },
    { name: 'that ends in the header', says: 'GET /v1/health HTTP/1.1\r\nHost:', hears: /^$|^HTTP\/1.1 408/ },
    { name: 'that speaks no HTTP', says: 'EHLO example.com\r\n', hears: /^HTTP\/1.1 400/ },
    {
      name: 'that sends a header without end',
      says: `GET / HTTP/1.1\r\nA: ${'x'.repeat(100_000)}`,
      hears: /^HTTP\/1.1 431/,
    },
    {
      name: 'that stops in a body of JSON',
      says: head('/v1/queues/in/receive', 'Content-Type: application/json\r\nContent-Length: 100\r\n') + '{',
      hears: /^$|^HTTP\/1.1 408/,
    },
    {
      name: 'that stops in a message',
      says:
        head('/v1/queues/in/messages', 'Content-Type: message/rfc822\r\nContent-Length: 5000\r\n') + 'x'.repeat(2000),
      hears: '',
    },
  ]
  await Promise.all(
    cases.map(async ({ name, says, hears }) => {
      const client = connect({ path: socket })
      let heard = ''
      client.on('error', () => undefined)
      client.setEncoding('latin1').on('data', (text: string) => (heard += text))
      client.write(says)
      await until(`the end of a client ${name}`, () => client.closed, 8000)
      t.match(heard, typeof hears === 'string' ? new RegExp(`^${hears}$`) : hears, name)
    }),
  )
  t.match(await ask('GET', '/v1/queues/in'), { json: { counts: { ready: 0 } } }, 'half a message is none')
  await until('no file stays', () => readdirSync(join(depot.directory, 'messages')).length === 0)

  const queue = await depot.queue('in')
  const { id } = await queue.add({ message: Buffer.alloc(20_000_000, 'x') })
  const reader = connect({ path: socket })
  t.teardown(() => reader.destroy())
  let hasBegun = false
  reader.once('data', () => {
    hasBegun = true
    reader.pause()
  })
  reader.write(`GET /v1/queues/in/messages/${id}/content HTTP/1.1\r\nHost: x\r\n\r\n`)
  await until('the answer has begun', () => hasBegun)
  let isClosed = false
  void server.close().then(() => (isClosed = true))
  await until('one that does not read is let go', () => isClosed)
  t.same(errors, [])
})

t.test('a socket', async (t) => {
  const { depot, server, socket, ask } = await stage(t)
  const refusal = async (call: Promise<DepotServer>): Promise<string> => {
    try {
      await (await call).close()
      return 'none'
    } catch (error) {
      return isDepotError(error) ? error.code : String(error)
    }
  }
  t.equal(lstatSync(socket).mode & 0o777, 0o660)
  t.equal(await refusal(serveDepot(depot, { socket })), 'DEPOT_OPTION', 'one that is listened on stays')
  t.match(await ask('GET', '/v1/health'), { status: 200 })
  const file = join(socket, '../file')
  writeFileSync(file, '')
  t.equal(await refusal(serveDepot(depot, { socket: file })), 'DEPOT_OPTION', 'what is no socket stays')
  const link = join(socket, '../link')
  symlinkSync(socket, link)
  t.equal(await refusal(serveDepot(depot, { socket: link })), 'DEPOT_OPTION', 'so does a link to one')
  await server.close()
  t.notOk(existsSync(socket), 'the file goes with the server')

  // One that a dead server left.
  const dead = spawnSync(process.execPath, [
    ...[
      '-e',
      `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`,
    ],
  ])
  t.equal(dead.signal, 'SIGKILL')
  t.ok(existsSync(socket))
  const again = await serveDepot(depot, { socket, mode: 0o600, group: process.getgid?.() ?? null })
  t.equal(lstatSync(socket).mode & 0o777, 0o600)
  t.match(await ask('GET', '/v1/health'), { status: 200 })
  await again.close()
})

t.test('over TCP', async (t) => {
  const { depot } = await stage(t)
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.com', '127.example.com', '']) {
    await t.rejects(serveDepot(depot, { host, port: 0, token }), { code: 'DEPOT_OPTION' }, `not on ${host}`)
  }
  for (const bad of ['', 'short', 'with a blank in it, and long', 'ünprintable-token']) {
    await t.rejects(serveDepot(depot, { port: 0, token: bad }), { code: 'DEPOT_OPTION' }, `not with ${bad}`)
  }
  const server = await serveDepot(depot, { port: 0, token })
  t.teardown(() => server.close())
  t.match(server.address, /^http:\/\/127\.0\.0\.1:[0-9]+$/)
  const port = Number(server.address.split(':').at(-1))
  const authorization = `Bearer ${token}`
  const cases = [
    { name: 'with the token', headers: { authorization }, status: 200 },
    { name: 'by the name of this machine', headers: { authorization, host: `localhost:${port}` }, status: 200 },
    { name: 'without a token', headers: {}, status: 401 },
    { name: 'with another one', headers: { authorization: `${authorization}x` }, status: 401 },
    { name: 'with a part of it', headers: { authorization: authorization.slice(0, -1) }, status: 401 },
    { name: 'with it as a password', headers: { authorization: `Basic ${token}` }, status: 401 },
    { name: 'by a name that was led here', headers: { authorization, host: `evil.example.com:${port}` }, status: 421 },
    { name: 'by another port', headers: { authorization, host: '127.0.0.1:80' }, status: 421 },
  ]
  for (const { name, headers, status } of cases) {
    const answer = await askAt({ port }, 'GET', '/v1/health', { headers })
    t.equal(answer.status, status, name)
    t.equal(answer.headers['access-control-allow-origin'], undefined)
  }
})

t.test('closing', async (t) => {
  const { depot, server, post, ask, socket } = await stage(t)
  const wait = post('/v1/queues/in/receive', { waitSeconds: 60 })
  await until('it waits', async () => (await ask('GET', '/v1/health')).json['waiting'] === 1)
  await Promise.all([server.close(), server.close()])
  t.match(
    await wait,
    { status: 200, json: { messages: [] }, headers: { connection: 'close' } },
    'who waits hears that there is nothing',
  )
  t.notOk(existsSync(socket))
  await (await depot.queue('in')).add({ message: Buffer.from('x') })
  t.match(await (await depot.queue('in')).counts(), { ready: 1, leased: 0 }, 'the depot goes on')
})

const curl = spawnSync('curl', ['--version']).status === 0
t.test('with curl', { skip: curl ? false : 'curl is not installed' }, async (t) => {
  const { socket, depot } = await stage(t, { limits: { messageOctets: 4_000_000 } })
  const folder = join(socket, '..')
  const run = (...args: string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const all = ['-sS', '--fail-with-body', '--max-time', '20', '--unix-socket', socket, ...args]
      execFile('curl', all, { encoding: 'utf8' }, (error, out) =>
        error === null ? resolve(out) : reject(new Error(out, { cause: error })),
      )
    })
  const base = 'http://localhost/v1/queues/in'
  // Larger than what curl sends without asking first.
  const message = Buffer.concat([Buffer.from('Subject: from curl\n\n'), randomBytes(3_000_000)])
  writeFileSync(join(folder, 'message.eml'), message)
  const type = ['-H', 'content-type: message/rfc822']
  const added = await run(...type, '--data-binary', `@${join(folder, 'message.eml')}`, `${base}/messages`)
  t.match(JSON.parse(added), { isNew: true })
  const large = join(folder, 'large.eml')
  writeFileSync(large, Buffer.alloc(30_000_000, 'x'))
  const ways = [
    [],
    ['-H', 'expect:'],
    ['-H', 'transfer-encoding: chunked'],
    ['-H', 'expect:', '-H', 'transfer-encoding: chunked'],
  ]
  for (const way of ways) {
    const refused = run(...type, ...way, '--data-binary', `@${large}`, `${base}/messages`)
    await t.rejects(refused, /REQUEST_TOO_LARGE/, `told of a message that is too long: ${way.join(' ')}`)
  }
  mkdirSync(join(folder, 'out'))
  const received = JSON.parse(await run('--json', '{"waitSeconds": 10}', `${base}/receive`)) as {
    readonly messages: { readonly id: string; readonly token: number }[]
  }
  const [got] = received.messages
  if (got === undefined) throw new Error('no message came')
  const path = join(folder, 'out', 'message')
  await run('-o', path, `${base}/messages/${got.id}/content`)
  t.equal(spawnSync('cmp', [path, join(folder, 'message.eml')]).status, 0, 'octet for octet')
  t.match(JSON.parse(await run('--json', JSON.stringify({ token: got.token }), `${base}/messages/${got.id}/ack`)), {
    settled: 'done',
  })
  await t.rejects(run(`${base}/messages/${got.id}`), /ENTRY_UNKNOWN/)
  t.match(await (await depot.queue('in')).counts(), { ready: 0, leased: 0 })
})

t.test('the checks of schemas', (t) => {
  const schema = {
    type: 'object',
    properties: { list: { type: 'array', items: { type: 'integer', minimum: 1 } } },
    required: ['list'],
    additionalProperties: false,
  }
  const cases: readonly [value: unknown, fault: RegExp | null][] = [
    [{ list: [] }, null],
    [{ list: [1, 2] }, null],
    [{ list: [1, 0] }, /list\[1\] is below 1/],
    [{ list: [1.5] }, /list\[0\] is not integer/],
    [{ list: '1' }, /list is not array/],
    [{}, /lacks list/],
    [{ list: [], more: 1 }, /has "more"/],
    [JSON.parse('{"list":[],"__proto__":1}'), /has "__proto__"/],
    [null, /is not object/],
  ]
  for (const [value, fault] of cases) {
    if (fault === null) t.equal(faultOf(schema, value, {}), null)
    else t.match(faultOf(schema, value, {}), fault)
  }
  t.throws(() => faultOf({ maxItems: 1 }, [], {}), /maxItems/, 'a word that is not known is a mistake')
  t.end()
})

t.test('a server that cannot listen says so', async (t) => {
  const { depot } = await stage(t)
  const other = createServer()
  await new Promise<void>((resolve) => other.listen({ host: '127.0.0.1', port: 0 }, resolve))
  t.teardown(() => other.close())
  const { port } = other.address() as { readonly port: number }
  await t.rejects(serveDepot(depot, { port, token }), { code: 'EADDRINUSE' })
  await t.rejects(serveDepot(depot, { socket: `/tmp/${'x'.repeat(200)}` }), { code: 'DEPOT_OPTION' })
})
