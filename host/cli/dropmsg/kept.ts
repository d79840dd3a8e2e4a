/**
 * Copies of dropped messages: a folder each, named by Courier's id, in it `message` and `envelope`, the control file as it
 * was. The folder is its owner's alone.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../../../courier-compat/text-file.ts'
import { makeFolder } from '../make-folder.ts'

/** The two files of a copy. */
export interface KeptMessage {
  readonly folder: string
  readonly messagePath: string
  readonly envelopePath: string
}

/** True for a queue id as Courier makes it, and so for nothing that leads out of a folder. */
export function isQueueId(text: string): boolean {
  return /^[0-9A-Fa-f]{1,16}(?:\.[0-9A-Fa-f]{1,16}){2}$/.test(text)
}

/** Where the copy of a message is, or would be. */
export function keptMessage(keep: string, id: string): KeptMessage {
  const folder = join(keep, id)
  return { folder, messagePath: join(folder, 'message'), envelopePath: join(folder, 'envelope') }
}

/**
 * Makes the folder of copies where it is missing.
 * Errors: the system's; Error where it is a link, or another user's, or everybody may write into it: mail is put there, and
 *         sent again from there.
 */
export function openKeep(keep: string): void {
  makeFolder(join(keep, '..'))
  try {
    mkdirSync(keep, { mode: 0o700 })
  } catch (thrown) {
    if (codeOf(thrown) !== 'EEXIST') throw thrown
    const { uid, mode } = lstatSync(keep)
    const isOurs = lstatSync(keep).isDirectory() && uid === process.geteuid?.() && (mode & 0o002) === 0
    if (!isOurs) throw new Error(`${keep} is no folder of ours alone`, { cause: thrown })
  }
}

/**
 * Keeps a copy, on disk when it returns: a second name of the data file, or a true copy where that is on another disk. What
 * an earlier run that was ended in the middle has left is replaced.
 * Errors: the system's; RangeError for an id that is none; Error for a data file that is no regular file.
 */
export function keepMessage(keep: string, id: string, control: Buffer, dataPath: string): void {
  if (!isQueueId(id)) throw new RangeError('the control file has no id of Courier')
  const { folder, messagePath, envelopePath } = keptMessage(keep, id)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { mode: 0o700 })
  if (!lstatSync(dataPath).isFile()) throw new Error(`${dataPath} is no regular file`)
  try {
    linkSync(dataPath, messagePath)
  } catch (thrown) {
    if (!['EXDEV', 'EPERM', 'EMLINK'].includes(codeOf(thrown) ?? '')) throw thrown
    copyFileSync(dataPath, messagePath, constants.COPYFILE_EXCL)
    sync(messagePath)
  }
  writeFileSync(envelopePath, control, { mode: 0o600, flag: 'wx', flush: true })
  for (const path of [folder, keep]) sync(path)
}

function sync(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY)
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
