/** Clients of the filter socket that do not behave. */
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import type { HostProcess } from './host-process.ts'

/** How many descriptors a process has in use; none once it has ended. */
export function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return 0
  }
}

/** A connection of a client that does not behave. */
export interface Client {
  readonly socket: Socket
  /** When the host hung up; `null` while it has not. */
  closedMs: number | null
  heard: string
}

/** Connects; a full backlog is tried again, as Courier does. */
export function misbehave(host: HostProcess, begin: (client: Client) => void): Promise<Client> {
  return new Promise((resolve) => {
    const socket = connect({ path: host.socketPath, allowHalfOpen: true })
    const client: Client = { socket, closedMs: null, heard: '' }
    const over = (): void => {
      client.closedMs ??= performance.now()
      socket.destroy()
    }
    socket.setEncoding('latin1')
    socket.on('end', over)
    socket.on('close', over)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EAGAIN') return over()
      setTimeout(() => void misbehave(host, begin).then(resolve), 20)
    })
    socket.on('connect', () => {
      begin(client)
      resolve(client)
    })
  })
}

/** It reads what it is told. */
export const reads = (client: Client): void => void client.socket.on('data', (text: string) => (client.heard += text))

/** So many of them. */
export const many = (host: HostProcess, count: number, begin: (client: Client) => void): Promise<Client[]> =>
  Promise.all(Array.from({ length: count }, () => misbehave(host, begin)))
