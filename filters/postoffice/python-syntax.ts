/**
 * Regular expressions of Python 2.7, translated for an engine of linear time with RE2's syntax and meaning. Every
 * character is read as Python reads it and written anew; what cannot be translated is refused.
 *
 * Pure: no clock, socket, file or logger. No recursion: groups are kept on a stack.
 * Source: spec postoffice 18.
 */
import { charLength, literal, readClass, readEscape } from './python-escape.ts'
import type { Atom, ExpressionRemark, PythonSyntax } from './python-escape.ts'
import { readGroupStart } from './python-group.ts'

export { pythonSyntaxes } from './python-escape.ts'
export type { ExpressionRemark, PythonSyntax } from './python-escape.ts'

/** The limits of one expression. */
export const expressionLimits = {
  octets: 4096,
  /** What the engine takes, also multiplied over nested groups. */
  repetitions: 1000,
  /** Steps that the engine makes of it: what its memory and its time for a character depend on. */
  steps: 20_000,
  depth: 200,
} as const

/** An expression for the engine. */
export interface Translation {
  /** Without its flags, and not anchored. */
  readonly body: string
  /** `i`, `m`, `s`, in this order, those that hold for all of it. */
  readonly flags: string
  /** What each text that it matches from the beginning on begins with, case aside; may be empty. */
  readonly prefix: string
  /** Whether hundreds of such expressions run as one at little cost: nothing is repeated in it, and no class is wide. */
  readonly isNarrow: boolean
  /** Whether a match can depend on what stands behind it. */
  readonly looksAhead: boolean
  /** About as many as the engine makes of it. */
  readonly steps: number
  readonly warnings: readonly ExpressionRemark[]
}

/**
 * Translates an expression.
 *
 * Shape:  `$` takes in a line feed at the very end of the text, where Python only looks at it; that is no other thing but
 *         where more of the expression comes behind the `$`. Groups are not captured. Ignoring case goes by Unicode.
 * Errors: `fault`, the first one.
 */
export function translatePython(
  source: string,
  { isMultiline, syntax }: { readonly isMultiline: boolean; readonly syntax: PythonSyntax },
): Translation | { readonly fault: ExpressionRemark } {
  if (Buffer.byteLength(source) > expressionLimits.octets) {
    const text = `it is longer than ${expressionLimits.octets} octets`
    return { fault: { at: 0, text, cure: 'make several expressions of it' } }
  }
  let flags = isMultiline ? 'm' : ''
  // As in Python, flags hold for all of the expression wherever they stand, so that it is read again with what was found.
  for (;;) {
    const pass = new Pass(source, flags, syntax)
    const fault = pass.run()
    if (fault !== null) return { fault }
    if (pass.flags === flags) return pass.finish()
    flags = pass.flags
  }
}

interface Item {
  readonly text: string
  readonly kind: 'item' | 'place' | 'repetition'
  readonly steps: number
  /** The highest number of repetitions in it, multiplied over its groups. */
  readonly repetitions: number
  /** The character; empty for a place before all text; `null` for anything else. */
  readonly literal: string | null
}

interface Frame {
  readonly at: number
  readonly open: string
  readonly isMultiline: boolean
  isVerbose: boolean
  /** The branches before the last `|`. */
  text: string
  steps: number
  repetitions: number
  branches: number
  items: Item[]
}

class Pass {
  readonly #source: string
  readonly #syntax: PythonSyntax
  readonly #names = new Set<string>()
  readonly #warnings: ExpressionRemark[] = []
  readonly #frames: Frame[] = []
  flags: string
  #at = 0
  #isNarrow = true
  #looksAhead = false

  constructor(source: string, flags: string, syntax: PythonSyntax) {
    this.#source = source
    this.#syntax = syntax
    this.flags = flags
    this.#enter(0, '', flags.includes('m'), flags.includes('x'))
  }

  /** Reads all of the expression. */
  run(): ExpressionRemark | null {
    while (this.#at < this.#source.length) {
      const fault = this.#next()
      if (fault !== null) return fault
    }
    const { at } = this.#frame
    return this.#frames.length > 1
      ? { at, text: 'the ( is not closed', cure: 'write ) behind it, or \\( for the mark itself' }
      : this.#tooLarge(this.#close(this.#frame).steps)
  }

