/**
 * Puts a message in its queue while it is received: sorted, staged, and its recipients marked delivered.
 *
 * What is staged is in the queue once the message is accepted, and nowhere if it is not; the marks are undone with it.
 * Source: spec postoffice 5, 8 and 9, for mail that has an envelope.
 */
import { pass, readRecipients, reject } from '../../courier-compat/index.ts'
import type { ControlRecipient, FilterContext, HeaderSection } from '../../courier-compat/index.ts'
import type { QueueAddition } from '../../courier-compat/stores.ts'
import type { ConfiguredQueue } from './configuration.ts'
import { factsOfDelivery, type KeptOriginal } from './deliver-facts.ts'
import { countedOnceAs, entryKeyOf, type KeyedMessage } from './deliver-keys.ts'
import { paceOf, throttleOf } from './deliver-pace.ts'
import { isSentBlind, markDelivered, recipientsTaken } from './deliver-recipients.ts'
import type { OpenPostOffice } from './deliver-setup.ts'
import type { PostFacts } from './facts.ts'
import { openIncoming, type IncomingMessage, type PostEnvelope } from './incoming.ts'
import { matchQueue, openCandidate } from './matching.ts'
import { keyOf } from './memory-key.ts'
import { oversizeMessage } from './oversize.ts'
import { classicLine, dropReasons, forLog, type PostLine } from './reasons.ts'
import { finishSorting, routeMessage, type Dropped, type Routed } from './sort.ts'
import { recipientsAtHosts } from './to-hostname.ts'

/** A message with an envelope. */
type Enveloped = IncomingMessage & { readonly envelope: PostEnvelope }

/** One message in the hand of the filter. */
interface Delivery {
  readonly post: OpenPostOffice
  readonly context: FilterContext
  readonly message: Enveloped
  /** To whom it is still to be delivered. */
  readonly pending: readonly ControlRecipient[]
}

/** Takes a message; gives the filter's reply. Errors: the system's, and those of the stores; never for what it contains. */
export async function takeMessage(
  post: OpenPostOffice,
  bodyPath: string,
  controlPaths: readonly string[],
  context: FilterContext,
): Promise<string> {
  const pending = readRecipients(controlPaths).filter(({ done }) => !done)
  if (pending.length === 0) return pass()
  const envelope = { sender: context.envelope.sender, recipients: pending.map(({ address }) => address) }
  const message = Object.assign(openIncoming(bodyPath, { envelope }), { envelope })
  const delivery: Delivery = { post, context, message, pending }
  const routed = await routeMessage(message, post.rules, Date.now(), { signal: context.signal })
  const missed = routed.bodyFiltersMissed
  if (missed > 0) context.log.info(`${missed} filters did not look at the body: the message is over the size limit`)
  return routed.outcome === 'routed' ? queueMessage(delivery, routed) : leaveOut(delivery, routed)
}

async function queueMessage(delivery: Delivery, routed: Routed): Promise<string> {
  const { post, context, message, pending } = delivery
  const name = routed.facts.queue
  const queue = queueNamed(post, name)
  const { header, envelope } = message
  const keyed: KeyedMessage = { header, envelope, facts: routed.facts, admission: routed.admission }
  const throttle = await throttleFor(delivery, keyed, routed.facts.recipients)
  const sorted = finishSorting(routed, { kind: 'admitted', isRepeat: false, throttle })
  // Whether it is a duplicate is found out when it is added: then it is not added again.
  if (sorted.outcome === 'duplicate') throw new Error('nobody has said that it is a duplicate')
  await stage(delivery, sorted.facts, entryKeyOf(keyed))
  const taken = recipientsTaken(pending, routed.facts.recipients, queue.deliver)
  markDelivered(taken, `put in queue ${forLog(name)}`)
  // The host tells when it is there, or was before.
  logLines(
    context,
    sorted.lines.map((line) =>
      line.event === 'queued' ? { ...line, text: `Message is for queue ${forLog(name)}` } : line,
    ),
  )
  context.notes.set('queue', forLog(name))
  if (taken.length < pending.length) context.notes.set('mailboxes', String(pending.length - taken.length))
  return pass()
}

