/** The watch over a thread's realm: what it sees, when, and what it must not take for a change. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { paceLooks } from '../../host/runner/realm-watch.ts'
import { watchedThread } from '../helpers/watched-thread.ts'

/** Code, what undoes it, and what is then said; `deep`: the quick look need not see it. */
type Row = readonly [code: string, undo: string, said: string, when?: 'deep' | undefined]

const property = (object: string, key: string, said: string, when?: 'deep'): Row => [
  `Object.defineProperty(${object}, ${key}, { value: 1, configurable: true })`,
  `delete ${object}[${key}]`,
  said,
  when,
]
/** Puts another function in a function's place. */
const patched = (object: string, key: string, said: string, when?: 'deep'): Row => [
  `state.was = ${object}.${key}; ${object}.${key} = function () { return state.was.apply(this, arguments) }`,
  `${object}.${key} = state.was`,
  `${said} was replaced`,
  when,
]
const accessor = (object: string, key: string, said: string): Row => [
  `state.was = Object.getOwnPropertyDescriptor(${object}, '${key}')
   Object.defineProperty(${object}, '${key}', { ...state.was, get: () => 7 })`,
  `Object.defineProperty(${object}, '${key}', state.was)`,
  said,
  'deep',
]
const fs = `require('node:fs')`
const setOnce = (place: string, value: string, said: string, when?: 'deep'): Row => [
  `state.was = ${place}; ${place} = ${value}`,
  `${place} = state.was`,
  said,
  when,
]

