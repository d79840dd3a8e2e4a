/** The watch over timers: which of them count as left over by a message, in a thread of its own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { packageFolderOf, plainPath } from '../../host/runner/timer-place.ts'
import { watchedThread } from '../helpers/watched-thread.ts'

const root = mkdtempSync(join(tmpdir(), 'nf-'))
t.teardown(() => rmSync(root, { recursive: true, force: true }))

/** Writes a file that begins timers on others' behalf. */
const timerFile = (name: string): string => {
  const path = join(root, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, 'exports.idle = (ms) => setTimeout(() => 0, ms).unref()\n')
  return path
}
const pool = timerFile('node_modules/pool/index.js')
const filterPackage = timerFile('node_modules/@example/filter/lib/index.js')
const poolOfFilter = timerFile('node_modules/@example/filter/node_modules/pool/index.js')
const besideFilter = timerFile('beside.js')

const fs = `require('node:fs')`
const promises = `require('node:timers/promises')`

/** What a message does, and how many timers it leaves. */
const rows: readonly (readonly [name: string, code: string, leftOver: number])[] = [
  ['no timer', '0', 0],
  ['a timer that is still set', 'setTimeout(() => 0, 9000)', 1],
  ['several', 'setTimeout(() => 0, 9000); setInterval(() => 0, 9000); setTimeout(() => 0, 9000)', 3],
  ['one that nobody waits for', 'setTimeout(() => 0, 9000).unref()', 1],
  ['an interval', 'setInterval(() => 0, 1)', 1],
  ['an interval that has fired', 'await new Promise((resolve) => setInterval(resolve, 1))', 1],
  ['an immediate', 'setImmediate(() => 0)', 1],
  ['timers of the module', `require('node:timers').setTimeout(() => 0, 9000)`, 1],
  [
    'timers of the imported module',
    `const { setInterval: every } = await import('node:timers'); every(() => 0, 9000)`,
    1,
  ],
  ['timers after an await', `await ${promises}.setTimeout(1); setTimeout(() => 0, 9000)`, 1],
  [
    'timers in a callback',
    `await new Promise((end) => ${fs}.stat('/', () => { setTimeout(() => 0, 9000); end() }))`,
    1,
  ],
  ['timers in a timer', `await new Promise((end) => setTimeout(() => { setTimeout(() => 0, 9000); end() }, 1))`, 1],
  ['a promise that nobody waited for', `void ${promises}.setTimeout(9000)`, 1],
  ['a promise of the scheduler', `void ${promises}.scheduler.wait(9000)`, 1],
  ['a promise made of a function', `void require('node:util').promisify(setTimeout)(9000)`, 1],
  ['a promise of the imported module', `void (await import('node:timers/promises')).setTimeout(9000)`, 1],
  ['ticks that go on', `void (async () => { for await (const tick of ${promises}.setInterval(1)) tick })()`, 1],
  ['code after the chain has settled', `setTimeout(() => setTimeout(() => 0, 9000), 1)`, 1],
  ['a file beside the filter', `require('${besideFilter}').idle(9000)`, 1],
  ['a package that is a filter', `require('${filterPackage}').idle(9000)`, 1],
  [
    'more than are kept at once',
    `for (let n = 0; n < 300; n++) clearTimeout(setTimeout(() => 0, 9000))
     for (let n = 0; n < 100; n++) setTimeout(() => 0, 9000)`,
    100,
  ],

  ['a timer that has fired', 'await new Promise((resolve) => setTimeout(resolve, 1))', 0],
  ['an immediate that has run', 'await new Promise((resolve) => setImmediate(resolve))', 0],
  ['a timer that was cleared', 'clearTimeout(setTimeout(() => 0, 9000))', 0],
  ['a timer that was cleared by its number', 'clearTimeout(+setTimeout(() => 0, 9000))', 0],
  ['a timer that was closed', 'setTimeout(() => 0, 9000).close()', 0],
  ['a timer that was disposed of', 'setTimeout(() => 0, 9000)[Symbol.dispose]()', 0],
  ['an interval that was cleared', 'clearInterval(setInterval(() => 0, 9000))', 0],
  ['an immediate that was cleared', 'clearImmediate(setImmediate(() => 0))', 0],
  ['promises that were waited for', `await ${promises}.setTimeout(1); await ${promises}.scheduler.wait(1)`, 0],
  [
    'a promise that was given up',
    `await ${promises}.setTimeout(9000, 0, { signal: AbortSignal.timeout(1) }).catch(() => 0)`,
    0,
  ],
  ['ticks that were left', `for await (const tick of ${promises}.setInterval(1)) break`, 0],
  ['the time limit of a signal', 'AbortSignal.timeout(9000)', 0],
  ['a package', `require('${pool}').idle(9000)`, 0],
  ["a package of a filter's own", `require('${poolOfFilter}').idle(9000)`, 0],
  [
    'connections that are kept',
    `const server = require('node:http').createServer((_, reply) => reply.end('x')).listen(0, '127.0.0.1')
     await new Promise((resolve) => server.once('listening', resolve))
     await (await fetch('http://127.0.0.1:' + server.address().port, { signal: AbortSignal.timeout(9000) })).text()
     const agent = new (require('node:http').Agent)({ keepAlive: true, timeout: 9000 })
     const options = { port: server.address().port, host: '127.0.0.1', agent }
     await new Promise((resolve) => require('node:http').get(options, (reply) => reply.resume().on('end', resolve)))
     server.unref()`,
    0,
  ],
  [
    'the time limit of a child, and of a socket',
    `await require('node:util').promisify(require('node:child_process').execFile)('true', { timeout: 9000 })
     new (require('node:net').Socket)().setTimeout(9000)`,
    0,
  ],
]

