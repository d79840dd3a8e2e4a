/** Memory and CPU time of processes, as Linux tells them. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'

/** Resident memory in octets; `null` where there is no such process, or no /proc. */
export function residentOctets(pid: number): number | null {
  try {
    const match = /^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return match === null ? null : Number(match[1]) * 1024
  } catch {
    return null
  }
}

/** Where the resident memory of a process comes from, in octets. */
export interface MemoryParts {
  /** Its own: heap, buffers, stacks. */
  readonly own: number
  /** Pages of files (the program itself, mostly), which processes that run the same program share. */
  readonly ofFiles: number
  readonly resident: number
}

/** The parts of a process's memory; `null` where there is no such process, or no /proc. */
export function memoryParts(pid: number): MemoryParts | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const octets = (key: string): number => Number(new RegExp(`^${key}:\\s+([0-9]+) kB$`, 'm').exec(status)?.[1]) * 1024
    return { own: octets('RssAnon') + octets('RssShmem'), ofFiles: octets('RssFile'), resident: octets('VmRSS') }
  } catch {
    return null
  }
}

/** CPU time that a process has used so far, all its threads together, in ms; `null` as above. */
export function cpuMs(pid: number): number | null {
  try {
    const fields = statFields(pid)
    // In ticks, of which Linux has a hundred a second on all its machines of today: user and system time.
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return null
  }
}

/** CPU time that the whole machine has used so far, in ms: all but idling and waiting for disks. */
export function machineCpuMs(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0] = line.trim().split(/\s+/).slice(1).map(Number)
  return (user + nice + system + irq + softIrq) * 10
}

/** The children of a process. */
export function childrenOf(pid: number): number[] {
  let names: string[]
  try {
    names = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))
  } catch {
    return []
  }
  return names.map(Number).filter((candidate) => {
    try {
      return Number(statFields(candidate)[1]) === pid
    } catch {
      return false
    }
  })
}

/** The fields after the program's name, which stands in parentheses and may hold anything. */
function statFields(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

/** From now on `peakOctets` of this process counts anew. False where there is no /proc that could do that. */
export function forgetPeak(): boolean {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
    return true
  } catch {
    return false
  }
}

/** The most resident memory that this process had since `forgetPeak`, in octets; `null` where there is no /proc. */
export function peakOctets(): number | null {
  try {
    const match = /^VmHWM:\s+([0-9]+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
    return match === null ? null : Number(match[1]) * 1024
  } catch {
    return null
  }
}
