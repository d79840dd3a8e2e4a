/** Frames between a thread and the keeper: one JSON value a line. Pure. */

/** No honest frame comes near it. */
const maxFrameChars = 4 * 1024 * 1024

/** What the keeper says. */
export type KeeperFrame =
  /** The filter is loaded, in the process `pid`; again after each restart. */
  | { readonly type: 'ready'; readonly pid: number }
  | { readonly type: 'broken'; readonly text: string; readonly place: Place | null }
  | { readonly type: 'done'; readonly id: number; readonly result: Result }
  /** The message will not be answered, and no code of the filter runs for it any more. */
  | { readonly type: 'gone'; readonly id: number; readonly text: string }
  | { readonly type: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly text: string }

/** What a thread says. `drop` gives a message up, and is answered by `gone` or `done`; `bye` by the connection's end. */
export type ThreadFrame =
  | { readonly type: 'run'; readonly id: number; readonly body: string; readonly controls: readonly string[] }
  | { readonly type: 'drop'; readonly id: number }
  | { readonly type: 'bye' }

/** File and line. */
export type Place = readonly [file: string, line: number]

/** What became of one call of the filter. */
export type Result = { readonly reply: string } | { readonly malformed: string } | { readonly error: PythonError }

/** What was raised in Python. */
export interface PythonError {
  readonly name: string
  readonly text: string
  readonly place: Place | null
  /** The way there, the innermost call last. */
  readonly trace: readonly string[]
}

/** Writes one frame. */
export function encodeFrame(frame: ThreadFrame): string {
  return `${JSON.stringify(frame)}\n`
}

/** Collects text; gives the frames that are whole. Errors: Error for what is no frame, or too long for one. */
export function createFrameReader(): (text: string) => KeeperFrame[] {
  let rest = ''
  return (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > maxFrameChars) throw new Error(`a frame is longer than ${maxFrameChars} characters`)
    return lines.map((line) => JSON.parse(line) as KeeperFrame)
  }
}