const rows: readonly Row[] = [
  // New properties.
  [
    'Object.prototype.polluted = 1',
    'delete Object.prototype.polluted',
    'Object.prototype has a new property "polluted"',
  ],
  ['({}).__proto__[0] = 1', 'delete Object.prototype[0]', 'Object.prototype has a new property "0"'],
  property('Object.prototype', `'hidden'`, 'Object.prototype has a new property "hidden"'),
  property('Object.prototype', 'Symbol.for("x")', 'Object.prototype has a new property Symbol(x)'),
  [
    'Object.prototype.__defineGetter__("late", () => 1)',
    'delete Object.prototype.late',
    'Object.prototype has a new property "late"',
  ],
  ['Array.prototype.last = 1', 'delete Array.prototype.last', 'Array.prototype has a new property "last"'],
  property('Array.prototype', `'hidden'`, 'Array.prototype has a new property "hidden"', 'deep'),
  property(
    'Array.prototype',
    'Symbol.isConcatSpreadable',
    'Array.prototype has a new property Symbol(Symbol.isConcatSpreadable)',
  ),
  property('Array.prototype', 'Symbol("x")', 'Array.prototype has a new property Symbol(x)', 'deep').with(
    1,
    'delete Array.prototype[Object.getOwnPropertySymbols(Array.prototype).at(-1)]',
  ) as unknown as Row,
  property('String.prototype', `'then'`, 'String.prototype has a new property "then"'),
  property('Date.prototype', `'value'`, 'Date.prototype has a new property "value"'),
  ['Promise.prototype.done = 1', 'delete Promise.prototype.done', 'Promise.prototype has a new property "done"'],
  property('Map.prototype', `'hidden'`, 'Map.prototype has a new property "hidden"', 'deep'),
  property('Reflect.getPrototypeOf([].values())', `'x'`, 'the array iterator has a new property "x"', 'deep'),
  property('Reflect.getPrototypeOf(Uint8Array)', `'x'`, 'the parent of Uint8Array has a new property "x"', 'deep'),
  property(`require('node:events').prototype`, `'x'`, 'EventEmitter.prototype has a new property "x"', 'deep'),
  property(`require('node:net').Socket.prototype`, `'x'`, 'net.Socket.prototype has a new property "x"', 'deep'),
  property('JSON', `'x'`, 'JSON has a new property "x"', 'deep'),
  property(fs, `'x'`, 'fs has a new property "x"', 'deep'),
  ['globalThis.leaked = 1', 'delete globalThis.leaked', 'globalThis has a new property "leaked"'],
  ['new Function("leaked = 1")()', 'delete globalThis.leaked', 'globalThis has a new property "leaked"'],
  property('globalThis', 'Symbol.for("x")', 'globalThis has a new property Symbol(x)', 'deep'),
  property('globalThis', `'hidden'`, 'globalThis has a new property "hidden"', 'deep'),
  ['process.emit = () => true', 'delete process.emit', 'process has a new property "emit"'],
  setOnce('Error.prepareStackTrace', '() => 1', 'Error.prepareStackTrace was replaced'),

  [
    `require('node:net').Socket.prototype.write = () => true`,
    `delete require('node:net').Socket.prototype.write`,
    'net.Socket.prototype has a new property "write"',
  ],

  // Properties that were there.
  patched('Array.prototype', 'map', 'Array.prototype.map'),
  patched('Object.prototype', 'toString', 'Object.prototype.toString'),
  patched('Object', 'keys', 'Object.keys'),
  patched('Function.prototype', 'call', 'Function.prototype.call'),
  patched('String.prototype', 'replace', 'String.prototype.replace'),
  patched('RegExp.prototype', 'exec', 'RegExp.prototype.exec'),
  patched('Promise.prototype', 'then', 'Promise.prototype.then'),
  patched('Promise', 'all', 'Promise.all'),
  patched('Map.prototype', 'get', 'Map.prototype.get'),
  patched('Date', 'now', 'Date.now'),
  patched('JSON', 'parse', 'JSON.parse'),
  patched('Math', 'random', 'Math.random'),
  patched('Reflect', 'ownKeys', 'Reflect.ownKeys'),
  patched('Buffer', 'from', 'Buffer.from'),
  patched('Buffer.prototype', 'toString', 'Buffer.prototype.toString'),
  patched('Reflect.getPrototypeOf([].values())', 'next', 'the array iterator.next'),
  patched('Uint8Array.prototype.__proto__', 'set', 'the parent of Uint8Array.prototype.set', 'deep'),
  patched('EventTarget.prototype', 'dispatchEvent', 'EventTarget.prototype.dispatchEvent'),
  patched('URL', 'canParse', 'URL.canParse'),
  patched('Intl.DateTimeFormat.prototype', 'formatToParts', 'Intl.DateTimeFormat.prototype.formatToParts', 'deep'),
  patched('globalThis', 'fetch', 'fetch'),
  patched('globalThis', 'setTimeout', 'setTimeout'),
  patched('globalThis', 'structuredClone', 'structuredClone'),
  ['state.was = Date; globalThis.Date = class extends Date {}', 'globalThis.Date = state.was', 'Date was replaced'],
  [
    'state.was = WebSocket; globalThis.WebSocket = class {}',
    'globalThis.WebSocket = state.was',
    'WebSocket was replaced',
    'deep',
  ],
  patched('console', 'log', 'console.log'),
  patched('process', 'nextTick', 'process.nextTick'),
  patched('process', 'cwd', 'process.cwd'),
  patched('process.stdout', 'write', 'process.stdout.write', 'deep').with(
    2,
    'process.stdout.write was changed',
  ) as unknown as Row,
  patched(fs, 'readFileSync', 'fs.readFileSync'),
  patched(`require('node:fs/promises')`, 'readFile', 'fs/promises.readFile'),
  patched(`require('node:net')`, 'connect', 'net.connect'),
  patched(`require('node:net').Socket.prototype`, 'connect', 'net.Socket.prototype.connect'),
  patched(`require('node:http')`, 'request', 'http.request', 'deep'),
  patched(`require('node:https')`, 'request', 'https.request', 'deep'),
  patched(`require('node:child_process')`, 'spawn', 'child_process.spawn'),
  patched(`require('node:crypto')`, 'randomBytes', 'crypto.randomBytes', 'deep'),
  patched(`require('node:path')`, 'join', 'path.join'),
  patched(`require('node:os')`, 'hostname', 'os.hostname', 'deep'),
  patched(`require('node:dns')`, 'lookup', 'dns.lookup', 'deep'),
  patched(`require('node:timers')`, 'setInterval', 'timers.setInterval'),
  patched(`require('node:timers/promises')`, 'setTimeout', 'timers/promises.setTimeout', 'deep'),
  patched(`require('node:events').prototype`, 'emit', 'EventEmitter.prototype.emit'),
  patched(`require('node:util')`, 'inspect', 'util.inspect', 'deep'),
  patched(`require('node:stream').Readable.prototype`, 'read', 'stream.Readable.prototype.read', 'deep'),
  patched(`require('node:url')`, 'parse', 'url.parse', 'deep'),
  patched(`require('node:zlib')`, 'gunzip', 'zlib.gunzip', 'deep'),
  patched(`require('node:module')`, '_load', 'module._load', 'deep'),
  [
    'state.was = Array.prototype.at; delete Array.prototype.at',
    'Object.defineProperty(Array.prototype, "at", { value: state.was, writable: true, configurable: true })',
    'Array.prototype.at was removed',
  ],
  ['state.was = globalThis.atob; delete globalThis.atob', 'globalThis.atob = state.was', 'atob was removed'],
  [
    'state.was = Object.getOwnPropertyDescriptor(Map.prototype, "size"); delete Map.prototype.size',
    'Object.defineProperty(Map.prototype, "size", state.was)',
    'Map.prototype.size was removed',
    'deep',
  ],
  accessor('Map.prototype', 'size', 'Map.prototype.size was replaced'),
  accessor('Object.prototype', '__proto__', 'Object.prototype.__proto__ was replaced'),
  accessor('RegExp.prototype', 'flags', 'RegExp.prototype.flags was replaced'),
  accessor('AbortSignal.prototype', 'aborted', 'AbortSignal.prototype.aborted was replaced'),
  accessor('globalThis', 'navigator', 'navigator was replaced'),
  [
    'state.was = fs => fs.statSync; state.own = state.was(require("node:fs")); Object.defineProperty(require("node:fs"), "statSync", { get: () => state.own })',
    'Object.defineProperty(require("node:fs"), "statSync", { value: state.own, writable: true })',
    'fs.statSync was replaced',
    'deep',
  ],
  [
    'Object.defineProperty(JSON, "parse", { writable: false })',
    'Object.defineProperty(JSON, "parse", { writable: true })',
    'JSON.parse was replaced',
    'deep',
  ],
  [
    'state.was = Reflect.getPrototypeOf(Array.prototype); Object.setPrototypeOf(Array.prototype, { __proto__: Object.prototype })',
    'Object.setPrototypeOf(Array.prototype, state.was)',
    'the prototype of Array.prototype was replaced',
  ],
  [
    'state.was = Reflect.getPrototypeOf(process); Object.setPrototypeOf(process, { __proto__: state.was })',
    'Object.setPrototypeOf(process, state.was)',
    'the prototype of process was replaced',
    'deep',
  ],

  // Settings of the thread.
  setOnce('Error.stackTraceLimit', '50', 'Error.stackTraceLimit was changed'),
  setOnce('Buffer.poolSize', '1', 'Buffer.poolSize was changed'),
  ['process.exitCode = 3', 'process.exitCode = undefined', 'process.exitCode was set'],
  ['process.env.NODEFILTER_X = "1"', 'delete process.env.NODEFILTER_X', 'process.env.NODEFILTER_X was set'],
  [
    'state.was = process.env.PATH; process.env.PATH = "/"',
    'process.env.PATH = state.was',
    'process.env.PATH was changed',
  ],
  [
    'state.was = process.env.PATH; delete process.env.PATH',
    'process.env.PATH = state.was',
    'process.env.PATH was removed',
  ],
  [
    'Object.assign(process.env, { NODEFILTER_X: "1" })',
    'delete process.env.NODEFILTER_X',
    'process.env.NODEFILTER_X was set',
  ],
  ['state.was = process.env; process.env = { ...process.env }', 'process.env = state.was', 'process.env was replaced'],
  [
    'process.on("uncaughtException", (state.own = () => {}))',
    'process.off("uncaughtException", state.own)',
    'a listener was added to process, for "uncaughtException"',
  ],
  [
    'process.on("exit", (state.own = () => {}))',
    'process.off("exit", state.own)',
    'a listener was added to process, for "exit"',
  ],
  [
    'state.was = process.listeners("exit"); process.removeAllListeners("exit")',
    'state.was.forEach((one) => process.on("exit", one))',
    'a listener was taken from process, for "exit"',
  ],
  setOnce(`require('node:events').defaultMaxListeners`, '11', 'the default limit of listeners was changed', 'deep'),
  setOnce(
    `require('node:http').globalAgent`,
    `new (require('node:http').Agent)()`,
    'http.globalAgent was changed',
    'deep',
  ),
  setOnce(`require('node:https').globalAgent.maxSockets`, '1', 'https.globalAgent.maxSockets was changed', 'deep'),
]

