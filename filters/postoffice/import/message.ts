/**
 * One message on its way: sorted as far as that needs no memory, and its octets taken into the depot.
 *
 * The octets are those of the file, whatever is in them; of a message over the size limit a few lines in its place.
 */
import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Content, Depot, Json, Staged } from '../../../queue-store/index.ts'
import type { PostFacts } from '../facts.ts'
import { openIncoming, type IncomingMessage } from '../incoming.ts'
import { oversizeMessage } from '../oversize.ts'
import { routeMessage, type Dropped, type Routed, type SortingRules } from '../sort.ts'
import { pathOf, type MaildirFile } from './maildir.ts'

/** What a file in the Maildir turned out to be; `gone`: somebody moved it since it was listed. */
export type Prepared =
  | { readonly kind: 'dropped'; readonly file: MaildirFile; readonly folder: string; readonly sorting: Dropped }
  | PreparedRouted
  | { readonly kind: 'gone'; readonly file: MaildirFile }

/** A message that has a queue, if the memory lets it in. */
export interface PreparedRouted {
  readonly kind: 'routed'
  readonly file: MaildirFile
  /** The folder to which its file goes. */
  readonly folder: string
  readonly routed: Routed
  readonly staged: Staged
  /** Of its header section and size: what tells it from another file of its name. */
  readonly digest: string
}

/** What it is prepared with. */
export interface PrepareParts {
  readonly maildir: string
  /** The folder to which it will go. */
  readonly folder: string
  readonly rules: SortingRules
  readonly depot: Depot
  readonly nowMs: number
}

/** Messages up to this size are read at once: a stream costs more than they do. */
const wholeOctets = 64 * 1024

/** Prepares a message. Errors: the system's, for the file or for the depot (DepotError); never for what it contains. */
export async function prepareMessage(file: MaildirFile, parts: PrepareParts): Promise<Prepared> {
  const { maildir, folder, rules, depot, nowMs } = parts
  const path = pathOf(maildir, file)
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return { kind: 'gone', file }
  if (!stats.isFile()) throw new Error(`${path} is not a regular file`)
  const message = openIncoming(path)
  const routed = await routeMessage(message, rules, nowMs)
  if (routed.outcome === 'dropped') return { kind: 'dropped', file, folder, sorting: routed }
  const { facts } = routed
  const about = {
    queue: facts.queue,
    facts: entryFacts(facts, file, folder),
    // In a queue with `order = key`: mail of one author is delivered in order.
    key: facts.sender === '' ? null : facts.sender,
  }
  const limitOctets = facts.sizeLimitOctets
  const staged =
    limitOctets === null
      ? await withContent(path, stats, (content) => depot.stage({ ...about, message: content }))
      : await depot.stage({ ...about, message: stubOf(message, limitOctets, file, folder) })
  return { kind: 'routed', file, folder, routed, staged, digest: digestOf(message) }
}

/** What a consumer is told of a message from a Maildir. */
export function entryFacts(facts: PostFacts, { place, name }: MaildirFile, folder: string): { [name: string]: Json } {
  return { ...facts, source: 'maildir', file: name, archived: `${folder}/${place}/${name}` }
}

/** The same whatever the configuration says about sizes, so that a file is known again when that was changed meanwhile. */
function digestOf({ header, octets }: IncomingMessage): string {
  const hash = createHash('sha256')
  for (const { raw } of header.lines) hash.update(raw)
  return hash.update(`\n${octets}`).digest('base64url').slice(0, 22)
}

function stubOf({ header, octets }: IncomingMessage, limitOctets: number, file: MaildirFile, folder: string): Buffer {
  return oversizeMessage(header, { octets, limitOctets, reference: `${folder}/${file.place}/${file.name}` })
}

// A symbolic link could lead to a file that is not for the readers of a queue, a FIFO would never end.
const guarded = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

async function withContent<T>(path: string, known: Stats, work: (content: Content) => Promise<T>): Promise<T> {
  if (known.size <= wholeOctets) return work(readWhole(path, known))
  const handle = await open(path, guarded)
  try {
    checkSame(path, known, await handle.stat())
    // By its descriptor: what stands under its name may be another file by now.
    return await work({ path: `/dev/fd/${handle.fd}` })
  } finally {
    await handle.close()
  }
}

/** At once: a thread of its own for each of the few calls would take longer than all of them. */
function readWhole(path: string, known: Stats): Buffer {
  const fd = openSync(path, guarded)
  try {
    checkSame(path, known, fstatSync(fd))
    const content = Buffer.allocUnsafe(known.size)
    for (let at = 0; at < content.length;) {
      const octets = readSync(fd, content, at, content.length - at, at)
      if (octets === 0) throw new Error(`message ${path} became shorter while it was read`)
      at += octets
    }
    return content
  } finally {
    closeSync(fd)
  }
}

function checkSame(path: string, known: Stats, { dev, ino, size }: Stats): void {
  if (dev === known.dev && ino === known.ino && size === known.size) return
  throw new Error(`message ${path} was changed since it was listed`)
}
