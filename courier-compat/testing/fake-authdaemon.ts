/**
 * An authentication daemon that knows a test's accounts, on a socket of its own.
 * Source: spec courier 6.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** An account's attributes by the daemon's names: `{ HOME: '/home/amy', MAILDIR: './Maildir' }`. */
export type FakeAccount = Readonly<Record<string, string>>

/** Takes the place of Courier's: `runFilter(filter, message, { authdaemon })`. */
export interface FakeAuthdaemon {
  readonly socketPath: string
  /** What was asked, in order. */
  readonly asked: readonly { readonly service: string; readonly uid: string }[]
  /** False: it takes questions, and closes without an answer, as Courier's does where it cannot tell. */
  setAvailable(isAvailable: boolean): void
  close(): Promise<void>
}

/**
 * Listens, and knows these accounts by the name that is asked for.
 * Shape: an account has what is given, and where that does not say otherwise ADDRESS (its name), HOME (`/home/NAME`), UID and
 *        GID (1000).
 */
export async function fakeAuthdaemon(accounts: Readonly<Record<string, FakeAccount>>): Promise<FakeAuthdaemon> {
  const folder = mkdtempSync(join(tmpdir(), 'nodefilter-auth-'))
  const socketPath = join(folder, 'socket')
  const asked: { service: string; uid: string }[] = []
  const open = new Set<Socket>()
  let isAvailable = true
  const answerTo = (line: string): string => {
    const [, service = '', uid = ''] = /^PRE \. (\S+) +(.*)$/.exec(line) ?? []
    if (uid === '') return ''
    asked.push({ service, uid })
    if (!isAvailable) return ''
    if (!Object.hasOwn(accounts, uid)) return 'FAIL\n'
    const all = { ADDRESS: uid, HOME: `/home/${uid}`, UID: '1000', GID: '1000', ...accounts[uid] }
    return [...Object.entries(all).map(([name, value]) => `${name}=${value}`), '.', ''].join('\n')
  }
  const server = createServer((socket) => {
    open.add(socket)
    let text = ''
    socket.on('error', () => undefined).on('close', () => open.delete(socket))
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      const end = text.indexOf('\n')
      if (end !== -1) socket.end(answerTo(text.slice(0, end)))
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(socketPath, resolve)
  })
  // A test that forgets to close it ends all the same.
  server.unref()
  return {
    ...{ socketPath, asked },
    setAvailable: (value) => {
      isAvailable = value
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy()
        server.close(() => {
          rmSync(folder, { recursive: true, force: true })
          resolve()
        })
      }),
  }
}