t.test('what is seen, at a quick look or at a deep one, and no longer once it is undone', async (t) => {
  const thread = watchedThread(t)
  t.match(await thread.run('0'), { look: null, deepLook: null, error: null }, 'a realm as it was')
  for (const [code, undo, said, when] of rows) {
    const { look, deepLook, error } = await thread.run(code)
    t.same({ deepLook, error }, { deepLook: said, error: null }, code)
    if (when !== 'deep') t.equal(look, said, `at a quick look: ${code}`)
    t.match(await thread.run(undo), { look: null, deepLook: null, error: null }, `undone: ${undo}`)
  }
})

t.test('what cannot be undone', async (t) => {
  for (const [code, said] of [
    ['Object.freeze(Object.prototype)', 'Object.prototype was frozen, sealed or closed to new properties'],
    ['Object.preventExtensions(Array.prototype)', 'Array.prototype was frozen, sealed or closed to new properties'],
    ['Object.seal(Promise)', 'Promise was frozen, sealed or closed to new properties'],
    // Node itself puts other functions in the place of those of the module.
    ['require("node:dns").setServers(["192.0.2.1"])', 'dns.getServers was replaced'],
  ] as const) {
    const { deepLook, error } = await watchedThread(t).run(code)
    t.same({ deepLook, error }, { deepLook: said, error: null }, code)
  }
})

