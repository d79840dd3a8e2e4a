/** Every event that is logged: a typed function for each, so that names and fields are written in one place. */
import type { TrailStep } from '../chain/chain.ts'
import { formatProblem, type Problem } from '../problem.ts'
import { escapeBracketed, escapeText, type FieldValue, type Level } from './line-format.ts'
import type { Log } from './log.ts'

/** What is known of a message when it is settled: one line of the log tells what happened to it. */
export interface Summary {
  /** Ours, in every line about this message. */
  readonly id: string
  readonly door: string
  /** The mail server's (control record `M`); `null` where none could be read. */
  readonly queueId: string | null
  readonly client: string | null
  /** `null` is the null sender or an unknown one. */
  readonly sender: string | null
  readonly recipients: number
  readonly octets: number
  readonly verdict: string
  readonly reply: string
  readonly filter: string | null
  readonly ms: number
  /** The mail server's word for where the message came from, `null` where it says none. */
  readonly source: string | null
  /** The name used for SMTP AUTH. */
  readonly auth: string | null
  readonly attempts: number
  readonly trail: readonly TrailStep[]
  readonly notes: readonly (readonly [string, string])[]
  readonly errorCode: string | null
  readonly errorCause: string | null
}

/** The events, by name. */
export type Events = ReturnType<typeof createEvents>

