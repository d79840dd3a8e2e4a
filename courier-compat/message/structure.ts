/**
 * Finds the parts of a message in a stream of octets.
 *
 * A state machine without recursion: a stack of open parts, and two states, in a header section or in a body. Memory is
 * what the header sections hold, and they are bounded; time is linear in the octets.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 2046 5.1 (multipart), 5.1.5 (digest), 5.2.1 (message/rfc822); spec reliability 6 D, E.
 */
import { fieldsNamed, parseHeaderSection, type HeaderLimits } from '../header/section.ts'
import { Boundaries, maxDelimiterOctets, type Delimiter } from './boundaries.ts'
import type { FindingList } from './finding-list.ts'
import type { FindingKind } from './findings.ts'
import { checkHeaderSection } from './header-checks.ts'
import { headerLimitsOf } from './limits.ts'
import { OctetChecks } from './octet-checks.ts'
import { childPath, describePart, PartNode, type PartDescription } from './part-node.ts'
import type { ReadingLimits } from './reading.ts'
import { checkValues } from './value-checks.ts'

const lf = 0x0a
const cr = 0x0d
const hyphen = 0x2d

const delimiterStart = Buffer.from('\n--')

/** At most so many octets of a piece are left over for the next one. */
export const maxHeldOctets = maxDelimiterOctets + 2

/** All header sections together have this many times the room of one. */
const sectionsFactor = 4

/** A part that is open. */
interface Frame {
  readonly node: PartNode
  /** Of a multipart. */
  readonly boundaries: readonly string[]
  /** How many of them have not ended it yet; readers differ where it has several. */
  left: number
  hasDelimiter: boolean
  /** Where the line after its last boundary begins. */
  epilogueStart: number | null
}

/** The header section that is being read. */
interface Section {
  readonly parent: PartNode | null
  readonly defaultType: string
  readonly start: number
  readonly pieces: Buffer[]
  octets: number
  isMidLine: boolean
}

/** A delimiter line: what it is, and where its LF or the end of the octets is. `more`: the piece ends too early to say. */
type DelimiterLine = { readonly delimiter: Delimiter; readonly end: number } | 'more' | null

/** Reads one message: `push` the octets in order, then `finish`. */
export class StructureScanner {
  readonly parts: PartNode[] = []
  readonly #limits: ReadingLimits
  readonly #findings: FindingList
  readonly #checks: OctetChecks
  readonly #boundaries = new Boundaries()
  readonly #stack: Frame[] = []
  #section: Section | null = newSection(null, 'text/plain', 0)
  #isDone = false
  /** A body's line begins at the next octet; what stood before ends at `#lineEnd`. */
  #isLineStart = false
  #lineEnd = 0
  #octetsLeft: number
  #linesLeft: number

  constructor(limits: ReadingLimits, findings: FindingList) {
    this.#limits = limits
    this.#findings = findings
    this.#checks = new OctetChecks(limits.lineOctets)
    this.#octetsLeft = limits.headerOctets * sectionsFactor
    this.#linesLeft = limits.fields * sectionsFactor
  }

  /** A limit was passed beyond which nothing is read: the octets that follow need not be given. */
  get isDone(): boolean {
    return this.#isDone
  }

  /**
   * Takes octets of the message, which begin at offset `base`. The bytes may be used for other things afterwards.
   * Returns how many were taken; the rest, at most `maxHeldOctets`, must be given again, with what follows it.
   */
  push(bytes: Buffer, base: number, isLast: boolean): number {
    let at = 0
    while (at < bytes.length && !this.#isDone) {
      const next =
        this.#section === null
          ? this.#readBody(bytes, base, at, isLast)
          : this.#readSection(this.#section, bytes, base, at, isLast)
      if (next.isStarved) return next.at
      at = next.at
    }
    return bytes.length
  }

