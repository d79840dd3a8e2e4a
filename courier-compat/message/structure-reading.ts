/**
 * A message that was read: its parts, and their contents when somebody asks for them.
 */
import { Readable } from 'node:stream'
import type { HeaderSection } from '../header/section.ts'
import { contentStream, readText, textStream } from './decoded.ts'
import type { FindingList } from './finding-list.ts'
import { finding, type Finding } from './findings.ts'
import { octetFacts } from './octet-facts.ts'
import type { PartNode } from './part-node.ts'
import type { RangeReader } from './range.ts'
import type { MessageReading, OctetFacts, Part, PartText, ReadingLimits, TransferEncoding } from './reading.ts'

const defaultCharacters = 1_000_000

export class StructureReading implements MessageReading {
  readonly header: HeaderSection
  readonly root: Part
  readonly parts: readonly Part[]
  readonly leaves: readonly Part[]
  readonly octets: number
  readonly findings: readonly Finding[]
  readonly isAmbiguous: boolean
  readonly isOverLimit: boolean
  readonly #limits: ReadingLimits
  readonly #range: RangeReader
  #facts: Promise<OctetFacts> | null = null

  constructor(
    parts: readonly PartNode[],
    findings: FindingList,
    octets: number,
    limits: ReadingLimits,
    range: RangeReader,
  ) {
    const [root] = parts
    if (root === undefined) throw new Error('a message without its first part')
    this.root = root
    this.header = root.header
    this.parts = parts
    this.leaves = parts.filter(({ kind }) => kind === 'leaf')
    this.octets = octets
    this.findings = findings.list()
    this.isAmbiguous = findings.has('ambiguous')
    this.isOverLimit = findings.has('limit')
    this.#limits = limits
    this.#range = range
  }

  content(part: Part): Readable {
    return contentStream(this.#body(part), encodingOf(part), this.#limits, ignore)
  }

  raw(part: Part, what: 'whole' | 'body' = 'whole'): Readable {
    return Readable.from(this.#range(what === 'whole' ? part.start : part.bodyStart, part.end), { objectMode: false })
  }

  async text(part: Part, options: { readonly maxCharacters?: number } = {}): Promise<PartText> {
    const { maxCharacters = defaultCharacters } = options
    const { text, isCut, problems } = await readText(this.#body(part), formOf(part), this.#limits, maxCharacters)
    return { text, isCut, findings: problems.map((kind) => finding(kind, part.path, null)) }
  }

  textStream(part: Part): Readable {
    return textStream(this.#body(part), formOf(part), this.#limits, ignore)
  }

  facts(): Promise<OctetFacts> {
    // A failure is not kept: the next who asks may find the file in order again.
    this.#facts ??= octetFacts(this.#range(0, this.octets, true), this.root.bodyStart).catch((error: unknown) => {
      this.#facts = null
      throw error
    })
    return this.#facts
  }

  #body(part: Part): AsyncIterable<Buffer> {
    const encoding = encodingOf(part)
    // These two decoders write to memory of their own; the others may hand on what they are given.
    const isBrief = encoding === 'base64' || encoding === 'quoted-printable'
    return this.#range(part.bodyStart, part.end, isBrief)
  }
}

/** What has parts stands as it is, whatever it claims. */
function encodingOf(part: Part): TransferEncoding {
  return part.kind === 'leaf' ? part.encoding : 'none'
}

function formOf(part: Part): { readonly encoding: TransferEncoding; readonly charset: string | null } {
  return { encoding: encodingOf(part), charset: part.charset }
}

/** Findings of a content are told by `text`; a stream has nowhere to tell them. */
function ignore(): void {
  // On purpose.
}
