/** Carries out the steps of a plan. */
import {
  chmodSync,
  chownSync,
  closeSync,
  fchmodSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { makeFolder } from '../make-folder.ts'
import { exists } from './facts.ts'
import type { Step } from './plan.ts'
import type { CommandRunner } from './run-command.ts'

/** Why a step was not done; `temporary` where the same command may succeed later. */
export interface StepFailure {
  readonly problem: string
  readonly temporary: boolean
}

const commandLimitMs = 30_000
const lookAgainMs = 50

/**
 * Does one step.
 * Errors: those of `node:fs` as they come, with the path in their text; the rest as a `StepFailure`.
 */
export async function applyStep(step: Step, run: CommandRunner, env: NodeJS.ProcessEnv): Promise<StepFailure | null> {
  switch (step.do) {
    case 'folder':
      makeFolder(step.path)
      // Not by mkdir's mode, which the umask cuts.
      chmodSync(step.path, step.mode)
      if (step.owner !== null) chownSync(step.path, step.owner.uid, step.owner.gid)
      return null
    case 'first-file':
      if (!exists(step.path)) writeFile(step.path, step.mode, step.text)
      return null
    case 'program': {
      const fresh = join(dirname(step.path), `.${basename(step.path)}.${process.pid}`)
      rmSync(fresh, { force: true })
      writeFile(fresh, 0o755, step.text)
      renameSync(fresh, step.path)
      return null
    }
    case 'command': {
      const { status, stderr } = await run(step.file, step.args, { env, limitMs: commandLimitMs })
      if (status === 0) return null
      const how = status === null ? 'did not end well' : `ended with status ${status}`
      return { problem: `${[step.file, ...step.args].join(' ')} ${how}: ${stderr.trim()}`, temporary: false }
    }
    case 'await': {
      const deadlineMs = performance.now() + step.limitMs
      while (exists(step.path) !== (step.state === 'there')) {
        if (performance.now() >= deadlineMs) return { problem: step.late, temporary: true }
        await new Promise((resolve) => setTimeout(resolve, lookAgainMs))
      }
      return null
    }
    case 'remove':
      rmSync(step.path, { force: true })
      return null
  }
}

function writeFile(path: string, mode: number, text: string): void {
  const descriptor = openSync(path, 'wx', mode)
  try {
    fchmodSync(descriptor, mode)
    writeSync(descriptor, text)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
