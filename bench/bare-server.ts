/**
 * The baseline: a server that reads a request to its empty line and answers at once. A process of its own.
 *
 *     node bench/bare-server.ts SOCKET      runs until it is told to end; says "ready" on standard output
 */
import { createServer } from 'node:net'

const [socketPath = ''] = process.argv.slice(2)

const server = createServer({ allowHalfOpen: true }, (socket) => {
  let request = ''
  socket.setEncoding('latin1')
  socket.on('error', () => undefined)
  socket.on('data', (text: string) => {
    request += text
    if (!request.includes('\n\n')) return
    socket.end('200 Ok\n')
    socket.once('finish', () => socket.destroySoon())
  })
})
server.listen({ path: socketPath, backlog: 128 }, () => void process.stdout.write('ready\n'))
