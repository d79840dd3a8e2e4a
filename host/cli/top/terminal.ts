/** The terminal of `nodefilter top`: a screen of its own, keys as they are pressed, and everything as it was at the end. */
import type { ReadStream, WriteStream } from 'node:tty'
import type { ScreenLine, Tone, WindowSize } from './screen.ts'

/** A screen to draw on. */
export interface Screen {
  size(): WindowSize
  draw(lines: readonly ScreenLine[]): void
  /** Told of every change of the window's size. */
  onResize(act: () => void): void
  /** Resolves when somebody wants to leave, or the terminal is gone. */
  readonly left: Promise<null>
  /** Gives the terminal back. Called twice, it does nothing more. */
  close(): void
}

/** Input that may be no terminal: then only signals end it. */
export type Keys = Pick<ReadStream, 'on' | 'off' | 'pause' | 'resume'> & Partial<Pick<ReadStream, 'setRawMode'>>

const escape = '\u001b['
/** The other screen of the terminal, so that what was there comes back; and no cursor. */
const [enter, leave] = [`${escape}?1049h${escape}?25l`, `${escape}?25h${escape}?1049l`]
const home = `${escape}H`
const [clearLine, clearBelow] = [`${escape}K`, `${escape}J`]
const looks: Readonly<Record<Tone, string>> = { title: '1', heading: '7', plain: '', bad: '1;31' }

/** q, Q, Ctrl-C and Ctrl-D. */
const leaveKeys = /[qQ\u0003\u0004]/

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Takes the terminal. `isColoured`: with bold and colours. */
export function openScreen(keys: Keys, output: WriteStream, isColoured: boolean): Screen {
  const { promise: left, resolve } = Promise.withResolvers<null>()
  const end = (): void => resolve(null)
  const pressed = (text: Buffer | string): void => {
    if (leaveKeys.test(text.toString('latin1'))) end()
  }
  let isOpen = true
  const close = (): void => {
    if (!isOpen) return
    isOpen = false
    for (const signal of signals) process.off(signal, end)
    process.off('exit', close)
    keys.off('data', pressed)
    keys.setRawMode?.(false)
    keys.pause()
    output.write(leave)
  }
  for (const signal of signals) process.on(signal, end)
  // Also where a bug ends the process.
  process.on('exit', close)
  output.on('error', end)
  keys.on('error', end)
  if (keys.setRawMode !== undefined) {
    keys.setRawMode(true)
    keys.on('data', pressed)
    keys.on('end', end)
    keys.resume()
  }
  output.write(enter)
  return {
    size: () => ({ columns: output.columns || 80, rows: output.rows || 24 }),
    draw: (lines) => {
      if (isOpen) output.write(screenText(lines, isColoured))
    },
    onResize: (act) => void output.on('resize', act),
    left,
    close,
  }
}

/** What draws the lines over those that are there, without a moment of emptiness. */
export function screenText(lines: readonly ScreenLine[], isColoured: boolean): string {
  const painted = lines.map(({ text, tone }) => {
    const look = isColoured ? looks[tone] : ''
    return `${look === '' ? text : `${escape}${look}m${text}${escape}0m`}${clearLine}`
  })
  return `${home}${painted.join('\r\n')}${clearBelow}`
}
