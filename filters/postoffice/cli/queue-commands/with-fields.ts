/** A message as consumers see it that read the post office's facts from header fields. */
import { Readable } from 'node:stream'
import { findHeaderEnd, headerLimits, parseHeaderSection } from '../../../../courier-compat/header/section.ts'
import type { Entry, StoredMessage } from '../../../../queue-store/index.ts'
import { consumerHeader, type FieldFacts } from '../../consumer-copy.ts'
import { marks } from '../../facts.ts'

/** More of a section than is parsed: where it goes on, the limit was passed before the cut. */
const maxHeadOctets = headerLimits.sectionOctets + 1

/** The octets of a message with X-Postoffice-* fields above its own. Errors: those of the message's stream. */
export function withFields(message: Pick<StoredMessage, 'stream'>, entry: Pick<Entry, 'facts' | 'addedMs'>): Readable {
  return Readable.from(pieces(message, fieldFacts(entry)), { objectMode: false })
}

async function* pieces({ stream }: Pick<StoredMessage, 'stream'>, facts: FieldFacts): AsyncGenerator<Buffer> {
  let head: Buffer | null = Buffer.alloc(0)
  for await (const piece of stream() as AsyncIterable<Buffer>) {
    if (head === null) {
      yield piece
      continue
    }
    const seen: number = head.length
    head = Buffer.concat([head, piece])
    if (findHeaderEnd(head, seen) === null && head.length < maxHeadOctets) continue
    yield* edited(head, facts)
    head = null
  }
  if (head !== null) yield* edited(head, facts)
}

function* edited(head: Buffer, facts: FieldFacts): Generator<Buffer> {
  const section = parseHeaderSection(head)
  yield consumerHeader(section, facts)
  yield head.subarray(section.lines.at(-1)?.end ?? 0)
}

/** The facts, also of a message that no post office has sorted. */
function fieldFacts({ facts, addedMs }: Pick<Entry, 'facts' | 'addedMs'>): FieldFacts {
  const { marks: given, arrivedAtMs, isBulk } = facts
  const found = Array.isArray(given) ? given : []
  return {
    arrivedAtMs: typeof arrivedAtMs === 'number' ? arrivedAtMs : addedMs,
    marks: marks.filter((mark) => found.includes(mark)),
    isBulk: isBulk === true,
  }
}
