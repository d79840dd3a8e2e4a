/**
 * Picks out of a stream of lines what belongs to one message. Pure: lines go in, entries come out.
 *
 * Units: holds at most `maxEntries` entries, however long the log and however short the id that is looked for.
 */
import { entryOf, field, idsOf, type Entry, type OwnEntry } from './entry.ts'

/** A message that was found: by its ids, of which one may be unknown. */
export interface Found {
  readonly queueId: string | null
  readonly ids: readonly string[]
  readonly entries: readonly Entry[]
}

/** Takes the lines of one file, in their order. */
export interface Collector {
  take(line: string): void
  /** What was found so far, a message each. */
  found(): readonly Found[]
}

export const maxEntries = 10_000

/** Lines of refusals that may precede the line which settles the message; the host writes no more for one message. */
const maxRefusals = 100

/** Collects what names `wanted`: an id of ours or of Courier's, or the beginning of one. */
export function createCollector(wanted: string): Collector {
  const messages = new Map<string, { queueId: string | null; ids: Set<string>; entries: Entry[] }>()
  let refusals: string[] = []
  let count = 0

  const add = (entry: Entry, queueId: string | null, id: string | null): void => {
    const key = queueId ?? id ?? ''
    const message = messages.get(key) ?? { queueId, ids: new Set(), entries: [] }
    messages.set(key, message)
    if (id !== null) message.ids.add(id)
    message.entries.push(entry)
    count++
  }
  return {
    take: (line) => {
      // They name no message; they come right before the line that does.
      if (line.includes(' reject,from=<') || line.includes('"event":"refused"')) {
        refusals.push(line)
        if (refusals.length > maxRefusals) refusals.shift()
        return
      }
      const isSettled = line.includes('settled ') || line.includes('"event":"settled"')
      if (line.includes(wanted) && count < maxEntries) {
        const entry = entryOf(line)
        const { id, queueId } = entry === null ? { id: null, queueId: null } : idsOf(entry)
        if (entry !== null && [id, queueId].some((name) => name?.startsWith(wanted) === true)) {
          if (entry.from !== 'courier' && entry.event.event === 'settled') {
            for (const refusal of refusalsOf(entry, refusals)) add(refusal, queueId, id)
          }
          add(entry, queueId, id)
        }
      }
      if (isSettled) refusals = []
    },
    found: () => {
      const all = [...messages.values()].map(({ queueId, ids, entries }) => ({ queueId, ids: [...ids], entries }))
      const exact = all.filter(({ queueId, ids }) => queueId === wanted || ids.includes(wanted))
      return exact.length > 0 ? exact : all
    },
  }
}

/** The refusals that the line which settles a message belongs to: of the same filter, sender and reply. */
function refusalsOf(settled: OwnEntry, lines: readonly string[]): OwnEntry[] {
  const same = (refusal: OwnEntry, name: string): boolean => {
    const [left, right] = [field(refusal, name) ?? '', field(settled, name) ?? '']
    const whole = right.replace(/\.\.\.$/, '')
    return left === right || (whole !== right && left.startsWith(whole))
  }
  return lines.flatMap((line) => {
    const entry = entryOf(line)
    if (entry === null || entry.from === 'courier' || entry.event.event !== 'refused') return []
    const filter = field(settled, 'filter') ?? 'nodefilter'
    return field(entry, 'filter') === filter && same(entry, 'sender') && same(entry, 'reply') ? [entry] : []
  })
}
