/**
 * Character sets by the names that mail gives them, as streaming decoders.
 *
 * The platform's TextDecoder first, since it reads labels and damaged text as browsers and most mail readers do; iconv-lite
 * for what it lacks: UTF-7, UTF-32, DOS code pages. This file alone imports iconv-lite, when a message first needs it: most
 * threads never do.
 * Pure: no clock, socket, file or logger.
 * Source: WHATWG Encoding (labels), RFC 2152 (UTF-7), RFC 2781 3.3 and 4.3 (the byte order mark of UTF-16).
 */
import { createRequire } from 'node:module'
import type * as iconvLite from 'iconv-lite'

/** Decodes one text, given in pieces cut anywhere. Octets that mean nothing become U+FFFD; nothing is refused. */
export interface CharsetDecoder {
  readonly write: (octets: Buffer) => string
  readonly end: () => string
}

/** A character set that is known. */
export interface Charset {
  /** In lower case, one name for all labels of the set. */
  readonly name: string
  /** Plain ASCII can hide in it: what is searched before decoding is not what is read. */
  readonly isDangerous: boolean
  readonly decoder: () => CharsetDecoder
}

let loaded: typeof iconvLite | null = null

function iconv(): typeof iconvLite {
  loaded ??= createRequire(import.meta.url)('iconv-lite') as typeof iconvLite
  return loaded
}

/** No name of a character set comes near; a longer one is no name. */
const maxNameLength = 64

/** Among the codecs of iconv-lite, but no character sets. */
const noCharsets = /^(?:base64|hex|internal|binary|sbcs|dbcs|utf7imap)$/

/**
 * The character set with this label.
 *
 * Shape:  letter case, blanks and quotes around it, a language after `*` (RFC 2231 5) and the usual misspellings
 *         (`utf8`, `cp-1252`, `iso8859_1`) are read through. `null`: nobody knows it.
 */
export function charsetNamed(label: string): Charset | null {
  if (label.length > maxNameLength) return null
  const name = usualName(label)
  const marked = byMark(name)
  if (marked !== null) return marked
  const platform = platformDecoder(name)
  if (platform !== null) return { name: platform.encoding, isDangerous: false, decoder: () => platformStream(name) }
  const letters = name.replaceAll(/[^a-z0-9]/g, '')
  if (noCharsets.test(letters) || !iconv().encodingExists(name)) return null
  const isDangerous = /utf7|utf32|ucs4/.test(letters)
  return { name, isDangerous, decoder: () => tableStream(name) }
}

/** The decoder of the character set with this label, from its beginning; `null`: nobody knows it. See `charsetNamed`. */
export function charsetDecoder(label: string): CharsetDecoder | null {
  return charsetNamed(label)?.decoder() ?? null
}

/** Decodes a whole text. */
export function decodeAll(decoder: CharsetDecoder, octets: Buffer): string {
  return decoder.write(octets) + decoder.end()
}

/** Microsoft's numbers for sets that the platform has by another name; iconv-lite loses octets of them between two pieces. */
const byNumber: ReadonlyMap<string, string> = new Map([
  ['932', 'shift_jis'],
  ['936', 'gbk'],
  ['949', 'euc-kr'],
  ['950', 'big5'],
])

function usualName(label: string): string {
  const name = spelledAsUsual(label)
  const number = /^(?:cp|ms|win|windows)?[-_]?(932|936|949|950)$/.exec(name)?.[1]
  return number === undefined ? name : (byNumber.get(number) ?? name)
}

function spelledAsUsual(label: string): string {
  return label
    .replace(/\*.*$/s, '')
    .replaceAll(/["'\s]/g, '')
    .toLowerCase()
    .replace(/^(?:cp|win|windows)[-_]?(125\d)$/, 'windows-$1')
    .replace(/^iso[-_]?8859[-_]?(\d+(?:-[ie])?)$/, 'iso-8859-$1')
    .replace(/^utf[-_]?8$/, 'utf-8')
    .replace(/^unicode-1-1-utf-7$/, 'utf-7')
}

function platformDecoder(name: string): InstanceType<typeof TextDecoder> | null {
  try {
    return new TextDecoder(name)
  } catch {
    return null
  }
}

/** A decoder of a label that the platform is known to have. */
export function platformStream(name: string): CharsetDecoder {
  const decoder = new TextDecoder(name)
  return { write: (octets) => decoder.decode(octets, { stream: true }), end: () => decoder.decode() }
}

/** UTF-7 and UTF-32 can say half a character: it becomes U+FFFD, but not where its other half comes in the next piece. */
function tableStream(name: string): CharsetDecoder {
  const decoder = iconv().getDecoder(name)
  let held = ''
  return {
    write(octets) {
      const text = held + decoder.write(octets)
      const isCut = /[\ud800-\udbff]$/.test(text)
      held = isCut ? text.slice(-1) : ''
      return (isCut ? text.slice(0, -1) : text).toWellFormed()
    },
    end: () => (held + (decoder.end() ?? '')).toWellFormed(),
  }
}

/** UTF-16 and UTF-32 whose byte order is not named: a mark tells it, else little endian, as most programs write it. */
function byMark(name: string): Charset | null {
  if (/^(?:utf-?16|iso-10646-ucs-2|ucs-?2|unicode)$/.test(name)) {
    const big = Buffer.from([0xfe, 0xff])
    const decoder = (): CharsetDecoder =>
      afterMark(2, (start) => platformStream(start.equals(big) ? 'utf-16be' : 'utf-16le'))
    return { name: 'utf-16', isDangerous: true, decoder }
  }
  if (/^(?:utf-?32|iso-10646-ucs-4|ucs-?4)$/.test(name)) {
    const big = Buffer.from([0, 0, 0xfe, 0xff])
    const decoder = (): CharsetDecoder =>
      afterMark(4, (start) => tableStream(start.equals(big) ? 'utf-32be' : 'utf-32le'))
    return { name: 'utf-32', isDangerous: true, decoder }
  }
  if (/^utf-?16[bl]e$/.test(name)) {
    const label = name.endsWith('be') ? 'utf-16be' : 'utf-16le'
    return { name: label, isDangerous: true, decoder: () => platformStream(label) }
  }
  return null
}

/** Chooses the decoder when the first `length` octets are there. */
function afterMark(length: number, choose: (start: Buffer) => CharsetDecoder): CharsetDecoder {
  let chosen: CharsetDecoder | null = null
  let held: Buffer = Buffer.alloc(0)
  return {
    write(octets) {
      if (chosen !== null) return chosen.write(octets)
      held = Buffer.concat([held, octets])
      if (held.length < length) return ''
      chosen = choose(held.subarray(0, length))
      return chosen.write(held)
    },
    end() {
      if (chosen !== null) return chosen.end()
      const decoder = choose(held)
      return decoder.write(held) + decoder.end()
    },
  }
}

/**
 * Writes text in the character set with this label.
 *
 * Shape: `null` where the set is unknown, where nothing writes it, and where its decoder would not read the same text again.
 */
export function encodeText(text: string, label: string): Buffer | null {
  const charset = charsetNamed(label)
  if (charset === null) return null
  const reads = (octets: Buffer): boolean => decodeAll(charset.decoder(), octets) === text
  const plain = Buffer.from(text, 'utf8')
  // Most text is plain ASCII, and most sets have it where it is; some sets can be read but not written otherwise.
  if (plain.length === text.length && reads(plain)) return plain
  const name = usualName(label)
  if (!iconv().encodingExists(name)) return null
  const octets = iconv().encode(text, name)
  return reads(octets) ? octets : null
}
