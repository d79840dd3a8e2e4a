/** Where the server listens: a Unix socket with the right mode from its first moment, or a local TCP address. */
import { chmodSync, chownSync, lstatSync, unlinkSync } from 'node:fs'
import { connect, type ListenOptions, type Server } from 'node:net'
import { DepotError } from '../errors.ts'

/** What the kernel takes. */
const maxPathOctets = 107

/** A socket's file with who may connect. */
export interface SocketPlace {
  readonly socket: string
  readonly mode: number
  readonly group: number | null
}

/**
 * Listens on a path. The file that a dead server left there is replaced; one that somebody listens on, or that is no socket, stays.
 * Errors: DEPOT_OPTION where something is in the way, or the path is too long; those of `listen`.
 */
export async function listenOnSocket(server: Server, { socket: path, mode, group }: SocketPlace): Promise<void> {
  if (Buffer.byteLength(path) > maxPathOctets) {
    throw new DepotError('DEPOT_OPTION', `${path} is longer than the ${maxPathOctets} octets that a socket may have`)
  }
  const there = lstatSync(path, { throwIfNoEntry: false })
  if (there !== undefined) {
    if (!there.isSocket()) throw new DepotError('DEPOT_OPTION', `${path} is something else than a socket`)
    if (await isListenedOn(path)) throw new DepotError('DEPOT_OPTION', `another process listens on ${path}`)
    // Only the one that was asked: another process may have put its own there meanwhile.
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === there.ino) unlinkSync(path)
  }
  // Nobody's but ours until all is set. The umask is the whole process's, so it is kept no longer than the binding takes.
  const umask = process.umask(0o177)
  let listening
  try {
    listening = listen(server, { path })
  } finally {
    process.umask(umask)
  }
  await listening
  try {
    if (group !== null) chownSync(path, -1, group)
    chmodSync(path, mode)
  } catch (error) {
    server.close()
    throw error
  }
}

/** Listens. Errors: those of `listen`. */
export function listen(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const end = (isOne: boolean): void => {
      socket.destroy()
      resolve(isOne)
    }
    socket.on('connect', () => end(true))
    // Whatever else is wrong with it, it is not known to be nobody's.
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'))
  })
}
