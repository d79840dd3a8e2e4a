// Loaded into the host by the soak (`node --expose-gc --import collector.mjs?folder=FOLDER`): at each SIGUSR2 it collects
// garbage and writes what is left to FOLDER/PID, so that growth can be told from garbage that nobody has collected yet.
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

const folder = new URL(import.meta.url).searchParams.get('folder')

if (isMainThread && folder !== null) {
  let number = 0
  process.on('SIGUSR2', () => {
    globalThis.gc()
    const path = join(folder, String(process.pid))
    writeFileSync(`${path}.new`, JSON.stringify({ number: ++number, ...process.memoryUsage() }))
    renameSync(`${path}.new`, path)
  })
}
