/**
 * Metrics as text, in the two forms that are read today: OpenMetrics 1.0 and the older one of Prometheus, 0.0.4. Pure.
 *
 * Source: the OpenMetrics specification 1.0.0, chapters "Data Model" and "Text Format"; Prometheus' "Exposition formats".
 */

/** The two forms. */
export type MetricsFormat = 'openmetrics' | 'prometheus'

/** Their media types, as they are told to who asks over HTTP. */
export const metricsMediaTypes: Readonly<Record<MetricsFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
}

/** What can be written. `info` is a constant whose labels are what matters. */
export type MetricType = 'counter' | 'gauge' | 'histogram' | 'info'

/** Everything of one name. */
export interface MetricFamily {
  /** Without the suffixes that its type adds. */
  readonly name: string
  readonly type: MetricType
  /** The name ends in it; `null` for a plain number. */
  readonly unit: string | null
  readonly help: string
  readonly samples: readonly MetricSample[]
}

/** Names and values, in the order in which they are written. */
export type Labels = readonly (readonly [name: string, value: string])[]

/** One value, or one histogram. */
export type MetricSample =
  | { readonly labels: Labels; readonly value: number }
  /** Shape: `buckets` are counts up to the bound at the same place, each without those before it; one more beyond all. */
  | {
      readonly labels: Labels
      readonly bounds: readonly number[]
      readonly buckets: readonly number[]
      readonly sum: number
    }

/** The whole text. A family without samples is left out. */
export function metricsText(families: readonly MetricFamily[], format: MetricsFormat): string {
  const isOpen = format === 'openmetrics'
  const lines: string[] = []
  for (const { name, type, unit, help, samples } of families) {
    if (samples.length === 0) continue
    const suffix = type === 'counter' ? '_total' : type === 'info' ? '_info' : ''
    // The older form knows names of samples only, and no type for what is constant.
    const described = isOpen ? name : `${name}${suffix}`
    lines.push(`# TYPE ${described} ${!isOpen && type === 'info' ? 'gauge' : type}`)
    if (isOpen && unit !== null) lines.push(`# UNIT ${described} ${unit}`)
    lines.push(`# HELP ${described} ${isOpen ? escapeText(help) : help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`)
    for (const sample of samples) {
      if ('value' in sample) lines.push(`${name}${suffix}${labelText(sample.labels)} ${numberText(sample.value)}`)
      else writeHistogram(lines, name, sample)
    }
  }
  if (isOpen) lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

function writeHistogram(lines: string[], name: string, sample: Extract<MetricSample, { buckets: unknown }>): void {
  const { labels, bounds, buckets, sum } = sample
  let count = 0
  for (const [at, inBucket] of buckets.entries()) {
    count += inBucket
    const bound = bounds[at]
    const le = bound === undefined ? '+Inf' : Number.isInteger(bound) ? `${bound}.0` : String(bound)
    lines.push(`${name}_bucket${labelText([...labels, ['le', le]])} ${count}`)
  }
  lines.push(`${name}_count${labelText(labels)} ${count}`, `${name}_sum${labelText(labels)} ${numberText(sum)}`)
}

function labelText(labels: Labels): string {
  if (labels.length === 0) return ''
  return `{${labels.map(([name, value]) => `${name}="${escapeText(value)}"`).join(',')}}`
}

/** For label values, and in OpenMetrics for help texts too. A lone surrogate is no text that could be written. */
function escapeText(text: string): string {
  return text.toWellFormed().replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

/**
 * The form that an HTTP client wants, by its `Accept`; the newer one where it does not care.
 * Source: RFC 9110, 12.5.1; of several ranges that match the most precise one counts.
 */
export function acceptedFormat(accept: string | undefined): MetricsFormat {
  if (accept === undefined) return 'openmetrics'
  const ranges = accept
    .slice(0, 2000)
    .split(',')
    .map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
      const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
      return { type, quality: Number.isNaN(quality) ? 1 : quality }
    })
  const qualityOf = (type: string): number => {
    for (const range of [type, type.replace(/\/.*/, '/*'), '*/*']) {
      const matching = ranges.filter((each) => each.type === range)
      if (matching.length > 0) return Math.max(...matching.map(({ quality }) => quality))
    }
    return 0
  }
  return qualityOf('text/plain') > qualityOf('application/openmetrics-text') ? 'prometheus' : 'openmetrics'
}
