/** Notices that files changed, also where an editor replaces them or a whole folder goes and comes back. */
import { existsSync, readdirSync, statSync, watch, type FSWatcher } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Clock, Timer } from './clock.ts'

/** A watch that fires once. */
export interface FolderWatch {
  /** Resolves to the first path that changed, once nothing more has changed for a moment. */
  readonly changed: Promise<string>
  /** Watches a folder for names that matter; `isDeep`: all folders in it too, but `node_modules` and hidden ones. */
  add(folder: string, matters: (name: string) => boolean, isDeep: boolean): void
  /** How many folders are watched. */
  count(): number
  close(): void
}

/** An editor's save is several events; what comes within `quietMs` belongs to it, for `maxMs` at most. */
const pause = { quietMs: 100, maxMs: 1000 } as const

/** More folders than a filter has; a folder named by mistake may have any number. */
const maxFolders = 500

/** Opens a watch of nothing. `tell` hears of folders that cannot be watched. */
export function openFolderWatch(clock: Clock, tell: (text: string) => void): FolderWatch {
  const { promise: changed, resolve } = Promise.withResolvers<string>()
  const watchers = new Map<string, { readonly watcher: FSWatcher; readonly tests: ((name: string) => boolean)[] }>()
  let first: { readonly path: string; readonly sinceMs: number } | null = null
  let timer: Timer | null = null

  const fire = (path: string): void => {
    first ??= { path, sinceMs: clock.monotonicMs() }
    const { path: told, sinceMs } = first
    timer?.cancel()
    const leftMs = Math.max(0, sinceMs + pause.maxMs - clock.monotonicMs())
    timer = clock.after(Math.min(pause.quietMs, leftMs), () => resolve(told))
  }
  const look = (folder: string, test: (name: string) => boolean): void => {
    const known = watchers.get(folder)
    if (known !== undefined) {
      known.tests.push(test)
      return
    }
    if (watchers.size >= maxFolders) return
    const tests = [test]
    try {
      const watcher = watch(folder, (_event, name) => {
        if (name === null || tests.some((each) => each(name))) fire(join(folder, name ?? ''))
      })
      watcher.on('error', () => fire(folder))
      watchers.set(folder, { watcher, tests })
    } catch (thrown) {
      tell(`${folder} cannot be watched: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    }
  }

  return {
    changed,
    add: (folder, matters, isDeep) => {
      // That the folder itself goes or comes is seen only in the one above; so is each of those above it that is missing.
      let there = folder
      do {
        const name = basename(there)
        there = dirname(there)
        if (isFolder(there)) look(there, (each) => each === name)
      } while (!existsSync(there) && there !== dirname(there))
      for (const inner of isDeep ? foldersIn(folder) : [folder]) {
        const isFolderHere = (name: string): boolean => isDeep && isWatchable(name) && isFolder(join(inner, name))
        if (isFolder(inner)) look(inner, (name) => matters(name) || isFolderHere(name))
      }
    },
    count: () => watchers.size,
    close: () => {
      timer?.cancel()
      for (const { watcher } of watchers.values()) watcher.close()
    },
  }
}

/** The folder and all those in it, without what belongs to packages and tools. */
function foldersIn(folder: string): string[] {
  const found = [folder]
  for (let at = 0; at < found.length && found.length < maxFolders; at++) {
    const here = found[at] ?? folder
    for (const name of listFolder(here))
      if (isWatchable(name) && isFolder(join(here, name))) found.push(join(here, name))
  }
  return found
}

function isWatchable(name: string): boolean {
  return name !== 'node_modules' && !name.startsWith('.')
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
