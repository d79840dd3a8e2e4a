/** The fields of a part that speak of its content: found, set, and guarded. Pure. */
import { isAscii } from 'node:buffer'
import type { EditedHeader, HeaderEdit } from '../header/edit.ts'
import type { NewValue } from '../header/value.ts'
import type { Part } from '../message/reading.ts'
import { withParameter } from './parameters.ts'
import type { LineEnd } from './transfer-encode.ts'

const lf = 0x0a

/** What is missing between a header section and a body, where there was no body. */
export function missingBlankLine(header: EditedHeader, separator: Buffer, lineEnd: LineEnd): string {
  if (separator.length > 0) return separator.at(-1) === lf ? '' : '\n'
  return (header.bytes().at(-1) ?? lf) === lf ? lineEnd : lineEnd + lineEnd
}

/** The names of the fields that speak of the content, in lower case. */
export function contentNames(header: HeaderEdit): Set<string> {
  return new Set(header.fields.map(({ name }) => name.toLowerCase()).filter((name) => name.startsWith('content-')))
}

/** True for content that nobody can read who has no key, or who would break a signature. */
export function isEncrypted(contentType: string): boolean {
  return /^(?:multipart\/encrypted|application\/(?:x-)?pkcs7-mime|application\/pgp-encrypted)$/.test(contentType)
}

/** One field of this name with this value, where the first one stood. */
export function setField(header: HeaderEdit, name: string, value: NewValue): void {
  if (!header.replace(name, value)) header.add(name, value)
  for (let left = header.getAll(name).length; left > 1; left--) header.remove(name, -1)
}

/** Names this character set in the part's Content-Type, whose other parameters stay. */
export function setCharset(header: HeaderEdit, part: Part, charset: string): void {
  const field = header.fields.find(({ name }) => name.toLowerCase() === 'content-type')
  const value = field?.valueBytes.toString('latin1') ?? ''
  // What cannot be read is taken for what it acts as.
  const given = value.toLowerCase().startsWith(part.contentType) ? value : part.contentType
  const changed = withParameter(given, 'charset', charset)
  setField(header, 'Content-Type', isAscii(Buffer.from(changed)) ? changed : Buffer.from(changed, 'latin1'))
}

/** A header section that asks before each change whether it still may. */
export function guarded(header: HeaderEdit, check: () => void): HeaderEdit {
  return {
    get fields() {
      return header.fields
    },
    get: (name, at) => header.get(name, at),
    getAll: (name) => header.getAll(name),
    add: (name, value, options) => {
      check()
      header.add(name, value, options)
    },
    insert: (place, name, value, options) => {
      check()
      header.insert(place, name, value, options)
    },
    replace: (name, value, options) => {
      check()
      return header.replace(name, value, options)
    },
    remove: (name, at) => {
      check()
      return header.remove(name, at)
    },
  }
}
