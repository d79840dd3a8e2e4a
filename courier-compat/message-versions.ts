/**
 * Which version of a message this thread's own edits left in the spool, so that the host can tell an edit from a change
 * by somebody else.
 *
 * Whoever replaces a data file, or writes to it, on behalf of a filter notes what came of it; the chain takes the note
 * when it is done with the message. A message that is given up leaves its note, so the oldest go.
 */
import type { FileIdentity } from './kept-original.ts'

/** A thread has far fewer messages in hand. */
const maxNotes = 1000

const notes = new Map<string, FileIdentity>()

/** Notes the data file as an edit left it, also one that was begun and failed. */
export function noteVersion(bodyPath: string, version: FileIdentity): void {
  notes.delete(bodyPath)
  notes.set(bodyPath, version)
  const [oldest] = notes.keys()
  if (notes.size > maxNotes && oldest !== undefined) notes.delete(oldest)
}

/** The last note on a message, which is then forgotten; `null` where nothing edited it. */
export function takeVersion(bodyPath: string): FileIdentity | null {
  if (notes.size === 0) return null
  const version = notes.get(bodyPath) ?? null
  notes.delete(bodyPath)
  return version
}