  /** The message is over, and has `octets`. */
  finish(octets: number): void {
    // A message in a message begins a section of its own.
    while (this.#section !== null && !this.#isDone) this.#endSection(this.#section, octets)
    this.#popTo(-1, octets)
    this.#checkVersion()
    this.#checks.end()
    const { bareCrAt, nulAt, longLineAt, hasCrlf, hasBareLf } = this.#checks
    if (bareCrAt !== null) this.#findings.add('bare-cr', '', bareCrAt)
    if (nulAt !== null) this.#findings.add('nul', '', nulAt)
    if (longLineAt !== null) this.#findings.add('limit-line', '', longLineAt)
    if (hasCrlf && hasBareLf) this.#findings.add('mixed-line-ends', '', null)
  }

  /** RFC 2045 4: without MIME-Version a message may be taken for one text, as Courier's own reader does. */
  #checkVersion(): void {
    const [root] = this.parts
    if (root === undefined || fieldsNamed(root.header, 'mime-version').length > 0) return
    if (this.parts.filter(({ kind }) => kind === 'leaf').length > 1) this.#findings.add('no-mime-version', '', null)
  }

  #readSection(section: Section, bytes: Buffer, base: number, from: number, isLast: boolean): Progress {
    let at = from
    let isStarved = false
    while (at < bytes.length) {
      if (!section.isMidLine) {
        const blankLine = blankLineAt(bytes, at, isLast)
        if (blankLine === 'more') {
          isStarved = true
          break
        }
        if (blankLine > 0) {
          this.#collect(section, bytes, base, from, at + blankLine)
          this.#endSection(section, base + at + blankLine)
          return { at: at + blankLine, isStarved: false }
        }
        const line = bytes[at] === hyphen ? this.#delimiterAt(bytes, base, at, isLast) : null
        if (line === 'more') {
          isStarved = true
          break
        }
        if (line !== null) {
          // A header section that no blank line ends.
          this.#collect(section, bytes, base, from, at)
          this.#endSection(section, base + at)
          return { at: this.#delimit(line, bytes, base, base + at), isStarved: false }
        }
      }
      const found = bytes.indexOf(lf, at)
      section.isMidLine = found === -1
      at = found === -1 ? bytes.length : found + 1
      // The empty line of a section of exactly the limit lies beyond it.
      if (section.octets + at - from > this.#sectionLimits().sectionOctets + 2) {
        this.#collect(section, bytes, base, from, at)
        this.#endSection(section, base + at)
        return { at, isStarved: false }
      }
    }
    this.#collect(section, bytes, base, from, at)
    return { at, isStarved }
  }

