/**
 * The registry of poison: messages that ended a thread or a runner, known by their content, so that the mail server's next
 * attempt to deliver one meets nobody else's message. Pure: digests and the time are handed in.
 *
 * It lives in the host's memory, across runners and reloads; a restart of the host forgets it.
 */

/** One message that kills, or that was there when somebody did and has not been run since: then `kills` is 0. */
export interface PoisonEntry {
  readonly kills: number
  /** When it killed or was suspected last. Monotonic. */
  readonly lastMs: number
  /** Whose filter it was at the last kill; `null` where that is not known. */
  readonly filter: string | null
}

/** The registry. */
export interface PoisonRegistry {
  /** Whether a message of this sender may be known: a message's content is looked at only then. */
  mayKnow(sender: string): boolean
  find(digest: string, nowMs: number): PoisonEntry | null
  suspected(digest: string, sender: string, nowMs: number): void
  /** It has ended so many threads or runners (more). */
  killed(digest: string, sender: string, filter: string | null, nowMs: number, times?: number): PoisonEntry
  /** It was run and has not killed: a suspicion is over, what it did before is not. */
  survived(digest: string): void
  readonly size: number
}

/** More messages than this are not remembered: the one that was heard of least lately goes first. */
export const maxPoison = 1000

interface Remembered {
  readonly sender: string
  readonly entry: PoisonEntry
}

/** An empty registry that forgets a message `memoryMs` after it was heard of last. */
export function createPoisonRegistry(memoryMs: () => number): PoisonRegistry {
  // In the order of their last moments.
  const known = new Map<string, Remembered>()
  const senders = new Map<string, number>()

  const forget = (digest: string): void => {
    const remembered = known.get(digest)
    if (remembered === undefined) return
    known.delete(digest)
    const left = (senders.get(remembered.sender) ?? 1) - 1
    if (left === 0) senders.delete(remembered.sender)
    else senders.set(remembered.sender, left)
  }
  const forgetOld = (nowMs: number): void => {
    for (const [digest, { entry }] of known) {
      if (nowMs - entry.lastMs < memoryMs()) return
      forget(digest)
    }
  }
  const remember = (digest: string, sender: string, entry: PoisonEntry): PoisonEntry => {
    forget(digest)
    const [oldest] = known.keys()
    if (known.size >= maxPoison && oldest !== undefined) forget(oldest)
    known.set(digest, { sender, entry })
    senders.set(sender, (senders.get(sender) ?? 0) + 1)
    return entry
  }
  return {
    mayKnow: (sender) => known.size > 0 && senders.has(sender),
    find: (digest, nowMs) => {
      forgetOld(nowMs)
      return known.get(digest)?.entry ?? null
    },
    killed: (digest, sender, filter, nowMs, times = 1) => {
      forgetOld(nowMs)
      const kills = (known.get(digest)?.entry.kills ?? 0) + times
      return remember(digest, sender, { kills, lastMs: nowMs, filter })
    },
    suspected: (digest, sender, nowMs) => {
      forgetOld(nowMs)
      if (!known.has(digest)) remember(digest, sender, { kills: 0, lastMs: nowMs, filter: null })
    },
    survived: (digest) => {
      if (known.get(digest)?.entry.kills === 0) forget(digest)
    },
    get size() {
      return known.size
    },
  }
}
