/**
 * The metrics, each declared once with its help text: the text that is scraped, docs/metrics.md and `nodefilter metrics`
 * are made from this table. All are read from the state of the host as `nodefilter status` has it.
 *
 * Pure. Nothing is counted here.
 */
import type { Verdict } from '../../courier-compat/reply.ts'
import { failureKindNames } from '../chain/failure.ts'
import type { HostPhase, HostStatus } from '../control/status.ts'
import type { Labels, MetricFamily, MetricSample, MetricType } from './open-metrics.ts'
import type { Spread } from './tally.ts'

/** One metric. */
export interface MetricDeclaration {
  /** Without the prefix `nodefilter_` and without what its type adds (`_total`, `_info`); it ends in its unit. */
  readonly name: string
  readonly type: MetricType
  readonly unit: 'seconds' | 'bytes' | null
  /** What it tells, in one sentence. */
  readonly help: string
  /** The names of its labels. */
  readonly labels: readonly string[]
  readonly read: (status: HostStatus) => readonly MetricSample[]
}

/** All names begin so. */
export const metricsPrefix = 'nodefilter_'

const phases = ['starting', 'serving', 'broken', 'stopping'] as const satisfies HostPhase[]

/** Those that can be counted are there from the start: what first appears with a 1 shows no increase. */
const verdictKinds = Object.keys({
  ...{ pass: true, accept: true, reject: true, defer: true },
} satisfies Record<Verdict['kind'], true>)

const perRunner = ['runner']
const perFilter = ['filter']
const perDoor = ['door']

