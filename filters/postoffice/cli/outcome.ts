/** What would become of a message, in a sentence. Pure. */
import { dropReasons, forLog } from '../reasons.ts'
import type { Sorting } from '../sort.ts'

/** For instance `It would be put into the queue Customer A, marked Auto-response.` */
export function outcomeOf(sorting: Sorting): string {
  switch (sorting.outcome) {
    case 'queued': {
      const { queue, marks } = sorting
      return `It would be put into the queue ${forLog(queue)}${marks.length === 0 ? '' : `, marked ${marks.join(', ')}`}.`
    }
    case 'duplicate': {
      const { queue, seenAtMs } = sorting
      return `It would be dropped: it was put into the queue ${forLog(queue)} at ${new Date(seenAtMs).toISOString()}.`
    }
    case 'dropped': {
      const { reason, filterText } = sorting
      return `It would be dropped: ${dropReasons[reason]}${filterText === null ? '' : `: ${forLog(filterText)}`}.`
    }
    default:
      return sorting satisfies never
  }
}

/** The same as data. */
export function outcomeData({ lines, ...rest }: Sorting): Omit<Sorting, 'lines'> & { readonly events: string[] } {
  return { ...rest, events: lines.map(({ event }) => event) }
}
