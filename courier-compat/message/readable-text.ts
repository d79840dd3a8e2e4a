/**
 * The text that a person reads in a message: its plain text, or what its HTML comes to.
 *
 * HTML is turned into text by mailparser, which is loaded when a message first needs it and gets nothing but one text of
 * bounded length, never a whole message: its parts are found by our own reader, which says what is ambiguous in them.
 * The only file that knows mailparser.
 */
import type { MessageReading, Part } from './reading.ts'

/** How much of a message is read as text. */
export interface ReadableTextOptions {
  /** Of the text that is given, and of each part that it is made of. Default: 100,000. */
  readonly maxCharacters?: number
}

/** Beyond this an HTML text is cut before it is converted: converting costs a thread a millisecond for each kilobyte. */
const maxHtmlCharacters = 100_000

/**
 * The text of a message: of its text parts that are no attachments, in their order, with an empty line between them. Of
 * alternatives it takes the plain text if there is one, else the HTML.
 *
 * Shape:  line ends are LF, without blank lines at both ends; HTML that cannot be read is given without its tags. `''` where there is no text.
 * Errors: as `MessageReading.text`.
 */
export async function readableText(
  reading: MessageReading,
  { maxCharacters = 100_000 }: ReadableTextOptions = {},
): Promise<string> {
  const between = '\n\n'
  const texts: string[] = []
  let left = maxCharacters
  for (const part of reading.leaves) {
    if (left <= 0) break
    if (!isShown(part)) continue
    const { text } = await reading.text(part, { maxCharacters: Math.min(left, limitOf(part)) })
    const plain = (isHtml(part) ? await htmlText(text) : text).trim().slice(0, left)
    if (plain === '') continue
    texts.push(plain)
    left -= plain.length + between.length
  }
  return texts.join(between)
}

/** The text that this HTML comes to, as a person would write it down. */
export async function htmlText(html: string): Promise<string> {
  const { simpleParser } = await import('mailparser')
  const head = 'Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n'
  const body = Buffer.from(html.slice(0, maxHtmlCharacters)).toString('base64')
  try {
    const { text } = await simpleParser(head + body, {
      skipTextToHtml: true,
      skipTextLinks: true,
      skipImageLinks: true,
    })
    return text ?? ''
  } catch {
    // Elements within elements by the thousand, for instance.
    return html.replace(/<[^<>]*>/g, ' ')
  }
}

function isShown(part: Part): boolean {
  if (part.disposition === 'attachment') return false
  if (part.contentType === 'text/plain') return true
  return isHtml(part) && !hasPlainAlternative(part)
}

/** Another leaf of the same alternatives says the same as plain text. */
function hasPlainAlternative(part: Part): boolean {
  for (let around = part.parent; around !== null; around = around.parent) {
    if (around.contentType !== 'multipart/alternative') continue
    if (around.children.some(({ contentType }) => contentType === 'text/plain')) return true
  }
  return false
}

function isHtml({ contentType }: Part): boolean {
  return contentType === 'text/html'
}

function limitOf(part: Part): number {
  return isHtml(part) ? maxHtmlCharacters : Infinity
}
