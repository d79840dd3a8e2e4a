/** Unix sockets that are nobody else's from their first moment. */
import type { ListenOptions, Server } from 'node:net'

/**
 * Listens on a path under a umask that leaves the socket with mode 0600; whoever wants others to connect opens it to them
 * once it works.
 * Errors: rejects with the error of `listen`, for instance for a path over 107 octets.
 */
export function listenPrivately(server: Server, options: ListenOptions & { readonly path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // The socket is bound before `listen` returns; the umask is the whole process's, so it is kept no longer than that.
    const umask = process.umask(0o177)
    try {
      server.listen(options, () => {
        server.off('error', reject)
        resolve()
      })
    } finally {
      process.umask(umask)
    }
  })
}
