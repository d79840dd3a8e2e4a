/** The bodies of requests: JSON whole and bounded, messages as they come, and what stands about a message in the header. */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { Transform, type Readable } from 'node:stream'
import type { NewEntry } from '../depot-types.ts'
import type { HttpLimits } from './limits.ts'
import { HttpProblem } from './problem.ts'
import { named, type Route } from './routes.ts'
import { faultOf, type Schema } from './schema.ts'

/**
 * The body of a call, checked; `{}` where it has none and needs none.
 * Errors: MEDIA_TYPE_WRONG, REQUEST_TOO_LARGE, REQUEST_TIMEOUT, REQUEST_MALFORMED.
 */
export async function readJson(
  request: IncomingMessage,
  body: NonNullable<Route['body']>,
  limits: Pick<HttpLimits, 'jsonOctets' | 'jsonMs'>,
): Promise<Readonly<Record<string, unknown>>> {
  if (!hasBody(request)) {
    if (body.isRequired) throw new HttpProblem('REQUEST_MALFORMED', 'a body of JSON is wanted')
    return {}
  }
  if (mediaType(request) !== 'application/json') {
    throw new HttpProblem('MEDIA_TYPE_WRONG', 'send it with content-type: application/json')
  }
  const text = await whole(request, limits)
  const value = parsed(text, 'the body')
  const fault = faultOf(body.schema, value, named)
  if (fault !== null) throw new HttpProblem('REQUEST_MALFORMED', `the body: ${fault}`)
  return value as Readonly<Record<string, unknown>>
}

/** The message of a call, to be read once. Errors: LENGTH_MISSING, MEDIA_TYPE_WRONG, REQUEST_TOO_LARGE, also while it is read. */
export function readMessage(request: IncomingMessage, maxOctets: number): Readable {
  if (!hasBody(request)) throw new HttpProblem('LENGTH_MISSING', 'the body is the message, and there is none')
  if (!['message/rfc822', 'application/octet-stream'].includes(mediaType(request))) {
    throw new HttpProblem('MEDIA_TYPE_WRONG', 'send it with content-type: message/rfc822')
  }
  const tooLarge = (): HttpProblem =>
    new HttpProblem('REQUEST_TOO_LARGE', `the message is longer than ${maxOctets} octets`)
  if (Number(request.headers['content-length'] ?? 0) > maxOctets) throw tooLarge()
  let octets = 0
  const counted = new Transform({
    transform: (piece: Buffer, _, done) => {
      octets += piece.length
      if (octets > maxOctets) done(tooLarge())
      else done(null, piece)
    },
  })
  // Not `pipeline`: it would destroy the request, and with it the connection on which the answer goes.
  request.on('error', (error) => counted.destroy(error))
  request.on('aborted', () => counted.destroy(new Error('the client went')))
  return request.pipe(counted)
}

/** What the header says about a message. Errors: REQUEST_MALFORMED. */
export function readNotes(request: IncomingMessage): Omit<NewEntry, 'message'> {
  const notes: { -readonly [K in keyof Omit<NewEntry, 'message'>]: NewEntry[K] } = {}
  const envelope = field(request, 'nodefilter-envelope')
  if (envelope !== null)
    notes.envelope = checked(envelope, 'Nodefilter-Envelope', schema('Envelope')) as NonNullable<NewEntry['envelope']>
  const facts = field(request, 'nodefilter-facts')
  if (facts !== null)
    notes.facts = checked(facts, 'Nodefilter-Facts', schema('Facts')) as NonNullable<NewEntry['facts']>
  const key = field(request, 'nodefilter-key')
  if (key !== null) notes.key = key
  const idempotencyKey = field(request, 'idempotency-key')
  if (idempotencyKey !== null) notes.idempotencyKey = idempotencyKey
  return notes
}

function schema(name: string): Schema {
  const found = named[name]
  if (found === undefined) throw new Error(`there is no schema ${name}`)
  return found
}

function checked(text: string, name: string, schema: Schema): unknown {
  const value = parsed(text, name)
  const fault = faultOf(schema, value, named)
  if (fault !== null) throw new HttpProblem('REQUEST_MALFORMED', `${name}: ${fault}`)
  return value
}

/** A field of the header, as UTF-8; `null` without one. */
function field(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name]
  if (value === undefined) return null
  const text = Array.isArray(value) ? value.join(', ') : value
  // Node gives the octets as Latin-1.
  const octets = Buffer.from(text, 'latin1')
  if (!isUtf8(octets)) throw new HttpProblem('REQUEST_MALFORMED', `${name} is not UTF-8`)
  return octets.toString()
}

function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new HttpProblem('REQUEST_MALFORMED', `${what} is no JSON`)
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function mediaType({ headers }: IncomingMessage): string {
  return (headers['content-type'] ?? '').replace(/;.*$/s, '').trim().toLowerCase()
}

function whole(
  request: IncomingMessage,
  { jsonOctets, jsonMs }: Pick<HttpLimits, 'jsonOctets' | 'jsonMs'>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let octets = 0
    const end = (problem: Error | null): void => {
      clearTimeout(timer)
      request.off('data', take)
      if (problem !== null) reject(problem)
      else {
        const all = Buffer.concat(pieces)
        if (isUtf8(all)) resolve(all.toString())
        else reject(new HttpProblem('REQUEST_MALFORMED', 'the body is not UTF-8'))
      }
    }
    const tooLarge = `the body is longer than ${jsonOctets} octets`
    const take = (piece: Buffer): void => {
      octets += piece.length
      if (octets > jsonOctets) end(new HttpProblem('REQUEST_TOO_LARGE', tooLarge))
      else pieces.push(piece)
    }
    const timer = setTimeout(() => end(new HttpProblem('REQUEST_TIMEOUT', 'the body did not come in time')), jsonMs)
    if (Number(request.headers['content-length'] ?? 0) > jsonOctets) {
      end(new HttpProblem('REQUEST_TOO_LARGE', tooLarge))
      return
    }
    request.on('data', take)
    request.once('end', () => end(null))
    request.once('error', end)
    request.once('close', () => end(new Error('the client went')))
  })
}
