/**
 * Intake: a pair comes in, an outcome goes back, one line is logged. Every message passes here, whatever its door.
 *
 * It gives the message its id and its deadline, decides by the mail's source what a failure means, and is the last to
 * check what is answered.
 */
import { readControl } from '../courier-compat/control.ts'
import type { FileIdentity } from '../courier-compat/kept-original.ts'
import { makeReply, replyLines, type Verdict } from '../courier-compat/reply.ts'
import { describeThrown, failureReply, type Failure } from './chain/failure.ts'
import type { Take, TakenMessage } from './doors/door.ts'
import type { Events } from './observe/events.ts'
import { findChange, isPairUntouched } from './changed-files.ts'
import { clearKept, undoEdits } from './edits.ts'
import { openPair, PairRefused, type OpenedPair, type Spool } from './pair.ts'
import type { Platform } from './platform/platform.ts'
import { randomId } from './random-id.ts'
import type { Published, Staging } from './store/staging.ts'

/** What a failure means for mail from one kind of source. */
export type FailurePolicy = 'defer' | 'pass'

/** Intake's settings. */
export interface IntakeOptions {
  /** Where message files may lie; `null` while that folder is missing: nothing is then opened. */
  readonly spool: Spool | null
  readonly deadlineMs: number
  readonly onFailure: FailurePolicy
  /** Courier turns any refusal of a local forward into a bounce (spec courier 3). */
  readonly onFailureLocal: FailurePolicy
  /** Courier retries its own delivery notices for days. */
  readonly onFailureDsn: FailurePolicy
  readonly whenBroken: FailurePolicy
}

/** What the supervisor says of a message. */
export interface Run {
  readonly outcome: {
    readonly verdict: Verdict | null
    readonly by: string | null
    readonly trail: Parameters<Events['settled']>[0]['trail']
    readonly notes: readonly (readonly [string, string])[]
    readonly undone: boolean
    readonly version: FileIdentity | null
  } | null
  readonly failure: Failure | null
  readonly attempts: number
  /** What filters have added to queues: published if the message is accepted, before the answer; dropped otherwise. */
  readonly staging?: Staging
}

/** Intake's handle. */
export interface Intake {
  readonly take: Take
  inHand(): number
  /** From now on every message that is not yet decided is answered 451. Those that only wait for the store go on waiting. */
  stop(): void
  /** Resolves when none waits for the store any more, at the latest after `limitMs`. */
  published(limitMs: number): Promise<void>
}

/** A message without an answer. */
interface Entry {
  readonly message: TakenMessage
  /** Ours. */
  readonly id: string
  /** When it came in, on the monotonic clock. */
  readonly sinceMs: number
  readonly answer: Parameters<Take>[1]
  /** `null` until its files are opened, and where they are not. */
  pair: OpenedPair | null
  /** It is accepted as soon as what its filters have added is on disk. */
  isPublishing: boolean
}

/** What is to be answered. */
interface Decision {
  readonly result: Run
  readonly verdict: Verdict
  readonly passedBy: string | null
  readonly isUntouched: boolean
}

/** What filters added must be on disk by the message's deadline; one that was decided late gets this long all the same. */
const leastPublishMs = 2000

const noRecipients: readonly string[] = []

/** At most so many lines in pythonfilter's shape for one refused message. */
const maxRefusedLines = 100

