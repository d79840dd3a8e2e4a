/**
 * Sorts a message: which queue it is put in, with which marks, or why in none.
 *
 *     const sorting = await sortMessage(openIncoming(path), configuration, memory, Date.now())
 *     if (sorting.outcome === 'queued') ...
 *
 * It decides and remembers, and touches nothing else: whoever calls puts the message in its queue. `routeMessage` goes as
 * far as the memory is not needed and `finishSorting` on from there, for whoever asks the memory within a transaction of
 * his own, together with the adding.
 * Source: spec postoffice 5, with the successor's rules of 6 to 9.
 */
import { fieldsNamed } from '../../courier-compat/index.ts'
import type { HeaderSection } from '../../courier-compat/index.ts'
import { admissionOf, loopQuestion } from './admission.ts'
import { findAutoResponse } from './auto-response.ts'
import { forgedFields } from './consumer-copy.ts'
import type { Mark, PostFacts } from './facts.ts'
import type { IncomingMessage } from './incoming.ts'
import { matchAny, matchQueue, openCandidate, type Candidate } from './matching.ts'
import type { Admission, Admitted, AdmitMode, PostMemory } from './memory.ts'
import { messageIdOf } from './message-id.ts'
import { dropReasons, forLog, onOneLine, summaryOf, type DropReason, type PostEvent, type PostLine } from './reasons.ts'
import { isFromEqualTo, senderOf } from './sender.ts'
import { recipientsAtHosts } from './to-hostname.ts'
import type { PostofficeConfiguration, QueueRules } from './types.ts'

/** What sorting needs of the configuration. */
export type SortingRules = Pick<PostofficeConfiguration, 'sorting' | 'rejectFilters' | 'queues'>

/** How to sort. */
export interface SortOptions {
  /** A name of this delivery, by which its retry is known: made of the content and the envelope. Default: `null`, none. */
  readonly delivery?: string | null
  /** `look` remembers nothing. Default: `record`. */
  readonly mode?: AdmitMode
  /** Ends the work between two texts. */
  readonly signal?: AbortSignal | null
  /** Hears of each step what it found, for `postoffice explain`. */
  readonly onStep?: (text: string) => void
}

/** What came out. */
export type Sorting = Queued | Dropped | Duplicate

interface Told {
  /** What there is to log, in order. */
  readonly lines: readonly PostLine[]
  /** Body filters that saw no body, since the message is over the size limit. */
  readonly bodyFiltersMissed: number
}

/** The message is to be put in this queue. */
export interface Queued extends Told {
  readonly outcome: 'queued'
  readonly queue: string
  readonly marks: readonly Mark[]
  readonly facts: PostFacts
  /** The delivery is a retry: the message was put in the queue before, and is not to be added again. */
  readonly isRepeat: boolean
}

/** The message goes into no queue. */
export interface Dropped extends Told {
  readonly outcome: 'dropped'
  readonly reason: DropReason
  /** Which reject filter matched, and what; `null` for the other reasons. */
  readonly filterText: string | null
}

/** The message was in this queue before; no other queue is tried. */
export interface Duplicate extends Told {
  readonly outcome: 'duplicate'
  readonly queue: string
  readonly messageId: string
  readonly seenAtMs: number
}

/** The message has a queue, if the memory lets it in. */
export interface Routed extends Told {
  readonly outcome: 'routed'
  readonly rules: QueueRules
  readonly admission: Admission
  /** Complete but for the mark that the memory may add. */
  readonly facts: PostFacts
  readonly summary: PostLine['message']
}

/**
 * Sorts a message.
 *
 * Shape:  the steps of the specification, in their order; the first queue of which all filters match is asked, and no other.
 * Errors: those of `IncomingMessage` and `PostMemory`, and the signal's reason. What a message contains is never one.
 */
export async function sortMessage(
  message: IncomingMessage,
  rules: SortingRules,
  memory: PostMemory,
  nowMs: number,
  options: SortOptions = {},
): Promise<Sorting> {
  const routed = await routeMessage(message, rules, nowMs, options)
  if (routed.outcome === 'dropped') return routed
  const sorting = finishSorting(routed, await memory.admit(routed.admission, options.mode ?? 'record'))
  options.onStep?.(sorting.lines.at(-1)?.text ?? sorting.outcome)
  return sorting
}

