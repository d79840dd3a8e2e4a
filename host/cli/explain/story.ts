/** Tells in sentences what the log knows about a message. Pure: entries go in, sentences come out. */
import { failureMeaning } from './failure-meaning.ts'
import { courierSentence } from './courier-story.ts'
import { field, type Entry, type OwnEntry } from './entry.ts'
import type { Found } from './collect.ts'

/** A sentence or a few, and when that was, as the log says it. */
export interface Told {
  readonly time: string
  readonly text: string
}

/** The story of one message: what the host did, each time that it was asked, then what Courier did. */
export function tellStory({ entries }: Pick<Found, 'entries'>): Told[] {
  const own = preferred(entries)
  const told: Told[] = []
  let chapter: OwnEntry[] = []
  for (const entry of own) {
    chapter.push(entry)
    if (entry.event.event !== 'settled') continue
    told.push(...tellChapter(chapter, entry))
    chapter = []
  }
  const isOpen = own.length > 0 && !own.some(({ event }) => event.event === 'settled')
  told.push(...chapter.flatMap(tellHappening))
  if (isOpen) {
    const text =
      'No line tells how it ended: it is still in hand, or the host died with it, or that line was lost (the log then ' +
      'says log-lines-dropped).'
    told.push({ time: '', text })
  }
  for (const entry of entries) {
    if (entry.from !== 'courier') continue
    const text = courierSentence(entry)
    if (text !== null) told.push({ time: entry.time, text })
  }
  return told
}

/** The host's events: those of the JSON log where it has any, since text lines of the same events may be cut. */
export function preferred(entries: readonly Entry[]): OwnEntry[] {
  const own = entries.filter((entry) => entry.from !== 'courier')
  const json = own.filter(({ from }) => from === 'json')
  return json.some(({ event }) => event.event === 'settled') || json.length === own.length ? json : own
}

function tellChapter(entries: readonly OwnEntry[], settled: OwnEntry): Told[] {
  const { time } = settled
  const first = entries[0]?.time ?? time
  const refused = entries.filter(({ event }) => event.event === 'refused')
  const others = entries.filter((entry) => entry !== settled && !refused.includes(entry))
  return [
    { time: first, text: arrival(settled) },
    ...others.flatMap(tellHappening),
    ...trail(settled).map((text) => ({ time, text })),
    { time, text: answer(settled, others) },
    ...notes(settled).map((text) => ({ time, text })),
    ...(refused.length === 0 ? [] : [{ time, text: refusedTo(refused) }]),
    ...(settled.event.isCut ? [{ time, text: cutLine }] : []),
  ]
}

const cutLine =
  'The line in the log was cut at 500 octets, so this may not be all; a JSON log ([log] file) has the whole of it.'

function arrival(settled: OwnEntry): string {
  const [client, sender] = [field(settled, 'client'), field(settled, 'sender')]
  const recipients = Number(field(settled, 'recipients') ?? 0)
  const attempts = Number(field(settled, 'attempts') ?? 1)
  const from =
    client === null ? "with no client address (local mail, or a notice of the mail server's own)" : `from ${client}`
  const auth = field(settled, 'auth')
  const login = auth === null ? '' : `, logged in as ${auth}`
  const by = sender === null ? 'the null sender, or one that could not be read' : sender
  return (
    `A message of ${field(settled, 'octets') ?? '?'} octets came in by ${field(settled, 'door') ?? 'a door'} ${from}${login}. Its ` +
    `envelope sender is ${by}; it has ${recipients} recipient${recipients === 1 ? '' : 's'}. It took ` +
    `${field(settled, 'ms') ?? '?'} ms to decide${attempts > 1 ? `, in ${attempts} attempts` : ''}.`
  )
}

/** What each filter said, a line each. */
function trail(settled: OwnEntry): string[] {
  const words = (field(settled, 'trail') ?? '').split(' ').filter(Boolean)
  const steps = words.flatMap((word) => {
    const match = /^(.*):(\??)(pass|accept|reject|defer|failed):([0-9.]+)(?:\/([0-9.]+))?$/.exec(word)
    if (match === null || word.endsWith('...')) return []
    const [, filter = '', dry, outcome = '', wall, cpu] = match
    const took = `${wall} ms${cpu === undefined ? '' : `, of which the processor worked ${cpu} ms`}`
    const said =
      dry === '?'
        ? `runs dry: it ${outcome === 'pass' || outcome === 'failed' ? '' : 'would have '}${did[outcome] ?? ''}`
        : (did[outcome] ?? '')
    return [`${filter} ${said} (${took})`]
  })
  if (steps.length === 0) return ['No filter is known to have run.']
  return [`These filters ran, in this order: ${steps.join('; ')}.`]
}

