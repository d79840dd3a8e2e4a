/**
 * Is this an automatic answer? Is it list mail?
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 6; RFC 3834 (Auto-Submitted), RFC 2919 (List-Id), [MS-OXCMAIL] 2.1.3.2.20 (X-Auto-Response-Suppress).
 */
import { decodedValue, fieldsNamed } from '../../courier-compat/index.ts'
import type { HeaderSection } from '../../courier-compat/index.ts'
import type { PostEnvelope } from './incoming.ts'
import type { AutoResponseSign, SortingSettings } from './types.ts'

/** What the header section says about it. */
export interface AutoResponse {
  /** What makes it an automatic answer; empty: nothing does. */
  readonly signs: readonly AutoResponseSign[]
  /** Signs that people's own mail has too: told to consumers, but the message is not marked for them. */
  readonly hints: readonly AutoResponseSign[]
  /** From a mailing list. */
  readonly isBulk: boolean
}

/** How vacation programs begin their subjects, in lower case. */
const subjects = ['automatic reply:', 'out of office:', 'abwesenheitsnotiz', 'r\u00e9ponse automatique']

interface Question {
  /** The first field of this name, in lower case; `null` where there is none. */
  readonly first: (name: string) => string | null
  readonly section: HeaderSection
  readonly envelope: PostEnvelope | null
  readonly settings: Pick<SortingSettings, 'compatPrecedence'>
}

const questions: Readonly<Record<AutoResponseSign, (question: Question) => boolean>> = {
  precedence: ({ first, settings }) => {
    const precedence = first('Precedence') ?? ''
    return /^(?:bulk|junk|auto_reply)$/.test(precedence) || (settings.compatPrecedence && precedence === 'list')
  },
  auto_submitted: ({ first }) => first('Auto-Submitted')?.startsWith('auto') === true,
  x_auto_response_suppress: ({ first }) =>
    (first('X-Auto-Response-Suppress') ?? '').split(/[\s,;]+/).some((word) => /^(?:oof|autoreply|all)$/.test(word)),
  x_autoreply: ({ first }) => !['no', null].includes(first('X-Autoreply')),
  x_autorespond: ({ first }) => !['no', null].includes(first('X-Autorespond')),
  x_apple_action: ({ first }) => first('X-Apple-Action') === 'vacation',
  null_sender: ({ first, envelope }) =>
    envelope === null ? /^<\s*>$/.test(first('Return-Path') ?? '') : envelope.sender === null,
  report: ({ first }) => /^multipart\/report(?![^\s;(])/.test(first('Content-Type') ?? ''),
  subject: ({ section }) => {
    const [field] = fieldsNamed(section, 'Subject')
    const subject = field === undefined ? '' : decodedValue(field).text.trimStart().slice(0, 100).toLowerCase()
    return subjects.some((begin) => subject.startsWith(begin))
  },
}

/** Looks for the signs that the settings name. */
export function findAutoResponse(
  section: HeaderSection,
  envelope: PostEnvelope | null,
  settings: Pick<SortingSettings, 'autoResponse' | 'compatPrecedence'>,
): AutoResponse {
  const first = (name: string) => fieldsNamed(section, name)[0]?.value.toLowerCase() ?? null
  const question: Question = { first, section, envelope, settings }
  const found = [...settings.autoResponse].filter((sign) => questions[sign](question))
  return {
    signs: found.filter((sign) => sign !== 'subject'),
    hints: found.filter((sign) => sign === 'subject'),
    isBulk: first('Precedence') === 'list' || first('List-Id') !== null,
  }
}
