/** The commands' side of the control socket: one question, one answer. */
import { connect } from 'node:net'
import { createFrameReader, encodeFrames } from '../runner/frames.ts'
import { maxAnswerChars, readAnswer, type ControlAnswer, type ControlAsk, type ControlRequest } from './protocol.ts'

/** What came of a question. */
export type Asked =
  | { readonly kind: 'answer'; readonly answer: Exclude<ControlAnswer, { readonly type: 'working' }> }
  /** No host listens there. */
  | { readonly kind: 'nobody' }
  /** A host may listen there, but this user may not ask it. */
  | { readonly kind: 'denied' }
  /** One listens, and gave no answer. */
  | { readonly kind: 'silent'; readonly text: string }

/** A host that says nothing for so long, not even that it works, stands still. */
export const silenceLimitMs = 15_000

/** Asks the host that listens on `path`. Never rejects. */
export function askHost(
  path: string,
  asked: ControlAsk | ControlRequest,
  limitMs: number = silenceLimitMs,
): Promise<Asked> {
  const request: ControlRequest = typeof asked === 'string' ? { ask: asked } : asked
  return new Promise((resolve) => {
    const reader = createFrameReader(maxAnswerChars)
    const socket = connect({ path })
    // Only a reload is work: a host that says so of anything else, again and again, would keep whoever asks for ever.
    const whole = request.ask === 'reload' ? undefined : setTimeout(() => endSilent(), limitMs)
    const endSilent = (): void => end({ kind: 'silent', text: `it gave no answer for ${limitMs / 1000} s` })
    const end = (asked: Asked): void => {
      clearTimeout(whole)
      socket.destroy()
      resolve(asked)
    }
    socket.setTimeout(limitMs, endSilent)
    socket.setEncoding('utf8')
    socket.on('connect', () => socket.write(encodeFrames([request])))
    socket.on('error', (error: NodeJS.ErrnoException) => end(afterError(error)))
    socket.on('close', () => end({ kind: 'silent', text: 'it closed the connection without an answer' }))
    socket.on('data', (text: string) => {
      try {
        for (const frame of reader.push(text)) {
          const answer = readAnswer(frame)
          if (answer === null) return end({ kind: 'silent', text: 'its answer is not understood by this release' })
          if (answer.type !== 'working') return end({ kind: 'answer', answer })
        }
      } catch (thrown) {
        end({ kind: 'silent', text: thrown instanceof Error ? thrown.message : String(thrown) })
      }
    })
  })
}

function afterError(error: NodeJS.ErrnoException): Asked {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return { kind: 'nobody' }
    case 'EACCES':
    case 'EPERM':
      return { kind: 'denied' }
    case undefined:
    default:
      return { kind: 'silent', text: error.message }
  }
}
