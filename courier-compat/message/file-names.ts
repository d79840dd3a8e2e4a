/**
 * The names of a part, and the extension that a program goes by which opens it.
 *
 * A name is kept as it is written, NUL and all: it is never a path to write to, and what shows it has to escape it. What a
 * policy needs is to see through what hides the name's end.
 * Pure: no clock, socket, file or logger.
 * Source: Unicode 9 (bidirectional controls), Windows' rules for names (trailing dots and blanks, streams).
 */
import type { ContentTypeReading, DispositionReading, FileNamesReading } from './content-types.ts'
import type { FindingKind } from './findings.ts'

/** Nothing is looked for beyond it: longest names of file systems have 255. */
const maxLookedAt = 4096

/** They turn letters around, or have no width. */
const invisible = /[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]/gu

/** The names of a part. It has no `fileName` where neither field gives one, or an empty one. */
export function fileNamesOf(
  contentType: Pick<ContentTypeReading, 'names'>,
  disposition: Pick<DispositionReading, 'names'>,
): FileNamesReading {
  const problems = new Set<FindingKind>()
  const ofDisposition = disposition.names.filter((name) => name !== '')
  const ofType = contentType.names.filter((name) => name !== '')
  const fileNames = [...new Set([...ofDisposition, ...ofType])]
  if (fileNames.some(isBad)) problems.add('bad-file-name')
  const isApart = ofDisposition.length > 0 && ofType.length > 0 && !haveCommon(ofDisposition, ofType)
  if (fileNames.some((name) => /[/\\]/.test(name))) problems.add('path-in-file-name')
  // A name without an extension is opened by no program: it hides nothing that the other one says.
  const extensions = new Set(fileNames.map((name) => extensionOf(name)).filter((extension) => extension !== null))
  if (extensions.size > 1) problems.add('two-file-names')
  else if (isApart) problems.add('other-file-name')
  return { fileName: fileNames[0] ?? null, fileNames, problems: [...problems] }
}

/**
 * The extension of a file name, in lower case, without its dot; `null` where there is none.
 *
 * Shape: that of the last path component, up to a NUL, without characters that are not seen and without dots and blanks at
 *        the end; full-width letters and dots are taken for plain ones.
 */
export function extensionOf(name: string): string | null {
  return extensionsOf(name)[0] ?? null
}

/** Every extension that some system may see, the likeliest (`extensionOf`) first: `exe` and `txt` in `a.exe\0.txt`. */
export function extensionsOf(name: string): string[] {
  const shown = name.slice(-maxLookedAt).normalize('NFKC').replaceAll(invisible, '')
  const found = new Set<string>()
  // Programs in C see a name end at NUL; Windows writes `a.exe:b.txt` to the file a.exe.
  for (const piece of [shown.split('\0', 1)[0] ?? '', shown, ...(shown.includes(':') ? shown.split(':') : [])]) {
    const extension = plainExtension(piece)
    if (extension !== null) found.add(extension)
  }
  return [...found]
}

function plainExtension(name: string): string | null {
  const component = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1)
  let end = component.length
  while (end > 0 && isDropped(component.charCodeAt(end - 1))) end--
  const dot = component.lastIndexOf('.', end - 1)
  if (end === 0 || dot === -1) return null
  let extension = ''
  for (const character of component.slice(dot + 1, end)) if (character >= ' ') extension += character
  extension = extension.trim().toLowerCase()
  return extension === '' ? null : extension
}

/** Dots, blanks, quotes and controls at the end of a name go when it is written. */
function isDropped(code: number): boolean {
  return code <= 0x20 || code === 0x2e || code === 0x22 || code === 0x27 || code === 0x7f
}

/**
 * Octets that hide or end a name: controls, what turns letters around, a dot or blank at the end, and blanks enough to push
 * the end out of sight.
 */
function isBad(name: string): boolean {
  return /[\p{Cc}\u061c\u202a-\u202e\u2066-\u2069]|[. ]$| {8}/u.test(name)
}

function haveCommon(some: readonly string[], others: readonly string[]): boolean {
  const seen = new Set(some.map(comparable))
  return others.some((name) => seen.has(comparable(name)))
}

/** Programs write letters in one piece or two, and fold where a blank stands. */
function comparable(name: string): string {
  return name.normalize('NFC').replaceAll(/\s+/gu, ' ').trim()
}
