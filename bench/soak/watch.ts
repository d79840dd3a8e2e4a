/** What the soak looks at beside the answers: memory, descriptors, processes and files of the host. */
import { readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { until } from '../../test/helpers/until.ts'
import { residentOctets } from '../process-facts.ts'

/** The memory of a process after its garbage was collected. */
export interface MemorySample {
  /** So many messages had been asked about by then. */
  readonly messages: number
  /** Heap, and buffers beside it. */
  readonly heldOctets: number
  readonly residentOctets: number
  /** From asking for the sample to having it: how long the event loop stood still, at most. */
  readonly afterMs: number
}

/** Options for Node with which a process answers `sampleMemory`. */
export function collectorOptions(folder: string): string[] {
  const collector = pathToFileURL(join(import.meta.dirname, 'collector.mjs'))
  collector.searchParams.set('folder', folder)
  return ['--expose-gc', '--import', collector.href]
}

/** Lets a process collect its garbage. Errors: Error if it does not within `limitMs`. */
export async function sampleMemory(
  pid: number,
  folder: string,
  messages: number,
  limitMs = 20_000,
): Promise<MemorySample> {
  const path = join(folder, String(pid))
  rmSync(path, { force: true })
  const sinceMs = performance.now()
  process.kill(pid, 'SIGUSR2')
  const text = await until(`process ${pid} to collect its garbage`, () => read(path), limitMs, 5)
  const usage = JSON.parse(text) as NodeJS.MemoryUsage
  return {
    messages,
    heldOctets: usage.heapUsed + usage.external,
    residentOctets: residentOctets(pid) ?? NaN,
    afterMs: performance.now() - sinceMs,
  }
}

/** What the descriptors of a process are: `socket`, `pipe`, a path. Empty where there is no such process. */
export function descriptorsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`
  return list(folder).flatMap((name) => {
    try {
      return [readlinkSync(join(folder, name)).replace(/:.*$/, '')]
    } catch {
      // Closed since it was listed, as the one that listed them.
      return []
    }
  })
}

/** A process, as far as the soak is concerned. */
export interface ProcessLook {
  readonly pid: number
  readonly parent: number
  readonly command: string
}

/** All processes that are no zombies. */
export function processes(): ProcessLook[] {
  return list('/proc').flatMap((name) => {
    if (!/^[0-9]+$/.test(name)) return []
    const stat = read(`/proc/${name}/stat`)
    if (stat === null) return []
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const command = (read(`/proc/${name}/cmdline`) ?? '').replaceAll('\0', ' ').trim()
    return state === 'Z' ? [] : [{ pid: Number(name), parent: Number(parent), command }]
  })
}

/** Those whose command ends with `mark` and that do not descend from `ancestor`. */
export function orphansOf(ancestor: number, mark: string): ProcessLook[] {
  const all = new Map(processes().map((one) => [one.pid, one]))
  const descends = (pid: number): boolean => {
    for (let one = all.get(pid); one !== undefined; one = all.get(one.parent)) if (one.pid === ancestor) return true
    return false
  }
  return [...all.values()].filter(({ pid, command }) => command.endsWith(mark) && !descends(pid))
}

/** The files below a folder, as paths relative to it; sockets and pipes as well. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
