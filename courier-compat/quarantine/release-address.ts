/**
 * Release addresses: `quarantine-<siteid>-<id>.<token>@<me>`, and what Courier hands over of one.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 3.2; spec courier 7.3; RFC 5321 4.5.3.1.1 (64 octets before the `@`).
 */
import { idLetters, isOldId } from './names.ts'
import { tokenLetters } from './seal.ts'

const maxLocalOctets = 64
const lead = 'quarantine-'

/** Below this two ids might begin alike. */
const leastIdLetters = 12

/** The longest `siteid` that leaves room for the rest. */
export const maxSiteidOctets = maxLocalOctets - lead.length - '-.'.length - leastIdLetters - tokenLetters

/** Why this cannot be a `siteid`, or `null`. It stands in an address and in the name of a file of Courier's. */
export function siteidProblem(siteid: string): string | null {
  const isWord = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/.test(siteid)
  if (isWord && siteid.length <= maxSiteidOctets) return null
  return `siteid is 1 to ${maxSiteidOctets} letters and digits, with single ".", "_" or "-" between them`
}

/** The address. With a long `siteid` the id is cut: the token says which one is meant. */
export function releaseAddress(siteid: string, id: string, token: string, domain: string): string {
  const room = maxLocalOctets - lead.length - siteid.length - '-.'.length - token.length
  return `${lead}${siteid}-${id.slice(0, Math.min(room, idLetters))}.${token}@${domain}`
}

/** The end of a local part, after `quarantine-<siteid>-`; `null` for what no address of ours ends in. */
export type ReleaseWord = { readonly idStart: string; readonly token: string } | { readonly oldId: string } | null

/** Reads what Courier hands over in `DEFAULT`, in any letter case. */
export function parseReleaseWord(text: string): ReleaseWord {
  if (isOldId(text)) return { oldId: text }
  const match = /^([a-z2-7]{12,26})\.([a-z2-7]{16})$/.exec(text.length > 100 ? '' : text.toLowerCase())
  return match === null ? null : { idStart: match[1] ?? '', token: match[2] ?? '' }
}
