/**
 * The chain: a fold over the filters of the list, for one message, in one worker thread.
 *
 * It knows no door, no socket and no thread; what it needs of the thread it is handed (`ChainTools`).
 * Source: spec pythonfilter 1.5, its "Successor" lines, and contracts.md.
 */
import type { ReadingLimits } from '../../courier-compat/message/reading.ts'
import type { DoFilter, FilterLog, OnError } from '../../courier-compat/filter.ts'
import { parseReply, replyLines, type Verdict } from '../../courier-compat/reply.ts'
import type { FileIdentity } from '../../courier-compat/kept-original.ts'
import { noteVersion, takeVersion } from '../../courier-compat/message-versions.ts'
import { shareReading } from '../../courier-compat/shared-reading.ts'
import { deadStores, type CallStores } from '../store/filter-stores.ts'
import type { EditMark, EditTools, Pair } from '../edits.ts'
import type { Timer } from '../platform/clock.ts'
import { CallContext, type MessageView } from './context.ts'
import { placeOfError } from './error-place.ts'
import { describeThrown, type Failure } from './failure.ts'

/** One filter of the list, loaded and initialised. */
export interface ChainFilter {
  /** Its place in the list, from 0. */
  readonly index: number
  readonly name: string
  readonly alias: string
  /** The aliases that an acceptance by this filter skips; empty: an acceptance ends the chain. */
  readonly skips: readonly string[]
  readonly onError: OnError
  readonly timeLimitMs: number
  readonly dryRun: boolean
  /** It changes the message through `courier-compat` only, which tells of each change. */
  readonly editsAreKnown: boolean
  readonly doFilter: DoFilter
}

/** One message to run the chain over. */
export interface ChainJob {
  readonly pair: Pair
  /** The mail server's id, or `''`. */
  readonly messageId: string
  readonly attempt: number
  /** What is left of the message's time, in milliseconds from now. */
  readonly leftMs: number
  /** Places of filters that cost this message its thread before and whose failure means `pass`. */
  readonly without: readonly number[]
  /** The control files' octets as intake read them, one character each (latin1); `null`: to be read when needed. */
  readonly contents: readonly string[] | null
  /** The state of the files as it is now, where it is known; it must have no version of its own. */
  readonly mark: EditMark | null
  /** The thread's CPU time at the beginning, as `ChainTools.cpuMs` would tell it. */
  readonly cpuMs: number | null
}

/** What one filter did, for the log. */
export interface TrailStep {
  readonly filter: string
  readonly outcome: Verdict['kind'] | 'failed'
  readonly dryRun: boolean
  readonly wallMs: number
  /** Of the whole thread while the filter ran; `null` where Node cannot tell (before 23.9). */
  readonly cpuMs: number | null
  /** Why it failed, or what a dry run would have answered. */
  readonly text: string | null
}

/** What the chain says of a message. */
export interface ChainOutcome {
  /** `null` only together with `failure` or `rerunWithout`. */
  readonly verdict: Verdict | null
  /** The alias of the filter that decided. */
  readonly by: string | null
  readonly failure: Failure | null
  readonly trail: readonly TrailStep[]
  readonly notes: readonly (readonly [string, string])[]
  /** A filter's code is still running although it was given up: this thread must take no further message. */
  readonly stray: boolean
  /** The message must run again, on another thread, without the filter at this place: its stray code may still edit. */
  readonly rerunWithout: number | null
  /** Edits of a filter were taken back. */
  readonly undone: boolean
  /** The data file as the chain's last edit left it; `null` where nothing edited it. */
  readonly version: FileIdentity | null
}

/** What the thread lends to the chain. */
export interface ChainTools extends EditTools {
  monotonicMs(): number
  /** CPU time of this thread so far, in milliseconds; `null` where Node cannot tell. */
  cpuMs(): number | null
  readonly after: (delayMs: number, action: () => void) => Timer
  /** Called right before and right after a filter's synchronous code. */
  enter(index: number): void
  leave(): void
  /** How far filters read a message; the usual limits where it is not said. */
  readonly messageLimits?: ReadingLimits | undefined
  /** The stores of one call of a filter; dead ones where it is not said. */
  readonly storesFor?: ((filter: number, isDry: boolean) => CallStores) | undefined
  /** A logger whose lines carry the filter and the message's id. */
  logFor(alias: string, messageId: string): FilterLog
}

/** How long a filter may take to notice that its signal was aborted, before its code counts as stray. */
export const abortGraceMs = 200