  #collect(section: Section, bytes: Buffer, base: number, from: number, to: number): void {
    section.octets += to - from
    if (to > from) section.pieces.push(Buffer.from(bytes.subarray(from, to)))
    this.#look(bytes, base, to)
  }

  #sectionLimits(): HeaderLimits {
    const { sectionOctets, fieldOctets, lines } = headerLimitsOf(this.#limits)
    return {
      sectionOctets: Math.min(sectionOctets, this.#octetsLeft),
      fieldOctets,
      lines: Math.min(lines, this.#linesLeft),
    }
  }

  /** The section was read up to `offset`, where its body begins. */
  #endSection(section: Section, offset: number): void {
    const bytes = section.pieces.length === 1 ? (section.pieces[0] ?? Buffer.alloc(0)) : Buffer.concat(section.pieces)
    const header = parseHeaderSection(bytes, this.#sectionLimits(), section.start)
    this.#octetsLeft -= Math.min(section.octets, this.#octetsLeft)
    this.#linesLeft -= header.lines.length
    const described = describePart(header, section.defaultType, this.#limits)
    const path = section.parent === null ? '' : childPath(section.parent)
    const tell = (kind: FindingKind, at: number | null): void => this.#findings.add(kind, path, at, section.start)
    const isMessage = section.parent?.kind !== 'multipart'
    const told = new Set<FindingKind>()
    checkHeaderSection(header, isMessage, (kind, at) => {
      told.add(kind)
      tell(kind, at)
    })
    if (isMessage) checkValues(header, this.#limits, tell)
    // A field that stands twice was told with its place.
    for (const kind of described.problems) if (!told.has(kind)) tell(kind, null)
    if (section.parent === null && header.fields.length === 0 && header.overLimit === null) {
      tell(offset === 0 ? 'empty' : 'no-header', null)
    }

    const node = new PartNode(section.parent, header, described, { start: section.start, bodyStart: offset })
    this.parts.push(node)
    this.#section = null
    this.#isLineStart = true
    this.#lineEnd = offset
    this.#isDone = this.#octetsLeft === 0 || (header.overLimit !== null && section.parent === null)
    this.#open(node, header.overLimit === null ? described : { ...described, container: null })
  }

  /** A part's body begins. */
  #open(node: PartNode, { container, boundaries }: PartDescription): void {
    const depth = this.#stack.length
    const isTooDeep = container !== null && depth >= this.#limits.depth
    if (isTooDeep) this.#findings.add('limit-depth', node.path, node.bodyStart)
    if (container !== null && !isTooDeep) node.kind = container
    const own = node.kind === 'multipart' ? boundaries : []
    this.#stack.push({ node, boundaries: own, left: own.length, hasDelimiter: false, epilogueStart: null })
    for (const boundary of own) {
      const clash = this.#boundaries.open(boundary, depth)
      if (clash === 'shorter') this.#findings.add('boundary-prefix', node.path, node.start)
      if (clash === 'longer') this.#findings.add('similar-boundary', node.path, node.start)
    }
    this.#checks.setBase64(node.kind === 'leaf' && node.encoding === 'base64')
    if (node.kind === 'message') this.#begin(node, 'text/plain', node.bodyStart)
  }

  /** A part begins: its header section comes next. */
  #begin(parent: PartNode, defaultType: string, start: number): void {
    if (this.parts.length >= this.#limits.parts) {
      this.#findings.add('limit-parts', parent.path, start)
      this.#isDone = true
    } else this.#section = newSection(parent, defaultType, start)
  }

  #readBody(bytes: Buffer, base: number, from: number, isLast: boolean): Progress {
    if (this.#boundaries.isEmpty) {
      this.#look(bytes, base, bytes.length)
      return { at: bytes.length, isStarved: false }
    }
    for (let at = from; ;) {
      const isAtStart = this.#isLineStart
      // No delimiter is base64, so what is need not be searched for one.
      if (!isAtStart) at = Math.max(at, this.#checks.skipBase64(bytes, this.#checks.position - base, bytes.length) - 1)
      const found = isAtStart ? at - 1 : bytes.indexOf(delimiterStart, at)
      if (!isAtStart && found === -1) return this.#hold(bytes, base, isLast ? bytes.length : lineEndAtEnd(bytes, from))
      const start = found + 1
      const line = bytes[start] === hyphen ? this.#delimiterAt(bytes, base, start, isLast) : null
      if (line === 'more') return this.#hold(bytes, base, isAtStart ? start : lineEndBefore(bytes, found, from))
      this.#isLineStart = false
      if (line !== null) {
        const contentEnd = isAtStart ? this.#lineEnd : base + lineEndBefore(bytes, found, from)
        return { at: this.#delimit(line, bytes, base, contentEnd), isStarved: false }
      }
      at = isAtStart ? start : start + 1
    }
  }

  #hold(bytes: Buffer, base: number, at: number): Progress {
    this.#look(bytes, base, at)
    return { at, isStarved: true }
  }

  /** The line at `start`, if it is a delimiter. */
  #delimiterAt(bytes: Buffer, base: number, start: number, isLast: boolean): DelimiterLine {
    if (this.#boundaries.isEmpty) return null
    const isCut = start + 2 >= bytes.length && !isLast
    // Most lines that begin with hyphens go here: a rule, the end of an old boundary.
    if (!isCut && (bytes[start + 1] !== hyphen || !this.#boundaries.canBegin(bytes[start + 2]))) return null
    const found = lineFeedAt(bytes, start)
    const end = found === -1 ? bytes.length : found
    if (found === -1 && !isLast && end - start < maxDelimiterOctets) return 'more'
    if (bytes[start + 1] !== hyphen) return null
    const isShort = end - start <= maxDelimiterOctets
    const delimiter = isShort ? this.#boundaries.match(bytes, start, end) : null
    if (delimiter !== null && !delimiter.isLate) return { delimiter, end }
    const kind = delimiter === null ? 'boundary-prefix' : 'boundary-after-end'
    if (this.#findings.isFull(kind)) return null
    if (delimiter !== null || this.#boundaries.resembles(bytes, start, end)) {
      this.#findings.add(kind, this.#stack.at(-1)?.node.path ?? '', base + start)
    }
    return null
  }

  /** A delimiter ends whatever is open within its multipart, at `contentEnd`. Returns where the next line begins. */
  #delimit(
    { delimiter, end }: Exclude<DelimiterLine, 'more' | null>,
    bytes: Buffer,
    base: number,
    contentEnd: number,
  ): number {
    const next = Math.min(end + 1, bytes.length)
    this.#look(bytes, base, contentEnd - base)
    this.#checks.setBase64(false)
    this.#look(bytes, base, next)
    // A message that has not even begun.
    while (this.#section !== null && !this.#isDone) this.#endSection(this.#section, contentEnd)
    const frame = this.#stack[delimiter.depth]
    if (frame === undefined || this.#isDone) return next
    this.#popTo(delimiter.depth, contentEnd)
    const { node } = frame
    if (!frame.hasDelimiter && contentEnd > node.bodyStart) node.preamble = { start: node.bodyStart, end: contentEnd }
    frame.hasDelimiter = true
    if (delimiter.isLast) {
      this.#boundaries.close(delimiter.boundary, delimiter.depth)
      frame.left--
      frame.epilogueStart = base + next
      this.#isLineStart = true
      this.#lineEnd = base + (bytes[end - 1] === cr ? end - 1 : end)
    } else {
      frame.epilogueStart = null
      this.#begin(node, node.contentType === 'multipart/digest' ? 'message/rfc822' : 'text/plain', base + next)
    }
    return next
  }

  /** Ends the parts that are nested deeper than `depth`. */
  #popTo(depth: number, end: number): void {
    while (this.#stack.length - 1 > depth) {
      const frame = this.#stack.pop()
      if (frame === undefined) return
      const { node } = frame
      node.end = Math.max(end, node.bodyStart)
      if (node.kind !== 'multipart') continue
      for (const boundary of frame.boundaries) this.#boundaries.forget(boundary, this.#stack.length)
      if (frame.left > 0 && !this.#isDone) this.#findings.add('unterminated-multipart', node.path, null, node.start)
      if (frame.epilogueStart !== null && end > frame.epilogueStart) node.epilogue = { start: frame.epilogueStart, end }
      // Nothing of it would be seen otherwise.
      if (node.children.length === 0) node.kind = 'leaf'
    }
  }

  /** Looks at the octets up to `to`, which have their place by now. */
  #look(bytes: Buffer, base: number, to: number): void {
    const bad = this.#checks.look(bytes, this.#checks.position - base, to)
    if (bad !== null) this.#findings.add('bad-base64', this.#stack.at(-1)?.node.path ?? '', bad)
  }
}

/** Where to go on, and whether that takes octets that are not there yet. */
interface Progress {
  readonly at: number
  readonly isStarved: boolean
}

function newSection(parent: PartNode | null, defaultType: string, start: number): Section {
  return { parent, defaultType, start, pieces: [], octets: 0, isMidLine: false }
}

/** The octets of an empty line at `at`; 0 where there is none. */
function blankLineAt(bytes: Buffer, at: number, isLast: boolean): number | 'more' {
  if (bytes[at] === lf) return 1
  if (bytes[at] !== cr) return 0
  if (at + 1 === bytes.length) return isLast ? 0 : 'more'
  return bytes[at + 1] === lf ? 2 : 0
}

/** The next LF. Near ones are found without a call of native code, which costs as much as a hundred octets. */
function lineFeedAt(bytes: Buffer, start: number): number {
  const near = Math.min(start + 80, bytes.length)
  for (let at = start; at < near; at++) if (bytes[at] === lf) return at
  return bytes.indexOf(lf, near)
}

/** Where the line end begins whose LF is at `found`. */
function lineEndBefore(bytes: Buffer, found: number, from: number): number {
  return found > from && bytes[found - 1] === cr ? found - 1 : found
}

/** Where the octets at the end begin that may be the beginning of a line end with a delimiter after it. */
function lineEndAtEnd(bytes: Buffer, from: number): number {
  let at = bytes.length
  if (bytes[at - 1] === hyphen && bytes[at - 2] === lf && at - 2 >= from) at -= 2
  else if (bytes[at - 1] === lf && at > from) at--
  return at > from && bytes[at - 1] === cr ? at - 1 : at
}
