/** The tables of docs/metrics.md: every metric as it is declared. Pure. */
import { metricDeclarations, metricsPrefix } from '../host/observe/metrics.ts'
import type { MetricType } from '../host/observe/open-metrics.ts'

/** What a type adds to a metric's name. */
const suffixes: Readonly<Record<MetricType, string>> = { counter: '_total', gauge: '', histogram: '', info: '_info' }

/** Markdown. */
export function metricsTable(): string {
  const rows = metricDeclarations.map(({ name, type, labels, help }) => {
    const shownLabels = labels.length === 0 ? '' : labels.map((label) => `\`${label}\``).join(' ')
    return `| \`${metricsPrefix}${name}${suffixes[type]}\` | ${type} | ${shownLabels} | ${help} |\n`
  })
  return `| metric | type | labels | what |\n|---|---|---|---|\n${rows.join('')}`
}
