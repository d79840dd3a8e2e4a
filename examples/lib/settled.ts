/** What the host's JSON log says of each message it settled: the event "settled", one line a message. */
import { readFileSync } from 'node:fs'

/** The fields of the event that are of use here. */
export interface Settled {
  readonly queueId: string
  readonly verdict: string
  readonly filter: string | null
  readonly ms: number
  /** Why there was no verdict, for instance `threw`, `late` or `blocked`; `null` where there was one. */
  readonly errorCode: string | null
  readonly trail: readonly TrailWord[]
}

/** One filter that ran. */
export interface TrailWord {
  readonly filter: string
  /** `pass`, `accept`, `defer`, `reject` or `failed`. */
  readonly outcome: string
  readonly ms: number
}

/** Reads the log of a host that has stopped: queue id -> what became of the message. */
export function readSettled(jsonLog: string): Map<string, Settled> {
  const settled = new Map<string, Settled>()
  for (const line of readFileSync(jsonLog, 'utf8').split('\n')) {
    if (line === '') continue
    const event = JSON.parse(line) as Record<string, unknown>
    if (event['event'] !== 'settled' || typeof event['queueId'] !== 'string') continue
    settled.set(event['queueId'], {
      queueId: event['queueId'],
      verdict: String(event['verdict']),
      filter: typeof event['filter'] === 'string' ? event['filter'] : null,
      ms: Number(event['ms']),
      errorCode: typeof event['errorCode'] === 'string' ? event['errorCode'] : null,
      trail: Array.isArray(event['trail']) ? event['trail'].map((word) => trailWord(String(word))) : [],
    })
  }
  return settled
}

/** Shape: `name:outcome:wall/cpu`, times in ms; a name may have a colon in it. */
function trailWord(word: string): TrailWord {
  const match = /^(.*):\??([a-z]+):([0-9.]+)(?:\/[0-9.]+)?$/.exec(word)
  if (match === null) throw new Error(`the log has a trail that is none: ${word}`)
  return { filter: match[1] ?? '', outcome: match[2] ?? '', ms: Number(match[3]) }
}

/**
 * The filters that ran, as one line: a name alone had no objection, else its verdict follows, or how it failed.
 * A filter that took its thread with it is the only one named: the others' steps were lost with the thread.
 */
export function filtersThatRan({ trail, errorCode, filter }: Settled): string {
  const words = trail.map(({ filter: name, outcome }) => {
    if (outcome === 'pass') return name
    return `${name}:${outcome === 'failed' && name === filter ? (errorCode ?? outcome) : outcome}`
  })
  const isNamed = filter === null || trail.some(({ filter: name }) => name === filter)
  return [...words, ...(isNamed ? [] : [`${filter}:${errorCode ?? ''}`])].join(' ')
}
