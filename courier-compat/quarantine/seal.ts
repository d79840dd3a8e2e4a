/**
 * What only whoever has the quarantine's key can make: ids, the tokens in release addresses, the marks in our own messages.
 *
 * Source: spec reliability R58; RFC 2104 (HMAC, and how far it may be cut).
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Folder } from './folder.ts'
import { keyFile, temporaryFile, wordOf } from './names.ts'

/** What a word is for: one made for something else is never taken for it. */
export type SealPurpose = 'id' | 'release' | 'mark'

/** A quarantine's key in use. */
export interface Seal {
  /** A word for these values: 26 letters for an `id`, else 16, which are 80 bits. */
  word(purpose: SealPurpose, values: readonly string[]): string
  /** True if `word` was made of these values; takes as long for one that is nearly right. */
  isWord(word: string, purpose: SealPurpose, values: readonly string[]): boolean
}

/** Letters of a token. */
export const tokenLetters = 16

const keyOctets = 32

/** A word that nobody can guess, 128 bits. */
export function newNonce(): string {
  return wordOf(randomBytes(16))
}

/** Puts a key to use. */
export function createSeal(key: Uint8Array): Seal {
  const word = (purpose: SealPurpose, values: readonly string[]): string => {
    const hmac = createHmac('sha256', key)
    // With their lengths, so that no two lists of values give the same octets.
    for (const value of [purpose, ...values]) hmac.update(`${Buffer.byteLength(value)}:${value}`)
    return wordOf(hmac.digest().subarray(0, purpose === 'id' ? 16 : 10))
  }
  return {
    word,
    isWord: (given, purpose, values) => {
      const [a, b] = [Buffer.from(given), Buffer.from(word(purpose, values))]
      return a.length === b.length && timingSafeEqual(a, b)
    },
  }
}

/**
 * The key of this folder; made, once, where there is none.
 * Errors: Error where others than its owner may read it, or it is damaged; the system's.
 */
export async function openSeal(folder: Folder): Promise<Seal> {
  const known = await readKey(folder)
  if (known !== null) return createSeal(known)
  const temporary = temporaryFile(newNonce())
  try {
    await folder.write(temporary, Buffer.from(`${randomBytes(keyOctets).toString('hex')}\n`))
    // The key is on disk before its name: an empty one would be there for good. Not by renaming: another process may
    // have made one at the same moment, and handed out words of it.
    await folder.link(temporary, keyFile)
  } finally {
    await folder.remove(temporary)
  }
  await folder.sync()
  const key = await readKey(folder)
  if (key === null) throw new Error(`${folder.path}/${keyFile} went away`)
  return createSeal(key)
}

async function readKey(folder: Folder): Promise<Buffer | null> {
  const stats = await folder.look(keyFile)
  if (stats === null) return null
  if ((stats.mode & 0o077) !== 0) throw new Error(`${folder.path}/${keyFile} may be read by others: chmod 0600 it`)
  // A second name is one that the process which made it had no time to take away.
  const text = (await folder.read(keyFile, 1000, 2))?.toString('latin1').trim() ?? ''
  if (!/^[0-9a-f]{64}$/.test(text)) throw new Error(`${folder.path}/${keyFile} is damaged: it is no key`)
  return Buffer.from(text, 'hex')
}
