/**
 * Reads metrics back, as strictly as whoever collects them may be. It knows nothing of how they were written.
 *
 * Source: the OpenMetrics specification 1.0.0 (its ABNF), Prometheus' "Exposition formats".
 */
import type { MetricsFormat } from '../../host/observe/open-metrics.ts'

/** One line with a value. */
export interface ParsedSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What was declared of a family. */
export interface ParsedFamily {
  readonly type: string
  readonly help: string | null
  readonly unit: string | null
}

/** The whole text. */
export interface ParsedMetrics {
  readonly families: ReadonlyMap<string, ParsedFamily>
  readonly samples: readonly ParsedSample[]
}

const suffixes: Readonly<Record<MetricsFormat, Readonly<Record<string, readonly string[]>>>> = {
  openmetrics: { counter: ['_total'], gauge: [''], info: ['_info'], histogram: ['_bucket', '_count', '_sum'] },
  prometheus: { counter: [''], gauge: [''], histogram: ['_bucket', '_count', '_sum'] },
}

/** Parses and checks. Errors: Error that names the line, or the family. */
export function parseMetrics(text: string, format: MetricsFormat): ParsedMetrics {
  const lines = text.split('\n')
  if (lines.pop() !== '') throw new Error('the last line has no end')
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('the text has no end')
  const families = new Map<string, { type: string; help: string | null; unit: string | null }>()
  const samples: ParsedSample[] = []
  const seen = new Set<string>()
  const closed = new Set<string>()
  let current = ''
  const turnTo = (name: string, line: string): void => {
    if (name === current) return
    if (closed.has(name)) throw new Error(`${name} is in two places: ${line}`)
    closed.add(current)
    current = name
  }
  for (const line of lines) {
    const comment = /^# (TYPE|HELP|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line)
    if (comment !== null) {
      const [, kind = '', name = '', rest = ''] = comment
      turnTo(name, line)
      const family = families.get(name) ?? { type: '', help: null, unit: null }
      families.set(name, family)
      if (kind === 'TYPE') {
        if (family.type !== '' || !Object.hasOwn(suffixes[format], rest)) throw new Error(`a wrong type: ${line}`)
        family.type = rest
      } else if (kind === 'HELP') {
        if (family.help !== null) throw new Error(`a second help: ${line}`)
        family.help = unescapeText(rest, line)
      } else {
        if (!name.endsWith(`_${rest}`)) throw new Error(`the name has not this unit: ${line}`)
        family.unit = rest
      }
      continue
    }
    const sample = parseSample(line)
    const owner = [...families].find(([name, { type }]) =>
      (suffixes[format][type] ?? []).some((suffix) => sample.name === `${name}${suffix}`),
    )
    if (owner === undefined) throw new Error(`not declared: ${line}`)
    turnTo(owner[0], line)
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()])
    if (seen.has(key)) throw new Error(`twice: ${line}`)
    seen.add(key)
    samples.push(sample)
  }
  for (const [name, { type }] of families) if (type === 'histogram') checkHistogram(name, samples)
  return { families, samples }
}

/** The one value with this name and these labels. */
export function valueOf(
  { samples }: ParsedMetrics,
  name: string,
  labels: Readonly<Record<string, string>>,
): number | undefined {
  const wanted = JSON.stringify(Object.entries(labels).sort())
  return samples.find(
    (sample) => sample.name === name && JSON.stringify(Object.entries(sample.labels).sort()) === wanted,
  )?.value
}

function parseSample(line: string): ParsedSample {
  const [, name = '', inner = '', number = ''] =
    /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"(?:,(?!\})|(?=\})))*)\})? (\S+)$/.exec(
      line,
    ) ?? []
  if (name === '') throw new Error(`no sample: ${line}`)
  const labels = [...inner.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)].map(
    ([, label = '', value = '']): [string, string] => [label, unescapeText(value, line)],
  )
  if (new Set(labels.map(([label]) => label)).size < labels.length) throw new Error(`a label twice: ${line}`)
  const special = new Map([
    ['NaN', NaN],
    ['+Inf', Infinity],
    ['-Inf', -Infinity],
  ])
  const value = special.get(number) ?? (/^[+-]?[0-9.]+(?:e[+-]?[0-9]+)?$/.test(number) ? Number(number) : null)
  if (value === null) throw new Error(`no number: ${line}`)
  return { name, labels: Object.fromEntries(labels), value }
}

function unescapeText(text: string, line: string): string {
  return text.replace(/\\(.?)/g, (_, char: string) => {
    if (char === 'n') return '\n'
    if (char === '"' || char === '\\') return char
    throw new Error(`no escape: ${line}`)
  })
}

/** Buckets grow, the last one has no bound and is the count. */
function checkHistogram(name: string, samples: readonly ParsedSample[]): void {
  const groups = new Map<string, ParsedSample[]>()
  for (const sample of samples) {
    if (![`${name}_bucket`, `${name}_count`, `${name}_sum`].includes(sample.name)) continue
    const key = JSON.stringify(Object.entries(sample.labels).filter(([label]) => label !== 'le'))
    groups.set(key, [...(groups.get(key) ?? []), sample])
  }
  for (const group of groups.values()) {
    const [buckets = [], counts = [], sums = []] = ['bucket', 'count', 'sum'].map((kind) =>
      group.filter((sample) => sample.name === `${name}_${kind}`),
    )
    const bounds = buckets.map(({ labels }) => (labels['le'] === '+Inf' ? Infinity : Number(labels['le'])))
    const [count] = counts
    if (bounds.at(-1) !== Infinity || bounds.some((bound, at) => !(bound > (bounds[at - 1] ?? -Infinity))))
      throw new Error(`${name}: the bounds ${bounds.join(' ')}`)
    if (buckets.some(({ value }, at) => value < (buckets[at - 1]?.value ?? 0)))
      throw new Error(`${name}: the buckets fall`)
    if (count === undefined || counts.length !== 1 || buckets.at(-1)?.value !== count.value)
      throw new Error(`${name}: the count is not that of all buckets`)
    if (sums.length !== 1 || (count.value === 0 && sums[0]?.value !== 0)) throw new Error(`${name}: no right sum`)
  }
}
