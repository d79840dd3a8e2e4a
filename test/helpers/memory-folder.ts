/** A folder in memory where the machine has one, for tests that write thousands of messages: each costs a sync elsewhere. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** Makes one; it is removed when the test is over. */
export function memoryFolder(t: Pick<Test, 'teardown'>): string {
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'nodefilter-test-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}
