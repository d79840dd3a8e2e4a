/** `nodefilter test`: Node's own test runner, for filters that import nodefilter without having it installed. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { exitCodes, type Command } from './command.ts'

const help = `usage: nodefilter test [OPTION OF NODE]... [FILE]...

Runs the tests of filters with Node's test runner, as "node --test" does, but so that filters and tests find
nodefilter/courier-compat, nodefilter/filter and nodefilter/testing wherever they lie. Without FILE it looks for files
such as NAME.test.ts in this folder and those below. Options are Node's own, for instance --watch,
--test-name-pattern=TEXT, --test-reporter=spec.

Exit status: 0 all tests passed; else that of Node.
`

/** The command. */
export const testCommand: Command = {
  name: 'test',
  summary: 'run the tests of filters',
  help,
  run: (args, io) =>
    new Promise((resolve) => {
      const register = new URL(`../runner/register.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)
      const child = spawn(process.execPath, ['--import', register.href, '--test', ...args], {
        stdio: 'inherit',
        // Inside a test of ours Node would take it for a test file of that run, and report to nobody.
        env: { ...io.env, NODE_TEST_CONTEXT: undefined },
      })
      // Ctrl-C reaches the child as well, which then ends in its own way.
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
      child.once('error', (error) => {
        io.err(`nodefilter test: Node cannot be started: ${error.message}\n`)
        resolve(exitCodes.software)
      })
      child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 0) : 128 + constants.signals[signal]))
    }),
}
