/** What was thrown, as an exit code and in words. Pure. */
import { isDepotError } from '../../../queue-store/index.ts'
import { exitCodes } from './command.ts'

/** The exit code for what was thrown. */
export function exitCodeOf(error: unknown): number {
  if (isDepotError(error)) {
    if (error.isTemporary) return exitCodes.tempFail
    if (error.code === 'DEPOT_UNSAFE' || error.code === 'DEPOT_OPTION') return exitCodes.config
    if (error.code === 'DEPOT_DAMAGED' || error.code === 'DEPOT_FORMAT') return exitCodes.dataErr
    if (['QUEUE_UNKNOWN', 'ENTRY_UNKNOWN', 'ENTRY_ID', 'QUEUE_NAME'].includes(error.code)) return exitCodes.noInput
    return exitCodes.unavailable
  }
  const code = error instanceof Error && 'code' in error ? error.code : null
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return exitCodes.noPerm
  if (code === 'ENOENT' || code === 'ENOTDIR') return exitCodes.noInput
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EMFILE' || code === 'ENFILE') return exitCodes.tempFail
  return code === 'EIO' ? exitCodes.ioErr : exitCodes.software
}

/** What was thrown, in one line. */
export function told(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '?')
}
