/**
 * A loader hook that makes one file operation on one message fail, in the host's process and in its threads, whoever asks
 * for it: the host, the library, or a filter by `node:fs`. It knows nothing of their insides: it counts calls.
 *
 *     node --import 'file:///.../file-faults.mjs' host/main.ts
 *
 * A file `fault-host` or `fault-runner` in the folder of a pair says which operation on that folder's files is to fail, in
 * the host's process or in a thread, and how: `7 EIO`, `7 kill`. It is renamed to `fired`, and says what was met, once it
 * acts; an operation that nobody comes to leaves it. Operations are counted for each thread, from the first on that folder.
 * `0 list` makes none fail, and writes the operations into `steps`.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { constants } from 'node:os'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

const real = { ...fs }
const side = isMainThread ? (process.argv[1]?.endsWith('/host/main.ts') === true ? 'host' : null) : 'runner'

const orders = new Map()
const descriptors = new Map()
let inside = false

/** The folder of the pair that a path leads to, or `null`. */
function pairFolder(path) {
  if (typeof path !== 'string') return null
  const at = path.lastIndexOf('/pair-')
  if (at === -1) return null
  const end = path.indexOf('/', at + 1)
  return end === -1 ? path : path.slice(0, end)
}

function orderFor(folder) {
  let order = orders.get(folder)
  if (order === undefined) {
    order = { path: join(folder, `fault-${side}`), at: 0, act: '', calls: 0 }
    try {
      const [at, act] = unseen(() => real.readFileSync(order.path, 'utf8'))
        .trim()
        .split(' ')
      order = { ...order, at: Number(at), act }
    } catch {
      // Nothing is to fail here.
    }
    orders.set(folder, order)
    if (orders.size > 100) orders.delete(orders.keys().next().value)
  }
  return order
}

/** Some calls are made of others, which do not count. */
function unseen(act) {
  const outer = inside
  inside = true
  try {
    return act()
  } finally {
    inside = outer
  }
}

/** Counts a call, and fails it if it is the one. */
function meet(call, folder) {
  const order = orderFor(folder)
  order.calls++
  if (order.act === 'list') unseen(() => real.appendFileSync(join(folder, 'steps'), `${call}\n`))
  if (order.at !== order.calls) return
  unseen(() => {
    real.writeFileSync(order.path, call)
    real.renameSync(order.path, join(folder, 'fired'))
  })
  if (order.act === 'kill') {
    process.kill(process.pid, 'SIGKILL')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  }
  const error = new Error(`${order.act}: fault injected, ${call}`)
  throw Object.assign(error, { code: order.act, errno: -constants.errno[order.act], syscall: call })
}

function wrap(name) {
  const call = fs[name]
  fs[name] = (...args) => {
    const folder = typeof args[0] === 'number' ? descriptors.get(args[0]) : (pairFolder(args[0]) ?? pairFolder(args[1]))
    if (inside || folder === undefined || folder === null) return call(...args)
    try {
      meet(name, folder)
    } catch (thrown) {
      if (name === 'existsSync') return false
      // Whatever goes wrong, the descriptor is gone.
      if (name === 'closeSync') {
        descriptors.delete(args[0])
        call(...args)
      }
      throw thrown
    }
    return unseen(() => {
      const result = call(...args)
      if (name === 'openSync') descriptors.set(result, folder)
      if (name === 'closeSync') descriptors.delete(args[0])
      return result
    })
  }
}

function wrapHandle(handle, folder) {
  return new Proxy(handle, {
    get: (target, key) => {
      const member = Reflect.get(target, key)
      if (typeof member !== 'function') return member
      return async (...args) => {
        try {
          meet(`handle.${String(key)}`, folder)
        } catch (thrown) {
          if (key === 'close') await target.close()
          // A disk that is full takes a part.
          if (key === 'writeFile' && Buffer.isBuffer(args[0])) await target.writeFile(args[0].subarray(0, 3))
          throw thrown
        }
        return Reflect.apply(member, target, args)
      }
    },
  })
}

if (side !== null) {
  for (const name of Object.keys(fs)) if (name.endsWith('Sync')) wrap(name)
  for (const name of ['readFile', 'writeFile', 'appendFile', 'stat', 'lstat', 'link', 'rename', 'unlink', 'rm']) {
    const call = fs.promises[name]
    fs.promises[name] = async (...args) => {
      const folder = pairFolder(args[0])
      if (folder !== null) meet(`promises.${name}`, folder)
      return call(...args)
    }
  }
  const { open } = fs.promises
  fs.promises.open = async (...args) => {
    const folder = pairFolder(args[0])
    if (folder === null) return open(...args)
    meet('promises.open', folder)
    return wrapHandle(await open(...args), folder)
  }
  syncBuiltinESMExports()
}