/** All of them, in the order in which they are written. */
export const metricDeclarations: readonly MetricDeclaration[] = [
  {
    ...{ name: 'build', type: 'info', unit: null, labels: ['version', 'node'] },
    help: 'The release of nodefilter that runs, and the Node that runs it; always 1.',
    read: ({ version, node }) => one(1, ['version', version], ['node', node]),
  },
  {
    ...{ name: 'start_time_seconds', type: 'gauge', unit: 'seconds', labels: [] },
    help: 'When the host was started, in seconds since the epoch.',
    read: ({ startedMs }) => one(startedMs / 1000),
  },
  {
    ...{ name: 'phase', type: 'gauge', unit: null, labels: ['phase'] },
    help: 'What the host does: 1 for one of starting, serving, broken (no mail is filtered) and stopping, 0 for the others.',
    read: ({ phase }) => phases.map((each) => sample(phase === each ? 1 : 0, ['phase', each])),
  },
  {
    ...{ name: 'messages', type: 'counter', unit: null, labels: ['door', 'verdict'] },
    help: 'Messages by the door through which they came and what was answered.',
    read: ({ doors, tally }) => {
      const counted = new Map(tally.doors.map(({ door, verdicts }) => [door, verdicts]))
      for (const { name } of doors) if (!counted.has(name)) counted.set(name, {})
      return [...counted].flatMap(([door, verdicts]) =>
        Object.entries(withKinds(verdictKinds, verdicts)).map(([verdict, count]) =>
          sample(count, ['door', door], ['verdict', verdict]),
        ),
      )
    },
  },
  {
    ...{ name: 'message_duration_seconds', type: 'histogram', unit: 'seconds', labels: [] },
    help: 'Time from the moment a message came in to its answer.',
    read: ({ tally }) => [histogram(tally.wall, tally.boundsMs)],
  },
  {
    ...{ name: 'failures', type: 'counter', unit: null, labels: ['kind'] },
    help: 'Messages that could not be decided, by the kind of failure; they are deferred unless a setting lets them pass.',
    read: ({ tally }) => byKind('kind', withKinds(failureKindNames, tally.failures)),
  },
  {
    ...{ name: 'failures_passed', type: 'counter', unit: null, labels: [] },
    help: 'Messages that could not be decided and were accepted all the same, as on_failure and when_broken say.',
    read: ({ tally }) => one(tally.failuresPassed),
  },
  {
    ...{ name: 'messages_rerun', type: 'counter', unit: null, labels: [] },
    help: 'Messages that ran more than once, since a thread or a runner was lost under them.',
    read: ({ tally }) => one(tally.ranAgain),
  },
  {
    ...{ name: 'answers_unheard', type: 'counter', unit: null, labels: [] },
    help: 'Answers that the mail server did not wait for.',
    read: ({ tally }) => one(tally.unheard),
  },
  {
    ...{ name: 'filter_runs', type: 'counter', unit: null, labels: ['filter', 'outcome'] },
    help: 'Runs of each filter by what it said; runs on trial (dry_run) are among them.',
    read: ({ tally }) =>
      tally.filters.flatMap(({ filter, outcomes }) =>
        Object.entries(withKinds([...verdictKinds, 'failed'], outcomes)).map(([outcome, count]) =>
          sample(count, ['filter', filter], ['outcome', outcome]),
        ),
      ),
  },
  {
    ...{ name: 'filter_duration_seconds', type: 'histogram', unit: 'seconds', labels: perFilter },
    help: 'Time that a filter took over a message, by the wall clock.',
    read: ({ tally }) => tally.filters.map(({ filter, wall }) => histogram(wall, tally.boundsMs, ['filter', filter])),
  },
  {
    ...{ name: 'filter_trial_runs', type: 'counter', unit: null, labels: perFilter },
    help: 'Runs of a filter on trial (dry_run), whose outcome changed nothing.',
    read: ({ tally }) => tally.filters.map(({ filter, onTrial }) => sample(onTrial, ['filter', filter])),
  },
  {
    ...{ name: 'filter_failures_passed', type: 'counter', unit: null, labels: perFilter },
    help: 'Failures of a filter that the chain passed over (on_error = pass).',
    read: ({ tally }) => tally.filters.map(({ filter, failuresPassed }) => sample(failuresPassed, ['filter', filter])),
  },
  {
    ...{ name: 'messages_in_flight', type: 'gauge', unit: null, labels: [] },
    help: 'Messages that came in and have no answer yet.',
    read: ({ inHand }) => one(inHand),
  },
  {
    ...{ name: 'messages_waiting', type: 'gauge', unit: null, labels: [] },
    help: 'Those among them that no thread has yet.',
    read: ({ waiting }) => one(waiting),
  },
  {
    ...{ name: 'messages_waiting_limit', type: 'gauge', unit: null, labels: [] },
    help: 'How many may wait, [host] max_waiting; one more is deferred.',
    read: ({ maxWaiting }) => one(maxWaiting),
  },
  {
    ...{ name: 'connections_open', type: 'gauge', unit: null, labels: perDoor },
    help: 'Connections of the mail server that are open.',
    read: ({ doors }) => doors.map(({ name, counts }) => sample(counts.open, ['door', name])),
  },
  {
    ...{ name: 'connections_limit', type: 'gauge', unit: null, labels: perDoor },
    help: 'How many may be open, max_connections; one more is refused.',
    read: ({ doors }) => doors.map(({ name, maxConnections }) => sample(maxConnections, ['door', name])),
  },
  {
    ...{ name: 'connections', type: 'counter', unit: null, labels: perDoor },
    help: 'Connections that were accepted.',
    read: ({ doors }) => doors.map(({ name, counts }) => sample(counts.accepted, ['door', name])),
  },
  {
    ...{ name: 'connections_refused', type: 'counter', unit: null, labels: perDoor },
    help: 'Connections that were closed at once, since too many were open.',
    read: ({ doors }) => doors.map(({ name, counts }) => sample(counts.refused, ['door', name])),
  },
  {
    ...{ name: 'requests_refused', type: 'counter', unit: null, labels: ['door', 'cause'] },
    help: 'Requests that were closed without an answer: late (none in time), unfinished (the connection ended), malformed.',
    read: ({ doors }) =>
      doors.flatMap(({ name, counts: { requestsRefused } }) =>
        Object.entries(requestsRefused).map(([cause, count]) => sample(count, ['door', name], ['cause', cause])),
      ),
  },
  {
    ...{ name: 'runners', type: 'gauge', unit: null, labels: perRunner },
    help: 'Runner processes that are there: main runs the filters, solo the messages that must be alone; one more at a reload.',
    read: ({ runners }) => perName(runners, ({ pid }) => (pid === null ? 0 : 1)),
  },
  {
    ...{ name: 'threads', type: 'gauge', unit: null, labels: perRunner },
    help: 'Threads that the runners in service have when all is well.',
    read: ({ runners }) =>
      perName(runners, ({ role, threads }) => (role === 'serving' || role === 'down' ? threads : 0)),
  },
  {
    ...{ name: 'threads_serving', type: 'gauge', unit: null, labels: perRunner },
    help: 'Those among them that take messages now.',
    read: ({ runners }) => perName(runners, ({ role, serving }) => (role === 'serving' ? serving : 0)),
  },
  {
    ...{ name: 'runner_starts', type: 'counter', unit: null, labels: perRunner },
    help: 'Runner processes that were started: at the start, at reloads, in place of lost or worn ones.',
    read: ({ runnerTally }) => runnerTally.map(({ runner, starts }) => sample(starts, ['runner', runner])),
  },
  {
    ...{ name: 'runners_lost', type: 'counter', unit: null, labels: perRunner },
    help: 'Runner processes that ended unasked and were started again.',
    read: ({ runnerTally }) => runnerTally.map(({ runner, lost }) => sample(lost, ['runner', runner])),
  },
  {
    ...{ name: 'runners_recycled', type: 'counter', unit: null, labels: ['runner', 'reason'] },
    help: 'Runner processes that were replaced by a fresh one without a gap, after so many messages or because of their memory.',
    read: ({ runnerTally }) =>
      runnerTally.flatMap(({ runner, recycled }) =>
        Object.entries(recycled).map(([reason, count]) => sample(count, ['runner', runner], ['reason', reason])),
      ),
  },
  {
    ...{ name: 'runner_recycle_failures', type: 'counter', unit: null, labels: perRunner },
    help: 'Times that the fresh one could not be started; the old one went on.',
    read: ({ runnerTally }) =>
      runnerTally.map(({ runner, recycleFailures }) => sample(recycleFailures, ['runner', runner])),
  },
  {
    ...{ name: 'poison_alerts', type: 'counter', unit: null, labels: [] },
    help: 'Alerts about messages that end threads or runners again and again.',
    read: ({ poisonAlerts }) => one(poisonAlerts),
  },
  {
    ...{ name: 'threads_lost', type: 'counter', unit: null, labels: perRunner },
    help: 'Threads that ended unasked, were ended, or could not load the filters.',
    read: ({ runnerTally }) => runnerTally.map(({ runner, threadsLost }) => sample(threadsLost, ['runner', runner])),
  },
  {
    ...{ name: 'threads_blocked', type: 'counter', unit: null, labels: perRunner },
    help: 'Threads that a filter did not give back within blocked_limit.',
    read: ({ runnerTally }) =>
      runnerTally.map(({ runner, threadsBlocked }) => sample(threadsBlocked, ['runner', runner])),
  },
  {
    ...{ name: 'reloads', type: 'counter', unit: null, labels: ['result'] },
    help: 'Reloads that took over the configuration, and those that were refused because it was broken.',
    read: ({ configuration: { reloads, reloadsRefused } }) =>
      byKind('result', { 'taken-over': reloads, refused: reloadsRefused }),
  },
  {
    ...{ name: 'configuration_load_time_seconds', type: 'gauge', unit: 'seconds', labels: [] },
    help: 'When the configuration in force was loaded, in seconds since the epoch.',
    read: ({ configuration: { loadedMs } }) => (loadedMs === null ? [] : one(loadedMs / 1000)),
  },
  {
    ...{ name: 'store_usable', type: 'gauge', unit: null, labels: [] },
    help: 'Whether the store of queues and TTL maps can be used: 0 after a failure to open it, 1 otherwise.',
    read: ({ store: { state } }) => one(state === 'failed' ? 0 : 1),
  },
  {
    ...{ name: 'store_requests', type: 'counter', unit: null, labels: [] },
    help: 'Requests of filters about TTL maps, and about queues but for additions.',
    read: ({ store: { counts } }) => one(counts.requests),
  },
  {
    ...{ name: 'store_additions', type: 'counter', unit: null, labels: ['result'] },
    help: 'Additions of filters to queues: published, known (published by an earlier delivery of the same message) or dropped, since the message was not accepted.',
    read: ({ store: { counts } }) => {
      const { published, known, dropped } = counts
      return byKind('result', { published: published - known, known, dropped })
    },
  },
  {
    ...{ name: 'store_failures', type: 'counter', unit: null, labels: [] },
    help: 'Requests to the store that failed, by its fault or that of the filter that made them.',
    read: ({ store: { counts } }) => one(counts.failures),
  },
  {
    ...{ name: 'log_lines_dropped', type: 'counter', unit: null, labels: [] },
    help: 'Lines of the log that were lost, since its reader was too slow or gone, or the disk full.',
    read: ({ log }) => one(log.linesDropped),
  },
  {
    ...{ name: 'filter_lines_left_out', type: 'counter', unit: null, labels: perRunner },
    help: "Lines of filters' own output beyond [log] lines_per_second.",
    read: ({ runnerTally }) => runnerTally.map(({ runner, linesLeftOut }) => sample(linesLeftOut, ['runner', runner])),
  },
  {
    ...{ name: 'resident_memory_bytes', type: 'gauge', unit: 'bytes', labels: ['process'] },
    help: 'Resident memory of the host, and of the runners main and solo without what their filters started.',
    read: ({ process, runners }) => [
      sample(process.residentOctets, ['process', 'host']),
      ...perName(
        runners.filter(({ residentOctets }) => residentOctets !== null),
        ({ residentOctets }) => residentOctets ?? 0,
        'process',
      ),
    ],
  },
  {
    ...{ name: 'runner_memory_bytes', type: 'gauge', unit: 'bytes', labels: perRunner },
    help: 'What a runner and all that its filters started use, as it is compared with [runner] max_memory; looked at while there are messages.',
    read: ({ runners }) =>
      perName(
        runners.filter(({ memoryOctets }) => memoryOctets !== null),
        ({ memoryOctets }) => memoryOctets ?? 0,
      ),
  },
  {
    ...{ name: 'host_cpu_seconds', type: 'counter', unit: 'seconds', labels: [] },
    help: "CPU time of the host's process, without its runners.",
    read: ({ process }) => one(process.cpuMs / 1000),
  },
  {
    ...{ name: 'event_loop_active_seconds', type: 'counter', unit: 'seconds', labels: [] },
    help: "Time that the host's event loop has worked; its share of the time is how busy the host is.",
    read: ({ process }) => one(process.loopActiveMs / 1000),
  },
  {
    ...{ name: 'event_loop_idle_seconds', type: 'counter', unit: 'seconds', labels: [] },
    help: "Time that the host's event loop has waited for something to do.",
    read: ({ process }) => one(process.loopIdleMs / 1000),
  },
  {
    ...{ name: 'event_loop_turn_seconds', type: 'gauge', unit: 'seconds', labels: [] },
    help: "How long one turn of the host's event loop took when this was read.",
    read: ({ process }) => one(process.loopTurnMs / 1000),
  },
]

