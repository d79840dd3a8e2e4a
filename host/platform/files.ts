/**
 * The file layer: the few calls by which the host touches the disk, handed in so that tests can make any of them fail.
 *
 * They are synchronous on purpose. Spool files are small, local and just written: a call costs microseconds where the
 * asynchronous one costs a trip through the thread pool (docs/adr/0005). What could block, a FIFO or a device, is
 * opened with O_NONBLOCK and refused by its type.
 */
import fs from 'node:fs'

/** The calls in use; each behaves as its namesake in `node:fs`. */
export const fileCalls = [
  'chmodSync',
  'closeSync',
  'existsSync',
  'fstatSync',
  'ftruncateSync',
  'fsyncSync',
  'linkSync',
  'lstatSync',
  'mkdirSync',
  'openSync',
  'readdirSync',
  'readFileSync',
  'readSync',
  'realpathSync',
  'renameSync',
  'rmSync',
  'statfsSync',
  'statSync',
  'unlinkSync',
  'writeFileSync',
] as const

/** The name of one of them. */
export type FileCall = (typeof fileCalls)[number]

/** The calls. */
export type Files = Pick<typeof fs, FileCall>

/** The machine's files. */
export const systemFiles: Files = fs