/** Binds the events to a log. */
export function createEvents(log: Log) {
  const tell = (level: Level, event: string, fields: Readonly<Record<string, FieldValue>> = {}): void =>
    log.write({ level, event, fields })
  const failed = (summary: Summary): boolean => summary.errorCode !== null
  return {
    hostStarted: (version: string, stateDirectory: string) =>
      tell('info', 'host-started', { version, pid: process.pid, node: process.version, stateDirectory }),
    hostStopping: (reason: string, inHand: number) => tell('info', 'host-stopping', { reason, inHand }),
    hostStopped: (reason: string) => tell('info', 'host-stopped', { reason }),
    leftOversRemoved: (files: number, failures: readonly string[]) =>
      tell(failures.length === 0 ? 'info' : 'warn', 'left-overs-removed', { files, failures }),
    doorOpened: (door: string, path: string) => tell('info', 'door-opened', { door, path }),
    doorDisabled: (door: string) =>
      tell('warn', 'door-disabled', { door, cause: 'the configuration says so: nothing is filtered through it' }),
    doorFailed: (door: string, cause: string) => tell('error', 'door-failed', { door, cause }),
    requestRefused: (door: string, cause: string) => tell('warn', 'request-refused', { door, cause }),
    connectionsRefused: (door: string, count: number) => tell('warn', 'connections-refused', { door, count }),

    settled: (summary: Summary) =>
      tell(failed(summary) ? 'warn' : 'info', 'settled', {
        id: summary.id,
        door: summary.door,
        queueId: summary.queueId,
        client: summary.client,
        sender: summary.sender,
        recipients: summary.recipients,
        octets: summary.octets,
        verdict: summary.verdict,
        reply: summary.reply,
        filter: summary.filter,
        ms: summary.ms,
        source: summary.source,
        auth: summary.auth,
        attempts: summary.attempts > 1 ? summary.attempts : null,
        errorCode: summary.errorCode,
        errorCause: summary.errorCause,
        notes: summary.notes.length === 0 ? null : summary.notes.map(([key, value]) => `${key}=${value}`),
        trail: summary.trail.map(trailWord),
      }),

    /** In pythonfilter's shape, one line a recipient, so that patterns of fail2ban and the like go on matching. */
    refused: (
      filter: string,
      sender: string | null,
      recipient: string,
      reply: string,
      id: string,
      queueId: string | null,
    ) => {
      const [from, to] = [escapeBracketed(sender ?? ''), escapeBracketed(recipient)]
      const text = `${escapeText(filter)} reject,from=<${from}>,addr=<${to}>: ${escapeText(reply)}`
      log.write({ level: 'info', event: 'refused', text, fields: { id, queueId, filter, sender, recipient, reply } })
    },
    refusedMore: (filter: string, recipients: number) => tell('info', 'reject-lines-left-out', { filter, recipients }),
    failurePassed: (id: string, queueId: string | null, setting: string, cause: string) =>
      tell('warn', 'failure-passed', { id, queueId, setting, cause }),
    filterFailed: (id: string, queueId: string | null, filter: string, cause: string) =>
      tell('warn', 'filter-failed-passed', { id, queueId, filter, cause }),
    /** What a filter on trial said, of which nothing counts. */
    dryRun: (id: string, queueId: string | null, filter: string, outcome: string, text: string) =>
      tell('info', 'dry-run', { id, queueId, filter, outcome, text }),

    /** What filters added to a queue with a message that was accepted; `isNew` is false where it was there already. */
    published: (id: string, queueId: string | null, filter: string, queue: string, entry: string, isNew: boolean) =>
      tell('info', 'published', { id, queueId, filter, queue, entry, isNew }),
    storeOpened: (directory: string) => tell('info', 'store-opened', { directory }),
    storeFailed: (directory: string, cause: string) => tell('error', 'store-failed', { directory, cause }),

    configurationBroken: (problem: Problem) =>
      tell('error', 'configuration-broken', { problem: formatProblem(problem) }),
    moreProblems: (problems: number) => tell('error', 'configuration-broken', { andMore: problems }),
    configurationWarning: (problem: Problem) =>
      tell('warn', 'configuration-warning', { problem: formatProblem(problem) }),
    chainLoaded: (filters: readonly string[]) => tell('info', 'chain-loaded', { filters }),
    controlFailed: (path: string, cause: string) => tell('error', 'control-failed', { path, cause }),
    asked: (ask: string) => tell('info', 'asked', { ask, by: 'the control socket' }),
    reloaded: () => tell('info', 'reloaded'),
    reloadRefused: () =>
      tell('error', 'reload-refused', { cause: 'the new configuration is broken; the old one goes on' }),

    runnerStarted: (lane: string, pid: number) => tell('info', 'runner-started', { lane, pid }),
    runnerEnded: (lane: string, pid: number, cause: string, inHand: number) =>
      tell('warn', 'runner-ended', { lane, pid, cause, inHand }),
    runnerRecycled: (lane: string, pid: number, reason: string, answered: number, memory: number | null) =>
      tell('info', 'runner-recycled', { lane, pid, reason, answered, memory }),
    recycleFailed: (lane: string, reason: string, cause: string) =>
      tell('error', 'recycle-failed', { lane, reason, cause }),
    runnersGrouped: (limitsMemory: boolean, killsAll: boolean) =>
      tell('debug', 'runners-grouped', { limitsMemory, killsAll }),
    /** The alert: a message that ended its thread or runner once more, or is not run any more because of that. */
    poisonMessage: (
      id: string,
      queueId: string,
      sender: string | null,
      kills: number | null,
      filter: string | null,
      cause: string,
    ) =>
      tell('error', 'poison-message', { id, queueId: queueId === '' ? null : queueId, sender, kills, filter, cause }),
    threadLost: (lane: string, slot: number, cause: string, inHand: number) =>
      tell('warn', 'thread-lost', { lane, slot, cause, inHand }),
    threadBlocked: (lane: string, slot: number, ms: number, queueId: string | null, filter: string | null) =>
      tell('warn', 'thread-blocked', { lane, slot, ms: Math.round(ms), queueId, filter }),
    /** Something of one message was left in a thread, which is replaced before the next one. */
    threadUnclean: (lane: string, slot: number, cause: string) => tell('warn', 'thread-unclean', { lane, slot, cause }),
    threadStuck: (lane: string, slot: number) =>
      tell('warn', 'thread-stuck', { lane, slot, cause: 'it cannot be ended; its runner is' }),
    strayIgnored: (lane: string, slot: number, cause: string) => tell('warn', 'stray-ignored', { lane, slot, cause }),
    runsAgain: (id: string, queueId: string | null, attempt: number, cause: string) =>
      tell('warn', 'runs-again', { id, queueId, attempt, cause }),

    filterSaid: (level: 'info' | 'warn' | 'error', filter: string, queueId: string, text: string) =>
      tell(level, 'filter', { filter, queueId: queueId === '' ? null : queueId, text }),
    filterOutput: (lane: string, stream: 'stdout' | 'stderr', text: string) =>
      tell('info', 'filter-output', { lane, stream, text }),
    linesLeftOut: (lane: string, lines: number) => tell('warn', 'filter-lines-left-out', { lane, lines }),
    bug: (where: string, cause: string) => tell('error', 'bug', { where, cause }),
  }
}

/** `name:outcome:wall/cpu` in milliseconds; `?` before the outcome of a dry run. */
function trailWord(step: TrailStep): string {
  const cpu = step.cpuMs === null ? '' : `/${step.cpuMs.toFixed(2)}`
  return `${step.filter}:${step.dryRun ? '?' : ''}${step.outcome}:${step.wallMs.toFixed(2)}${cpu}`
}
