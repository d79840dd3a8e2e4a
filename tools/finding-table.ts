/** The table of docs/authors/message.md: every kind of finding of the message reader. Pure. */
import { findingKinds, type Weight } from '../courier-compat/message/findings.ts'

const weights: readonly Weight[] = ['limit', 'ambiguous', 'notice']

/** Markdown. */
export function findingTable(): string {
  const rows = weights.flatMap((weight) =>
    Object.entries(findingKinds)
      .filter(([, [own]]) => own === weight)
      .map(([kind, [, text]]) => `| \`${kind}\` | ${weight} | ${text} |\n`),
  )
  return `| kind | weight | what |\n|---|---|---|\n${rows.join('')}`
}
