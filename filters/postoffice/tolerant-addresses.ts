/**
 * Addresses out of a field that the library's parser refuses, since mail is sorted by fields like that too: a bracket that
 * is never closed, a route, a dot after the domain, text beside an address.
 *
 * An address is taken only where it is the one that most programs act on; what has two readings gives none. It decides in
 * which queue a message is put, never whom it is delivered to or answered.
 * Pure: no clock, socket, file or logger. Each character is looked at a fixed number of times, and nothing recurses.
 * Source: spec postoffice 3.1 and its acceptance cases H13 to H24.
 */

/** What such a field may hold: an address as it stands there, cut in two. */
export interface RoughAddress {
  readonly local: string
  readonly domain: string
}

const maxAddresses = 5000

/** All addresses in `text` that can be made out, at most some thousand. */
export function roughAddresses(text: string): RoughAddress[] {
  const found: RoughAddress[] = []
  for (const piece of pieces(text)) {
    const address = addressOf(piece)
    if (address !== null && found.push(address) === maxAddresses) break
  }
  return found
}

/** What stands between two commas. Quotes and comments that are closed hide what is in them. */
interface Piece {
  /** Without comments and brackets. */
  text: string
  /** What stands in its angle brackets, which is the address then, even if it is none; `null` without any. */
  angle: string | null
  angles: number
}

function* pieces(text: string): Generator<Piece, void, undefined> {
  const scan = new Closers(text)
  let piece: Piece = { text: '', angle: null, angles: 0 }
  for (let at = 0; at < text.length;) {
    const character = text.charAt(at)
    let next = at + 1
    if (character === '"') {
      next = scan.endOfQuoted(at) ?? next
      piece.text += text.slice(at, next)
    } else if (character === '(') {
      const end = scan.endOfComment(at)
      next = end ?? next
      piece.text += end === null ? character : ' '
    } else if (character === '<') {
      const end = scan.endOfAngle(next)
      piece.angle = text.slice(next, end)
      piece.angles++
      next = text.charAt(end) === '>' ? end + 1 : end
    } else if (character === ',' || character === ';') {
      yield piece
      piece = { text: '', angle: null, angles: 0 }
    } else if (character === ':') {
      // The name of a group ends here.
      piece = { text: '', angle: null, angles: 0 }
    } else {
      piece.text += character
    }
    at = next
  }
  yield piece
}

/** Finds what closes a quote or a comment. Where nothing does, nothing closes a later one either: looked for once. */
class Closers {
  readonly #text: string
  #quotesEnd = true
  #commentsEnd = true

  constructor(text: string) {
    this.#text = text
  }

  /** After the quote that closes the one at `from`; `null`: none does. */
  endOfQuoted(from: number): number | null {
    if (!this.#quotesEnd) return null
    const end = endOfQuoted(this.#text, from)
    if (end === null) this.#quotesEnd = false
    return end
  }

  endOfComment(from: number): number | null {
    if (!this.#commentsEnd) return null
    let depth = 0
    for (let at = from; at < this.#text.length; at++) {
      const character = this.#text.charAt(at)
      if (character === '\\') at++
      else if (character === '(') depth++
      else if (character === ')' && --depth === 0) return at + 1
    }
    this.#commentsEnd = false
    return null
  }

  /** Where angle brackets end: at `>`, or at what begins the next address. The commas of a route end nothing. */
  endOfAngle(from: number): number {
    const isRoute = this.#text.charAt(from) === '@'
    for (let at = from; at < this.#text.length; at++) {
      const character = this.#text.charAt(at)
      if (character === '>' || character === '<' || (character === ',' && !isRoute)) return at
      if (character === '"') at = (this.endOfQuoted(at) ?? at + 1) - 1
    }
    return this.#text.length
  }
}

function endOfQuoted(text: string, from: number): number | null {
  for (let at = from + 1; at < text.length; at++) {
    const character = text.charAt(at)
    if (character === '\\') at++
    else if (character === '"') return at + 1
  }
  return null
}

function addressOf({ text, angle, angles }: Piece): RoughAddress | null {
  if (angles > 1) return null
  const written = (angle ?? text).trim()
  // `@a,@b:box@example.com`: the servers that stand before it are history (RFC 5321 appendix C).
  const bare = written.startsWith('@') ? written.slice(written.indexOf(':') + 1).trim() : written
  const at = bare.lastIndexOf('@')
  if (at < 1) return null
  const local = bare.slice(0, at)
  const isPlain = /^[^\s"@]+$/.test(local) || (local.startsWith('"') && endOfQuoted(local, 0) === local.length)
  return isPlain ? { local, domain: bare.slice(at + 1) } : null
}
