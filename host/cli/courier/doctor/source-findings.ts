/**
 * Findings about which mail is filtered, and what a failure means for it. Pure.
 *
 * Source: spec courier 3 (`enablefiltering`: the first line alone counts; refused forwards bounce; refused notices are
 * tried for days), contracts.md "Failure, by where the mail came from".
 */
import { join } from 'node:path'
import { didYouMean } from '../../../../courier-compat/near-match.ts'
import { shellQuote } from '../launcher.ts'
import type { DoctorFacts } from './facts.ts'
import type { Finding } from './finding.ts'

const sources = ['esmtp', 'local', 'uucp', 'dsn']

/** Looks at `enablefiltering`, and at `[courierfilter] on_failure*` beside it. */
export function sourceFindings(facts: DoctorFacts): Finding[] {
  const file = join(facts.layout.sysconfdir, 'enablefiltering')
  if (facts.enableFiltering === 'unseen') return []
  const lines = facts.enableFiltering === 'absent' ? [] : facts.enableFiltering
  const words = (lines[0] ?? '').split(/\s+/).filter(Boolean)
  const findings: Finding[] = []

  const later = lines.slice(1).join(' ').split(/\s+/).filter(Boolean)
  const secondLine =
    later.length === 0 ? '' : ` Its later lines ("${later.join(' ')}") have no effect: Courier reads the first alone.`
  if (!words.includes('esmtp')) {
    const now =
      facts.enableFiltering === 'absent' ? 'is missing' : words.length === 0 ? 'is empty' : `says "${words.join(' ')}"`
    const text =
      `Courier asks no filter about mail that comes in by SMTP, which passes unfiltered: ${file} ${now}.${secondLine} It ` +
      'takes effect at once.'
    const cure = [`echo ${shellQuote(['esmtp', ...words].join(' '))} > ${shellQuote(file)}`]
    findings.push({ gravity: 'unfiltered', code: 'smtp-not-filtered', text, cure })
  } else if (later.length > 0) {
    const missing = later.filter((word) => sources.includes(word) && !words.includes(word))
    const text = `${file} has more than one line.${secondLine}`
    const cure = missing.length > 0 ? [] : [`echo ${shellQuote(words.join(' '))} > ${shellQuote(file)}`]
    findings.push({ gravity: 'warning', code: 'sources-second-line', text, cure })
  }
  for (const word of words.filter((word) => !sources.includes(word))) {
    const near = didYouMean(word, sources)
    const text = `${file} says "${word}", which is no source of mail that Courier knows${near === null ? '' : `; ${near}`}.`
    findings.push({ gravity: 'warning', code: 'source-unknown', text, cure: [] })
  }
  return [...findings, ...policyFindings(facts, words, file)]
}

function policyFindings({ config }: DoctorFacts, words: readonly string[], file: string): Finding[] {
  const { onFailure, onFailureLocal, onFailureDsn } = config.settings.courierfilter
  const findings: Finding[] = []
  const without = (word: string): string =>
    `echo ${shellQuote(words.filter((other) => other !== word).join(' '))} > ${shellQuote(file)}`

  if (words.includes('local')) {
    const always =
      'Courier turns any refusal of a message that it forwards into a bounce to the sender, a temporary one (451) as well: ' +
      "also a filter's own, such as a greylist's, and the 432 while no host runs."
    if (onFailureLocal === 'defer') {
      const text =
        `${file} lists "local", and [courierfilter] on_failure_local is "defer": a failure of a filter or of the host ` +
        `bounces forwarded mail. ${always} With on_failure_local = pass, the default, a failure lets local mail pass unfiltered instead.`
      findings.push({ gravity: 'warning', code: 'local-bounces', text, cure: [without('local')] })
    } else {
      const text =
        `${file} lists "local": mail of this machine's programs and forwarded mail is filtered, forwarded mail a second time. ` +
        `When a filter or the host fails it passes unfiltered (on_failure_local = pass), each time with a warning in the log. ${always}`
      findings.push({ gravity: 'note', code: 'local-filtered', text, cure: [without('local')] })
    }
  }
  if (words.includes('dsn')) {
    const always = 'Courier keeps the original message in its queue and tries a refused notice again until it expires.'
    if (onFailureDsn === 'defer') {
      const text =
        `${file} lists "dsn", and [courierfilter] on_failure_dsn is "defer": a failure refuses Courier's own notices. ${always} ` +
        'With on_failure_dsn = pass, the default, a failure lets them pass.'
      findings.push({ gravity: 'warning', code: 'dsn-refused', text, cure: [without('dsn')] })
    } else {
      const text =
        `${file} lists "dsn": Courier's own notices are filtered. When a filter or the host fails they pass ` +
        `(on_failure_dsn = pass), but a filter's own refusal counts, and ${always}`
      findings.push({ gravity: 'note', code: 'dsn-filtered', text, cure: [without('dsn')] })
    }
  }
  if (onFailure === 'pass') {
    const text =
      '[courierfilter] on_failure is "pass": whenever a filter or the host fails, mail from outside passes unfiltered, with a ' +
      'warning in the log.'
    findings.push({ gravity: 'note', code: 'failures-pass', text, cure: [] })
  }
  if (config.settings.host.whenBroken === 'pass') {
    const text =
      '[host] when_broken is "pass": a host that is started with a broken configuration lets all mail pass unfiltered until ' +
      'that is mended.'
    findings.push({ gravity: 'note', code: 'broken-passes', text, cure: [] })
  }
  return findings
}
