#!/usr/bin/env node
/** Arguments -> a command -> an exit code. The only file that ends the process. */
import { runCommandLine } from './cli/index.ts'

const code = await runCommandLine(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  env: process.env,
})
// Not left to an empty event loop: a client that keeps its connection open must not keep a stopped host alive.
process.exit(code)
