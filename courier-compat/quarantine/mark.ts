/**
 * The field by which the quarantine knows its own messages again, where local mail is filtered as well.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 7.1 (what a filter submits is filtered if `local` is in `enablefiltering`).
 */
import type { Seal } from './seal.ts'

/** Its name. */
export const markField = 'X-Nodefilter-Quarantine'

/** What carries it: a notice of ours, or a message that is being released. */
export type MarkKind = 'notice' | 'release'

/** A mark that was read, made with our key for this recipient, whatever message it stands in. */
export interface Mark {
  readonly kind: MarkKind
  readonly id: string
}

/** The value of the field, for one recipient. */
export function markValue(seal: Seal, kind: MarkKind, id: string, recipient: string): string {
  return `${kind} ${id} ${seal.word('mark', [kind, id, recipient])}`
}

/** The first of these values that is a mark of ours for this recipient, or `null`. */
export function findMark(seal: Seal, values: readonly string[], recipient: string): Mark | null {
  for (const value of values) {
    const match = /^(notice|release) ([a-z2-7]{26}|[1-9][0-9]{0,19}) ([a-z2-7]{16})$/.exec(value)
    if (match === null) continue
    const [, kind = '', id = '', word = ''] = match
    if (seal.isWord(word, 'mark', [kind, id, recipient])) return { kind: kind as MarkKind, id }
  }
  return null
}
