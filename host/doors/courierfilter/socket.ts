/**
 * Puts a filter's socket where Courier looks for it, so that at no moment it is missing, half-made or too open.
 *
 * Source: spec courier 1.4 (names, order, modes), 1.8 (a missing socket lets mail pass unfiltered, so it is never
 * removed: it is replaced by rename at the next start).
 */
import type { Server } from 'node:net'
import { basename, dirname, join } from 'node:path'
import type { Files } from '../../platform/files.ts'
import { listenPrivately } from '../../platform/private-socket.ts'

/** Connections that may wait for `accept`. */
const backlog = 1024

/** The longest path a Unix socket can have. */
const maxSocketPath = 107

/**
 * Listens on `directory/name`. Resolves when the socket is visible and works; returns its path.
 * Errors: rejects with a text that names the path and what to do.
 */
export async function listenForCourier(server: Server, directory: string, name: string, files: Files): Promise<string> {
  const path = join(directory, name)
  const hidden = join(directory, `.${name}`)
  if (Buffer.byteLength(hidden) > maxSocketPath)
    throw new Error(`${hidden} is longer than a socket's path may be (${maxSocketPath})`)
  try {
    // A socket of the same name in Courier's other folder would be asked as well.
    const twin = join(dirname(directory), basename(directory) === 'filters' ? 'allfilters' : 'filters', name)
    files.rmSync(twin, { force: true })
    files.rmSync(hidden, { force: true })
    await listenPrivately(server, { path: hidden, backlog })
    // Local submissions are handed over by the submitting user's process, which has the mail group (spec courier 4.1).
    files.chmodSync(hidden, 0o660)
    files.renameSync(hidden, path)
    return path
  } catch (thrown) {
    const cause = thrown instanceof Error ? thrown.message : String(thrown)
    const cure = "let Courier start the host, run it as Courier's user, or set [courierfilter] directory"
    throw new Error(`cannot put a socket at ${path} (${cause}); ${cure}`, { cause: thrown })
  }
}
