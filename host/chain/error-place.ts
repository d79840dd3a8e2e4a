/** From an error to the author's file and line. Pure but for knowing where its own program lies. */
import { fileURLToPath } from 'node:url'

/** A line of a file. */
export interface Place {
  readonly file: string
  /** Counted from 1. */
  readonly line: number
}

/** Where our own code lies: what is raised there was called for by an author's line. */
const program = fileURLToPath(new URL('../../', import.meta.url))
const hostFolder = `${program}host/`
const ownFolders = [hostFolder, `${program}courier-compat/`, `${program}queue-store/`]

/** More frames than Node keeps unless it is told to keep more. */
const maxFrames = 100

/**
 * Where an error was raised, in the words of the one who has to mend it; `null` where the stack names no file.
 *
 * Shape:  the innermost frame in the filter's own files: not in a package that the filter uses, nor in this program's
 *         library. Where all of them are in packages, the filter's own is that of the outermost frame. A stack may also
 *         begin with the place, as that of a syntax error does. The message is passed over: it may hold what looks like
 *         a place, and be of any length.
 */
export function locateError(thrown: unknown): Place | null {
  try {
    if (!(thrown instanceof Error)) return null
    const stack = thrown.stack ?? ''
    const head = /^(file:\/\/)?(\/[^\n]*?):([0-9]+)(?::[0-9]+)?(?:\n|$)/.exec(stack)
    if (head !== null) return placeFrom(head[1], head[2], head[3])
    return authorsFrame(framesOf(stack, thrown.message))
  } catch {
    return null
  }
}

/** As `locateError`, written `FILE:LINE`. */
export function placeOfError(thrown: unknown): string | null {
  const place = locateError(thrown)
  return place === null ? null : `${place.file}:${place.line}`
}

/** The frames that lie in files, the innermost first. */
function framesOf(stack: string, message: string): Place[] {
  const start = stack.indexOf(message)
  const isHead = start !== -1 && !stack.slice(0, start).includes('\n')
  const lines = stack.slice(isHead ? start + message.length : 0).split('\n', maxFrames)
  return lines.flatMap((line) => {
    const match = /^ {4}at (?:.* \(|async )?(file:\/\/)?(\/(?:(?!\), ).)*?)(?:\?[^:]*)?:([0-9]+):[0-9]+\)?$/.exec(line)
    const place = match === null ? null : placeFrom(match[1], match[2], match[3])
    return place === null ? [] : [place]
  })
}

/** Errors: URIError for an address that is none. */
function placeFrom(scheme: string | undefined, path = '', line = ''): Place {
  return { file: scheme === undefined ? path : decodeURIComponent(path), line: Number(line) }
}

function authorsFrame(frames: readonly Place[]): Place | null {
  const isOwn = ({ file }: Place): boolean => ownFolders.some((folder) => file.startsWith(folder))
  const first = frames.findIndex((frame) => !isOwn(frame))
  // Better our library's line than none; a hook of the host's is in the stack of every failed import.
  if (first === -1) return frames.find(({ file }) => !file.startsWith(hostFolder)) ?? null
  // What called the filter is no part of the story.
  const caller = frames.findIndex(({ file }, index) => index > first && file.startsWith(hostFolder))
  const called = frames.slice(first, caller === -1 ? undefined : caller).filter((frame) => !isOwn(frame))
  const homes = called.map(({ file }) => packageFolder(file))
  const home = homes.includes('') ? '' : homes.at(-1)
  return called[homes.findIndex((folder) => folder === home)] ?? null
}

/** The package below node_modules that a file belongs to, `''` for a file of no such package. */
function packageFolder(file: string): string {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//.exec(file)?.[0] ?? ''
}
