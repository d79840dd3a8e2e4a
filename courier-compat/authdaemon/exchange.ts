/** One question on one connection, as the daemon wants it. */
import { createConnection } from 'node:net'
import { codeOf } from '../text-file.ts'
import { openAnswer, type Account, type AnswerState } from './account.ts'
import { AuthdaemonError, type AuthdaemonPhase } from './error.ts'

/** How long each step may take. */
export interface AuthdaemonTimeouts {
  readonly connectMs: number
  /** Sending the question. */
  readonly writeMs: number
  /** The whole answer. */
  readonly readMs: number
}

/**
 * Asks, and gives the account, or `null` for none.
 * Errors: AuthdaemonError; the signal's reason. The connection is closed in any case.
 */
export function exchange(
  path: string,
  question: Buffer,
  timeouts: AuthdaemonTimeouts,
  signal: AbortSignal | null,
): Promise<Account | null> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    let phase: AuthdaemonPhase = 'connect'
    const answer = openAnswer()
    const socket = createConnection({ path })
    let isOver = false
    const end = (settle: () => void): void => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      socket.destroy()
      settle()
    }
    const fail = (code: string | null, text: string, cause?: unknown): void => {
      end(() => reject(new AuthdaemonError(phase, code, `${path}: ${text}`, { cause })))
    }
    const onAbort = (): void => {
      end(() => reject(signal?.reason as Error))
    }
    const limit = (next: AuthdaemonPhase, ms: number): NodeJS.Timeout => {
      phase = next
      return setTimeout(() => fail('ETIMEDOUT', `${words[next]} took longer than ${ms} ms`), ms)
    }
    let timer = limit('connect', timeouts.connectMs)
    const enter = (next: AuthdaemonPhase, ms: number): void => {
      clearTimeout(timer)
      timer = limit(next, ms)
    }
    signal?.addEventListener('abort', onAbort)
    socket.on('connect', () => {
      enter('write', timeouts.writeMs)
      socket.write(question, (error) => {
        // The answer may have come before this.
        const isSent = error === undefined || error === null
        if (isSent && !isOver) enter('read', timeouts.readMs)
      })
    })
    socket.on('data', (piece) => {
      const state: AnswerState = answer.add(piece)
      if (state.kind === 'more') return
      phase = 'answer'
      if (state.kind === 'garbage') fail(null, state.text)
      else end(() => resolve(state.kind === 'found' ? state.account : null))
    })
    socket.on('error', (error) =>
      fail(codeOf(error), `${words[phase]} failed: ${codeOf(error) ?? error.message}`, error),
    )
    socket.on('close', () => {
      fail(null, answer.isEmpty() ? 'no answer: it cannot tell at the moment' : 'the answer ended in the middle')
    })
  })
}

const words: Readonly<Record<AuthdaemonPhase, string>> = {
  connect: 'connecting',
  write: 'sending the question',
  read: 'reading the answer',
  answer: 'the answer',
}
