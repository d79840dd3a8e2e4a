/** From what was seen to what is wrong: all findings of `nodefilter courier doctor`. Pure: no file is looked at here. */
import type { DoctorFacts } from './facts.ts'
import { inOrder, type Finding } from './finding.ts'
import { fileFindings } from './file-findings.ts'
import { launcherFindings } from './launcher-findings.ts'
import { processFindings } from './process-findings.ts'
import { sourceFindings } from './source-findings.ts'

/** The findings, the gravest first; none where all is well. */
export function findingsOf(facts: DoctorFacts): Finding[] {
  return inOrder([
    ...launcherFindings(facts),
    ...processFindings(facts),
    ...sourceFindings(facts),
    ...fileFindings(facts),
    ...viewFindings(facts),
  ])
}

/** What could not be looked at. */
function viewFindings({ isRoot }: DoctorFacts): Finding[] {
  if (isRoot) return []
  const text =
    "This is not everything: it was not run by root, and so could not look into all of Courier's folders, nor try what " +
    "Courier's user may do."
  return [{ gravity: 'note', code: 'not-root', text, cure: ['sudo nodefilter courier doctor'] }]
}
