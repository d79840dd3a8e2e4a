/**
 * What the filters of one message share: its control files, its header section and its parts are read once, however many
 * filters look at them, and again after they have changed.
 *
 * Whoever runs several filters over a message says so with `shareReading`; everybody else reads the files each time. What
 * is shared is found by path, since a path is all that a filter hands to this library. As soon as a filter may have
 * written to the files without this library, each use asks the file system whether they are still what was read.
 */
import { lstatSync } from 'node:fs'
import { appendToControlFile, readControlFile } from './control/file.ts'
import { parseControl, type ControlRecords } from './control/records.ts'
import { readHeaderAndIdentity, readHeaderFile } from './header/file.ts'
import { headerLimits, type HeaderLimits, type HeaderSection } from './header/section.ts'
import { identityOf, isSameFile, type FileIdentity } from './kept-original.ts'
import { readingLimits } from './message/limits.ts'
import type { ReadOptions } from './message/reader.ts'
import type { MessageReading, ReadingLimits } from './message/reading.ts'

/** One message's shared reading. */
export interface SharedReading {
  /** How many changes were made through this library so far. */
  edits(): number
  /** From now on the files may be changed by others than this library: each use looks whether they were. */
  distrust(): void
  /** The files were set back: what was read of them is forgotten, although they may come to the same size again. */
  forget(): void
  end(): void
}

interface Reading {
  readonly control: Map<string, ControlReading>
  /** Grows whenever a control file is read anew: what was made of the earlier content is worth nothing. */
  version: number
  readonly made: Map<string, { readonly version: number; readonly value: unknown }>
  header: { readonly identity: FileIdentity; readonly section: HeaderSection } | null
  message: { readonly identity: FileIdentity; readonly read: Promise<MessageReading> } | null
  readonly limits: ReadingLimits
  edits: number
  trusted: boolean
}

/** Control files only grow (spec courier 4.9), so one of the same size is the same. */
interface ControlReading {
  readonly size: number
  /** One character an octet; parsed when first asked for. */
  content: string | null
  records: ControlRecords | null
}

const readings = new Map<string, Reading>()

/**
 * Begins to share what is read of these files, until `end`; several messages may be shared at the same time.
 * `contents` are the control files' octets, one character each (latin1), where somebody has read them already; `limits`
 * are those of reading the message, where they are not the usual ones.
 */
export function shareReading(
  bodyPath: string,
  controlPaths: readonly string[],
  contents: readonly string[] | null,
  limits: ReadingLimits = readingLimits,
): SharedReading {
  const reading: Reading = {
    ...{
      control: new Map(),
      version: 0,
      made: new Map(),
      header: null,
      message: null,
      edits: 0,
      trusted: true,
      limits,
    },
  }
  const paths = [bodyPath, ...controlPaths]
  for (const path of paths) readings.set(path, reading)
  for (const [index, content] of (contents ?? []).entries()) {
    reading.control.set(controlPaths[index] ?? '', { size: content.length, content, records: null })
  }
  return {
    edits: () => reading.edits,
    distrust: () => void (reading.trusted = false),
    forget: () => {
      reading.control.clear()
      reading.version++
      reading.header = null
      reading.message = null
    },
    end: () => {
      for (const path of paths) if (readings.get(path) === reading) readings.delete(path)
    },
  }
}

/** The records of a control file, as it is now. Errors: those of `readControlFile` and `parseControl`. */
export function controlRecordsAt(path: string): ControlRecords {
  const reading = readings.get(path)
  if (reading === undefined) return parseControl(readControlFile(path))
  const known = reading.control.get(path)
  if (known !== undefined && (reading.trusted || sizeOf(path) === known.size)) {
    known.records ??= parseControl(Buffer.from(known.content ?? '', 'latin1'))
    known.content = null
    return known.records
  }
  const content = readControlFile(path)
  const records = parseControl(content)
  reading.control.set(path, { size: content.length, content: null, records })
  reading.version++
  return records
}

