/**
 * Named fault points: the steps of one message at which a test makes the host or a thread fail.
 *
 * Inert unless a specification is handed in (`NODEFILTER_FAULTS`, read by main.ts and passed to the runner): a point
 * then is one call of an empty function.
 */

/** Every point, in the order in which one message meets them. */
export const faultPoints = [
  'door.accepted',
  'door.request-read',
  'intake.pair-opened',
  'runner.job-sent',
  'worker.job-read',
  'chain.filter-start',
  'chain.filter-end',
  'worker.result-sent',
  'runner.result-read',
  'intake.decided',
  'door.reply-written',
] as const

/** The name of one step. */
export type FaultPoint = (typeof faultPoints)[number]

/** Asked at each step; fails there if a test has said so. */
export interface Faults {
  at(point: FaultPoint): void
}

/** No faults: what every real run uses. */
export const noFaults: Faults = { at: () => undefined }

/**
 * Reads a specification such as `intake.decided=kill@3,door.accepted=throw`.
 *
 * Shape:  POINT=ACTION[@N], separated by commas; `kill` sends SIGKILL to the own process, `throw` throws; N counts the
 *         visits from 1 (default: every visit).
 * Errors: Error on an unknown point or action: a test that names a step which is gone must not pass by doing nothing.
 */
export function parseFaults(specification: string): Faults {
  if (specification === '') return noFaults
  const plan = new Map<string, { action: 'kill' | 'throw'; visit: number | null }>()
  for (const item of specification.split(',')) {
    const match = /^([a-z.-]+)=(kill|throw)(?:@([0-9]+))?$/.exec(item)
    if (match === null || !(faultPoints as readonly string[]).includes(match[1] ?? '')) {
      throw new Error(`fault "${item}" is not POINT=kill|throw[@N] with one of the points ${faultPoints.join(' ')}`)
    }
    plan.set(match[1] ?? '', {
      action: match[2] === 'kill' ? 'kill' : 'throw',
      visit: match[3] === undefined ? null : Number(match[3]),
    })
  }
  const visits = new Map<string, number>()
  return {
    at: (point) => {
      const fault = plan.get(point)
      if (fault === undefined) return
      const visit = (visits.get(point) ?? 0) + 1
      visits.set(point, visit)
      if (fault.visit !== null && fault.visit !== visit) return
      if (fault.action === 'kill') process.kill(process.pid, 'SIGKILL')
      throw new Error(`fault injected at ${point}`)
    },
  }
}
