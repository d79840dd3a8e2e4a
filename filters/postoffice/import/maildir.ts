/**
 * The Maildir from which messages are taken: its folders, and what is in them.
 *
 * Source: spec postoffice 5 and 12; the Maildir format: `tmp` belongs to deliveries under way and is never looked into.
 */
import { isUtf8 } from 'node:buffer'
import { lstatSync, mkdirSync } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { join } from 'node:path'

/** The folders that are read. `new` first: a mail reader moves messages from there to `cur`, never back. */
const places = ['new', 'cur'] as const

/** A message in the Maildir. */
export interface MaildirFile {
  /** The name without its info (`:2,S`), which is the same wherever the message goes. */
  readonly unique: string
  readonly place: (typeof places)[number]
  readonly name: string
}

/** What was in a Maildir at one moment. */
export interface MaildirListing {
  readonly count: number
  /** Files that cannot be taken, since their names are not UTF-8. */
  readonly unusable: number
  /** By unique name, as text. */
  files(): Generator<MaildirFile, void, undefined>
  has(unique: string): boolean
}

/** Where the file is. */
export function pathOf(maildir: string, { place, name }: Pick<MaildirFile, 'place' | 'name'>): string {
  return join(maildir, place, name)
}

/** The part of a name before its info. */
export function uniqueOf(name: string): string {
  const colon = name.indexOf(':')
  return colon === -1 ? name : name.slice(0, colon)
}

/**
 * Makes the Maildir where it is missing.
 * Errors: the system's; Error where there is something else: folders are not put into a folder that nobody meant.
 */
export function makeMaildir(maildir: string): void {
  const isThere = lstatSync(maildir, { throwIfNoEntry: false }) !== undefined
  const missing = ['new', 'cur', 'tmp'].filter(
    (name) => lstatSync(join(maildir, name), { throwIfNoEntry: false })?.isDirectory() !== true,
  )
  if (isThere && missing.includes('new') && missing.includes('cur')) {
    throw Object.assign(new Error(`${maildir} is there, and is no Maildir`), { code: 'ENOTDIR' })
  }
  for (const name of missing) mkdirSync(join(maildir, name), { recursive: true, mode: 0o700 })
}

/**
 * Lists what is in `new` and `cur`. Hidden files and folders are left out.
 * Shape:  names alone are held, so that a hundred thousand of them take some megabytes.
 * Errors: the system's.
 */
export async function listMaildir(maildir: string): Promise<MaildirListing> {
  // One string a file, whose order is that of unique names: NUL is in no name, and before all that is.
  const rows: string[] = []
  let unusable = 0
  for (const place of places) {
    const folder = await opendir(join(maildir, place), { encoding: 'buffer' as BufferEncoding, bufferSize: 512 })
    for await (const entry of folder) {
      const octets = entry.name as unknown as Buffer
      if (octets[0] === 0x2e || entry.isDirectory()) continue
      if (!isUtf8(octets)) {
        unusable++
        continue
      }
      const name = octets.toString()
      const unique = uniqueOf(name)
      rows.push(`${unique}\0${place}${name.slice(unique.length)}`)
    }
  }
  rows.sort((a, b) => (a < b ? -1 : 1))
  return {
    count: rows.length,
    unusable,
    files: function* () {
      for (const row of rows) {
        const end = row.indexOf('\0')
        const [unique, place, info] = [row.slice(0, end), row.slice(end + 1, end + 4), row.slice(end + 4)]
        yield { unique, place: place === 'new' ? 'new' : 'cur', name: unique + info }
      }
    },
    has: (unique) => {
      let [low, high] = [0, rows.length]
      while (low < high) {
        const middle = (low + high) >>> 1
        if ((rows[middle] ?? '') < unique) low = middle + 1
        else high = middle
      }
      return rows[low]?.startsWith(`${unique}\0`) === true
    },
  }
}
