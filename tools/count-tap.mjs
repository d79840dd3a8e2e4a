// Counts the assertions in TAP from standard input and prints "N passed, N failed[, N skipped]".
// A subtest's own line sums up what stands indented above it, so it is not counted again.
// Names each failed assertion, since no reporter can be relied on to do so without a terminal.
// Argument: steps that failed without saying so in TAP; each counts as one failure.
import { createInterface } from 'node:readline'

const extra = Number(process.argv[2] ?? 0)
const counts = { passed: 0, failed: 0, skipped: 0 }
let lastIndent = 0
let subtests = []
for await (const line of createInterface({ input: process.stdin })) {
  const match = /^( *)(not ok|ok|1\.\.|# Subtest)(.*)$/.exec(line)
  if (match === null) continue
  const indent = match[1].length
  const word = match[2]
  if (word === '# Subtest') subtests = [...subtests.slice(0, indent / 4), match[3].slice(2)]
  const sumsUp = lastIndent > indent
  lastIndent = indent
  if (sumsUp || (word !== 'ok' && word !== 'not ok')) continue
  if (/# SKIP\b/i.test(match[3])) counts.skipped++
  else if (word === 'ok' || /# TODO\b/i.test(match[3])) counts.passed++
  else {
    counts.failed++
    process.stdout.write(`not ok: ${[...subtests.slice(0, indent / 4), match[3].trim()].join(' > ')}\n`)
  }
}
const failed = counts.failed === 0 ? extra : counts.failed
process.stdout.write(
  `${counts.passed} passed, ${failed} failed${counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`}\n`,
)
