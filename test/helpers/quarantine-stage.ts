/** A quarantine for tests: a folder of its own, a clock that stands, and a mail server that keeps what it is given. */
import { mkdtempSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  openQuarantine,
  type Quarantine,
  type QuarantineOptions,
  type QuarantineSettings,
} from '../../courier-compat/quarantine.ts'
import type { Submission } from '../../courier-compat/sendmail.ts'

/** The mail server's name. */
export const me = 'mx.example.org'

/** When everything happens, unless told otherwise: 2026-11-21T12:00:00Z. */
export const noonMs = Date.UTC(2026, 10, 21, 12)

/** A message that was submitted. */
export interface Sent extends Omit<Submission, 'message'> {
  readonly text: string
}

/** What is opened. */
export interface QuarantineStage {
  readonly dir: string
  readonly sent: Sent[]
  /** What the log was told. */
  readonly told: string[]
  /** Set it, and sending fails with it; or goes on, where it is a function. */
  fault: Error | ((sent: Sent) => void | Promise<void>) | null
  nowMs: number
  open(settings?: Partial<QuarantineSettings>, more?: QuarantineOptions): Promise<Quarantine>
  /** Files in the folder. */
  names(): string[]
  /** Of the notices sent to this address, the part between `quarantine-SITE-` and `@`. */
  wordsFor(address: string): string[]
}

/** Makes one below `top`, which must exist; `openWith` opens it. */
export function makeQuarantineStage(top: string, openWith: typeof openQuarantine = openQuarantine): QuarantineStage {
  const dir = join(mkdtempSync(join(top, 'quarantine-')), 'kept')
  const stage: QuarantineStage = {
    ...{ dir, sent: [], told: [], fault: null, nowMs: noonMs },
    open: (settings = {}, more = {}) =>
      openWith({
        settings: {
          ...{ siteid: 'local', dir, days: 14, notify_recipient: true, also_notify: null, user_release: true },
          ...settings,
        },
        me: () => me,
        nowMs: () => stage.nowMs,
        log: { info: (text) => void stage.told.push(text), warn: (text) => void stage.told.push(`warning: ${text}`) },
        submit: async ({ message, ...rest }) => {
          const sent = { ...rest, text: await textOf(message) }
          if (typeof stage.fault === 'function') await stage.fault(sent)
          else if (stage.fault !== null) throw stage.fault
          stage.sent.push(sent)
        },
        ...more,
      }),
    names: () => readdirSync(dir).sort(),
    wordsFor: (address) =>
      stage.sent
        .filter(({ recipients, sender }) => sender === '' && recipients.includes(address))
        .flatMap(({ text }) => wordIn(text) ?? []),
  }
  return stage
}

/** The word of the first release address in a notice; `null` without one. */
export function wordIn(notice: string): string | null {
  return /quarantine-[a-z]+-([a-z2-7]+\.[a-z2-7]+)@/.exec(plainBody(notice))?.[1] ?? null
}

/** The text of a notice. */
export function plainBody(notice: string): string {
  const at = notice.indexOf('\n\n')
  const body = notice.slice(at + 2)
  return notice.slice(0, at).includes('base64') ? Buffer.from(body, 'base64').toString() : body
}

async function textOf(message: Submission['message']): Promise<string> {
  if (message instanceof Uint8Array) return Buffer.from(message).toString('latin1')
  if ('path' in message && !(Symbol.asyncIterator in message)) throw new Error('not a stream')
  const pieces: Buffer[] = []
  for await (const piece of message as AsyncIterable<Uint8Array>) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces).toString('latin1')
}
