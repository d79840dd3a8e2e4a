/**
 * The host's settings as a chapter of the manual, made from their declarations.
 *
 * Pure: no clock, socket, file or logger.
 */
import { describeType, writeDefault } from '../../courier-compat/setting/text.ts'
import type { SettingSchemas } from '../../courier-compat/setting.ts'

/** Markdown: a heading and a table for each section. */
export function settingsChapter(sections: Readonly<Record<string, SettingSchemas>>): string {
  return Object.entries(sections)
    .map(([name, schemas]) => `### [${name}]\n\n${settingsTable(schemas)}`)
    .join('\n')
}

/** One table in Markdown: setting, what may be written, default, what it does. */
export function settingsTable(schemas: SettingSchemas): string {
  const rows = Object.entries(schemas).map(([key, schema]) =>
    [`\`${key}\``, describeType(schema), `\`${writeDefault(schema)}\``, schema.text].map(cell).join(' | '),
  )
  return `| setting | value | default | what it does |\n|---|---|---|---|\n${rows.map((row) => `| ${row} |\n`).join('')}`
}

/** A bar would end the cell, an angle bracket begin a tag. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