/**
 * What `make` makes of these control files' records, made again only after one of them has changed.
 * `kind` names it; what is made is shared by all filters of the message and must be frozen.
 */
export function madeOfControl<Value>(
  kind: string,
  controlPaths: readonly string[],
  make: (records: readonly ControlRecords[]) => Value,
): Value {
  const records = controlPaths.map(controlRecordsAt)
  const [first] = controlPaths
  const reading = first === undefined ? undefined : readings.get(first)
  // A filter may ask about some of the files, or about others as well.
  if (reading === undefined || controlPaths.some((path) => readings.get(path) !== reading)) return make(records)
  const key = controlPaths.length === 1 ? `${kind} ${first ?? ''}` : `${kind} ${controlPaths.join(' ')}`
  const known = reading.made.get(key)
  if (known?.version === reading.version) return known.value as Value
  const value = make(records)
  reading.made.set(key, { version: reading.version, value })
  return value
}

/** As `appendToControlFile`; what was read of the file before is forgotten. */
export function appendToControl(path: string, make: (content: Buffer) => Buffer | null): void {
  const reading = readings.get(path)
  try {
    appendToControlFile(path, make)
  } finally {
    reading?.control.delete(path)
    noteEdit(path)
  }
}

/** A file of this path is about to be changed, or was. */
export function noteEdit(path: string): void {
  const reading = readings.get(path)
  if (reading === undefined) return
  reading.edits++
  reading.header = null
  reading.message = null
}

/**
 * The header section of the message in this file, as it is now; shared where the limits are the usual ones.
 * Errors: those of `readHeaderFile`.
 */
export function readHeaderSection(bodyPath: string, limits: HeaderLimits = headerLimits): HeaderSection {
  const reading = limits === headerLimits ? readings.get(bodyPath) : undefined
  if (reading === undefined) return readHeaderFile(bodyPath, limits)
  const known = reading.header
  if (known !== null && (reading.trusted || isSameFile(known.identity, identityOf(lstatSync(bodyPath))))) {
    return known.section
  }
  const { section, identity } = readHeaderAndIdentity(bodyPath, limits)
  Object.freeze(section.lines)
  Object.freeze(section.fields)
  reading.header = { identity, section }
  return section
}

/**
 * Reads the message in this file, as it is now: its parts, and what is odd about it. Shared where no limits are given; one
 * filter's signal then ends its own waiting, not the reading that others may wait for.
 * Errors: those of `message/reader.ts`.
 */
export function readMessage(bodyPath: string, options: ReadOptions = {}): Promise<MessageReading> {
  const reading = options.limits === undefined ? readings.get(bodyPath) : undefined
  if (reading === undefined) return readMessageAlone(bodyPath, options)
  const known = reading.message
  if (known !== null && (reading.trusted || isSameFile(known.identity, identityOf(lstatSync(bodyPath))))) {
    return withSignal(known.read, options.signal ?? null)
  }
  const message = {
    identity: identityOf(lstatSync(bodyPath)),
    read: readMessageAlone(bodyPath, { limits: reading.limits }),
  }
  reading.message = message
  message.read.catch(() => {
    if (reading.message === message) reading.message = null
  })
  return withSignal(message.read, options.signal ?? null)
}

/** Most chains look at header sections alone: the reader is loaded when the first message is read. */
async function readMessageAlone(bodyPath: string, options: ReadOptions): Promise<MessageReading> {
  const { readMessage } = await import('./message/reader.ts')
  return readMessage(bodyPath, options)
}

function withSignal<Value>(promise: Promise<Value>, signal: AbortSignal | null): Promise<Value> {
  if (signal === null) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)))
    if (signal.aborted) {
      abort()
      return
    }
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function sizeOf(path: string): number | null {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats?.isFile() === true ? stats.size : null
}
