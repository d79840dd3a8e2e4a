/**
 * The depot's key, and what is made with it: ids of notices that nobody can guess, and the mark by which our own notices
 * are known when they come back.
 *
 * Source: spec postoffice 11 (the mark), RFC 2104 (HMAC, and how far it may be cut).
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { reading, type Core } from '../core.ts'

/** The field that marks a notice. */
export const markField = 'X-Postoffice'

/** A depot's key in use. */
export interface NoticeSeal {
  /** The id of the notice of this kind about this message: always the same, so that one sent twice has one Message-ID. */
  readonly idFor: (kind: string, queue: string, id: string) => string
  /** The value of the field: `Bounced; id=...; mac=...`. */
  readonly markFor: (noticeId: string) => string
  /** True if this value was made by this depot. The plain `Bounced` of older programs says nothing about who wrote it. */
  readonly isOurs: (value: string) => boolean
}

const keyName = Buffer.from('notice key')
const keyOctets = 32
/** 128 bits. */
const digits = 32

/** Opens the key; the first who asks makes it. Errors: DEPOT_WRITE_FAILED. */
export async function openSeal(core: Core): Promise<NoticeSeal> {
  const { head } = core.books.tables
  const known = await reading(core, (view) => view.get(head, keyName))
  const key =
    known ??
    (await core.environment.write((view) => {
      // Another process may have made it since.
      const made = view.get(head, keyName) ?? randomBytes(keyOctets)
      view.put(head, keyName, made)
      return made
    }))
  return sealWith(Buffer.from(key))
}

/** Puts a key to use. Pure. */
export function sealWith(key: Uint8Array): NoticeSeal {
  const word = (purpose: string, ...values: readonly string[]): string =>
    createHmac('sha256', key)
      .update(JSON.stringify([purpose, ...values]))
      .digest('hex')
      .slice(0, digits)
  const markFor = (noticeId: string): string => `Bounced; id=${noticeId}; mac=${word('mark', noticeId)}`
  return {
    idFor: (kind, queue, id) => word('id', kind, queue, id),
    markFor,
    isOurs: (value) => {
      const noticeId = /^Bounced;\s*id=([0-9a-f]{32});\s*mac=[0-9a-f]{32}$/.exec(value)?.[1]
      if (noticeId === undefined) return false
      const [given, made] = [Buffer.from(value.slice(-digits)), Buffer.from(markFor(noticeId).slice(-digits))]
      return timingSafeEqual(given, made)
    },
  }
}
