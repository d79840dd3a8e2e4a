/** Measures the host beside the bare server, in the same minute on the same machine: only their ratio means much. */
import type { HostProcess } from '../examples/lib/host-process.ts'
import { median, quantile, type Row } from './figures.ts'
import type { Helper, LoadGenerator, Run } from './load-generator.ts'
import { childrenOf, cpuMs, residentOctets } from './process-facts.ts'

/** What measuring needs, and what it has measured of the bare server. */
export interface Bench {
  readonly bare: Helper
  readonly bareSocket: string
  readonly generator: LoadGenerator
  /** All runs of the bare server, by concurrency. */
  readonly bareRuns: Map<number, Measured[]>
  readonly rounds: number
  /** The length of one run. */
  readonly seconds: number
}

/** Messages of one size, as requests. */
export interface Target {
  readonly mail: string
  readonly requests: readonly string[]
}

/** Runs the bare server and the host with each mail, one after the other, round after round: a row for each mail. */
export async function measureBeside(
  chain: string,
  concurrency: number,
  targets: readonly Target[],
  host: HostProcess,
  { bare, bareSocket, generator, bareRuns, rounds, seconds }: Bench,
): Promise<Row[]> {
  const runners = childrenOf(host.pid)
  const [first] = targets
  const bareHere: Measured[] = []
  const found = targets.map(({ mail }) => ({ mail, runs: [] as Measured[] }))
  for (let round = 0; round < rounds; round++) {
    const load = { requests: first?.requests ?? [], concurrency, seconds }
    bareHere.push(await measure(() => generator.run({ ...load, socketPath: bareSocket }), [bare.pid], []))
    for (const [index, { requests }] of targets.entries()) {
      const run = (): Promise<Run> => generator.run({ ...load, requests, socketPath: host.socketPath })
      found[index]?.runs.push(await measure(run, [host.pid], runners))
    }
  }
  bareRuns.set(concurrency, [...(bareRuns.get(concurrency) ?? []), ...bareHere])
  return found.map(({ mail, runs }) => ({
    ...{ chain, mail, concurrency },
    ...summary(runs),
    ofBare: median(runs.map(({ perSecond }, round) => perSecond / (bareHere[round]?.perSecond ?? NaN))),
    hostOctets: sum([host.pid], residentOctets),
    runnerOctets: sum(runners, residentOctets),
  }))
}

/** A run, and the CPU time that it cost the server and its runners. */
export interface Measured extends Run {
  readonly serverCpuMs: number | null
  readonly runnerCpuMs: number | null
}

async function measure(
  run: () => Promise<Run>,
  server: readonly number[],
  runners: readonly number[],
): Promise<Measured> {
  const before = [sum(server, cpuMs), sum(runners, cpuMs)] as const
  const result = await run()
  const after = [sum(server, cpuMs), sum(runners, cpuMs)] as const
  const used = (index: 0 | 1): number | null => {
    const [from, to] = [before[index], after[index]]
    return from === null || to === null ? null : to - from
  }
  return { ...result, serverCpuMs: used(0), runnerCpuMs: used(1) }
}

/** The sum over some processes; `null` where there is none, or this machine does not tell. */
function sum(pids: readonly number[], fact: (pid: number) => number | null): number | null {
  const values = pids.map(fact)
  return values.length === 0 || values.includes(null)
    ? null
    : values.reduce<number>((all, value) => all + (value ?? 0), 0)
}

function summary(runs: readonly Measured[]): Pick<Row, 'perSecond' | 'p50Ms' | 'p99Ms' | 'hostCpuUs' | 'runnerCpuUs'> {
  const latencies = runs.flatMap(({ latenciesMs }) => latenciesMs)
  const perMessageUs = (used: readonly (number | null)[]): number | null =>
    used.includes(null) ? null : (used.reduce<number>((all, ms) => all + (ms ?? 0), 0) / latencies.length) * 1000
  return {
    perSecond: median(runs.map(({ perSecond }) => perSecond)),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    hostCpuUs: perMessageUs(runs.map(({ serverCpuMs }) => serverCpuMs)),
    runnerCpuUs: perMessageUs(runs.map(({ runnerCpuMs }) => runnerCpuMs)),
  }
}

/** All runs of the bare server at one concurrency, as a row. */
export function bareRow(concurrency: number, { bare, bareRuns }: Bench): Row {
  return {
    ...{ chain: 'bare server', mail: '-', concurrency },
    ...summary(bareRuns.get(concurrency) ?? []),
    ...{ ofBare: 1, hostOctets: residentOctets(bare.pid), runnerOctets: null },
  }
}