/** Binds intake to the runners. */
export function createIntake(
  options: () => IntakeOptions,
  run: (id: string, pair: OpenedPair, deadlineMs: number, settle: (result: Run) => void) => void,
  platform: Platform,
  log: Events,
): Intake {
  const { clock, files, faults } = platform
  const open = new Set<Entry>()
  let stopped: Run | null = null
  const publishing = new Set<Promise<void>>()

  /** Before the answer: after it, the mail server may give the data file's name to another message. */
  const clear = (pair: OpenedPair): void => {
    try {
      clearKept(pair.bodyPath, files)
    } catch (thrown) {
      // No harm to the message; at the next start of the host it is removed.
      log.bug('intake', `what lies beside ${pair.bodyPath} cannot be removed: ${describeThrown(thrown)}`)
    }
  }

  /** A verdict counts only for the files on which it was found. Errors: those of the file system. */
  const checked = (result: Run, pair: OpenedPair): Run => {
    const { outcome, attempts } = result
    if (outcome === null || outcome.verdict === null) return result
    const edits = { ran: outcome.trail.length > 0, undone: outcome.undone || attempts > 1, version: outcome.version }
    const change = findChange(pair.before, edits, files)
    if (change === null) return result
    return { ...result, outcome: null, failure: { kind: 'changed', filter: null, text: change } }
  }

  const decide = (found: Run, pair: OpenedPair | null): Decision => {
    const isUntouched = pair !== null && found.attempts <= 1 && isPairUntouched(pair.before, files)
    const result = pair === null || isUntouched ? found : checked(found, pair)
    const decision = { result, isUntouched, ...settleVerdict(result, pair, options(), files) }
    faults.at('intake.decided')
    return decision
  }

  const settle = (entry: Entry, found: Run): void => {
    const { staging } = found
    if (!open.has(entry) || entry.isPublishing) return staging?.drop()
    try {
      const decision = decide(found, entry.pair)
      const { verdict, passedBy } = decision
      if (staging === undefined) return finish(entry, decision)
      if (passedBy === null && (verdict.kind === 'pass' || verdict.kind === 'accept')) {
        entry.isPublishing = true
        publish(entry, staging, decision)
        return
      }
      staging.drop()
      finish(entry, decision)
    } catch (thrown) {
      staging?.drop()
      giveUp(entry, thrown)
    }
  }

  /** Nothing is accepted that is not safely on disk. Many at once share the store's transactions: none waits for another. */
  const publish = (entry: Entry, staging: Staging, decision: Decision): void => {
    const { id, pair } = entry
    const { attempts, outcome } = decision.result
    const fail = (text: string): void => {
      if (!open.has(entry)) return
      const failure: Failure = { kind: 'store', filter: null, text }
      const verdict: Verdict = { kind: 'defer', reply: failureReply('store', pair?.facts.id ?? '') }
      // The trail stays, so that the log shows what the filters said.
      const run: Run = { outcome: outcome === null ? null : { ...outcome, verdict: null, by: null }, failure, attempts }
      finishSafely(entry, { ...decision, result: run, verdict })
    }
    const limitMs = Math.max(leastPublishMs, entry.sinceMs + options().deadlineMs - clock.monotonicMs())
    const timer = clock.after(limitMs, () => fail(`the store had not answered after ${Math.round(limitMs)} ms`))
    const published = staging.publish().then(
      (published) => {
        timer.cancel()
        tellPublished(id, pair?.facts.id ?? '', published)
        if (open.has(entry)) finishSafely(entry, decision)
      },
      (thrown: unknown) => {
        timer.cancel()
        fail(describeThrown(thrown))
      },
    )
    publishing.add(published)
    const end = (): void => void publishing.delete(published)
    published.then(end, (thrown: unknown) => {
      end()
      log.bug('intake', describeThrown(thrown))
    })
  }

  const tellPublished = (id: string, queueId: string, published: readonly Published[]): void => {
    for (const { filter, queue, id: entry, isNew } of published) {
      log.published(id, queueId === '' ? null : queueId, filter, queue, entry, isNew)
    }
  }

  const finishSafely = (entry: Entry, decision: Decision): void => {
    try {
      finish(entry, decision)
    } catch (thrown) {
      giveUp(entry, thrown)
    }
  }

  /** Something of ours failed before there was an answer. */
  const giveUp = (entry: Entry, thrown: unknown): void => {
    log.bug('intake', thrown instanceof Error ? (thrown.stack ?? thrown.message) : describeThrown(thrown))
    if (!open.delete(entry)) return
    const { pair, answer } = entry
    if (pair !== null) clear(pair)
    answer({ kind: 'defer', reply: failureReply('internal', '') })
  }

  const finish = (entry: Entry, { result, verdict, passedBy, isUntouched }: Decision): void => {
    const { message, id, sinceMs, answer, pair } = entry
    const facts = pair?.facts ?? null
    const queueId = facts === null || facts.id === '' ? null : facts.id
    const refusedTo = verdict.kind === 'defer' || verdict.kind === 'reject' ? pendingRecipients(pair) : noRecipients
    if (pair !== null && !isUntouched) clear(pair)
    faults.at('intake.cleared')
    open.delete(entry)
    const fate = answer(verdict)
    const filter = result.outcome?.by ?? result.failure?.filter ?? null
    const reply = verdict.kind === 'pass' ? '' : replyLines(verdict.reply).join('\n')
    if (passedBy !== null) log.failurePassed(id, queueId, passedBy, result.failure?.text ?? '')
    for (const step of result.outcome?.trail ?? []) {
      if (step.dryRun) {
        if (step.text !== null) log.dryRun(id, queueId, step.filter, step.outcome, step.text)
      } else if (step.outcome === 'failed' && step.filter !== result.failure?.filter) {
        log.filterFailed(id, queueId, step.filter, step.text ?? '')
      }
    }
    for (const recipient of refusedTo.slice(0, maxRefusedLines)) {
      log.refused(filter ?? 'nodefilter', facts?.sender ?? null, recipient, reply, id, queueId)
    }
    if (refusedTo.length > maxRefusedLines) log.refusedMore(filter ?? 'nodefilter', refusedTo.length - maxRefusedLines)
    log.settled({
      id,
      door: message.door,
      queueId,
      client: facts?.clientIp ?? null,
      sender: facts?.sender ?? null,
      recipients: facts?.recipients.length ?? 0,
      octets: pair?.octets ?? 0,
      verdict: fate === 'sent' ? verdict.kind : `${verdict.kind},${fate}`,
      reply,
      filter,
      ms: Math.round((clock.monotonicMs() - sinceMs) * 100) / 100,
      source: facts === null || facts.source === '' ? null : facts.source,
      auth: facts?.authUser ?? null,
      attempts: result.attempts,
      trail: result.outcome?.trail ?? [],
      notes: result.outcome?.notes ?? [],
      errorCode: result.failure?.kind ?? null,
      errorCause: result.failure?.text ?? null,
    })
  }

  const take: Take = (message, answer) => {
    const entry: Entry = {
      message,
      id: randomId(),
      sinceMs: clock.monotonicMs(),
      answer,
      pair: null,
      isPublishing: false,
    }
    open.add(entry)
    try {
      const { spool, deadlineMs } = options()
      if (spool === null) throw new PairRefused('the spool folder is not there')
      entry.pair = openPair(message.pair, spool, files)
      faults.at('intake.pair-opened')
      if (stopped !== null) return settle(entry, stopped)
      run(entry.id, entry.pair, entry.sinceMs + deadlineMs, (result) => settle(entry, result))
    } catch (thrown) {
      settle(entry, thrown instanceof PairRefused ? failedRun('pair', thrown.message) : failedInside(thrown))
    }
  }

  const failedInside = (thrown: unknown): Run => {
    const text = describeThrown(thrown)
    log.bug('intake', thrown instanceof Error ? (thrown.stack ?? text) : text)
    return failedRun('internal', text)
  }

  return {
    take,
    inHand: () => open.size,
    stop: () => {
      stopped = failedRun('stopping', 'the host was stopped before there was a verdict')
      for (const entry of [...open]) settle(entry, stopped)
    },
    published: async (limitMs) => {
      if (publishing.size === 0) return
      const { promise: late, resolve } = Promise.withResolvers<null>()
      const timer = clock.after(limitMs, () => resolve(null))
      await Promise.race([Promise.allSettled(publishing), late])
      timer.cancel()
    },
  }
}

