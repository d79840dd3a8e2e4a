/**
 * What takes the place of this machine's programs and daemons while a test runs a filter: bound to the calls of that test
 * and whatever they wait for, so that tests at the same time do not meet, and nothing has to be put back afterwards.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Submission } from './sendmail/submission.ts'

/** What may be replaced; what is not given is the machine's own. */
export interface StandIns {
  /** Called in place of Courier's `sendmail`, with a submission that was checked. */
  readonly sendmail?: (submission: Submission) => Promise<void>
  /** The socket that is asked in place of the authentication daemon's. */
  readonly authdaemonSocket?: string
}

const inForce = new AsyncLocalStorage<StandIns>()

/** Runs `action` with these in the place of the machine's own. */
export function withStandIns<Result>(standIns: StandIns, action: () => Result): Result {
  return inForce.run(standIns, action)
}

/** What is replaced for the caller. */
export function standIns(): StandIns {
  return inForce.getStore() ?? none
}

const none: StandIns = {}
