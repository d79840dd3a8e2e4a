/** How many connections a door may take: as many as are set, or as the descriptors of this process suffice for. */
import type { Configuration } from './config/read.ts'
import type { HostSettings } from './config/settings.ts'
import { threadCount } from './plans.ts'
import { connectionsWithin, descriptorLimit, descriptorReserve } from './platform/descriptors.ts'
import type { Files } from './platform/files.ts'
import type { Problem } from './problem.ts'

/** What was decided, and what to tell where it is less than what is set. */
export interface ConnectionPlan {
  readonly maxConnections: number
  readonly warning: Problem | null
}

/** Decides, once at the start: a process is given its descriptors when it is made. */
export function connectionPlan(settings: HostSettings, places: Configuration['places'], files: Files): ConnectionPlan {
  const wanted = settings.courierfilter.maxConnections
  const threads = threadCount(settings)
  const limit = descriptorLimit(files)
  const maxConnections = connectionsWithin(limit, wanted, threads)
  if (maxConnections === wanted || limit === null) return { maxConnections, warning: null }
  const { file, line } = places.get('courierfilter.max_connections') ?? { file: 'nodefilter.conf', line: null }
  const text = `[courierfilter] max_connections is ${wanted}, but this process may open only ${limit} files: it takes ${maxConnections} connections`
  const needed = wanted + descriptorReserve.host + descriptorReserve.perThread * threads
  const cure = `set "ulimit -n ${needed}" before the mail server's filters are started, or lower it`
  return { maxConnections, warning: { file, line, column: null, text, cure } }
}
