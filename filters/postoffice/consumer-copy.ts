/**
 * The header section as a consumer sees it that reads facts from fields, as those of repoze.postoffice do. The message in
 * the queue stays as it came.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 11.
 */
import type { HeaderField, HeaderLine, HeaderSection } from '../../courier-compat/index.ts'
import type { PostFacts } from './facts.ts'

/** What of the facts becomes fields. */
export type FieldFacts = Pick<PostFacts, 'arrivedAtMs' | 'marks' | 'isBulk'>

/** True for a field that only the post office may write. `X-Postoffice` itself marks its notices, and stays. */
export function isOurField({ name }: Pick<HeaderLine, 'name'>): boolean {
  return name !== null && /^x-postoffice-/i.test(name)
}

/** The fields that tell these facts, with the section's line end. */
export function factFields({ arrivedAtMs, marks, isBulk }: FieldFacts, lineEnd: string): string {
  const fields = [
    `X-Postoffice-Date: ${Math.floor(arrivedAtMs / 1000)}`,
    ...marks.map((mark) => `X-Postoffice-Rejected: ${mark}`),
    ...(isBulk ? ['X-Postoffice-List: Bulk'] : []),
  ]
  return fields.map((field) => field + lineEnd).join('')
}

/**
 * The lines of the section with the facts as fields on top, and without its separator.
 *
 * Shape:  the facts stand before all fields, so that a reader who takes the first field of a name takes ours; fields of these
 *         names that came with the message are called `X-Original-X-Postoffice-...`. All else is as it was. Where the section is over a
 *         limit, what follows its last line has to be added as it stands.
 */
export function consumerHeader(section: HeaderSection, facts: FieldFacts): Buffer {
  const first = section.lines.findIndex((line) => line.name !== null)
  const before = first === -1 ? section.lines.length : first
  const pieces = section.lines.slice(0, before).map(({ raw }) => raw)
  const last = pieces.at(-1)
  if (last !== undefined && last.at(-1) !== 0x0a) pieces.push(Buffer.from(section.lineEnd))
  pieces.push(Buffer.from(factFields(facts, section.lineEnd)))
  for (const line of section.lines.slice(before)) {
    if (isOurField(line)) pieces.push(renamed)
    pieces.push(line.raw)
  }
  return Buffer.concat(pieces)
}

const renamed = Buffer.from('X-Original-')

/** The fields of a section that only the post office may write. */
export function forgedFields({ fields }: Pick<HeaderSection, 'fields'>): readonly HeaderField[] {
  return fields.filter(isOurField)
}
