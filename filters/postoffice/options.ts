/**
 * The options of one section of a post office's ini file, read as what they are.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec postoffice 2.1 and 2.2.
 */
import { didYouMean } from '../../courier-compat/near-match.ts'
import { quoted } from '../../courier-compat/quoted.ts'
import { parseDuration } from '../../courier-compat/units.ts'
import type { IniOption, IniPiece, IniSection } from './ini.ts'
import { interpolate } from './interpolation.ts'
import type { Variables } from './interpolation.ts'
import type { Place, Remarks } from './problem.ts'
import { parsePostofficeSize } from './size.ts'

/** One section. Each reader gives the default where the option is missing or faulty, and notes the fault. */
export class Options {
  readonly #section: IniSection
  readonly #variables: Variables
  readonly #remarks: Remarks

  constructor(section: IniSection, shared: Variables, remarks: Remarks) {
    this.#section = section
    this.#remarks = remarks
    this.#variables = new Map([...shared, ...variablesOf(section)])
  }

  get place(): Place {
    return { line: this.#section.line, column: 1 }
  }

  /** The beginning of what is told about an option. */
  label(key: string): string {
    return `[${this.#section.name ?? ''}] ${key}`
  }

  has(key: string): boolean {
    return this.#find(key) !== null
  }

  placeOf(key: string): Place {
    const option = this.#find(key)
    return option === null ? this.place : { line: option.line, column: option.column }
  }

  /** Notes each option that is not among `known`. */
  refuseOthers(known: readonly string[], isStrict: boolean): void {
    for (const { key, line, column } of this.#section.options) {
      if (known.includes(key)) continue
      const cure =
        didYouMean(key, known) ?? (known.length < 6 ? `there are ${known.join(', ')}` : isStrict ? 'take it out' : null)
      const told = `${this.label(key)}: there is no such option`
      if (isStrict) this.#remarks.fault({ line, column }, told, cure)
      else this.#remarks.warn({ line, column }, told, cure)
    }
  }

  /** The lines of the value, with everything but full-line comments; `null` where the option is missing or faulty. */
  lines(key: string): readonly IniPiece[] | null {
    return this.#lines(key, this.#find(key)?.pieces ?? null)
  }

  #lines(key: string, written: readonly IniPiece[] | null): readonly IniPiece[] | null {
    if (written === null) return null
    const { pieces, fault, unknown } = interpolate(written, this.#variables)
    for (const { name, piece } of unknown) {
      const cure = `write it in [DEFAULT], if it is meant to be replaced`
      this.#remarks.warn(
        piece,
        `${this.label(key)}: nothing is called ${quoted(name)}, so %(${name})s stays as it is`,
        cure,
      )
    }
    if (fault === null) return pieces
    this.#remarks.fault(this.placeOf(key), `${this.label(key)}: ${fault}`, 'write the values out')
    return null
  }

  /** Separated by commas. */
  list(key: string): readonly { readonly word: string; readonly place: IniPiece }[] {
    return (this.#scalarLines(key) ?? []).flatMap((piece) =>
      piece.text.split(',').flatMap((word) => (word.trim() === '' ? [] : [{ word: word.trim(), place: piece }])),
    )
  }

  /** One line that is not empty. */
  text(key: string): IniPiece | null {
    const piece = this.#scalar(key)
    if (piece === null || piece.text !== '') return piece
    this.#remarks.fault(piece, `${this.label(key)}: the value is empty`, 'write a value, or take the option out')
    return null
  }

  choice<T extends string>(key: string, choices: readonly T[], fallback: T): T {
    return this.#read(key, `is none of ${choices.join(', ')}`, fallback, (text) => choices.find((one) => one === text))
  }

  switch(key: string, fallback: boolean): boolean {
    return this.choice(key, ['yes', 'no'], fallback ? 'yes' : 'no') === 'yes'
  }

  octets(key: string, fallback: number): number {
    const wanted = 'is no size: write digits and k, m or g behind them without a blank, for instance 500m'
    return this.#read(key, wanted, fallback, parsePostofficeSize)
  }

  durationMs(key: string, fallback: number): number {
    return this.#read(key, 'is no duration: write for instance 24h, 30m or 90s', fallback, parseDuration)
  }

  wholeNumber(key: string, fallback: number, least = 0): number {
    const wanted = least === 0 ? 'is no whole number' : `is no whole number from ${least} on`
    return this.#read(key, wanted, fallback, (text) =>
      /^\+?[0-9]{1,9}$/.test(text) && Number(text) >= least ? Number(text) : null,
    )
  }

  number(key: string, fallback: number): number {
    return this.#read(key, 'is no number, 0 or more', fallback, (text) =>
      /^\+?(?:[0-9]{1,15}(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]{1,2})?$/i.test(text) ? Number(text) : null,
    )
  }

  #read<T>(key: string, wanted: string, fallback: T, parse: (text: string) => T | null | undefined): T {
    const piece = this.#scalar(key)
    if (piece === null) return fallback
    const value = parse(piece.text) ?? null
    if (value !== null) return value
    const [told = '', cure = null] = wanted.split(': ')
    this.#remarks.fault(piece, `${this.label(key)}: ${quoted(piece.text)} ${told}`, cure)
    return fallback
  }

  #scalar(key: string): IniPiece | null {
    const lines = this.#scalarLines(key)
    const filled = lines?.filter(({ text }) => text !== '')
    const [first, second] = filled ?? []
    if (second !== undefined) {
      this.#remarks.fault(second, `${this.label(key)}: the value goes on in a second line`, 'write it in one line')
      return null
    }
    return first ?? lines?.[0] ?? null
  }

  /** Comments go before values are put in: a folder may have a blank and # in its name. */
  #scalarLines(key: string): readonly IniPiece[] | null {
    const pieces = this.#find(key)?.pieces.map((piece) => ({ ...piece, text: withoutComment(piece.text) }))
    return this.#lines(key, pieces ?? null)
  }

  #find(key: string): IniOption | null {
    return this.#section.options.find((option) => option.key === key) ?? null
  }
}

/** The options of a section as variables of interpolation: a comment at the end of a first line is none of the value. */
export function variablesOf({ options }: IniSection): Map<string, string> {
  return new Map(
    options.map(({ key, pieces }) => {
      const [first, ...rest] = pieces.map(({ text }) => text)
      return [key, [withoutComment(first ?? ''), ...rest].join('\n')]
    }),
  )
}

/** What stands before a blank and `#` or `;`. */
function withoutComment(text: string): string {
  const value = text.replace(/(?:^|\s)[#;].*$/, '').trim()
  return value === '""' ? '' : value
}