/** Runs every filter until one decides. Errors: what the tools throw, never what a filter throws. */
export async function runChain(
  filters: readonly ChainFilter[],
  job: ChainJob,
  tools: ChainTools,
): Promise<ChainOutcome> {
  const { pair, messageId, attempt } = job
  const startedMs = tools.monotonicMs()
  const trail: TrailStep[] = []
  const notes = new Map<string, string>()
  const skipped = new Set<string>()
  const cpu = cpuLaps(tools, job.cpuMs)
  const view: MessageView = { pair, messageId, attempt, notes }
  const shared = shareReading(pair.bodyPath, pair.controlPaths, job.contents, tools.messageLimits)
  /** The state of the files, where it is known without a look. */
  let known: EditMark | null = job.mark
  let undone = false
  const undo = (mark: EditMark): void => {
    tools.undo(pair, mark)
    undone = true
    noteVersion(pair.bodyPath, mark.data)
    shared.forget()
    known = null
  }
  const end = (part: Partial<ChainOutcome>): ChainOutcome => ({
    verdict: null,
    by: null,
    failure: null,
    trail,
    notes: notes.size === 0 ? none : [...notes],
    stray: false,
    rerunWithout: null,
    undone,
    version: takeVersion(pair.bodyPath),
    ...part,
  })

  try {
    for (const filter of filters) {
      if (skipped.has(filter.alias)) continue
      if (job.without.includes(filter.index)) {
        trail.push(step(filter, 'failed', 0, null, 'left out: it cost this message its thread before'))
        continue
      }
      const leftMs = job.leftMs - (tools.monotonicMs() - startedMs)
      if (leftMs <= 0) {
        return end({ failure: { kind: 'deadline', filter: filter.alias, text: `no time left before ${filter.alias}` } })
      }

      const mark = filter.onError === 'pass' || filter.dryRun ? (known ?? tools.mark(pair)) : null
      if (!filter.editsAreKnown) shared.distrust()
      const editsBefore = shared.edits()
      const beganMs = tools.monotonicMs()
      const context = new CallContext(
        view,
        () => tools.logFor(filter.alias, messageId),
        () => (tools.storesFor ?? deadStores)(filter.index, filter.dryRun),
      )
      const called = call(filter, view, context, Math.min(filter.timeLimitMs, leftMs), tools)
      const result = judge(filter, called instanceof Promise ? await called : called)
      const stores = CallContext.storesOf(context)
      stores?.end()
      const wallMs = tools.monotonicMs() - beganMs
      const cpuMs = cpu.lap(wallMs)
      known = filter.editsAreKnown && shared.edits() === editsBefore ? (mark ?? known) : null

      if ('failure' in result) {
        trail.push(step(filter, 'failed', wallMs, cpuMs, result.failure.text))
        const stray = result.stray
        if (filter.onError === 'defer' && !filter.dryRun)
          return end({ by: filter.alias, failure: result.failure, stray })
        // Its edits could still come: the rest of the chain must not run on files that change underneath.
        if (stray) return end({ by: filter.alias, failure: result.failure, stray, rerunWithout: filter.index })
        if (mark !== null) undo(mark)
        stores?.forget()
        continue
      }

      const { verdict } = result
      if (filter.dryRun) {
        if (mark !== null) undo(mark)
        trail.push(step(filter, verdict.kind, wallMs, cpuMs, trialText(verdict, stores?.wouldAdd ?? [])))
        continue
      }
      if (mark !== null) tools.drop(pair, mark)
      trail.push(step(filter, verdict.kind, wallMs, cpuMs, null))
      switch (verdict.kind) {
        case 'pass':
          break
        case 'accept':
          if (verdict.skipOthers || filter.skips.length === 0) return end({ verdict, by: filter.alias })
          for (const alias of filter.skips) skipped.add(alias)
          break
        case 'defer':
        case 'reject':
          return end({ verdict, by: filter.alias })
        default:
          verdict satisfies never
      }
    }
    return end({ verdict: { kind: 'pass' } })
  } finally {
    shared.end()
  }
}

/** The outcome where our own steps between the filters failed, for instance because the files are gone. */
export function failedOutcome(text: string): ChainOutcome {
  return {
    verdict: null,
    by: null,
    failure: { kind: 'internal', filter: null, text },
    trail: [],
    notes: none,
    stray: false,
    rerunWithout: null,
    undone: false,
    version: null,
  }
}

type Call =
  | { readonly kind: 'returned'; readonly value: unknown }
  | { readonly kind: 'threw'; readonly thrown: unknown }
  | { readonly kind: 'late'; readonly stray: boolean; readonly limitMs: number }

