/** A file layer that fails where a fault specification says so (faults.ts). No real run ever makes one. */
import type { Faults } from './faults.ts'
import { fileCalls, type FileCall, type Files } from './files.ts'

type Ask = NonNullable<Faults['file']>

/** The files themselves where no fault concerns them. */
export function faultyFiles(files: Files, { file: ask }: Faults): Files {
  if (ask === null) return files
  return Object.fromEntries(fileCalls.map((call) => [call, faultyCall(files, call, ask)])) as unknown as Files
}

function faultyCall(files: Files, call: FileCall, ask: Ask): (...args: never[]) => unknown {
  const real = files[call] as (...args: never[]) => unknown
  return (...args) => {
    try {
      ask(call)
    } catch (thrown) {
      // The system tells nobody why it could not look.
      if (call === 'existsSync' && isSystemError(thrown)) return false
      // Whatever goes wrong, the descriptor is gone.
      if (call === 'closeSync') real(...args)
      throw thrown
    }
    return real(...args)
  }
}

function isSystemError(thrown: unknown): boolean {
  return thrown instanceof Error && 'errno' in thrown
}
