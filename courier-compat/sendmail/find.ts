/** Where Courier's `sendmail` is. */
import { accessSync, constants } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { parseCourierConfig, runProgram, searchPath, type ProgramRunner } from '../config/layout.ts'

/**
 * The places of Courier's `sendmail`, the likeliest first: its own folders as `courier-config` tells them, then where
 * packages put it.
 * Source: spec courier 5.1 (Debian's `bindir` has no `sendmail`).
 */
export function sendmailPlaces(env: NodeJS.ProcessEnv, run: ProgramRunner = runProgram): string[] {
  const told = parseCourierConfig(run('courier-config', [], searchPath(env)) ?? '')
  const prefix = env['prefix'] === undefined ? [] : [join(env['prefix'], 'sbin'), join(env['prefix'], 'bin')]
  const folders = [told.get('sbindir'), told.get('bindir'), ...prefix, '/usr/sbin', '/usr/lib/courier/bin', '/usr/lib']
  const absolute = folders.filter((folder) => folder !== undefined && isAbsolute(folder))
  return [...new Set(absolute.map((folder) => join(folder ?? '', 'sendmail')))]
}

/** What was found last, and in which environment. */
let found: { readonly of: string; readonly path: string } | null = null

/**
 * The first of the places that has a program which we may run; `null` where none has.
 *
 * Shape: asked for again in the same environment it is the same, as long as it is there: `courier-config` holds the thread up.
 */
export function findSendmail(env: NodeJS.ProcessEnv = process.env, run: ProgramRunner = runProgram): string | null {
  const of = `${env['prefix'] ?? ''}\0${searchPath(env)}`
  if (found?.of === of && isProgram(found.path)) return found.path
  const path = sendmailPlaces(env, run).find(isProgram) ?? null
  found = path === null ? null : { of, path }
  return path
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
