#!/usr/bin/env node
/** Arguments -> a command -> an exit code. The only file that ends the process. */

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 22) || (major === 24 && minor < 15)) {
  process.stderr.write(
    `nodefilter: Node ${process.version} is too old; it needs 22.22.2, 24.15 or 26, or a later one of these lines\n`,
  )
  process.exit(69)
}

// Only now: an older Node could not even read the rest.
const { runCommandLine } = await import('./cli/index.ts')
const code = await runCommandLine(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  env: process.env,
})
// Not left to an empty event loop: a client that keeps its connection open must not keep a stopped host alive.
process.exit(code)