const did: Readonly<Record<string, string>> = {
  pass: 'had no objection',
  accept: 'accepted it',
  reject: 'refused it for good',
  defer: 'refused it for now',
  failed: 'failed',
}
/** What was answered, and why. */
function answer(settled: OwnEntry, others: readonly OwnEntry[]): string {
  const [kind = '', fate] = (field(settled, 'verdict') ?? '').split(',')
  const [filter, reply] = [field(settled, 'filter'), field(settled, 'reply') ?? '']
  const code = field(settled, 'errorCode')
  const who = filter ?? 'The host'
  const heard = reply === '' ? '' : ` The client heard: ${reply.replaceAll('\n', ' / ')}.`
  const gone =
    fate === 'nobody-there' ? ' But nobody waited for the answer any more: the connection had been closed before.' : ''
  const why = code === null ? '' : whyFailed(settled, code)
  const setting = others.find(({ event }) => event.event === 'failure-passed')
  return decided() + gone

  function later(): string {
    if (field(settled, 'source') === 'local')
      return 'For local mail and forwards Courier makes a bounce of any refusal, of a temporary one too.'
    return "That is temporary: nothing is lost, the sender's server tries again."
  }

  function decided(): string {
    switch (kind) {
      case 'pass':
        return `No filter decided, so the mail server was told to go on.${why}`
      case 'accept':
        if (code !== null) {
          const name = setting === undefined ? null : field(setting, 'setting')
          return `${why.trim()} It passed unfiltered${name === null ? '' : `, because ${name} = pass`}: what the filters had changed was undone.`
        }
        return `${who} accepted it${/^0/.test(reply) ? ', and the mail server was told to ask no other filter of its own' : ', and the filters after it were not asked'}.`
      case 'reject':
        return `${who} refused it for good.${heard}${why}`
      case 'defer':
        if (code !== null) return `${why.trim()}${heard} ${later()}`
        return `${who} refused it for now.${heard} ${later()}`
      default:
        return `The verdict was "${kind}".${heard}${why}`
    }
  }
}

function whyFailed(settled: OwnEntry, code: string): string {
  const [filter, cause] = [field(settled, 'filter'), field(settled, 'errorCause')]
  const where = filter === null ? '' : ` The filter is ${filter}.`
  return ` It could not be decided (${code}): ${failureMeaning(code)}${where}${cause === null ? '' : ` The cause: ${cause}.`}`
}

function notes(settled: OwnEntry): string[] {
  const value = settled.event.fields['notes']
  const text = Array.isArray(value) ? value.join(', ') : field(settled, 'notes')
  return text === null || text === '' ? [] : [`The filters noted: ${text}.`]
}

function refusedTo(refused: readonly OwnEntry[]): string {
  const recipients = refused.map((entry) => field(entry, 'recipient') ?? '')
  return `The refusal concerned ${recipients.join(', ')}; each has a line of its own in the log.`
}

/** An event on the way. */
function tellHappening(entry: OwnEntry): Told[] {
  const { time, event } = entry
  const get = (name: string): string => field(entry, name) ?? '?'
  const say = (text: string): Told[] => [{ time, text }]
  switch (event.event) {
    case 'runs-again':
      return say(`It had to run again (attempt ${get('attempt')}): ${get('cause')}.`)
    case 'failure-passed':
      // Told with the answer.
      return []
    case 'filter-failed-passed':
      return say(`${get('filter')} failed and was passed over, because its on_error is "pass": ${get('cause')}.`)
    case 'dry-run': {
      const said = get('outcome') === 'failed' ? 'failed' : 'would have answered'
      return say(`${get('filter')}, which runs on trial, ${said}: ${get('text')}`)
    }
    case 'thread-blocked':
      return say(`Its thread stood still for ${get('ms')} ms while ${get('filter')} ran, and was replaced.`)
    case 'filter':
      return say(`${get('filter')} wrote: ${get('text')}`)
    default: {
      const fields = Object.keys(event.fields).filter((name) => name !== 'id' && name !== 'queueId')
      return say(`${event.event}: ${fields.map((name) => `${name} ${field(entry, name) ?? ''}`).join(', ')}`)
    }
  }
}