t.test('a realm in ruins is seen for what it is', async (t) => {
  for (const code of [
    'Reflect.ownKeys = () => []; Object.keys = () => []; Object.is = () => true; Array.prototype.push = () => 0; Object.prototype.x = 1',
    'Object.getOwnPropertyDescriptor = Reflect.getOwnPropertyDescriptor = () => ({}); Object.hasOwn = () => true; Map.prototype.get = () => 0',
    'Array.prototype[Symbol.iterator] = function* () {}; Reflect.getPrototypeOf = () => null; String.prototype.startsWith = () => true',
    'Object.prototype.value = Object.prototype.get = 1',
    'for (const key of Object.getOwnPropertyNames(Array.prototype)) if (key !== "constructor") delete Array.prototype[key]',
    'Map.prototype.has = Set.prototype.has = () => true; Object.defineProperty(Map.prototype, "hidden", { value: 1 })',
  ]) {
    const { look, deepLook } = await watchedThread(t).run(code)
    t.type(look, 'string', code)
    t.type(deepLook, 'string', code)
  }
})

const scratch = mkdtempSync(join(tmpdir(), 'nf-'))
t.teardown(() => rmSync(scratch, { recursive: true, force: true }))
writeFileSync(join(scratch, 'module.mjs'), 'export const x = 1\n')
writeFileSync(join(scratch, 'module.cjs'), 'exports.x = 1\n')
writeFileSync(join(scratch, 'module.ts'), 'export const x: number = 1\n')

