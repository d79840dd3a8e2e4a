/**
 * How to go from pythonfilter to nodefilter, and back, without a moment in which mail passes unfiltered.
 *
 * Pure text.
 * Source: spec courier 1.6 (both may be active at once; `filterctl stop` removes filter and socket), 1.8 (without a socket
 *         mail is accepted), 2.1 (filters are asked in the order of their names), spec pythonfilter 3.1 (stores).
 */
import { join } from 'node:path'
import type { CourierLayout } from '../courier/layout.ts'
import type { PlannedFilter } from './plan-list.ts'
import { oldFilter } from './old-filters.ts'

/** What the steps depend on. */
export interface SwitchFacts {
  readonly courier: CourierLayout
  /** The folder that was written; `null` where nodefilter finds it by itself. */
  readonly directory: string | null
  /** Whether Courier runs pythonfilter. */
  readonly isActive: boolean
  readonly filters: readonly PlannedFilter[]
  /** Filters that run under python and have files open in which only one process may write. */
  readonly storeKeepers: readonly string[]
  /** Files of the old installation that Python filters go on reading. */
  readonly staying: readonly string[]
}

/** The steps, as text of several paragraphs. */
export function switchSteps(facts: SwitchFacts): string {
  const { courier, directory, isActive, filters, storeKeepers, staying } = facts
  const at = directory === null ? '' : ` -c ${directory}`
  const socket = join(courier.localstatedir, 'allfilters/pythonfilter')
  // A Python filter makes its files as whoever runs it, so that root would lock the mail server out of them.
  const tried = (command: string): string =>
    filters.some(({ runs }) => runs === 'python') ? `su -s /bin/sh ${courier.mailUser} -c '${command}'` : command
  const check = [
    tried(`nodefilter config check${at}`),
    `${tried(`nodefilter check${at} MESSAGE`)}    what the filters say of a message of yours`,
  ]
  const parts: string[] = []
  if (!isActive) {
    parts.push(
      steps('Courier does not run pythonfilter at present. To let nodefilter filter mail, as root:', [
        check,
        [`nodefilter courier enable${at}`],
      ]),
    )
  } else if (storeKeepers.length > 0) {
    parts.push(
      steps('To switch over, as root:', [
        [
          'esmtpd stop',
          'and esmtpd-ssl, esmtpd-msa where they run: senders try again. Wait until no courieresmtpd runs any more',
        ],
        ['filterctl stop pythonfilter', `wait until ${socket} is gone`],
        check,
        [`nodefilter courier enable${at}`],
        ['esmtpd start', 'and the others'],
      ]),
      paragraph(
        `${list(storeKeepers)} ${storeKeepers.length === 1 ? 'keeps' : 'keep'} tokens in files that pythonfilter has open, and in which only one process may write. So the two hosts cannot be active at once, and mail must wait outside. What programs on this machine hand in, if Courier filters that, passes meanwhile.`,
      ),
    )
  } else {
    parts.push(
      steps('To switch over, as root, in this order:', [
        check,
        [`nodefilter courier enable${at}`, 'from now on Courier asks both, nodefilter first'],
        ['filterctl stop pythonfilter', 'once the mail log shows messages that nodefilter "settled"'],
      ]),
      paragraph(
        'At every moment at least one of them filters. The other order would leave a time in which Courier accepts mail unfiltered.',
      ),
    )
    const twice = filters.flatMap(({ name }) => {
      const what = oldFilter(name)?.twice ?? null
      return what === null ? [] : [`${name}: ${what}`]
    })
    if (twice.length > 0)
      parts.push(
        `While both are active, a message is filtered twice:\n${[...new Set(twice)].map((text) => `  ${text}\n`).join('')}`,
      )
  }
  if (isActive) {
    const stop = storeKeepers.length > 0
    parts.push(
      steps('Back again, as root:', [
        ...(stop ? [['esmtpd stop'], ['nodefilter courier disable']] : []),
        [
          'filterctl start pythonfilter',
          `wait until ${socket} is there: where pythonfilter cannot start, only the log tells`,
        ],
        [stop ? 'esmtpd start' : 'nodefilter courier disable'],
      ]),
    )
  }
  if (staying.length > 0) {
    parts.push(paragraph(`Python filters go on running from the existing installation. Keep ${list(staying)}.`))
  }
  return parts.join('\n')
}

function steps(title: string, groups: readonly (readonly string[])[]): string {
  const rows = groups.flatMap((group, index) =>
    group.map((row, place) => `  ${place === 0 ? `${index + 1}.` : '  '} ${row}`),
  )
  return `${title}\n${rows.join('\n')}\n`
}

/** Wraps text at 100 columns. */
function paragraph(text: string): string {
  return text.replace(/(.{1,100})(?: |$)/g, '$1\n')
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`
}
