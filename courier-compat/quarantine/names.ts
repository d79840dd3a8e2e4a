/**
 * The names of files in a quarantine folder: made of our own ids alone, never of anything that a message says.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec reliability R50; spec pythonfilter 3.2 (`D<id>`, `C<id>[.n]`, `msgs.db`).
 */

/** The state of a message for one recipient that it has a file for; without one it is held. */
export type ClaimState = 'releasing' | 'released'

/** What a file of the folder is. `foreign` files are nobody's that we know: they are never touched. */
export type NamedFile =
  | { readonly kind: 'entry' | 'notified' | 'message' | 'old-message' | 'old-control'; readonly id: string }
  | { readonly kind: 'claim'; readonly id: string; readonly index: number; readonly state: ClaimState }
  | { readonly kind: 'temporary' | 'own' | 'foreign' }

/** The key that tokens are made with. */
export const keyFile = 'release.key'
/** One line of JSON for each entry, so that a list need not open them all. */
export const indexFile = 'index.jsonl'
/** One line of JSON for each thing that was done, and the same of earlier days. */
export const historyFile = 'history.jsonl'
export const olderHistoryFile = 'history.jsonl.1'

const letters = 'abcdefghijklmnopqrstuvwxyz234567'

/** Octets as a word in lower-case letters and digits, five bits each (RFC 4648 base32): mail systems change letter case. */
export function wordOf(octets: Uint8Array): string {
  let word = ''
  let bits = 0
  let held = 0
  for (const octet of octets) {
    held = ((held << 8) | octet) & 0xfff
    bits += 8
    for (; bits >= 5; bits -= 5) word += letters.charAt((held >> (bits - 5)) & 31)
  }
  return bits === 0 ? word : word + letters.charAt((held << (5 - bits)) & 31)
}

/** Letters of an entry's id: 128 bits. */
export const idLetters = 26

/** True for an id of ours. */
export function isEntryId(text: string): boolean {
  return /^[a-z2-7]{26}$/.test(text)
}

/** True for an id of pythonfilter's, an inode number. */
export function isOldId(text: string): boolean {
  return /^[1-9][0-9]{0,19}$/.test(text)
}

/** Where an entry's record is; with it, and not before, the entry is there. */
export const entryFile = (id: string): string => `${id}.json`
/** Where its message is. `nonce` is another word for each try to keep it. */
export const messageFile = (id: string, nonce: string): string => `${id}.${nonce}.eml`
/** Whom notices went to. */
export const notifiedFile = (id: string): string => `${id}.notified`
/** The file that says so of recipient number `index`. */
export const claimFile = (id: string, index: number, state: ClaimState): string => `${id}.${index}.${state}`
/** What is being written and has no name yet. */
export const temporaryFile = (nonce: string): string => `new.${nonce}`

/** True for the name of a message of this entry. */
export function isMessageFile(name: string, id: string): boolean {
  const file = namedFile(name)
  return file.kind === 'message' && file.id === id
}

const shapes = {
  entry: /^([a-z2-7]{26})\.json$/,
  message: /^([a-z2-7]{26})\.[a-z2-7]{26}\.eml$/,
  notified: /^([a-z2-7]{26})\.notified$/,
  'old-message': /^D([1-9][0-9]{0,19})$/,
  'old-control': /^C([1-9][0-9]{0,19})(?:\.[0-9]{1,6})?$/,
} as const

/** What the file of this name is. */
export function namedFile(name: string): NamedFile {
  for (const kind of ['entry', 'message', 'notified', 'old-message', 'old-control'] as const) {
    const id = shapes[kind].exec(name)?.[1]
    if (id !== undefined) return { kind, id }
  }
  const claim = /^([a-z2-7]{26}|[1-9][0-9]{0,19})\.([0-9]{1,7})\.(releasing|released)$/.exec(name)
  if (claim !== null) {
    return { kind: 'claim', id: claim[1] ?? '', index: Number(claim[2]), state: claim[3] as ClaimState }
  }
  if (/^new\.[a-z2-7]{26}$/.test(name)) return { kind: 'temporary' }
  return [keyFile, indexFile, historyFile, olderHistoryFile].includes(name) ? { kind: 'own' } : { kind: 'foreign' }
}
