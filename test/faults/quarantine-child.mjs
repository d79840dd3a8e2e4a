/**
 * Keeps or releases a message, and dies before a certain operation on the quarantine's files:
 *
 *     node quarantine-child.mjs ORDER
 *
 * ORDER is JSON: `{ act, dir, outbox, killAt, nowMs, bodyPath, controlPaths, id }`. `killAt` counts from 1, with
 * the submissions of mail, each before and after; 0 kills nothing, and prints how many there were.
 */
import fs from 'node:fs'
import { openQuarantine } from '../../courier-compat/quarantine.ts'

const order = JSON.parse(process.argv[2])
/**
 * Every operation, reading ones too; otherwise those before which the files are not as they were before the last one: all
 * states that a kill can leave are among them.
 */
const isFull = process.env.NODEFILTER_TEST_FAULTS === 'full'
const changing = ['link', 'rename', 'unlink', 'mkdir', 'write', 'writeFile', 'sync', 'datasync']
const isChanging = (call, args) =>
  changing.includes(call) || (call === 'open' && (args[1] & fs.constants.O_CREAT) !== 0)

let at = 0
function step() {
  at++
  if (at !== order.killAt) return
  process.kill(process.pid, 'SIGKILL')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
}

const counted = (object, wrapResult = (result) => result) =>
  new Proxy(object, {
    get: (target, key) => {
      const member = Reflect.get(target, key)
      if (typeof member !== 'function') return member
      return async (...args) => {
        if (isFull || isChanging(key, args)) step()
        return wrapResult(await member.apply(target, args))
      }
    },
  })

const isHandle = (result) => result?.constructor?.name === 'FileHandle'
const files = counted(fs.promises, (result) => (isHandle(result) ? counted(result) : result))

const quarantine = await openQuarantine({
  settings: {
    ...{ siteid: 'local', dir: order.dir, days: 14, notify_recipient: true, also_notify: null, user_release: true },
  },
  files,
  me: () => 'mx.example.org',
  nowMs: () => order.nowMs,
  submit: async ({ message, recipients, sender }) => {
    step()
    const pieces = []
    for await (const piece of message instanceof Uint8Array ? [message] : message) pieces.push(Buffer.from(piece))
    const text = Buffer.concat(pieces).toString('latin1')
    fs.appendFileSync(order.outbox, `${JSON.stringify({ sender, recipients, text })}\n`)
    step()
  },
})
const { bodyPath, controlPaths, id } = order
if (order.act === 'keep') await quarantine.keep({ bodyPath, controlPaths, reason: 'harmful' })
else await quarantine.release(id, { recipients: 'all', by: 'a test' })
process.stdout.write(String(at))