  finish(): Translation {
    const frame = this.#frame
    let prefix = ''
    for (const item of frame.branches === 1 ? frame.items : []) {
      if (item.literal === null) break
      prefix += item.literal
    }
    return {
      body: this.#close(frame).text,
      flags: ['i', 'm', 's'].filter((flag) => this.flags.includes(flag)).join(''),
      prefix,
      isNarrow: this.#isNarrow,
      looksAhead: this.#looksAhead,
      steps: this.#close(frame).steps,
      warnings: this.#warnings,
    }
  }

  get #frame(): Frame {
    return this.#frames.at(-1) as Frame
  }

  #next(): ExpressionRemark | null {
    const at = this.#at
    const frame = this.#frame
    const codePoint = this.#source.codePointAt(at) ?? 0
    const char = String.fromCodePoint(codePoint)
    this.#at += charLength(codePoint)
    if (frame.isVerbose && /[ \t\n\r\v\f]/.test(char)) return null
    if (frame.isVerbose && char === '#') {
      const end = this.#source.indexOf('\n', at)
      this.#at = end < 0 ? this.#source.length : end + 1
      return null
    }
    switch (char) {
      case '|':
        this.#branch(frame)
        return null
      case '(':
        return this.#open(at)
      case ')':
        return this.#leave(at)
      case '[':
        return this.#atom(readClass(this.#source, at, this.#syntax))
      case '\\':
        return this.#atom(readEscape(this.#source, at, this.#syntax))
      case '^':
        return this.#add('^', 'place', frame.isMultiline ? null : '')
      case '$':
        this.#looksAhead = true
        return this.#add(frame.isMultiline ? '$' : '(?:\\n?\\z)', 'place', null)
      case '.':
        this.#isNarrow = false
        return this.#add('.', 'item', null)
      case '*':
      case '+':
      case '?':
        return this.#repeat(at, char, char === '?' ? 1 : Infinity)
      case '{':
        return this.#count(at)
      default:
        return this.#add(literal(codePoint), 'item', char)
    }
  }

  #atom(atom: Atom | ExpressionRemark): ExpressionRemark | null {
    if (!('end' in atom)) return atom
    this.#at = atom.end
    if (atom.warning !== null) this.#warnings.push(atom.warning)
    if (!atom.isNarrow) this.#isNarrow = false
    if (/^\\[zbB]$/.test(atom.text)) this.#looksAhead = true
    const char = atom.codePoint === null ? null : String.fromCodePoint(atom.codePoint)
    return this.#add(atom.text, atom.isPlace ? 'place' : 'item', atom.text === '\\A' ? '' : char)
  }

  #add(text: string, kind: Item['kind'], char: string | null): null {
    this.#frame.items.push({ text, kind, steps: 1, repetitions: 1, literal: char })
    return null
  }

  #branch(frame: Frame): void {
    frame.text += `${frame.items.map(({ text }) => text).join('')}|`
    frame.steps += 1 + sum(frame.items)
    frame.repetitions = Math.max(frame.repetitions, most(frame.items))
    frame.branches++
    frame.items = []
  }

  #enter(at: number, open: string, isMultiline: boolean, isVerbose: boolean): void {
    const empty = { text: '', steps: 1, repetitions: 1, branches: 1, items: [] }
    this.#frames.push({ at, open, isMultiline, isVerbose, ...empty })
  }

  #leave(at: number): ExpressionRemark | null {
    if (this.#frames.length === 1) {
      return { at, text: 'there is no ( for this )', cure: 'write \\) for the mark itself' }
    }
    const frame = this.#frames.pop() as Frame
    this.#frame.items.push(this.#close(frame))
    return null
  }

  #close({ open, text, items, steps, repetitions }: Frame): Item {
    const inner = `${text}${items.map((item) => item.text).join('')}`
    return {
      text: open === '' ? inner : `${open}${inner})`,
      kind: 'item',
      steps: steps + sum(items),
      repetitions: Math.max(repetitions, most(items)),
      literal: null,
    }
  }

  #open(at: number): ExpressionRemark | null {
    const { isMultiline, isVerbose } = this.#frame
    if (this.#frames.length > expressionLimits.depth) {
      return { at, text: `groups are more than ${expressionLimits.depth} deep`, cure: 'make it simpler' }
    }
    const start = readGroupStart(this.#source, at)
    if (!('kind' in start)) return start
    this.#at = start.end
    if (start.kind === 'comment') return null
    if (start.warning !== null) this.#warnings.push(start.warning)
    const { on } = start
    if (start.kind === 'flags') {
      if (on.includes('x')) for (const frame of this.#frames) frame.isVerbose = true
      this.flags = ['i', 'm', 's', 'x'].filter((flag) => this.flags.includes(flag) || on.includes(flag)).join('')
      return null
    }
    const { name, off } = start
    if (name !== null && this.#names.has(name)) return { at, text: `two groups are called ${name}`, cure: 'rename one' }
    if (name !== null) this.#names.add(name)
    const kept = (flags: string): string => ['i', 'm', 's'].filter((flag) => flags.includes(flag)).join('')
    const holds = (flag: string, before: boolean): boolean => (before || on.includes(flag)) && !off.includes(flag)
    const open = `(?${kept(on)}${kept(off) === '' ? '' : `-${kept(off)}`}:`
    this.#enter(at, open, holds('m', isMultiline), holds('x', isVerbose))
    return null
  }

  /** `{m,n}`; anything else that begins with `{` stands for itself. */
  #count(at: number): ExpressionRemark | null {
    const [whole, low = '', comma, high = ''] =
      /^\{([0-9]*)(?:(,)([0-9]*))?\}/.exec(this.#source.slice(at, at + 40)) ?? []
    if (whole === undefined || whole === '{}') return this.#add('\\{', 'item', '{')
    this.#at = at + whole.length
    const least = low === '' ? 0 : Number(low)
    const most = comma === undefined ? least : high === '' ? Infinity : Number(high)
    if (most < least) return { at, text: `${whole} has its numbers in the wrong order`, cure: `write {${high},${low}}` }
    const bounds = comma === undefined ? `${least}` : `${least},${most === Infinity ? '' : most}`
    return this.#repeat(at, `{${bounds}}`, most === Infinity ? Math.max(least, 1) : most, most === Infinity)
  }

  #repeat(at: number, sign: string, times: number, isOpen = times === Infinity): ExpressionRemark | null {
    const item = this.#frame.items.pop()
    if (item === undefined || item.kind === 'place') {
      return { at, text: `there is nothing to repeat before ${sign}`, cure: `write \\${sign} for the mark itself` }
    }
    if (item.kind === 'repetition') return { at, ...doubled(sign, this.#source.slice(at - 1, at + 1)) }
    const count = times === Infinity ? 1 : Math.max(times, 1)
    const repetitions = item.repetitions * count
    if (repetitions > expressionLimits.repetitions) {
      const text = `more than ${expressionLimits.repetitions} repetitions are not possible`
      return {
        at,
        text,
        cure: `write * or +, or a number of at most ${expressionLimits.repetitions}, groups multiplied`,
      }
    }
    const steps = item.steps * count + (count > 1 || isOpen ? count : 1)
    if (isOpen || count > 1) this.#isNarrow = false
    const isLazy = this.#source[this.#at] === '?'
    if (isLazy) this.#at++
    this.#frame.items.push({
      text: `${item.text}${sign}${isLazy ? '?' : ''}`,
      kind: 'repetition',
      steps,
      repetitions,
      literal: null,
    })
    return this.#tooLarge(steps)
  }

  #tooLarge(steps: number): ExpressionRemark | null {
    if (steps <= expressionLimits.steps) return null
    const text = `with its repetitions written out it has more than ${expressionLimits.steps} steps`
    return { at: 0, text, cure: 'use smaller numbers in {...}' }
  }
}

function sum(items: readonly Item[]): number {
  return items.reduce((total, { steps }) => total + steps, 0)
}

function most(items: readonly Item[]): number {
  return items.reduce((highest, { repetitions }) => Math.max(highest, repetitions), 1)
}

/** Why a repetition behind a repetition is refused. */
function doubled(sign: string, marks: string): Omit<ExpressionRemark, 'at'> {
  if (sign === '+') {
    return { text: `${marks} is no repetition of Python 2`, cure: 'take the second + out, no guard is needed here' }
  }
  return { text: `${sign} repeats a repetition`, cure: 'write (?:...) around what it shall repeat' }
}
