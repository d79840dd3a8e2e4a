#!/usr/bin/env node
/** The program `postoffice`: its process -> what a command runs in -> an exit code. */

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const isTooOld = major < 22 || (major === 22 && minor < 22) || (major === 24 && minor < 15)
if (isTooOld) {
  process.stderr.write(`postoffice: Node ${process.version} is too old; it needs 22.22.2, 24.15 or 26, or later\n`)
  process.exitCode = 69
} else {
  // Only now: an older Node could not even read the rest.
  const { runProgram } = await import('./program.ts')
  const ending = new AbortController()
  const end = (): void => ending.abort(new Error('asked to end'))
  // The first one ends what is in hand in order; a second one meets Node's own way.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end)
  // Whoever reads our output may stop reading: nothing is left to do then.
  process.stdout.on('error', end)
  process.stderr.on('error', () => undefined)
  process.exitCode = await runProgram(process.argv.slice(2), {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    output: process.stdout,
    input: process.stdin,
    env: process.env,
    currentDirectory: process.cwd(),
    program: process.argv[1] ?? '',
    isErrTty: process.stderr.isTTY,
    signal: ending.signal,
    now: () => Date.now(),
  })
}
