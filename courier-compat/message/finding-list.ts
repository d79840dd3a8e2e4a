/**
 * The findings of one reading, bounded: a message with a million oddities has some hundred findings.
 *
 * Pure: no clock, socket, file or logger.
 */
import { finding, type Finding, type FindingKind, type Weight } from './findings.ts'

const maxOfKind = 8
const maxFindings = 256

/** Collects findings. What is beyond the bounds is left out, and its weight counts still. */
export class FindingList {
  readonly #found: { readonly finding: Finding; readonly order: number }[] = []
  readonly #counts = new Map<FindingKind, number>()
  readonly #weights = new Set<Weight>()

  /** `offset` is where it stands; `null` puts it where its part begins, at `partStart`, without saying where. */
  add(kind: FindingKind, part: string, offset: number | null, partStart = 0): void {
    const count = this.#counts.get(kind) ?? 0
    if (count === maxOfKind) return
    this.#counts.set(kind, count + 1)
    const found = finding(kind, part, offset)
    this.#weights.add(found.weight)
    if (this.#found.length < maxFindings) this.#found.push({ finding: found, order: offset ?? partStart })
  }

  /** No more of this kind is taken: whoever looks for it may stop looking. */
  isFull(kind: FindingKind): boolean {
    return this.#counts.get(kind) === maxOfKind
  }

  has(weight: Weight): boolean {
    return this.#weights.has(weight)
  }

  /** In the order of the message. */
  list(): readonly Finding[] {
    return this.#found.sort((a, b) => a.order - b.order).map(({ finding }) => finding)
  }
}
