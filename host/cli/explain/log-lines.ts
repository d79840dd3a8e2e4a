/** The lines of a log file, one after the other, in little memory: also of one that was packed with gzip. */
import { createReadStream } from 'node:fs'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'

/** The rest of a longer line is left out: no line of ours, nor of the system log, is as long. */
const maxLineChars = 1024 * 1024

/** Opens a file; `.gz` at its end means gzip. Errors come when it is read. */
export function openLogFile(path: string): Readable {
  const file = createReadStream(path)
  if (!path.endsWith('.gz')) return file
  // An error of either ends the other, and reaches whoever reads.
  return pipeline(file, createGunzip(), () => undefined)
}

/** Calls `take` for each line, without its line end. Errors: rejects with those of the stream. */
export async function readLines(stream: Readable, take: (line: string) => void): Promise<void> {
  stream.setEncoding('utf8')
  let rest = ''
  let skipping = false
  for await (const chunk of stream as AsyncIterable<string>) {
    const lines = chunk.split('\n')
    const last = lines.pop() ?? ''
    for (const [index, line] of lines.entries()) {
      const whole = index === 0 ? rest + line : line
      if (!(index === 0 && skipping)) take(whole)
    }
    if (lines.length > 0) {
      rest = last
      skipping = false
    } else if (!skipping) {
      rest += last
    }
    if (rest.length > maxLineChars) {
      take(rest.slice(0, maxLineChars))
      rest = ''
      skipping = true
    }
  }
  if (rest !== '' && !skipping) take(rest)
}