/** Is its sender too fast? Counted once for each message, however often it comes. */
async function throttleFor({ post, context }: Delivery, keyed: KeyedMessage, recipients: readonly string[]) {
  const { loop: question } = keyed.admission
  if (question === null) return 'none'
  const { name, ttlMs } = post.paceMap
  // The envelope says who was written to blind, where a Maildir has only X-Original-To for it.
  const isExempt = question.isExempt || isSentBlind(keyed.header, recipients)
  const pace = paceOf({ ...question, isExempt }, countedOnceAs(keyed))
  return throttleOf(await context.ttl(name, { ttlMs }).pace(question.key, pace), question)
}

/** Stages the message, or, where it is over the size limit, the shortened one and the original beside it. */
async function stage({ post, context, message }: Delivery, facts: PostFacts, key: string | null): Promise<void> {
  const { sender, recipients } = message.envelope
  const common: QueueAddition = {
    // Whose mail it is in this queue: others that it goes to as well are none of the application's business.
    envelope: { sender, recipients: facts.recipients.length > 0 ? facts.recipients : recipients },
    // In a queue with `order = key`: mail of one author is delivered in order.
    key: facts.sender === '' ? null : facts.sender,
    ...(key === null ? {} : { idempotencyKey: key }),
  }
  if (facts.sizeLimitOctets === null) {
    return context.queue(facts.queue).add({ ...common, facts: factsOfDelivery(facts, context, null) })
  }
  const original: KeptOriginal = {
    queue: post.oversizeQueue,
    // The same each time: an original that is there still is not added again.
    reference: keyOf('original', key ?? facts.messageId, key === null ? context.id : null).slice(0, 16),
  }
  const told = factsOfDelivery(facts, context, original)
  const { octets, sizeLimitOctets: limitOctets } = facts
  const reference = `message ${original.reference} of queue ${original.queue}`
  const short = oversizeMessage(withinLimit(message.header), { octets, limitOctets, reference })
  // Both in one transaction, under the same key: each is there once, and never one without the other.
  await context.queue(post.oversizeQueue).add({ ...common, facts: told })
  await context.queue(facts.queue).add({ ...common, message: short, facts: told })
}

/** A shortened message has to be small whatever its header section is: what is too much of it is in the original. */
const mostHeaderOctets = 256 * 1024

function withinLimit(header: HeaderSection): HeaderSection {
  let left = mostHeaderOctets
  const end = header.fields.findIndex(({ raw }) => (left -= raw.length + 100) < 0)
  return end === -1 ? header : { ...header, fields: header.fields.slice(0, end) }
}

/** A message that is in no queue: most often since it is not for one. */
async function leaveOut(delivery: Delivery, dropped: Dropped): Promise<string> {
  const { reason, lines } = dropped
  if (reason === 'no-queue') return pass()
  const { post, context, pending } = delivery
  const isRejected = reason === 'rejected'
  const isForAll = isRejected && post.rejectScope === 'all'
  const queue = isForAll ? null : await queueFor(delivery)
  // Mail of others: who has a mailbox gets what no application wants.
  if (!isForAll && queue === null) return pass()
  logLines(context, lines)
  const what = isRejected ? post.reject : post.unfit
  if (what === 'pass') return pass()
  if (what === 'refuse') {
    const text = isRejected ? 'This message is not accepted here' : dropReasons[reason]
    return reject(isRejected ? '5.7.1' : '5.6.0', text, 554)
  }
  const atHosts = queue === null ? [] : recipientsAtHosts(queue.filters, delivery.message.envelope.recipients)
  const taken = recipientsTaken(pending, atHosts, queue?.deliver ?? 'queue')
  markDelivered(taken, `dropped: ${dropReasons[reason]}`)
  for (const { address } of taken) context.log.info(`dropped for <${forLog(address)}>: ${dropReasons[reason]}`)
  return pass()
}

/** The queue in which it would be, were it not for the reason why it is in none. */
async function queueFor({ post, context, message }: Delivery): Promise<ConfiguredQueue | null> {
  const { sorting, queues } = post.rules
  const isOversize = sorting.maxMessageOctets !== null && message.octets > sorting.maxMessageOctets
  const candidate = openCandidate(message, { limits: sorting, isOversize, signal: context.signal })
  for (const queue of queues) if ((await matchQueue(queue, candidate)) !== null) return queue
  return null
}

function queueNamed({ rules }: OpenPostOffice, name: string): ConfiguredQueue {
  const queue = rules.queues.find((one) => one.name === name)
  if (queue === undefined) throw new Error(`there is no queue ${name}`)
  return queue
}

function logLines({ log }: Pick<FilterContext, 'log'>, lines: readonly PostLine[]): void {
  for (const line of lines) log[line.level](classicLine(line))
}
