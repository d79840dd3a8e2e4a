/**
 * A message as a part of an mbox file, in the form called mboxrd: lines that begin with "From ", or with that after some ">",
 * get one more ">", so that they can be told from the line before each message.
 *
 * Pure, but for the stream. Source: RFC 4155 for the line before each message.
 */
import { Transform } from 'node:stream'

const lf = 0x0a
const quote = 0x3e
const word = Buffer.from('From ')

/** The line that begins a message. Units: ms since the epoch. */
export function fromLine(sender: string | null, addedMs: number): string {
  const address = sender === null ? 'MAILER-DAEMON' : sender.replace(/[^!-~]/g, '_')
  const [day = '', month = '', date = '', year = '', time = ''] = new Date(addedMs)
    .toUTCString()
    .replace(/^(\w+), (\d+) (\w+) (\d+) (\S+) GMT$/, '$1 $3 $2 $4 $5')
    .split(' ')
  return `From ${address === '' ? 'MAILER-DAEMON' : address} ${day} ${month} ${String(Number(date)).padStart(2)} ${time} ${year}\n`
}

/** The octets of a message between two such lines; ends with an empty line. Holds back at most five octets. */
export function createQuoting(): Transform {
  // Where in a line: `start` before anything but ">", a number so many octets of the word after that, `inside` beyond.
  let at: 'start' | 'inside' | number = 'start'
  let last = lf
  return new Transform({
    transform: (piece: Buffer, _, done) => {
      const parts: Buffer[] = []
      let from = 0
      for (let index = 0; index < piece.length; index++) {
        const octet = piece[index] ?? 0
        if (at !== 'inside') {
          const matched = at === 'start' ? 0 : at
          if (octet === word[matched]) {
            at = matched + 1
            if (at === word.length) {
              // The first octets of the word may have been in an earlier piece, and are held back.
              const begun = index + 1 - word.length
              parts.push(piece.subarray(from, Math.max(from, begun)), Buffer.from('>'), word)
              from = index + 1
              at = 'inside'
            }
            continue
          }
          if (matched > 0) {
            const begun = index - matched
            if (begun < from) parts.push(word.subarray(0, from - begun))
          }
          at = matched === 0 && octet === quote ? 'start' : 'inside'
        }
        if (octet === lf) at = 'start'
      }
      const held = typeof at === 'number' ? at : 0
      parts.push(piece.subarray(from, Math.max(from, piece.length - held)))
      last = piece.at(-1) ?? last
      done(null, Buffer.concat(parts))
    },
    flush: (done) => {
      const held = typeof at === 'number' ? word.subarray(0, at) : Buffer.alloc(0)
      done(null, Buffer.concat([held, Buffer.from(last === lf ? '\n' : '\n\n')]))
    },
  })
}
