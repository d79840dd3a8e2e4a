/**
 * The lock that keeps a second host off the same state folder.
 *
 * A file names the process that holds it, by pid and by the moment that process started, so that a pid used again after a
 * crash or a reboot is not taken for the holder. A lock whose holder is gone is taken over without a hand's help.
 */
import { join } from 'node:path'
import type { Files } from './platform/files.ts'

/** A lock that is held. Releasing it twice does nothing. Never throws. */
export interface InstanceLock {
  release(): void
}

/** Another process holds the lock. */
export interface LockHolder {
  readonly pid: number
}

/**
 * Takes the lock in `directory`, or says who has it.
 * Errors: those of the file system, for instance a full disk.
 */
export function takeInstanceLock(directory: string, files: Files): InstanceLock | LockHolder {
  const path = join(directory, 'lock')
  const mine = join(directory, `lock.${process.pid}`)
  const identity = identityOf(process.pid, files)
  files.writeFileSync(mine, `${process.pid} ${identity ?? ''}\n`, { mode: 0o600 })
  try {
    // Two tries: one on a free lock, one after a dead holder's was moved away.
    for (let attempt = 0; ; attempt++) {
      try {
        // A link either makes the lock whole, content and all, or fails because it is there.
        files.linkSync(mine, path)
        return { release: () => release(path, files) }
      } catch (thrown) {
        if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown
      }
      const holder = readHolder(path, files)
      if (holder !== null && isAlive(holder, files)) return { pid: holder.pid }
      if (attempt > 0) return { pid: holder?.pid ?? 0 }
      moveAside(path, holder, files)
    }
  } finally {
    files.rmSync(mine, { force: true })
  }
}

/** The process that holds the lock now; `null` where none does that still lives. Changes nothing. */
export function lockHolder(directory: string, files: Files): LockHolder | null {
  const holder = readHolder(join(directory, 'lock'), files)
  return holder !== null && isAlive(holder, files) ? { pid: holder.pid } : null
}

interface Holder {
  readonly pid: number
  readonly identity: string
}

/** Takes a dead holder's lock out of the way; puts back what turns out to be a living one's. */
function moveAside(path: string, dead: Holder | null, files: Files): void {
  const aside = `${path}.old.${process.pid}`
  try {
    files.renameSync(path, aside)
  } catch {
    // Another one was quicker.
    return
  }
  const moved = readHolder(aside, files)
  if (moved !== null && (moved.pid !== dead?.pid || moved.identity !== dead.identity)) {
    try {
      files.linkSync(aside, path)
    } catch {
      // Somebody took the lock in between: then it is held, which is what matters.
    }
  }
  files.rmSync(aside, { force: true })
}

function release(path: string, files: Files): void {
  try {
    if (readHolder(path, files)?.pid === process.pid) files.rmSync(path, { force: true })
  } catch {
    // In a folder that cannot be written any more it stays; the next host sees that its holder is gone.
  }
}

function readHolder(path: string, files: Files): Holder | null {
  try {
    const [pid, identity] = files.readFileSync(path, 'latin1').trim().split(' ')
    return pid !== undefined && /^[0-9]+$/.test(pid) ? { pid: Number(pid), identity: identity ?? '' } : null
  } catch {
    return null
  }
}

function isAlive(holder: Holder, files: Files): boolean {
  try {
    process.kill(holder.pid, 0)
  } catch (thrown) {
    // EPERM: it lives, as another user.
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM')) return false
  }
  const now = identityOf(holder.pid, files)
  return now === null || now === holder.identity
}

/** Boot and start time of a process, which together no other process ever has; `null` where /proc does not tell. */
function identityOf(pid: number, files: Files): string | null {
  try {
    const stat = files.readFileSync(`/proc/${pid}/stat`, 'latin1')
    const boot = files.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    // After the program's name in brackets, which may hold anything: the state is field 3, the start time field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'zombie' : `${boot}/${fields[19] ?? ''}`
  } catch {
    return null
  }
}
