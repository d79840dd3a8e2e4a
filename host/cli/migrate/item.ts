/**
 * What becomes of one line or setting of a pythonfilter installation, and how it is told.
 *
 * Pure: no clock, socket, file or logger.
 */

/** A text file that was read. */
export interface SourceFile {
  readonly file: string
  readonly text: string
}

/**
 * The ways in which something can be taken over.
 *
 * Shape: `stays` is left in the old file, where a Python filter reads it; `unused` was ignored by pythonfilter or has
 *        no filter that would read it; `problem` keeps the whole from being moved.
 */
export const kinds = {
  same: 'as it is',
  renamed: 'under another name',
  differs: 'with a difference',
  python: 'under python',
  stays: 'left for Python filters',
  unused: 'left out',
  problem: 'cannot be moved',
} as const

export type Kind = keyof typeof kinds

/** One line or setting, and what becomes of it. */
export interface Item {
  readonly file: string
  /** Counted from 1; `null` where the whole file is meant. */
  readonly line: number | null
  readonly kind: Kind
  /** What stands there. */
  readonly subject: string
  /** Sentences without a full stop. Those of a problem say what to do as well. */
  readonly notes: readonly string[]
}

/** Tells the items, a paragraph for each: `FILE:LINE: kind  subject`, then its notes, indented. */
export function formatItems(items: readonly Item[]): string {
  const width = Math.max(...Object.keys(kinds).map((kind) => kind.length))
  return items
    .map(({ file, line, kind, subject, notes }) => {
      const head = `${file}${line === null ? '' : `:${line}`}: ${kind.padEnd(width)}  ${oneLine(subject)}`.trimEnd()
      return [head, ...notes.map((note) => `    ${oneLine(note)}`)].join('\n') + '\n'
    })
    .join('')
}

/** The counts by kind: `7 lines and settings: 4 as it is, 2 under python, 1 cannot be moved`. */
export function formatCounts(items: readonly Item[]): string {
  const counts = Object.entries(kinds).flatMap(([kind, words]) => {
    const count = items.filter((item) => item.kind === kind).length
    return count === 0 ? [] : [`${count} ${words}`]
  })
  const total = items.length === 1 ? '1 line or setting' : `${items.length} lines and settings`
  return `${total}${counts.length === 0 ? '' : `: ${counts.join(', ')}`}\n`
}

/** What a file holds must not look like a line of ours. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, '?')
}
