/** What an edit has to know of a text before it can add to it: one pass over its octets. */
import { isAscii } from 'node:buffer'
import { HtmlPlaces } from './html-places.ts'

/** A text's octets, its transfer encoding undone. */
export interface TextFacts {
  readonly octets: number
  readonly isAscii: boolean
  readonly isUtf8: boolean
  /** Also where there is nothing at all. */
  readonly endsWithLineEnd: boolean
  /** How its lines end, by the last one; `null` where it has but one. */
  readonly lineEnd: '\n' | '\r\n' | null
  /** Where something can be put in front, and where behind: `0` and `octets` in a plain text. */
  readonly front: number
  readonly back: number
}

const lf = 0x0a
const cr = 0x0d
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

/** Reads a text. Errors: those of `content`. */
export async function textFacts(content: AsyncIterable<Buffer>, isHtml: boolean): Promise<TextFacts> {
  const html = isHtml ? new HtmlPlaces() : null
  const utf8 = new TextDecoder('utf-8', { fatal: true })
  let octets = 0
  let isOnlyAscii = true
  let isUtf8 = true
  let lineEnd: TextFacts['lineEnd'] = null
  let last = lf
  let start = Buffer.alloc(0)
  for await (const piece of content) {
    if (piece.length === 0) continue
    html?.push(piece)
    if (start.length < byteOrderMark.length) start = Buffer.concat([start, piece.subarray(0, byteOrderMark.length)])
    if (isOnlyAscii && !isAscii(piece)) isOnlyAscii = false
    // What is ASCII is UTF-8.
    isUtf8 &&= isOnlyAscii || isValid(utf8, piece)
    const at = piece.lastIndexOf(lf)
    if (at !== -1) lineEnd = (at > 0 ? piece[at - 1] : last) === cr ? '\r\n' : '\n'
    last = piece.at(-1) ?? last
    octets += piece.length
  }
  isUtf8 &&= isValid(utf8, null)
  const markOctets = start.subarray(0, byteOrderMark.length).equals(byteOrderMark) ? byteOrderMark.length : 0
  return {
    ...{ octets, isAscii: isOnlyAscii, isUtf8, lineEnd, endsWithLineEnd: last === lf },
    front: html?.start ?? markOctets,
    back: html?.end ?? octets,
  }
}

function isValid(decoder: InstanceType<typeof TextDecoder>, piece: Buffer | null): boolean {
  try {
    if (piece === null) decoder.decode()
    else decoder.decode(piece, { stream: true })
    return true
  } catch {
    return false
  }
}