/** Sorts as far as the memory is not needed. Errors: as `sortMessage`. */
export async function routeMessage(
  message: IncomingMessage,
  { sorting, rejectFilters, queues }: SortingRules,
  nowMs: number,
  { delivery = null, signal = null, onStep = () => undefined }: SortOptions = {},
): Promise<Routed | Dropped> {
  const { header, octets, envelope, arrivedAtMs } = message
  const summary = summaryOf(header)
  const lines: PostLine[] = []
  const tell = (level: PostLine['level'], event: PostEvent, text: string): void => {
    lines.push({ level, event, text, message: summary })
    onStep(text)
  }
  const limitOctets = sorting.maxMessageOctets
  const isOversize = limitOctets !== null && octets > limitOctets
  const candidate = openCandidate(message, { limits: sorting, isOversize, signal })
  const drop = (reason: DropReason, filterText: string | null = null): Dropped => {
    const detail = filterText === null ? '' : `: ${forLog(filterText)}`
    tell('info', `dropped-${reason}`, `${dropReasons[reason]}${detail}`)
    return { outcome: 'dropped', reason, filterText, lines, bodyFiltersMissed: candidate.bodyMissed }
  }

  if (isOversize) tell('info', 'oversize', `Message exceeds size limit: ${octets} octets, ${limitOctets} are allowed`)
  const early = refusedEarly(header, sorting.messageId)
  if (early !== null) return drop(early)

  const rejected = await matchAny(rejectFilters, candidate)
  if (rejected !== null) return drop('rejected', rejected.text)
  if (rejectFilters.length > 0) onStep('No reject filter matches')
  const chosen = await chooseQueue(queues, candidate, onStep)
  if (candidate.body?.isCut() === true) tell('warn', 'body-cut', 'Message has more text than body filters look at')
  if (chosen === null) return drop('no-queue')

  const identity = await messageIdOf(message, sorting, isOversize)
  const auto = findAutoResponse(header, envelope, sorting)
  const isAuto = auto.signs.length > 0
  const recipients = recipientsAtHosts(chosen.rules.filters, envelope?.recipients ?? [])
  const originalTo = fieldsNamed(header, 'X-Original-To')[0]?.value ?? null
  const sender = senderOf(header)
  const queue = chosen.rules.name
  return {
    outcome: 'routed',
    rules: chosen.rules,
    admission: admissionOf({
      ...{ queue, identity, nowMs, delivery, windowMs: sorting.duplicateWindowMs },
      // In one queue a message is there once for each recipient; several of one envelope are one delivery.
      recipient: originalTo ?? (recipients.length === 0 ? null : recipients.toSorted().join(' ')),
      loop: loopQuestion({ header, arrivedAtMs, settings: sorting, queue, sender }),
    }),
    facts: {
      queue,
      marks: [
        ...(isOversize ? ['Maximum Message Size Exceeded' as const] : []),
        ...(isAuto ? ['Auto-response' as const] : []),
      ],
      ...{ arrivedAtMs, octets, recipients, isBulk: auto.isBulk },
      ...{ autoResponse: auto.signs, autoResponseHints: auto.hints },
      messageId: onOneLine(identity.messageId, maxFactCharacters),
      isMessageIdOurs: identity.isOurs,
      bodyDigest: identity.bodyDigest,
      sender: onOneLine(sender, maxFactCharacters),
      originalTo: originalTo === null ? null : onOneLine(originalTo, maxFactCharacters),
      matched: chosen.matched.map((text) => onOneLine(text, maxFactCharacters)),
      sizeLimitOctets: isOversize ? limitOctets : null,
      isBodyCut: candidate.body?.isCut() ?? false,
      isHeaderCut: header.overLimit !== null,
      forgedFields: forgedFields(header).length,
    },
    ...{ lines, summary, bodyFiltersMissed: candidate.bodyMissed },
  }
}

/** What becomes of the message after the memory has answered. Pure. */
export function finishSorting(routed: Routed, admitted: Admitted): Queued | Duplicate {
  const { facts, bodyFiltersMissed, summary } = routed
  const { queue, messageId } = facts
  const lines = [...routed.lines]
  const tell = (event: PostEvent, text: string): void =>
    void lines.push({ level: 'info', event, text, message: summary })
  if (admitted.kind === 'duplicate') {
    tell('duplicate', `Message was put in queue ${forLog(queue)} before`)
    return { outcome: 'duplicate', queue, messageId, seenAtMs: admitted.seenAtMs, lines, bodyFiltersMissed }
  }
  const { throttle, isRepeat } = admitted
  const signs = facts.autoResponse.join(', ')
  if (signs !== '') tell('auto-response', `Message is an automatic answer: ${signs}`)
  if (throttle === 'active') tell('throttled', `Sender is throttled in queue ${forLog(queue)}`)
  if (throttle === 'triggered') tell('throttle-triggered', `Sender is throttled from now on in queue ${forLog(queue)}`)
  if (isRepeat) tell('repeated', `Delivery was put in queue ${forLog(queue)} before, and comes again`)
  else tell('queued', `Message added to queue ${forLog(queue)}`)
  const marks: readonly Mark[] = throttle === 'none' ? facts.marks : [...facts.marks, 'Throttled']
  return { outcome: 'queued', queue, marks, facts: { ...facts, marks }, isRepeat, lines, bodyFiltersMissed }
}

/** Of each fact that a sender writes; the message itself has the rest. */
const maxFactCharacters = 1000

/** What no queue is asked about. */
function refusedEarly(header: HeaderSection, messageId: 'require' | 'synthesize'): DropReason | null {
  if (!fieldsNamed(header, 'From').some(({ value }) => value !== '')) return 'no-from'
  if (isFromEqualTo(header)) return 'from-equals-to'
  if (messageId === 'require' && (fieldsNamed(header, 'Message-Id')[0]?.value ?? '') === '') return 'no-message-id'
  // `Bounced; id=...; mac=...` is the signed form; whoever forges one only has his own message dropped.
  if (fieldsNamed(header, 'X-Postoffice').some(({ value }) => /^Bounced(?:$|\s*;)/.test(value))) return 'ricochet'
  return null
}

async function chooseQueue(
  queues: readonly QueueRules[],
  candidate: Candidate,
  onStep: (text: string) => void,
): Promise<{ readonly rules: QueueRules; readonly matched: readonly string[] } | null> {
  for (const rules of queues) {
    const matched = await matchQueue(rules, candidate)
    if (matched !== null) {
      onStep(`Queue ${forLog(rules.name)} matches: ${forLog(matched.join('; '))}`)
      return { rules, matched }
    }
    onStep(`Queue ${forLog(rules.name)} does not match`)
  }
  return null
}
