/** The state folder: the host's own place for its lock and sockets, which nobody else may enter. */
import type { Files } from './platform/files.ts'

/** Where the daemon keeps its state unless told otherwise. */
export const defaultStateDirectory = '/var/lib/nodefilter'

/** The longest path a Unix socket can have, less the longest name in this folder. */
const maxPathOctets = 107 - '/threads.sock'.length

/**
 * File systems on which another machine, or a process that may hang, stands between us and the files: sockets, links and,
 * later, the store's memory map cannot be relied on there. By the number in statfs(2).
 */
const remoteFileSystems: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x517b, 'SMB'],
  [0x65735546, 'FUSE'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x73757245, 'Coda'],
  [0x0bd00bd0, 'Lustre'],
])

/** What the host itself makes there. */
const own = /^(?:lock(?:[.-].*)?|threads\.sock|control\.sock|filters)$/

/**
 * Makes sure of the folder: created with mode 0700 where it is missing.
 *
 * Errors: returns what is wrong and what to do about it, as a text for the log; `null` if it can be used.
 */
export function stateFolderProblem(path: string, files: Files): { text: string; cure: string } | null {
  if (Buffer.byteLength(path) > maxPathOctets) {
    return {
      text: `its path is longer than ${maxPathOctets} octets`,
      cure: 'set [host] state_dir to a shorter one: sockets are made in it',
    }
  }
  try {
    files.mkdirSync(path, { mode: 0o700, recursive: false })
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : ''
    if (code !== 'EEXIST')
      return {
        text: `cannot be made: ${String(code)}`,
        cure: 'run "nodefilter courier enable", or set [host] state_dir',
      }
  }
  const stats = files.lstatSync(path)
  const user = process.getuid?.() ?? stats.uid
  if (stats.isSymbolicLink()) return { text: 'is a link', cure: 'name the folder itself in [host] state_dir' }
  if (!stats.isDirectory()) return { text: 'is not a folder', cure: 'move it away, or set [host] state_dir' }
  if (stats.uid !== user)
    return { text: `belongs to user ${stats.uid}, the host runs as ${user}`, cure: `chown it to user ${user}` }
  if ((stats.mode & 0o002) !== 0) return { text: 'may be written by everybody', cure: 'chmod 0700 it' }
  const remote = remoteFileSystems.get(files.statfsSync(path).type >>> 0)
  if (remote !== undefined) {
    return {
      text: `lies on a file system of the type ${remote}, where locks and sockets cannot be relied on`,
      cure: 'name a folder on a disk of this machine in [host] state_dir',
    }
  }
  if ((stats.mode & 0o077) === 0) return null
  // Closing a folder that others use would shut them out.
  const stranger = files.readdirSync(path).find((name) => !own.test(name))
  if (stranger !== undefined) {
    return {
      text: `may be entered by others, and holds what is not the host's: ${stranger}`,
      cure: 'name a folder of its own in [host] state_dir, or chmod 0700 this one',
    }
  }
  files.chmodSync(path, 0o700)
  return null
}
