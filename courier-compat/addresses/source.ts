/** The text that addresses are read from, and where in what was handed in a place of it is. Pure. */
import { isUtf8 } from 'node:buffer'
import type { AddressLimits } from './limits.ts'
import { refuse, type Refusal } from './refusal.ts'

export interface Source {
  readonly ok: true
  readonly text: string
  /** False for octets that are no UTF-8; then the text has a character for each octet. */
  readonly isUtf8: boolean
  /** The same refusal, its place counted in what was handed in. */
  readonly placed: (refusal: Refusal) => Refusal
}

/** Opens text or octets. What no address may hold anywhere is refused here: the line ends and NUL of RFC 5322 4.1. */
export function openSource(input: string | Uint8Array, limits: AddressLimits): Source | Refusal {
  if (input.length > limits.octets) return refuse('too-long', limits.octets)
  const source = typeof input === 'string' ? { text: input, isUtf8: true } : decoded(input)
  const inOctets = typeof input !== 'string' && source.isUtf8
  const placed = (refusal: Refusal): Refusal =>
    inOctets ? { ...refusal, at: Buffer.byteLength(source.text.slice(0, refusal.at)) } : refusal
  const lineEnd = source.text.search(/[\r\n\0]/)
  return lineEnd === -1 ? { ok: true, ...source, placed } : placed(refuse('line-end', lineEnd))
}

function decoded(input: Uint8Array): { text: string; isUtf8: boolean } {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  return isUtf8(bytes)
    ? { text: bytes.toString('utf8'), isUtf8: true }
    : { text: bytes.toString('latin1'), isUtf8: false }
}
