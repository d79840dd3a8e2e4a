/**
 * The rows of a file of settings that make up one option, copied as they are.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec pythonfilter 4.1.4 (a value goes on while lines are indented deeper than its key), 4.1.5 (comments).
 */
import type { ModuleOption } from '../../../courier-compat/module-config/parse.ts'

const comment = /^\s*[#;]/

/** The rows of a file, counted from 0. */
export function fileRows(text: string): string[] {
  return text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/)
}

/** The option under the name it is to have, at the margin, with every row of its value. */
export function optionRows(rows: readonly string[], option: ModuleOption, name: string): string[] {
  const index = option.line - 1
  const first = rows[index] ?? ''
  const indent = option.column - 1
  let end = index
  for (let at = index + 1; at < rows.length; at++) {
    const row = rows[at] ?? ''
    if (row.trim() === '' || comment.test(row)) continue
    if (row.length - row.trimStart().length <= indent) break
    end = at
  }
  return [name + first.slice(indent + option.key.length), ...rows.slice(index + 1, end + 1)].map((row) => row.trimEnd())
}

/** The comment that stands directly above a line, counted from 1. */
export function commentAbove(rows: readonly string[], line: number): string[] {
  let from = line - 1
  while (from > 0 && comment.test(rows[from - 1] ?? '')) from--
  return rows.slice(from, line - 1).map((row) => row.trim())
}