/** All metrics of a host. */
export function readMetrics(status: HostStatus): MetricFamily[] {
  return metricDeclarations.map(({ name, type, unit, help, read }) => {
    return { ...{ name: `${metricsPrefix}${name}`, type, unit, help }, samples: read(status) }
  })
}

function sample(value: number, ...labels: Labels): MetricSample {
  return { labels, value }
}

function one(value: number, ...labels: Labels): MetricSample[] {
  return [{ labels, value }]
}

function byKind(label: string, kinds: Readonly<Record<string, number>>): MetricSample[] {
  return Object.entries(kinds).map(([kind, count]) => sample(count, [label, kind]))
}

function withKinds(
  kinds: readonly string[],
  counted: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  return { ...Object.fromEntries(kinds.map((kind) => [kind, 0])), ...counted }
}

function histogram({ buckets, totalMs }: Spread, boundsMs: readonly number[], ...labels: Labels): MetricSample {
  return { labels, bounds: boundsMs.map((bound) => bound / 1000), buckets, sum: totalMs / 1000 }
}

/** One value for each name, summed over all runners of that name. */
function perName<Runner extends { readonly name: string }>(
  runners: readonly Runner[],
  read: (runner: Runner) => number,
  label = 'runner',
): MetricSample[] {
  const sums = new Map<string, number>()
  for (const runner of runners) sums.set(runner.name, (sums.get(runner.name) ?? 0) + read(runner))
  return [...sums].map(([name, value]) => sample(value, [label, name]))
}
