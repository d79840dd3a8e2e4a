/**
 * Submits a message through Courier's `sendmail`: queued when it returns, an error when it was not.
 *
 *     await sendmail({ sender: '', recipients: ['amy@example.org'], message: notice, signal: context.signal })
 *
 * Where `local` is in Courier's `enablefiltering`, what a filter submits is filtered as well: a filter knows its own
 * messages again by a header field, or it submits for ever.
 *
 * Source: spec courier 7.1; spec pythonfilter 3.4; spec reliability R44.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { Readable } from 'node:stream'
import { sendmailArguments } from './sendmail/arguments.ts'
import { openMessageFile } from './sendmail/content.ts'
import { SendmailError, type SendmailEnd } from './sendmail/error.ts'
import { findSendmail } from './sendmail/find.ts'
import type { Submission } from './sendmail/submission.ts'
import { standIns } from './stand-ins.ts'
import { codeOf } from './text-file.ts'

export { maxSendmailRecipients } from './sendmail/arguments.ts'
export { SendmailError } from './sendmail/error.ts'
export type { DsnRequest, SubmissionEnvelope } from './sendmail/arguments.ts'
export type { MessageSource } from './sendmail/content.ts'
export type { Submission } from './sendmail/submission.ts'

const defaultTimeoutMs = 60_000

/** What is kept of each of its outputs; the rest is read and dropped, so that it never waits for us. */
const keptOctets = 8 * 1024

/** A grandchild that goes on may keep the pipes open: after the program's end they are read this long. */
const restMs = 500

/**
 * Submits the message. It is in Courier's queue when the promise resolves.
 *
 * Shape:  no shell, an argument list and a small environment; the null sender is `''`. The program gets the message as a file
 *         that is there whole, so that half a message is never sent. Local recipients are not looked up: an unknown one
 *         bounces later.
 * Errors: RangeError or TypeError for a submission that cannot be (see `sendmailArguments`); what reading the message
 *         throws; the signal's reason; else SendmailError. After any of them nothing was queued, but for a program that
 *         was ended (a time limit, an aborted signal) when it had handed over the whole message: then nobody knows, and
 *         sending again may send twice.
 */
export async function sendmail(submission: Submission): Promise<void> {
  const { message, signal = null, timeoutMs = defaultTimeoutMs } = submission
  const limit = new AbortController()
  const onAbort = (): void => limit.abort(signal?.reason)
  const timer = setTimeout(() => {
    limit.abort(new SendmailError(`sendmail was ended after ${timeoutMs} ms`, { ...neverRan, signal: 'SIGKILL' }))
  }, timeoutMs)
  signal?.addEventListener('abort', onAbort)
  try {
    const args = sendmailArguments(submission)
    if (!(timeoutMs > 0 && timeoutMs < 2 ** 31)) throw new RangeError(`timeoutMs: ${timeoutMs} is no length of time`)
    signal?.throwIfAborted()
    const { sendmail: standIn } = standIns()
    if (standIn !== undefined) {
      await standIn(submission)
      return
    }
    const program = submission.program ?? findSendmail()
    if (program === null) throw new SendmailError('there is no sendmail of Courier on this machine', neverRan)
    const file = await openMessageFile(message, limit.signal)
    try {
      await runSendmail(program, args, file.fd, limit.signal)
    } finally {
      await file.close()
    }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    if (message instanceof Readable) message.destroy()
  }
}

const neverRan: SendmailEnd = { exitCode: null, signal: null, reply: '', stderr: '' }

type Child = ChildProcessByStdio<null, Readable, Readable>

/** `message` is a descriptor. Errors: SendmailError; the signal's reason. */
async function runSendmail(program: string, args: readonly string[], message: number, signal: AbortSignal) {
  const child = await start(program, args, message)
  let isStopped = false
  const stop = (): void => {
    if (isStopped || child.exitCode !== null || child.signalCode !== null) return
    isStopped = true
    endGroup(child)
  }
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  try {
    const [reply, stderr] = [collect(child.stdout), collect(child.stderr)]
    const end = { ...(await endOf(child)), reply: reply(), stderr: stderr() }
    // Assigned in a callback, which the compiler does not follow.
    if (isStopped as boolean) throw signal.reason
    if (end.signal !== null) throw new SendmailError(`sendmail was ended by ${end.signal}`, end)
    if (end.exitCode !== 0) throw new SendmailError(`sendmail ended with status ${end.exitCode ?? '?'}`, end)
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/**
 * Ends the program together with `submit`, which it starts: were it ended alone, that would take the end of what it was
 * handed so far for the end of the message, and queue it.
 */
function endGroup(child: Child): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

/** Resolves to a running program. */
async function start(program: string, args: readonly string[], message: number): Promise<Child> {
  try {
    // A process group of its own, to be ended as one. It has the whole message: where this process ends, it goes on.
    const options = { cwd: '/', env: environment, detached: true }
    // The types know no descriptor beside pipes.
    const child = spawn(program, args, { ...options, stdio: [message, 'pipe', 'pipe'] }) as unknown as Child
    for (const stream of [child.stdout, child.stderr]) stream.on('error', () => undefined)
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.on('error', reject)
    })
    return child
  } catch (error) {
    const why = codeOf(error) ?? String(error)
    throw new SendmailError(`sendmail cannot be started as ${program}: ${why}`, neverRan, { cause: error })
  }
}

/**
 * Nothing of ours: variables like LOGNAME and MAILHOST make a sender. Nor the word by which the host knows what its runners
 * left behind, and ends it one by one: see `endGroup`.
 */
const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }

/** Keeps the beginning of what comes. */
function collect(output: Readable): () => string {
  const pieces: Buffer[] = []
  let octets = 0
  output.on('data', (piece: Buffer) => {
    if (octets < keptOctets) pieces.push(piece.subarray(0, keptOctets - octets))
    octets += piece.length
  })
  return () => Buffer.concat(pieces).toString('utf8')
}

interface Ended {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

function endOf(child: Child): Promise<Ended> {
  return new Promise((resolve) => {
    let ended: Ended = { exitCode: null, signal: null }
    let rest: NodeJS.Timeout | null = null
    child.on('exit', (exitCode, signal) => {
      ended = { exitCode, signal }
      rest = setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
      }, restMs)
    })
    child.on('close', () => {
      if (rest !== null) clearTimeout(rest)
      resolve(ended)
    })
  })
}
