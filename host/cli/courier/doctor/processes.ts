/** The processes of this machine, as /proc shows them. Where there is no /proc, there are none. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** One process. */
export interface ProcessFact {
  readonly pid: number
  readonly parent: number
  /** At most 15 octets of the program's name. */
  readonly name: string
  readonly isZombie: boolean
  readonly words: readonly string[]
}

/** Lists them. What ends meanwhile is left out. */
export function listProcesses(proc = '/proc'): ProcessFact[] {
  const pids = readText(() => readdirSync(proc).join(' '))?.split(' ') ?? []
  return pids
    .filter((pid) => /^[0-9]+$/.test(pid))
    .flatMap((pid) => {
      const stat = readText(() => readFileSync(join(proc, pid, 'stat'), 'latin1'))
      if (stat === null) return []
      // The name stands in brackets and may hold any octet, brackets too.
      const end = stat.lastIndexOf(')')
      const [state, parent] = stat.slice(end + 2).split(' ')
      const words = readText(() => readFileSync(join(proc, pid, 'cmdline'), 'utf8'))?.split('\0') ?? []
      return [
        {
          ...{ pid: Number(pid), parent: Number(parent), name: stat.slice(stat.indexOf('(') + 1, end), words },
          isZombie: state === 'Z' || state === 'X',
        },
      ]
    })
}

/** More of one process; `null` where the system does not tell. */
export function processDetails(
  pid: number,
  proc = '/proc',
): { readonly programGone: boolean; readonly umask: number | null; readonly maxFiles: number | null } {
  const read = (name: string): string => readText(() => readFileSync(join(proc, String(pid), name), 'utf8')) ?? ''
  const umask = /^Umask:\s*([0-7]+)$/m.exec(read('status'))?.[1]
  const maxFiles = /^Max open files\s+([0-9]+)/m.exec(read('limits'))?.[1]
  return {
    programGone: readText(() => readlinkSync(join(proc, String(pid), 'exe')))?.endsWith(' (deleted)') ?? false,
    umask: umask === undefined ? null : Number.parseInt(umask, 8),
    maxFiles: maxFiles === undefined ? null : Number(maxFiles),
  }
}

function readText(read: () => string): string | null {
  try {
    return read()
  } catch {
    return null
  }
}
