/** What the message benchmark compares: ways to find the names of a mail's attachments, and to read its header section. */
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { simpleParser } from 'mailparser'
import { Splitter } from 'mailsplit'
import { readHeaderFile } from '../courier-compat/header/file.ts'
import { readMessage } from '../courier-compat/message/reader.ts'

/** Reads the mail at `path`. Resolves to what it found, which is compared. */
export type Method = (path: string) => Promise<readonly string[]>

/** Each reads from the file, as a filter would have to. */
export const methods = {
  /** All parts, with all findings. */
  reader: async (path) => {
    const { parts } = await readMessage(path)
    return parts.flatMap(({ fileName }) => fileName ?? [])
  },
  mailsplit: async (path) => {
    const names: string[] = []
    // By events, which is the cheapest way to see its chunks.
    const splitter = new Splitter().on('data', (chunk) => {
      if (chunk.type === 'node' && chunk.filename !== false) names.push(chunk.filename)
    })
    await pipeline(createReadStream(path), splitter)
    return names
  },
  simpleParser: async (path) => {
    const { attachments } = await simpleParser(createReadStream(path))
    return attachments.flatMap(({ filename }) => filename ?? [])
  },
  /** The header section alone. */
  header: (path) => Promise.resolve(readHeaderFile(path).fields.map(({ name }) => name)),
} as const satisfies Readonly<Record<string, Method>>

export type MethodName = keyof typeof methods
