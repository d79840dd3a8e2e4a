/**
 * A part as it grows while a message is read, and what its header section says about it.
 *
 * Pure: no clock, socket, file or logger.
 */
import type { HeaderSection } from '../header/section.ts'
import { fieldsNamed } from '../header/section.ts'
import { readContentType, readDisposition, readTransferEncoding } from './content-fields.ts'
import type { ContentTypeReading, DispositionReading } from './content-types.ts'
import { extensionOf, fileNamesOf } from './file-names.ts'
import type { FindingKind } from './findings.ts'
import type { Part, Range, ReadingLimits, TransferEncoding } from './reading.ts'

/** Types that are a whole message (RFC 2046 5.2.1; RFC 6532 3.7). */
const messageTypes: ReadonlySet<string> = new Set(['message/rfc822', 'message/global'])

/** Reports of groups of fields, which some readers count as a part each (RFC 3464, RFC 8098, RFC 5965). */
const partedTypes: ReadonlySet<string> = new Set([
  ...['message/delivery-status', 'message/global-delivery-status', 'message/disposition-notification'],
  ...['message/global-disposition-notification', 'message/feedback-report'],
])

/** What the header section of a part says. */
export interface PartDescription {
  readonly contentType: string
  readonly parameters: ReadonlyMap<string, string>
  readonly disposition: string | null
  readonly fileName: string | null
  readonly fileNames: readonly string[]
  readonly encoding: TransferEncoding
  readonly charset: string | null
  /** What it can be taken apart as. */
  readonly container: 'multipart' | 'message' | null
  /** Of a multipart, one character an octet; every one that some reader may see. */
  readonly boundaries: readonly string[]
  /** Each kind once. */
  readonly problems: readonly FindingKind[]
}

/**
 * What this header section says; `defaultType` is for a part without Content-Type.
 *
 * Shape: where its fields name several types, one that is a multipart acts: what it holds is seen by some readers, and a
 *        policy about attachments must see it too.
 */
export function describePart(header: HeaderSection, defaultType: string, limits: ReadingLimits): PartDescription {
  const { fields } = header
  const type = readContentType(fields, limits)
  const disposition = readDisposition(fields, limits)
  const encoding = readTransferEncoding(fields)
  const names = fileNamesOf(type, disposition)
  const problems = new Set<FindingKind>()
  for (const from of [type, disposition, encoding, names]) for (const kind of from.problems) problems.add(kind)
  if (isNameSaidTwice(type, disposition)) problems.delete('bad-parameter')

  const boundaries = type.boundaries
    .map((boundary) => boundary.toString('latin1').trimEnd())
    .filter((text) => text !== '')
  const multipart = boundaries.length === 0 ? undefined : type.types.find((each) => each.startsWith('multipart/'))
  const asGiven = type.type ?? (fieldsNamed(header, 'content-type').length === 0 ? defaultType : 'text/plain')
  const contentType = multipart ?? asGiven
  const isContainer = multipart !== undefined || messageTypes.has(contentType)
  const isEncoded = encoding.encoding !== 'none'
  if (partedTypes.has(contentType)) problems.add('parted-status')
  if (isContainer && isEncoded) problems.add('encoded-multipart')
  return {
    ...{ contentType, parameters: type.parameters, charset: type.charset },
    ...{ disposition: disposition.disposition, fileName: names.fileName, fileNames: names.fileNames },
    encoding: encoding.encoding,
    container: multipart !== undefined ? 'multipart' : isContainer && !isEncoded ? 'message' : null,
    boundaries: multipart === undefined ? [] : boundaries,
    problems: [...problems],
  }
}

/** Readers take the name of Content-Disposition first: how Content-Type writes the same one matters to nobody then. */
function isNameSaidTwice(type: ContentTypeReading, disposition: DispositionReading): boolean {
  if (disposition.problems.includes('bad-parameter') || disposition.names.every((name) => name === '')) return false
  if (type.types.some((each) => each.startsWith('multipart/'))) return false
  const extensions = new Set(disposition.names.map((name) => extensionOf(name)))
  return type.names.every((name) => name === '' || extensionOf(name) === null || extensions.has(extensionOf(name)))
}

/** A part, made when its header section ends and finished when its body does. */
export class PartNode implements Part {
  readonly path: string
  readonly parent: PartNode | null
  readonly children: PartNode[] = []
  kind: Part['kind'] = 'leaf'
  readonly header: HeaderSection
  readonly contentType: string
  readonly parameters: ReadonlyMap<string, string>
  readonly disposition: string | null
  readonly fileName: string | null
  readonly fileNames: readonly string[]
  readonly encoding: TransferEncoding
  readonly charset: string | null
  readonly start: number
  readonly bodyStart: number
  end: number
  preamble: Range | null = null
  epilogue: Range | null = null

  constructor(
    parent: PartNode | null,
    header: HeaderSection,
    description: PartDescription,
    range: { readonly start: number; readonly bodyStart: number },
  ) {
    this.parent = parent
    this.path = parent === null ? '' : childPath(parent)
    parent?.children.push(this)
    this.header = header
    this.contentType = description.contentType
    this.parameters = description.parameters
    this.disposition = description.disposition
    this.fileName = description.fileName
    this.fileNames = description.fileNames
    this.encoding = description.encoding
    this.charset = description.charset
    this.start = range.start
    this.bodyStart = range.bodyStart
    this.end = range.bodyStart
  }
}

/** The path of the next child. */
export function childPath(parent: Part): string {
  const number = parent.children.length + 1
  return parent.path === '' ? String(number) : `${parent.path}.${number}`
}
