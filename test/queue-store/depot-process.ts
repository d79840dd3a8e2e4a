/** Processes that work on a depot, for tests that kill, stop and hinder them: depot-child.ts, started in many ways. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A started child. */
export interface DepotProcess {
  readonly process: ChildProcess
  /** What it has said so far. */
  readonly lines: string[]
  /** Resolves, when it has ended and all that it said is in `lines`, with its exit code; `null` where a signal ended it. */
  readonly ended: Promise<number | null>
  /** SIGKILL, and its end. */
  readonly kill: () => Promise<void>
}

/** How a child is started. */
export interface DepotProcessOptions {
  /** Names of protections-store.ts. */
  readonly without?: readonly string[]
  /** A command and its words, below which it runs. */
  readonly under?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number
  readonly gid?: number
}

const here = (name: string): string => new URL(name, import.meta.url).pathname

/** Starts depot-child.ts with these words. */
export function startDepotProcess(
  t: Test,
  words: readonly string[],
  { without = [], under = [], env = {}, ...ids }: DepotProcessOptions = {},
): DepotProcess {
  const hook = `file://${here('without-store.mjs')}?without=${encodeURIComponent(without.join(','))}`
  const command = [...under, process.execPath, '--import', hook, here('depot-child.ts'), ...words]
  const child = spawn(command[0] ?? '', command.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...ids,
  })
  t.teardown(() => child.kill('SIGKILL'))
  const lines: string[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const all = (rest + text).split('\n')
    rest = all.pop() ?? ''
    lines.push(...all)
  })
  let told = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (told += text))
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      if (code !== 0 && code !== null) t.comment(told)
      resolve(code)
    })
  })
  return {
    process: child,
    lines,
    ended,
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** A folder for a depot, removed at the end of the test. */
export function depotFolder(t: Test, inside = tmpdir()): string {
  const made = mkdtempSync(join(inside, 'nodefilter-depot-'))
  t.teardown(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** The second words of the lines that begin with this word. */
export function wordsAfter(lines: readonly string[], word: string): string[] {
  return lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.split(' ')[1] ?? '')
}
