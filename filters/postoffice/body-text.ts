/**
 * The text of a message's body, in windows that body expressions are tried on.
 *
 * Memory is bounded by a window, and by what is kept of a small message, whose text several queues may ask for.
 * Source: spec postoffice 3.4 and 17 ("Streaming").
 */
import type { MessageReading, Part } from '../../courier-compat/index.ts'
import type { IncomingMessage } from './incoming.ts'
import type { SortingSettings } from './types.ts'

/** A piece of a part's text. */
export interface TextWindow {
  readonly text: string
  /** What stands before is context alone: see `Expression.test`. */
  readonly from: number
  readonly goesOn: boolean
}

/** The text of one message. */
export interface BodyText {
  /**
   * Its windows, part after part: every part of type text/*, attachments and what is in attached messages among them.
   * Errors: those of `IncomingMessage.read`.
   */
  windows(): AsyncIterable<TextWindow>
  /** Some text was left out so far, since it is beyond a limit. */
  isCut(): boolean
}

/** How much of a text is looked at, in characters. */
export type BodyLimits = Pick<SortingSettings, 'bodyScanCharacters' | 'bodyScanTotalCharacters'>

/** How long a window is, and how far the next one reaches back: a match may be cut, and missed, if it is longer. */
const windowCharacters = 64 * 1024
const overlapCharacters = 4 * 1024

/** Most mail is smaller, and is then decoded once, however many queues ask. */
const maxKeptCharacters = 256 * 1024

/** Opens the text of a message; nothing is read before it is asked for. */
export function openBodyText(message: Pick<IncomingMessage, 'read'>, limits: BodyLimits): BodyText {
  let kept: readonly TextWindow[] | null = null
  let isCut = false
  async function* windows(): AsyncGenerator<TextWindow, void, undefined> {
    if (kept !== null) {
      yield* kept
      return
    }
    let keeping: TextWindow[] | null = []
    let length = 0
    for await (const window of windowsOf(await message.read(), limits, () => (isCut = true))) {
      length += window.text.length
      if (length > maxKeptCharacters) keeping = null
      keeping?.push(window)
      yield window
    }
    kept = keeping
  }
  return { windows, isCut: () => isCut }
}

async function* windowsOf(
  reading: MessageReading,
  limits: BodyLimits,
  onCut: () => void,
): AsyncGenerator<TextWindow, void, undefined> {
  if (reading.isOverLimit) onCut()
  let left = limits.bodyScanTotalCharacters
  for (const part of reading.leaves) {
    if (!part.contentType.startsWith('text/')) continue
    if (left === 0) {
      onCut()
      return
    }
    const room = Math.min(left, limits.bodyScanCharacters)
    let used = 0
    for await (const piece of atMost(reading, part, room, onCut)) {
      used += piece.characters
      yield piece.window
    }
    left -= used
  }
}

/** The windows of one part; `characters` is what of its text is new in each. */
async function* atMost(
  reading: MessageReading,
  part: Part,
  room: number,
  onCut: () => void,
): AsyncGenerator<{ readonly window: TextWindow; readonly characters: number }, void, undefined> {
  let pending = ''
  let from = 0
  let taken = 0
  let untold = 0
  let isCut = false
  for await (const piece of reading.textStream(part) as AsyncIterable<string>) {
    const text = piece.slice(0, room - taken)
    taken += text.length
    untold += text.length
    pending += text
    while (pending.length >= windowCharacters + overlapCharacters) {
      const end = windowEnd(pending)
      yield { window: { text: pending.slice(0, end), from, goesOn: true }, characters: untold }
      untold = 0
      const next = beginOfCharacter(pending, end - overlapCharacters)
      pending = pending.slice(next - 1)
      from = 1
    }
    if (text.length < piece.length) {
      onCut()
      isCut = true
      break
    }
  }
  yield { window: { text: pending, from, goesOn: isCut }, characters: untold }
}

/** After a line end where there is one, so that what stands in the last line is found whole in this window. */
function windowEnd(text: string): number {
  const lineEnd = text.lastIndexOf('\n', windowCharacters)
  return lineEnd > windowCharacters - overlapCharacters ? lineEnd + 1 : beginOfCharacter(text, windowCharacters)
}

/** The place itself, or the one before it if it is inside a surrogate pair. */
function beginOfCharacter(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return code >= 0xdc00 && code <= 0xdfff ? at - 1 : at
}
