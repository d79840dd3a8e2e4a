/** In which character set a text is added to a part that has one already. Pure. */
import { charsetNamed, encodeText } from '../message/charset.ts'
import type { TextFacts } from './text-facts.ts'

/** What is to be done. */
export interface CharsetChoice {
  readonly write: (text: string) => Buffer
  /** The set that the whole part has to be read in and written anew as UTF-8; `null`: its octets stay. */
  readonly convertFrom: string | null
  /** The part has to name this set from now on; `null`: what it says stays true. */
  readonly label: 'utf-8' | null
}

/** ASCII, and what programs write that do not know: what they send is ASCII with something beyond it, at most. */
const asciiLabels = /^(?:(?:us-)?ascii|ansi_x3\.4-1968|(?:x-)?unknown(?:-8bit)?)$/

const utf8 = (text: string): Buffer => Buffer.from(text)

/** Chooses for these texts. `null`: nobody knows the part's character set. */
export function chooseCharset(
  label: string | null,
  texts: readonly string[],
  facts: Pick<TextFacts, 'isUtf8'>,
): CharsetChoice | null {
  const text = texts.join('')
  if (label === null || asciiLabels.test(label)) {
    if (/^[\0-\x7f]*$/.test(text)) return { write: utf8, convertFrom: null, label: null }
    return { write: utf8, convertFrom: facts.isUtf8 ? null : 'windows-1252', label: 'utf-8' }
  }
  const charset = charsetNamed(label)
  if (charset === null) return null
  if (charset.name === 'utf-8') return { write: utf8, convertFrom: null, label: null }
  // In those, what is put between octets may change what they mean.
  if (!charset.isDangerous && encodeText(text, label) !== null) {
    return { write: (each) => encodeText(each, label) ?? utf8(each), convertFrom: null, label: null }
  }
  return { write: utf8, convertFrom: label, label: 'utf-8' }
}
