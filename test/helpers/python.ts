/** What the tests of Python filters share: the machine's Python, and stand-ins for a site's installation. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The filter's own default. */
export const interpreter = '/usr/bin/python3'

/** `site`, a stand-in for a site's installation of pythonfilter; `own`, a folder of filters alone. */
export const fixtures = join(import.meta.dirname, '../fixtures/python')

/** Why there is nothing to test here, or `false`. */
export function noPython(): string | false {
  const found = spawnSync(interpreter, ['-c', 'import sys; sys.exit(sys.version_info < (3, 6))'])
  return found.status === 0 ? false : `there is no ${interpreter} of version 3.6 or later`
}

/** Whether a process runs; one that has ended and is not yet reaped does not. */
export function runs(pid: number): boolean {
  try {
    return !/^[0-9]+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** The process and its keeper, from what the fixture answers to `pid`: `200 PID PID`. */
export const pidsIn = (reply: string): number[] => [...reply.matchAll(/[0-9]{2,}/g)].map(Number).slice(1)
