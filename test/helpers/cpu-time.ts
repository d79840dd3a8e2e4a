/**
 * The time that the processor gives to some work of this process: what else the machine does is not in it, so that a limit
 * says something of the work.
 *
 * @returns what the work returns, and the time. Units: milliseconds.
 */
export function cpuTimeOf<Result>(work: () => Result): { readonly result: Result; readonly tookMs: number } {
  const before = process.cpuUsage()
  const result = work()
  return { result, tookMs: cpuMsSince(before) }
}

/** The same for work that takes more than one turn; what the process does beside is in it. */
export async function cpuTimeOfAsync<Result>(
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly tookMs: number }> {
  const before = process.cpuUsage()
  const result = await work()
  return { result, tookMs: cpuMsSince(before) }
}

/** What the processor gave to this process since `process.cpuUsage()` said `before`. Units: milliseconds. */
export function cpuMsSince(before: NodeJS.CpuUsage): number {
  // Of both: how the two are told apart is a matter of ticks.
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