function failedRun(kind: Failure['kind'], text: string): Run {
  return { outcome: null, failure: { kind, filter: null, text }, attempts: 0 }
}

/** The verdict to answer, and the name of the setting that let a failure pass, where one did. */
function settleVerdict(
  result: Run,
  pair: OpenedPair | null,
  options: IntakeOptions,
  files: Platform['files'],
): { verdict: Verdict; passedBy: string | null } {
  const { failure, outcome } = result
  // What poison hears was decided by a setting of its own.
  if ((failure === null || failure.kind === 'poison') && outcome !== null && outcome.verdict !== null) {
    const passedBy = failure !== null && outcome.verdict.kind === 'accept' ? 'on_poison' : null
    return { verdict: outcome.verdict, passedBy }
  }
  const kind = failure?.kind ?? 'internal'
  const passedBy = pair === null || kind === 'changed' ? null : passingSetting(kind, pair.facts.source, options)
  if (pair !== null && passedBy !== null) {
    // What passes unfiltered passes as it came: half of a chain's edits are no chain's edits.
    undoEdits(pair, pair.mark, files)
    return { verdict: { kind: 'accept', skipOthers: false, reply: makeReply(200, null, ['Ok']) }, passedBy }
  }
  return { verdict: { kind: 'defer', reply: failureReply(kind, pair?.facts.id ?? '') }, passedBy: null }
}

/** The setting by which a failure of this kind passes for mail of this source; `null` where it does not. */
function passingSetting(kind: Failure['kind'], source: string, options: IntakeOptions): string | null {
  if (kind === 'broken' && options.whenBroken === 'pass') return 'when_broken'
  if (source.endsWith('/dsn')) return options.onFailureDsn === 'pass' ? 'on_failure_dsn' : null
  if (source === 'local') return options.onFailureLocal === 'pass' ? 'on_failure_local' : null
  return options.onFailure === 'pass' ? 'on_failure' : null
}

/** The recipients that a refusal concerns, as the filters left them; as they came in where the files are gone. */
function pendingRecipients(pair: OpenedPair | null): string[] {
  if (pair === null) return []
  try {
    return readControl(pair.controlPaths).recipients.map(({ address }) => address)
  } catch {
    return pair.facts.recipients.map(({ address }) => address)
  }
}
