/** Starts the keeper (keeper.py), which keeps the Python process for all threads of this runner. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What the keeper is told. */
export interface KeeperPlan {
  readonly alias: string
  /** Below the package `pythonfilter`, as that names its filters. */
  readonly module: string
  /** Folders put before the interpreter's own. */
  readonly path: readonly string[]
  readonly interpreter: string
  /** Where it listens: `<pid of the runner>.sock`, in a folder that is only ours. */
  readonly socket: string
  readonly startSeconds: number
  /** How many messages the filter runs over at the same time. */
  readonly threads: number
}

/**
 * Starts a keeper. Resolves when it listens, or when there is one already: each thread may try, a lock lets one through.
 *
 * It is in the runner's process group, so it ends with that; and it ends by itself when its parent is another one. It does not
 * end with this thread: nothing but the start depends on the pipes.
 * Errors: rejects if the interpreter cannot be started, or says no word before it ends or within `startSeconds`.
 */
export function startKeeper(plan: KeeperPlan): Promise<'serving' | 'taken'> {
  const keeper = fileURLToPath(new URL('./keeper.py', import.meta.url))
  return new Promise((resolve, reject) => {
    const child = spawn(plan.interpreter, [keeper, plan.alias], { stdio: 'pipe' })
    let said = ''
    let complaint = ''
    const late = setTimeout(() => {
      reject(new Error(`${plan.interpreter} said no word within ${plan.startSeconds} s, and was ended`))
      child.kill('SIGKILL')
      // What it has started may hold them open.
      child.stdout.destroy()
      child.stderr.destroy()
    }, plan.startSeconds * 1000)
    child.stdin.on('error', () => undefined)
    child.stdin.end(JSON.stringify({ ...plan, runner: process.pid }))
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (text: string) => (complaint = (complaint + text).slice(-4000)))
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (text: string) => {
      said += text
      if (said !== 'serving\n' && said !== 'taken\n') return
      clearTimeout(late)
      resolve(said === 'taken\n' ? 'taken' : 'serving')
      child.stdout.destroy()
      child.stderr.destroy()
      child.unref()
    })
    child.on('error', (error) => {
      clearTimeout(late)
      reject(new Error(`${plan.interpreter} cannot be started (name another interpreter): ${error.message}`))
    })
    child.on('close', (code, signal) => {
      clearTimeout(late)
      const last = complaint.trimEnd().split('\n').at(-1) ?? ''
      const end = signal === null ? `status ${code ?? 0}` : signal
      reject(new Error(`${plan.interpreter} ended with ${end} before it served${last === '' ? '' : `: ${last}`}`))
    })
  })
}
