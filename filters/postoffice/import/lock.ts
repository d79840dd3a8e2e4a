/**
 * The lock that keeps a second importer off a Maildir.
 *
 * A file names the process that holds it, by pid and by the moment at which that process started: so a process that died holds
 * nothing, and its pid, given to another one, neither. It spares work; that each message is added once does not hang on it.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A lock that is held. Releasing it twice does nothing. */
export interface ImportLock {
  release(): void
}

/** The name of the file in the Maildir. */
export const lockName = 'postoffice.lock'

/** Takes the lock of a Maildir, or says which process has it. Errors: the system's, also where another user's lock cannot be read. */
export function takeImportLock(maildir: string): ImportLock | { readonly pid: number } {
  const path = join(maildir, lockName)
  const mine = `${path}.${process.pid}`
  // One of this name is what a process of this number has left. Made anew: a link that somebody has put there is not followed.
  rmSync(mine, { force: true })
  writeFileSync(mine, `${process.pid} ${startOf(process.pid) ?? ''}\n`, { mode: 0o644, flag: 'wx' })
  try {
    for (let isSecond = false; ; isSecond = true) {
      try {
        // A link makes the lock whole, content and all, or fails because it is there.
        linkSync(mine, path)
        return { release: () => release(path) }
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
      }
      const holder = readHolder(path)
      if (isSecond || (holder !== null && isAlive(holder))) return { pid: holder?.pid ?? 0 }
      moveAside(path, holder)
    }
  } finally {
    rmSync(mine, { force: true })
  }
}

interface Holder {
  readonly pid: number
  readonly start: string
}

/** Takes a dead one's lock away; puts back what turns out to be another one's, taken meanwhile. */
function moveAside(path: string, dead: Holder | null): void {
  const aside = `${path}.old.${process.pid}`
  try {
    renameSync(path, aside)
  } catch {
    // Another one was quicker.
    return
  }
  const moved = readHolder(aside)
  try {
    if (moved !== null && (moved.pid !== dead?.pid || moved.start !== dead.start)) linkSync(aside, path)
  } catch {
    // Somebody took the lock in between: then it is held, which is what matters.
  }
  rmSync(aside, { force: true })
}

function release(path: string): void {
  try {
    const holder = readHolder(path)
    if (holder?.pid === process.pid && holder.start === (startOf(process.pid) ?? '')) rmSync(path, { force: true })
  } catch {
    // Where the folder cannot be written any more it stays; the next importer sees that its holder is gone.
  }
}

function readHolder(path: string): Holder | null {
  let text
  try {
    text = readFileSync(path, 'latin1')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
  const [pid = '', start = ''] = text.trim().split(' ')
  return /^[0-9]{1,10}$/.test(pid) ? { pid: Number(pid), start } : null
}

function isAlive({ pid, start }: Holder): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it lives, as another user.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false
  }
  const now = startOf(pid)
  return now === null || now === start
}

/** Boot of the machine and start of the process, which together no other process ever has; `null` where /proc does not tell. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    // After the program's name in brackets, which may hold anything: the state is field 3, the start field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'ended' : `${boot}/${fields[19] ?? ''}`
  } catch {
    return null
  }
}
