/**
 * Where messages go that were processed: a Maildir++ folder for each day, with the file as it was, its flags and its place.
 *
 * Source: spec postoffice 12: a rename, nothing is written again; Maildir++: a folder has `maildirfolder`.
 */
import { chmodSync, closeSync, fsyncSync, lstatSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { ImportFaults } from './faults.ts'
import { pathOf, type MaildirFile } from './maildir.ts'

/** The folder for messages that could not be processed. */
export const failedFolder = '.failed'

/** The folder of the day on which `atMs` is, by the machine's time zone. */
export function dayFolder(atMs: number): string {
  const day = new Date(atMs)
  const digits = (number: number, length: number): string => String(number).padStart(length, '0')
  return `.${digits(day.getFullYear(), 4)}.${digits(day.getMonth() + 1, 2)}.${digits(day.getDate(), 2)}`
}

/** The folders of a Maildir that are moved to. */
export interface Archive {
  /**
   * Moves a message; `false` where it was no longer in its place. It is on disk after `sync`.
   * Errors: the system's; Error where something else stands in the folder's place.
   */
  move(file: MaildirFile, folder: string): boolean
  /** Syncs what was moved since the last time. Errors: the system's. */
  sync(): void
}

/** Opens it. */
export function openArchive(maildir: string, faults: ImportFaults): Archive {
  const made = new Set<string>()
  const changed = new Set<string>()
  const make = (folder: string): void => {
    if (made.has(folder)) return
    makeFolder(maildir, folder)
    made.add(folder)
    faults('folder-made')
  }
  return {
    move: (file, folder) => {
      make(folder)
      const from = pathOf(maildir, file)
      const to = freePath(join(maildir, folder, file.place), file)
      try {
        renameSync(from, to)
      } catch (error) {
        if (!isMissing(error)) throw error
        if (lstatSync(from, { throwIfNoEntry: false }) === undefined) return false
        // Not the message is missing but its new folder: somebody removed it meanwhile.
        made.delete(folder)
        make(folder)
        renameSync(from, to)
      }
      changed.add(join(maildir, file.place)).add(join(maildir, folder, file.place))
      faults('moved')
      return true
    },
    sync: () => {
      // The new names first: a power cut may leave a message in both folders, but never in none.
      for (const path of [...changed].reverse()) syncFolder(path)
      changed.clear()
    },
  }
}

/** A path where nothing is: what was archived is never written over. */
function freePath(folder: string, { unique, name }: MaildirFile): string {
  const info = name.slice(unique.length)
  for (let copy = 0; ; copy++) {
    const path = join(folder, copy === 0 ? name : `${unique}~${copy}${info}`)
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return path
  }
}

/** With the modes of the Maildir's own folders. */
function makeFolder(maildir: string, folder: string): void {
  const { mode } = lstatSync(join(maildir, 'cur'))
  const top = join(maildir, folder)
  let isNew = false
  for (const path of [top, ...['new', 'cur', 'tmp'].map((name) => join(top, name))]) {
    const there = lstatSync(path, { throwIfNoEntry: false })
    if (there !== undefined) {
      if (!there.isDirectory()) throw new Error(`${path} is in the way: it is no folder`)
      continue
    }
    mkdirSync(path, { mode: 0o700 })
    chmodSync(path, mode & 0o777)
    isNew = true
  }
  const mark = join(top, 'maildirfolder')
  if (lstatSync(mark, { throwIfNoEntry: false }) === undefined) {
    closeSync(openSync(mark, 'wx', 0o600))
    chmodSync(mark, mode & 0o666)
    isNew = true
  }
  if (!isNew) return
  syncFolder(top)
  syncFolder(maildir)
}

function syncFolder(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
