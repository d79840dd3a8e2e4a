/** Reads a Maildir, to see what was delivered. */
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../helpers/until.ts'

/** A delivered message. */
export interface Delivered {
  /** The recipient, as the server wrote it into `Delivered-To`. */
  readonly deliveredTo: string
  /** The envelope sender, as the server wrote it into `Return-Path`. */
  readonly returnPath: string
  /** The whole file. */
  readonly text: string
}

/** A Maildir's messages. */
export interface Maildir {
  /** All messages whose subject holds the token. */
  with(token: string): Delivered[]
  /** Waits until `count` of them are there; then gives them. */
  await(token: string, count?: number, limitMs?: number): Promise<Delivered[]>
  empty(): void
}

/** Opens one; it need not exist yet. */
export function openMaildir(path: string): Maildir {
  // A file of a Maildir never changes, so each is read once.
  const known = new Map<string, Delivered & { readonly subject: string }>()
  const files = (): string[] =>
    ['new', 'cur'].flatMap((part) => {
      const folder = join(path, part)
      return existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : []
    })
  const maildir: Maildir = {
    with: (token) => {
      for (const file of files()) if (!known.has(file)) known.set(file, parse(readFileSync(file, 'utf8')))
      return [...known.values()].filter(({ subject }) => subject.includes(token))
    },
    await: (token, count = 1, limitMs = 20_000) =>
      until(
        `${count} delivered with "${token}"`,
        () => {
          const found = maildir.with(token)
          return found.length >= count && found
        },
        limitMs,
        50,
      ),
    empty: () => {
      known.clear()
      for (const file of files()) rmSync(file)
    },
  }
  return maildir
}

function parse(text: string): Delivered & { readonly subject: string } {
  const head = text.split('\n\n', 1)[0] ?? ''
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1] ?? ''
  return { deliveredTo: field('Delivered-To'), returnPath: field('Return-Path'), subject: field('Subject'), text }
}
