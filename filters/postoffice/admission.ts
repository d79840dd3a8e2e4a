/**
 * The question that is asked of the memory, made of what was found in a message.
 *
 * Pure: no clock, socket, file or logger.
 */
import { fieldsNamed } from '../../courier-compat/index.ts'
import type { HeaderSection } from '../../courier-compat/index.ts'
import { seenKey } from './duplicates.ts'
import type { Admission } from './memory.ts'
import { keyOf } from './memory-key.ts'
import type { MessageIdentity } from './message-id.ts'
import type { SortingSettings } from './types.ts'

/** What the question is made of. */
export interface AdmissionFacts {
  readonly queue: string
  readonly identity: MessageIdentity
  readonly recipient: string | null
  readonly nowMs: number
  readonly windowMs: number
  readonly delivery: string | null
  readonly loop: Admission['loop']
}

/** The question. */
export function admissionOf({
  queue,
  identity,
  recipient,
  nowMs,
  windowMs,
  delivery,
  loop,
}: AdmissionFacts): Admission {
  const { messageId, distinction: digest } = identity
  return { nowMs, seen: { key: seenKey({ queue, messageId, recipient, digest }), windowMs }, delivery, loop }
}

/** The part of it that is about the sender; `null` where no frequency is set. */
export function loopQuestion(facts: {
  readonly header: HeaderSection
  readonly arrivedAtMs: number
  readonly settings: Pick<SortingSettings, 'loopFrequency' | 'loopHeaders' | 'throttleMs'>
  readonly queue: string
  readonly sender: string
}): Admission['loop'] {
  const { header, settings, queue, sender } = facts
  if (settings.loopFrequency <= 0) return null
  const values = settings.loopHeaders.map((name) => fieldsNamed(header, name)[0]?.value ?? null)
  return {
    key: keyOf('loop', queue, sender, ...values),
    atMs: facts.arrivedAtMs,
    frequency: settings.loopFrequency,
    throttleMs: settings.throttleMs,
    isExempt: isSentBlind(header),
  }
}

/** Sent to an address that is in neither To nor Cc; a program that answers a mail of ours writes it there. */
function isSentBlind(header: HeaderSection): boolean {
  const original = (fieldsNamed(header, 'X-Original-To')[0]?.value ?? '').toLowerCase()
  if (original === '') return false
  const open = [...fieldsNamed(header, 'To'), ...fieldsNamed(header, 'Cc')]
  return !open.some(({ value }) => value.toLowerCase().includes(original))
}
