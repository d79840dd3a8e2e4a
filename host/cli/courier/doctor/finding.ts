/** What `nodefilter courier doctor` says: findings, how grave they are, and how they are written down. Pure. */
import { visible, wrap } from '../../wrap.ts'

/** From the gravest down. The first four are errors. */
export const gravities = [
  /** Mail passes without being filtered, or will after the next restart. */
  'unfiltered',
  /** Mail is refused or deferred. */
  'refused',
  /** Somebody who should not can read mail or run code. */
  'unsafe',
  /** Something else does not work, or will not after the next start. */
  'failing',
  'warning',
  'note',
] as const

/** How grave a finding is. */
export type Gravity = (typeof gravities)[number]

/** One thing that was found. */
export interface Finding {
  readonly gravity: Gravity
  /** Keeps its name for ever: scripts look for it. */
  readonly code: string
  /** Whole sentences. */
  readonly text: string
  /** Commands to copy, to be run in this order; none where a person must decide. */
  readonly cure: readonly string[]
}

/** The words before a finding. */
export function severityOf({ gravity }: Finding): 'ERROR' | 'WARNING' | 'note' {
  if (gravity === 'note') return 'note'
  return gravity === 'warning' ? 'WARNING' : 'ERROR'
}

/** The gravest first; those of one kind in the order in which they were found. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  const rank = (finding: Finding): number => gravities.indexOf(finding.gravity)
  return findings.toSorted((left, right) => rank(left) - rank(right))
}

/**
 * One paragraph for a terminal.
 * Shape: the text is broken at blanks to `width` columns; a command stands on a line of its own, unbroken, so that it can be
 *        copied. What a stranger chose (a path, a file's text) cannot leave its line or move the cursor.
 */
export function paragraph(finding: Finding, width = 100): string {
  const lines = wrap(`${severityOf(finding)} ${finding.code}: ${visible(finding.text)}`, width)
  const cure = finding.cure.map((command, index) => `${index === 0 ? '  Cure: ' : '        '}${visible(command)}`)
  return [...lines, ...cure].map((line) => `${line}\n`).join('')
}

/** One finding as it stands in the JSON of `--json`. */
export function findingRecord(finding: Finding): Readonly<Record<string, unknown>> {
  const { code, gravity, text, cure } = finding
  return { severity: severityOf(finding).toLowerCase(), gravity, code, text, cure }
}