/** What a filter on trial would have answered, and added to queues; `null` where that is nothing. */
function trialText(verdict: Verdict, queues: readonly string[]): string | null {
  const reply = verdict.kind === 'pass' ? null : replyLines(verdict.reply).join(' / ')
  if (queues.length === 0 || verdict.kind === 'defer' || verdict.kind === 'reject') return reply
  return `${reply ?? 'nothing'}, and added to ${queues.map((queue) => JSON.stringify(queue)).join(', ')}`
}

/** Calls one filter and waits for it, at most until its time limit and the grace after it. */
function call(
  filter: ChainFilter,
  view: MessageView,
  context: CallContext,
  limitMs: number,
  tools: ChainTools,
): Call | Promise<Call> {
  let returned: unknown
  tools.enter(filter.index)
  try {
    returned = filter.doFilter(view.pair.bodyPath, view.pair.controlPaths.slice(), context)
    if (!isThenable(returned)) {
      const open = CallContext.storesOf(context)?.open() ?? null
      if (open === null) return { kind: 'returned', value: returned }
      const value = returned
      returned = open.then(() => value)
    }
  } catch (thrown) {
    return { kind: 'threw', thrown }
  } finally {
    tools.leave()
  }

  const promise = returned as PromiseLike<unknown>
  return new Promise<Call>((resolve) => {
    let late = false
    let given = false
    let timer = tools.after(limitMs, () => {
      late = true
      CallContext.abort(
        context,
        new DOMException(`the time limit of ${Math.round(limitMs)} ms is over`, 'TimeoutError'),
      )
      timer = tools.after(abortGraceMs, () => {
        given = true
        resolve({ kind: 'late', stray: true, limitMs })
      })
    })
    const settle = (result: Call): void => {
      timer.cancel()
      if (given) context.log.warn('answered after it had been given up; the answer is ignored')
      resolve(late ? { kind: 'late', stray: false, limitMs } : result)
    }
    void outcomeOf(promise, context).then(settle)
  })
}

/** Never rejects, whatever the filter's object does while it is waited for. */
async function outcomeOf(promise: PromiseLike<unknown>, context: CallContext): Promise<Call> {
  try {
    const value = await promise
    // What it began to add and has not waited for: it may have failed.
    const open = CallContext.storesOf(context)?.open() ?? null
    if (open !== null) await open
    return { kind: 'returned', value }
  } catch (thrown) {
    return { kind: 'threw', thrown }
  }
}

type Judged = { readonly verdict: Verdict } | { readonly failure: Failure; readonly stray: boolean }

function judge(filter: ChainFilter, result: Call): Judged {
  const failed = (kind: Failure['kind'], text: string, stray = false): Judged => ({
    failure: { kind, filter: filter.alias, text },
    stray,
  })
  switch (result.kind) {
    case 'threw': {
      const place = placeOfError(result.thrown)
      return failed('threw', `${describeThrown(result.thrown)}${place === null ? '' : ` at ${place}`}`)
    }
    case 'late':
      return failed('late', `gave no answer within ${Math.round(result.limitMs)} ms`, result.stray)
    case 'returned': {
      const parsed = parseReply(result.value)
      return 'verdict' in parsed ? parsed : failed('malformed', parsed.malformed)
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

function step(
  filter: ChainFilter,
  outcome: TrailStep['outcome'],
  wallMs: number,
  cpuMs: number | null,
  text: string | null,
): TrailStep {
  return {
    filter: filter.alias,
    outcome,
    dryRun: filter.dryRun,
    wallMs: round(wallMs),
    cpuMs: cpuMs === null ? null : round(cpuMs),
    text,
  }
}

const none: ChainOutcome['notes'] = []

/** A filter that was called for no longer than this cannot have used more CPU time, nor much less. */
const shortCallMs = 0.1

/** The thread's CPU time while a filter ran; read only after one that took its time, since reading costs as much as a quick filter. */
function cpuLaps(tools: ChainTools, startedMs: number | null): { lap(wallMs: number): number | null } {
  let last = startedMs
  let since = 0
  return {
    lap: (wallMs) => {
      if (last === null) return null
      if (wallMs <= shortCallMs) {
        since += wallMs
        return wallMs
      }
      const now = tools.cpuMs()
      if (now === null) return null
      const lap = Math.max(0, now - last - since)
      last = now
      since = 0
      return lap
    },
  }
}

/** Microseconds are enough for a log. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
