/**
 * The line codec between host, runner and threads: one JSON value a line, several lines in one write.
 *
 * Pure. JSON escapes every line end inside a value, so what a filter says can never become a frame of its own.
 */

/** A line longer than this ends the connection: no honest frame comes near it. */
export const maxFrameChars = 16 * 1024 * 1024

/** Writes frames as text for one write. */
export function encodeFrames(frames: readonly unknown[]): string {
  let text = ''
  for (const frame of frames) text += JSON.stringify(frame) + '\n'
  return text
}

/** Collects text and gives whole frames. */
export interface FrameReader {
  /** Errors: Error for a line that is not JSON or is too long; the connection is then of no more use. */
  push(text: string): unknown[]
}

/** A reader for one connection. */
export function createFrameReader(limitChars: number = maxFrameChars): FrameReader {
  let rest = ''
  return {
    push: (text) => {
      const frames: unknown[] = []
      let start = 0
      for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
        const line = rest === '' ? text.slice(start, end) : rest + text.slice(start, end)
        if (line.length > limitChars) throw tooLong(limitChars)
        rest = ''
        start = end + 1
        frames.push(parseLine(line))
      }
      if (start < text.length) rest += start === 0 ? text : text.slice(start)
      if (rest.length > limitChars) throw tooLong(limitChars)
      return frames
    },
  }
}

function tooLong(limitChars: number): Error {
  return new Error(`a frame is longer than ${limitChars} characters`)
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw new Error(`not a frame: ${JSON.stringify(line.slice(0, 80))}`)
  }
}
