/**
 * What Courier writes to a filter's socket: the data file's path, then the control files' paths, a line each, then an
 * empty line. Pure: octets in, a request out.
 *
 * Source: spec courier 2.2.
 */
import type { Pair } from '../../edits.ts'

/** A request, or what is wrong with it, or `null` while it is not complete. */
export type RequestState = { readonly pair: Pair } | { readonly refused: string } | null

/** Collects one request. What follows the empty line is ignored. */
export interface RequestReader {
  push(chunk: Uint8Array): RequestState
}

/** `ignoreBOM` keeps such a mark, which is a part of the path like any other. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A reader for one connection. Shape: lines end in LF, CRLF is tolerated. */
export function createRequestReader(limitOctets: number): RequestReader {
  let collected: Buffer = Buffer.alloc(0)
  return {
    push: (chunk) => {
      const scanFrom = Math.max(0, collected.length - 3)
      collected = collected.length === 0 ? Buffer.from(chunk) : Buffer.concat([collected, chunk])
      const end = endOfRequest(collected, scanFrom)
      if (end !== -1 && end <= limitOctets) return parseRequest(collected.subarray(0, end))
      return collected.length > limitOctets ? { refused: `the request is longer than ${limitOctets} octets` } : null
    },
  }
}

/** The offset of the empty line that ends the request, or -1. */
function endOfRequest(octets: Buffer, from: number): number {
  if (octets[0] === 0x0a || (octets[0] === 0x0d && octets[1] === 0x0a)) return 0
  for (let at = octets.indexOf(0x0a, from); at !== -1; at = octets.indexOf(0x0a, at + 1)) {
    const next = octets[at + 1]
    if (next === 0x0a || (next === 0x0d && octets[at + 2] === 0x0a)) return at + 1
  }
  return -1
}

function parseRequest(octets: Buffer): RequestState {
  let text: string
  try {
    text = decoder.decode(octets)
  } catch {
    return { refused: 'a path is not valid UTF-8' }
  }
  const [bodyPath, ...controlPaths] = text.split(/\r?\n/).filter((line) => line !== '')
  if (bodyPath === undefined) return { refused: 'the request names no data file' }
  if (controlPaths.length === 0) return { refused: 'the request names no control file' }
  return { pair: { bodyPath, controlPaths } }
}
