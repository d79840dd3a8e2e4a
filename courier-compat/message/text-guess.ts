/**
 * Decodes a text whose character set is missing or unknown: as UTF-8 where it is that, else one character an octet.
 *
 * The decision is made on a window that begins at the first octet beyond ASCII, so a text of any length streams, and it is
 * the same however the text is cut into pieces.
 * Pure: no clock, socket, file or logger.
 */
import { isUtf8 } from 'node:buffer'
import { platformStream, type CharsetDecoder } from './charset.ts'

/** What is not UTF-8 shows it within the first few letters beyond ASCII. */
export const guessOctets = 64 * 1024

/** What a guess came to; `ascii`: there was nothing to decide. */
export type Guess = 'ascii' | 'utf-8' | 'windows-1252'

/** A decoder that guesses, and tells what it guessed when it has. */
export function guessingDecoder(onGuess: (guess: Guess) => void = () => undefined): CharsetDecoder {
  let chosen: CharsetDecoder | null = null
  let pieces: Buffer[] = []
  let heldOctets = 0

  const decodeHeld = (): { decoder: CharsetDecoder; text: string } => {
    const held = Buffer.concat(pieces)
    pieces = []
    const guess = heldOctets === 0 ? 'ascii' : looksLikeUtf8(held) ? 'utf-8' : 'windows-1252'
    onGuess(guess)
    const decoder = platformStream(guess === 'windows-1252' ? guess : 'utf-8')
    return { decoder, text: decoder.write(held) }
  }
  return {
    write(octets) {
      if (chosen !== null) return chosen.write(octets)
      const at = heldOctets === 0 ? firstEightBit(octets) : 0
      const text = octets.toString('latin1', 0, at)
      const rest = octets.subarray(at)
      const taken = rest.subarray(0, guessOctets - heldOctets)
      if (taken.length === 0) return text
      // A copy: a window may be made of many small pieces, each of which would keep a large one from being freed.
      pieces.push(Buffer.from(taken))
      heldOctets += taken.length
      if (heldOctets < guessOctets) return text
      const held = decodeHeld()
      chosen = held.decoder
      return text + held.text + chosen.write(rest.subarray(taken.length))
    },
    end() {
      if (chosen !== null) return chosen.end()
      const { decoder, text } = decodeHeld()
      return text + decoder.end()
    },
  }
}

/** As UTF-8 where it is that, else one character an octet, read as windows-1252 as every mail reader does. */
export function guessText(octets: Buffer): string {
  return looksLikeUtf8(octets) ? octets.toString('utf8') : new TextDecoder('windows-1252').decode(octets)
}

/** A text cut within a character, or with one that is damaged, is UTF-8 still; other sets hardly ever look like it. */
function looksLikeUtf8(octets: Buffer): boolean {
  if (isUtf8(octets)) return true
  let good = 0
  let bad = 0
  const text = octets.toString('utf8')
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0xfffd) bad++
    else if (code > 0x7f) good++
  }
  return good >= bad
}

function firstEightBit(octets: Buffer): number {
  for (let at = 0; at < octets.length; at++) if ((octets[at] ?? 0) > 0x7f) return at
  return octets.length
}
