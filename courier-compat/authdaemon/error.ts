/** What is wrong where the authentication daemon gives no answer. */

/** Where it went wrong; `answer`: it answered, but not to the question. */
export type AuthdaemonPhase = 'connect' | 'write' | 'read' | 'answer'

/** No answer, which is not the answer that there is no such account. */
export class AuthdaemonError extends Error {
  override readonly name = 'AuthdaemonError'
  readonly phase: AuthdaemonPhase
  /** The system's word, `ENOENT` for instance; `ETIMEDOUT` at a time limit; else `null`. */
  readonly code: string | null
  /** True: it may answer later. False: until somebody mends something it will not. */
  readonly isTemporary: boolean

  constructor(phase: AuthdaemonPhase, code: string | null, text: string, options: ErrorOptions = {}) {
    super(`authdaemon: ${text}`, options)
    this.phase = phase
    this.code = code
    this.isTemporary = phase !== 'answer' && !lasting.has(code ?? '')
  }
}

/** The way to it is closed, or there is something else. An absent socket may be of a daemon that is being started. */
const lasting: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'ENOTSOCK', 'EPROTOTYPE', 'ENAMETOOLONG', 'EINVAL'])