/** What Node itself puts somewhere when it is used, and what filters may well do. */
const innocent: Readonly<Record<string, string>> = {
  'globals are all read': 'for (const key of Reflect.ownKeys(globalThis)) try { globalThis[key] } catch {}',
  'process is all read': 'for (const key of Reflect.ownKeys(process)) try { process[key] } catch {}',
  'all modules are loaded, and all that they export is read': `
    for (const name of require('node:module').builtinModules) {
      // The first changes EventEmitter; the second loads the first.
      if (['domain', 'repl'].includes(name)) continue
      let exported = {}
      try { exported = require('node:' + name) } catch {}
      for (const key of Reflect.ownKeys(exported)) try { exported[key] } catch {}
    }`,
  cryptography: `
    await crypto.subtle.digest('SHA-256', new Uint8Array(3)); crypto.randomUUID()
    await crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, true, ['sign'])
    require('node:crypto').createHash('sha256').update('x').digest('hex')
    require('node:crypto').generateKeyPairSync('ec', { namedCurve: 'P-256' })`,
  'HTTP, as client and server, with fetch and without': `
    const http = require('node:http')
    const server = http.createServer((_, reply) => reply.end('x')).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const url = 'http://127.0.0.1:' + server.address().port
    await (await fetch(url)).text(); await (await fetch(url, { signal: AbortSignal.timeout(9000) })).text()
    await new Promise((resolve) => http.get(url, (reply) => reply.resume().on('end', resolve)))
    server.closeAllConnections(); server.close()
    await fetch('https://127.0.0.1:1').catch(() => 0); new Request(url); new Response(); new Headers(); new FormData()`,
  'a web socket': `
    const socket = new WebSocket('ws://127.0.0.1:1'); await new Promise((resolve) => (socket.onerror = resolve))`,
  'sockets and names': `
    const net = require('node:net'), dns = require('node:dns')
    const server = net.createServer((socket) => socket.end()).listen(0)
    await new Promise((resolve) => server.once('listening', resolve))
    const socket = net.connect(server.address().port); socket.setTimeout(9000)
    await new Promise((resolve) => socket.on('close', resolve).resume()); server.close()
    await dns.promises.lookup('localhost'); new dns.Resolver({ timeout: 100 }).cancel()
    const failing = require('node:tls').connect({ port: 1, host: '127.0.0.1' })
    await new Promise((resolve) => failing.on('error', resolve))`,
  files: `
    const fs = require('node:fs')
    await fs.promises.readFile('/etc/passwd'); fs.readdirSync('/', { withFileTypes: true }); fs.watch('/tmp').close()
    for await (const line of (await fs.promises.open('/etc/passwd')).readLines()) break
    await require('node:stream/promises').pipeline(fs.createReadStream('/etc/passwd'), fs.createWriteStream('/dev/null'))`,
  children: `
    const run = require('node:child_process')
    run.execSync('true'); await require('node:util').promisify(run.execFile)('true', { timeout: 9000 })
    await new Promise((resolve) => run.spawn('cat').on('exit', resolve).stdin.end())
    const env = run.execFileSync('env', { encoding: 'utf8' })
    if (!env.includes('PATH=' + process.env.PATH)) throw new Error('a child has no environment: ' + env)`,
  'another thread': `
    const { Worker } = require('node:worker_threads')
    const worker = new Worker('process.env.X = 1', { eval: true }); await new Promise((resolve) => worker.on('exit', resolve))`,
  'time and place': `
    new Date().toLocaleString('fr'); new Intl.Segmenter('en').segment('x'); 'ä'.localeCompare('b'); 'ä'.normalize('NFD')
    performance.mark('a'); performance.measure('b', 'a'); new PerformanceObserver(() => 0).observe({ entryTypes: ['mark'] })`,
  timers: `
    setTimeout(() => 0, 1); setInterval(() => 0, 1000).unref(); await require('node:timers/promises').setTimeout(2)
    await require('node:util').promisify(setTimeout)(2); AbortSignal.any([AbortSignal.timeout(5)]); new EventTarget()`,
  'streams and copies': `
    structuredClone(new Map([[1, new Error('x')]])); new MessageChannel().port1.close(); new BroadcastChannel('x').close()
    for await (const chunk of new Blob(['x']).stream().pipeThrough(new CompressionStream('gzip'))) chunk
    await require('node:stream').Readable.from(['x']).toArray(); require('node:zlib').gzipSync('x')`,
  output: `
    console.log('x'); console.error('x'); console.table([{ x: 1 }]); console.time('x'); console.timeEnd('x'); console.trace('x')
    process.stdout.write('x'); process.emitWarning('x'); require('node:util').debuglog('x')('x')
    require('node:util').inspect(new Proxy({}, {})); require('node:util').deprecate(() => 0, 'x')()`,
  errors: `
    try { null.x } catch (error) { error.stack }
    const { prepareStackTrace, stackTraceLimit } = Error
    Error.prepareStackTrace = (_, sites) => sites; Error.stackTraceLimit = 1; new Error('x').stack
    Error.prepareStackTrace = prepareStackTrace; Error.stackTraceLimit = stackTraceLimit
    try { (function again() { again() })() } catch {}`,
  'code that comes late': `
    await import('data:text/javascript,export default 1'); await import('${scratch}/module.mjs')
    await import('${scratch}/module.ts'); require('${scratch}/module.cjs'); eval('1'); new Function('return 1')()
    require('node:vm').runInNewContext('Object.prototype.x = 1'); require('node:module').syncBuiltinESMExports()`,
  'what is set and set back': `
    process.env.X = '1'; delete process.env.X; process.once('exit', state.own = () => 0); process.off('exit', state.own)
    'x'.match(/(x)/); Atomics.load(new Int32Array(2), 0); Promise.reject(1).catch(() => 0)`,
  'an object of its own that looks like one of the language': `
    class Own extends Array {}; Own.prototype.map = () => 1; state.own = { __proto__: { toString: () => 'x' } }
    state.cache = new Map([[1, 2]]); Own.from([1])`,
}

