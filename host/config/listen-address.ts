/**
 * Where a local service listens, as administrators write it: `127.0.0.1:9125`, `[::1]:9125`, `/run/x.sock` or `off`.
 *
 * Pure: no clock, socket, file or logger.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { quoted } from '../../courier-compat/quoted.ts'

/** An address of this machine, or the path of a Unix socket. */
export type ListenAddress =
  | { readonly kind: 'inet'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** The longest path a Unix socket can have. */
const maxSocketPath = 107

/**
 * Reads an address; `null` is `off`.
 * Errors: `problem` is a sentence that follows the setting's name. A name of a host is one: what it means would be
 * decided elsewhere.
 */
export function parseListenAddress(text: string): { address: ListenAddress | null } | { problem: string } {
  if (text === 'off') return { address: null }
  if (text.startsWith('/')) {
    if (text.includes('\0') || Buffer.byteLength(text) > maxSocketPath)
      return { problem: `${quoted(text)} cannot be the path of a socket: it has at most ${maxSocketPath} octets` }
    return { address: { kind: 'unix', path: text } }
  }
  const [, inner, bare, digits = ''] = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  const host = inner ?? bare ?? ''
  const isAddress = inner === undefined ? isIPv4(host) : isIPv6(host)
  if (!isAddress || port < 1 || port > 65_535)
    return { problem: `${quoted(text)} is no address: write 127.0.0.1:PORT, [::1]:PORT, the path of a socket, or off` }
  return { address: { kind: 'inet', host, port } }
}

/** Whether only processes of this machine can reach it. */
export function isLocalAddress(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true
  return /^127\./.test(address.host) || /^(?:0{0,4}:)+0{0,3}1$/.test(address.host)
}

/** As an administrator writes it. */
export function listenAddressText(address: ListenAddress): string {
  if (address.kind === 'unix') return address.path
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`
}
