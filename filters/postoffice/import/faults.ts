/**
 * The steps of an import at which a test makes the process die.
 *
 * Inert unless `POSTOFFICE_FAULTS` is set: a step is then one call of an empty function.
 */
import { writeSync } from 'node:fs'

/** Every step, in the order in which a message meets them. */
export const importSteps = [
  'listed',
  'prepared',
  'deciding',
  'decided',
  'committed',
  'folder-made',
  'moved',
  'synced',
  'cleared',
] as const

/** The name of one. */
export type ImportStep = (typeof importSteps)[number]

/** Told of each step. */
export type ImportFaults = (step: ImportStep) => void

/** No faults: what every real import uses. */
export const noFaults: ImportFaults = () => undefined

/**
 * Reads `STEP@N`: the process is killed at the Nth visit of that step, from 1.
 * Errors: Error on an unknown step: a test that names one which is gone must not pass by doing nothing.
 */
export function parseFaults(specification: string): ImportFaults {
  if (specification === '') return noFaults
  const { step, visit } = /^(?<step>[a-z-]+)@(?<visit>[0-9]{1,6})$/.exec(specification)?.groups ?? {}
  if (!importSteps.some((known) => known === step)) {
    throw new Error(`POSTOFFICE_FAULTS "${specification}" is not STEP@N; the steps are ${importSteps.join(' ')}`)
  }
  let visits = 0
  return (met) => {
    if (met !== step || ++visits !== Number(visit)) return
    // Straight to the descriptor: nothing that waits in a buffer outlives a kill.
    writeSync(2, `fault ${met} ${visits}\n`)
    process.kill(process.pid, 'SIGKILL')
    // A signal may come through another thread: this one must not get past the step before.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  }
}