t.test('what counts as left over', async (t) => {
  const thread = watchedThread(t, [filterPackage])
  for (const [name, code, leftOver] of rows) {
    const seen = await thread.run(code)
    t.match(seen, { leftOver, error: null, late: null }, name)
    t.equal(seen.where === null, leftOver === 0, `${name}: it is told where`)
  }
  const { where } = await thread.run(`require('${besideFilter}').idle(9000)`)
  t.equal(where, `${besideFilter}:1`, 'the place is a file and a line')
})

t.test("what a filter does of its own accord is nobody's", async (t) => {
  const thread = watchedThread(t)
  const own = `
    const { EventEmitter } = require('node:events'), { AsyncLocalStorage } = require('node:async_hooks')
    state.emitter = new EventEmitter().on('x', () => 0)
    state.outside = AsyncLocalStorage.snapshot()
    state.ticks = 0
    state.every = setInterval(() => { state.ticks++; setTimeout(() => 0, 9000).unref() }, 1)`
  t.match(await thread.run(own, 'filter'), { leftOver: 0, late: null, error: null }, 'timers of initFilter')
  t.match(
    await thread.run(`const { ticks } = state; while (state.ticks < ticks + 3) await ${promises}.setTimeout(1)`),
    { leftOver: 0, late: null, error: null },
    'what they begin while a message is there',
  )
  const outside = await thread.run('state.outside(() => setTimeout(() => 0, 9000))')
  t.match(outside, { leftOver: 0, late: null, error: null }, 'what is begun on behalf of the filter')
})

t.test('a message that goes on after its chain has settled', async (t) => {
  const thread = watchedThread(t)
  const on = `void (async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => require('node:fs').stat('/', resolve))
    setTimeout(() => 0, 9000)
    state.isBegun = true
  })()`
  t.match(await thread.run(on), { leftOver: 0, where: null, late: null, error: null }, 'nothing is left over yet')
  const next = `while (!state.isBegun) await new Promise((resolve) => require('node:fs').stat('/', resolve))`
  const seen = await thread.run(next)
  t.match(seen, { leftOver: 0, error: null }, 'the next message has left nothing')
  t.type(seen.late, 'string', 'but it is seen that another one has')
})

t.test('the functions are what they were in every other way', async (t) => {
  const thread = watchedThread(t)
  const check = `
    const { strictEqual: same } = require('node:assert'), { promisify } = require('node:util')
    for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
      same(globalThis[name].name, name)
      same(globalThis[name], require('node:timers')[name])
      same(globalThis[name], (await import('node:timers'))[name])
    }
    same(promisify(setTimeout), ${promises}.setTimeout)
    same(promisify(setImmediate), ${promises}.setImmediate)
    same(setTimeout(() => 0, 1).constructor.name, 'Timeout')
    same(await new Promise((resolve) => setTimeout((a, b) => resolve(a + b), 1, 'x', 'y')), 'xy')
    same(await ${promises}.setTimeout(1, 'x'), 'x')
    same(await ${promises}.setImmediate('x'), 'x')
    for await (const tick of ${promises}.setInterval(1, 'x')) { same(tick, 'x'); break }
    const gone = await ${promises}.setTimeout(1, 0, { signal: AbortSignal.abort() }).catch((error) => error.name)
    same(gone, 'AbortError')
    let thrown = null
    try { setTimeout('not a function') } catch (error) { thrown = error.code }
    same(thrown, 'ERR_INVALID_ARG_TYPE')`
  t.match(await thread.run(check), { error: null, leftOver: 0 }, 'in a message')
  t.match(await thread.run(check, 'filter'), { error: null }, 'outside of one')
})

t.test('files and packages', (t) => {
  for (const [name, path, folder] of [
    ['file:///a/b.mjs', '/a/b.mjs', null],
    ['file:///a/b%20c.mjs?x=1#y', '/a/b c.mjs', null],
    ['file:///a/b%ZZ.mjs', '/a/b%ZZ.mjs', null],
    ['node:internal/timers', 'node:internal/timers', null],
    ['/a/node_modules/b/c/d.js', '/a/node_modules/b/c/d.js', '/a/node_modules/b/'],
    ['/a/node_modules/@b/c/d.js', '/a/node_modules/@b/c/d.js', '/a/node_modules/@b/c/'],
    [
      '/a/node_modules/b/node_modules/c/d.js',
      '/a/node_modules/b/node_modules/c/d.js',
      '/a/node_modules/b/node_modules/c/',
    ],
    ['/a/node_modules.js', '/a/node_modules.js', null],
    ['', '', null],
  ] as const) {
    t.equal(plainPath(name), path, name)
    t.equal(packageFolderOf(path), folder, `the package of ${name}`)
  }
  t.end()
})
