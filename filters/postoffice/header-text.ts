/**
 * The header fields as the texts that header expressions are tried on: `Name: value`.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 3.2 with its successor's rules: every field, unfolded, whatever the case of its name.
 */
import { isUtf8 } from 'node:buffer'
import { decodedValue } from '../../courier-compat/index.ts'
import type { HeaderField } from '../../courier-compat/index.ts'
import type { TextWindow } from './body-text.ts'

/** More of one field is not looked at: an expression is tried on a text without a turn of the event loop. */
const maxFieldCharacters = 64 * 1024

/**
 * The texts of a field: its name as it is written, then, where that is another, as it is usually written (`Message-Id`), so
 * that `Subject:` finds `SUBJECT: x`. One blank stands after the colon.
 */
export function fieldTexts(field: HeaderField): readonly TextWindow[] {
  const value = fieldText(field)
  const usual = usualName(field.name)
  const names = usual === field.name ? [usual] : [field.name, usual]
  return names.map((name) => {
    const text = `${name}: ${value}`
    return { text: text.slice(0, maxFieldCharacters), from: 0, goesOn: text.length > maxFieldCharacters }
  })
}

/** The value of a field for people: encoded words decoded; octets that are no UTF-8 as latin1. Never fails. */
export function fieldText(field: HeaderField): string {
  const { text, words } = decodedValue(field)
  return words === 0 && !isUtf8(field.valueBytes) ? field.value : text
}

function usualName(name: string): string {
  return name.toLowerCase().replace(/(?<![^-])[a-z]/g, (letter) => letter.toUpperCase())
}
