/**
 * Who may ask over TCP: whoever has the token, and names this server in `Host`. A page in a browser that another name leads here
 * (DNS rebinding) has neither.
 *
 * Pure.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIPv4 } from 'node:net'
import { DepotError } from '../errors.ts'
import { HttpProblem } from './problem.ts'

/** Shorter tokens can be guessed. */
const leastTokenChars = 16

/** The numerical address to listen on. Errors: DEPOT_OPTION where others than this machine could reach it. */
export function localAddress(host: string): string {
  if (host === 'localhost') return '127.0.0.1'
  if (host === '::1' || (isIPv4(host) && host.startsWith('127.'))) return host
  throw new DepotError('DEPOT_OPTION', `${host} can be reached from other machines: 127.0.0.1 or ::1 is wanted`)
}

/** Checks requests that came over TCP. Errors: DEPOT_OPTION for a token that is too short. */
export function createGuard(token: string): (headers: IncomingHttpHeaders, host: string, port: number) => void {
  if (token.length < leastTokenChars || !/^[\x21-\x7e]+$/.test(token)) {
    throw new DepotError('DEPOT_OPTION', `the token is not ${leastTokenChars} or more printable characters of ASCII`)
  }
  // Of equal length whatever was sent, so that the time of the comparison tells nothing.
  const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()
  const wanted = digestOf(token)
  return (headers, host, port) => {
    const own = [host === '::1' ? '[::1]' : host, 'localhost'].map((name) => `${name}:${port}`)
    if (!own.includes((headers.host ?? '').toLowerCase())) {
      throw new HttpProblem('HOST_WRONG', `this is ${own.join(' or ')}`)
    }
    const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
    if (!timingSafeEqual(digestOf(given), wanted)) {
      throw new HttpProblem('TOKEN_WRONG', 'send the token: authorization: Bearer TOKEN', {
        'www-authenticate': 'Bearer',
      })
    }
  }
}
