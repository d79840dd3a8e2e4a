/** Keys of what the post office remembers: short, whatever a sender writes. Pure. */
import { createHash } from 'node:crypto'

/** One key for these texts in this order; `null` is none of them. 43 characters of base64url. */
export function keyOf(...texts: readonly (string | null)[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('base64url')
}
