// Does to its thread, its process and the message what the field X-Soak-Hostile says: `WORD ARGUMENT`.
import { execSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import { addRecipient, XFilter } from '../../../courier-compat/index.ts'

const kept = []
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const spin = (ms) => {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}
const garbage = {
  number: 42,
  object: { code: 250 },
  text: 'all is well',
  code: '999 no such thing',
  lines: '250 Ok\r\n250 Ok',
  mixed: '250-Ok\n550 not at all',
  null: null,
  true: true,
  symbol: Symbol('250'),
  function: () => '250 Ok',
  long: `550 ${'x'.repeat(10_000_000)}`,
  trap: new Proxy(
    {},
    {
      get: () => {
        throw new Error('a trap')
      },
    },
  ),
}
const thrown = { error: new Error('told to'), undefined, null: null, zero: 0, text: '250 Ok', trap: garbage.trap }

async function edit({ bodyPath, controlPaths }) {
  addRecipient(controlPaths, 'hostile@example.org')
  const xfilter = new XFilter('hostile', bodyPath, controlPaths)
  xfilter.getMessage().header.add('X-Hostile', 'was here')
  await xfilter.submit()
}

const acts = {
  throw: (what) => {
    throw thrown[what]
  },
  reject: (what) => Promise.reject(thrown[what]),
  garbage: (what) => garbage[what],
  never: () => new Promise(() => undefined),
  late: (ms) => sleep(Number(ms)).then(() => '250 Ok'),
  spin: (ms) => void spin(Number(ms)),
  loop: () => spin(Infinity),
  redos: () => void /^(a+)+$/.test(`${'a'.repeat(40)}!`),
  exit: (code) => process.exit(Number(code)),
  abort: () => process.abort(),
  kill: () => {
    process.kill(process.pid, 'SIGKILL')
    return sleep(60_000)
  },
  heap: () => {
    for (;;) kept.push(new Array(10_000).fill(kept.length))
  },
  leak: (kilo) => void kept.push(Array.from({ length: Number(kilo) * 16 }, () => ({ a: {} }))),
  buffers: (mega) => void kept.push(Buffer.alloc(Number(mega) * 1_000_000, 1)),
  pollute: (what) => {
    if (what === 'prototype') Object.prototype.soaked = 'yes'
    if (what === 'global') globalThis.soaked = 'yes'
    if (what === 'environment') process.env.SOAKED = 'yes'
    if (what === 'files') fs.readFileSync = () => 'patched'
  },
  timers: () => void setInterval(() => spin(5), 20),
  thrower: () =>
    void setTimeout(() => {
      throw new Error('long after the answer')
    }, 300),
  stray: () => void Promise.reject(new Error('nobody waits for it')),
  print: (mega) => {
    const line = `${'flood '.repeat(30)}\n`
    for (let octets = 0; octets < Number(mega) * 1_000_000; octets += line.length) process.stdout.write(line)
  },
  log: (lines, { context }) => {
    for (let line = 0; line < Number(lines); line++) context.log.info(`line ${line}`)
  },
  child: (seconds) => void spawn('sleep', [seconds], { stdio: 'inherit' }).unref(),
  detached: (seconds) => void spawn('sleep', [seconds], { stdio: 'ignore', detached: true }).unref(),
  shell: (seconds) => void execSync(`sleep ${seconds}`),
  fifo: (path) => void fs.readFileSync(path),
  close: () => {
    for (let descriptor = 3; descriptor < 40; descriptor++) {
      try {
        fs.closeSync(descriptor)
      } catch {
        // It was not open.
      }
    }
  },
  'edit-throw': async (_, message) => {
    await edit(message)
    throw thrown.error
  },
  'edit-kill': async (_, message) => {
    await edit(message)
    return acts.kill()
  },
  'edit-loop': async (_, message) => {
    await edit(message)
    acts.loop()
  },
}

export function doFilter(bodyPath, controlPaths, context) {
  const head = fs.readFileSync(bodyPath, 'latin1').split('\n\n', 1)[0]
  const [, word, argument] = /^X-Soak-Hostile: ([a-z-]+) ?(.*)$/m.exec(head) ?? []
  return word === undefined ? '' : acts[word](argument, { bodyPath, controlPaths, context })
}