t.test('what is no change', async (t) => {
  const thread = watchedThread(t)
  for (const [name, code] of Object.entries(innocent)) {
    t.match(await thread.run(code), { look: null, deepLook: null, error: null }, name)
  }
})

t.test('looks are as deep as time allows', (t) => {
  let nowMs = 0
  const looks: string[] = []
  const look = paceLooks(
    {
      look: () => (looks.push('quick'), null),
      deepLook: () => {
        // The first is a slow one.
        nowMs += looks.length === 0 ? 1000 : 1
        looks.push('deep')
        return 'found'
      },
    },
    () => nowMs,
  )
  t.equal(look(), 'found', 'what a deep look finds is told')
  for (let count = 0; count < 99; count++) look()
  const deep = looks.filter((kind) => kind === 'deep').length
  t.ok(deep >= 25 && deep <= 30, `of a hundred looks at once some are deep: ${deep}`)
  t.equal(look(), null, 'a quick look sees less')

  looks.length = 0
  for (let count = 0; count < 1000; count++) {
    nowMs += 1
    look()
  }
  const busy = looks.filter((kind) => kind === 'deep').length
  t.ok(busy >= 7 && busy <= 13, `of a busy second ten milliseconds go into deep looks: ${busy}`)

  looks.length = 0
  for (let count = 0; count < 50; count++) {
    nowMs += 100
    look()
  }
  t.same(looks, Array(50).fill('deep'), 'with ten messages a second all are deep')
  t.end()
})
