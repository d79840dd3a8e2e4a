/**
 * Edits to a header section: a list of lines, of which those that nobody touches keep every octet.
 *
 * Pure: no clock, socket, file or logger.
 * Source: RFC 5322 2.2; spec pythonfilter 3.3, its "Successor" lines.
 */
import { fieldsNamed, isField, parseHeaderSection } from './section.ts'
import type { HeaderField, HeaderLine, HeaderSection } from './section.ts'
import { checkName, fieldBytes } from './value.ts'
import type { NewValue, ValueOptions } from './value.ts'

export type { NewValue, ValueOptions } from './value.ts'

const lf = 0x0a

/**
 * The header section of one message, to be read and changed. Names are compared without regard to letter case, and `at`
 * counts the fields of a name from 0, or from the end from -1, as an array's `at` does.
 *
 * Errors: RangeError where a name or a value cannot be written, see `fieldBytes`.
 */
export interface HeaderEdit {
  /** The fields as they are now, in order. Offsets are those of the message as it was read; new fields have 0. */
  readonly fields: readonly HeaderField[]
  /** The value of the field with this name, `null` if there is none: unfolded, not decoded (`HeaderField.value`). */
  get(name: string, at?: number): string | null
  /** The values of all fields with this name. */
  getAll(name: string): string[]
  /** Adds a field at the end of the section. */
  add(name: string, value: NewValue, options?: ValueOptions): void
  /**
   * Puts a field before the field that is number `place` in `fields` now: 0 is the top of the section. A `place` beyond the
   * last one is the end. Lines in front of the first field that are none (`From bob Sat`) stay in front.
   */
  insert(place: number, name: string, value: NewValue, options?: ValueOptions): void
  /** Gives the field another value, in its place. False if there is none, and nothing is done. Without `at`, the first. */
  replace(name: string, value: NewValue, options?: ValueOptions & { readonly at?: number }): boolean
  /** Removes the field, or without `at` all of this name. Answers how many went. */
  remove(name: string, at?: number): number
}

/** What was made of a section, for whoever writes it down. */
export interface EditedHeader extends HeaderEdit {
  /** Grows with each change; 0 is the section as it was read. */
  readonly revision: number
  /** The whole section with the empty line after it, where there is one. */
  bytes(): Buffer
  /** A field that was added or replaced has octets beyond ASCII. */
  hasNew8bit(): boolean
}

/** Opens a section for edits. Errors: RangeError if it is over a limit: what was not read cannot be kept. */
export function editHeader(section: HeaderSection): EditedHeader {
  if (section.overLimit !== null) throw new RangeError(`the header section is over the limit of ${section.overLimit}`)
  const { lineEnd, separator } = section
  let lines: (HeaderLine | HeaderField)[] = [...section.lines]
  const made = new Set<HeaderLine>()
  let revision = 0

  const fields = (): HeaderField[] => lines.filter(isField)
  // Kept for whoever goes through the fields of a name one by one.
  let asked: { readonly name: string; readonly revision: number; readonly found: readonly HeaderField[] } | null = null
  const named = (name: string): readonly HeaderField[] => {
    if (asked?.name === name && asked.revision === revision) return asked.found
    checkName(name)
    asked = { name, revision, found: fieldsNamed({ fields: fields() }, name) }
    return asked.found
  }
  const make = (name: string, value: NewValue, options?: ValueOptions): HeaderField => {
    const [field] = parseHeaderSection(fieldBytes(name, value, lineEnd, options)).fields
    if (field === undefined) throw new RangeError(`${name} cannot be written`)
    made.add(field)
    return field
  }
  /** Puts `added` in the place of `count` lines from `index` on. */
  const splice = (index: number, count: number, ...added: HeaderLine[]): void => {
    lines.splice(index, count, ...added)
    revision++
  }

  return {
    get fields() {
      return fields()
    },
    get revision() {
      return revision
    },
    get: (name, at = 0) => named(name).at(at)?.value ?? null,
    getAll: (name) => named(name).map(({ value }) => value),
    add: (name, value, options) => splice(lines.length, 0, make(name, value, options)),
    insert: (place, name, value, options) => {
      if (!Number.isSafeInteger(place) || place < 0) throw new RangeError(`${place} is no place in a header section`)
      const next = fields()[place]
      splice(next === undefined ? lines.length : lines.indexOf(next), 0, make(name, value, options))
    },
    replace: (name, value, { at = 0, ...options } = {}) => {
      const field = named(name).at(at)
      if (field === undefined) return false
      const instead = make(name, value, options)
      if (!instead.raw.equals(field.raw)) splice(lines.indexOf(field), 1, instead)
      return true
    },
    remove: (name, at) => {
      const found = named(name)
      const gone = new Set<HeaderLine | undefined>(at === undefined ? found : [found.at(at)])
      gone.delete(undefined)
      if (gone.size > 0) {
        lines = lines.filter((line) => !gone.has(line))
        revision++
      }
      return gone.size
    },
    bytes: () => {
      const pieces: Buffer[] = []
      for (const [index, { raw }] of lines.entries()) {
        pieces.push(raw)
        // Only the last line of a message without a body can lack it, and only if something comes after it now.
        if (raw.at(-1) !== lf && index < lines.length - 1) pieces.push(Buffer.from(lineEnd))
      }
      return Buffer.concat([...pieces, separator])
    },
    hasNew8bit: () => lines.some((line) => made.has(line) && line.raw.some((octet) => octet > 0x7f)),
  }
}
