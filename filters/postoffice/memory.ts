/**
 * What the post office remembers between messages, and the one question it asks of it: may this message be put in its
 * queue, and is its sender too fast? Question and answer are plain data, and asking is one transaction.
 */
import { judgeSeen, type SeenRecord } from './duplicates.ts'
import { judgeLoop, type LoopQuestion, type LoopRecord } from './loop.ts'

/** The question. */
export interface Admission {
  readonly nowMs: number
  readonly seen: { readonly key: string; readonly windowMs: number }
  /** Names the delivery that brings the message; `null` where none can be told from another. */
  readonly delivery: string | null
  /** `null`: nobody is too fast, and nothing is remembered of the sender. */
  readonly loop: (LoopQuestion & { readonly key: string }) | null
}

/** The answer. */
export type Admitted =
  | { readonly kind: 'duplicate'; readonly seenAtMs: number }
  | {
      readonly kind: 'admitted'
      /** The same delivery was admitted before: it is in its queue, or was. Nothing is remembered a second time. */
      readonly isRepeat: boolean
      readonly throttle: 'none' | 'active' | 'triggered'
    }

/** `record` decides and remembers; `look` decides alone, for a dry run or for what is only staged. */
export type AdmitMode = 'record' | 'look'

/** What remembers. Errors of `admit`: those of the store; nothing was remembered then. */
export interface PostMemory {
  admit(question: Admission, mode: AdmitMode): Promise<Admitted>
}

/** What is kept under a key. */
export interface MemoryRecords {
  readonly seen: SeenRecord
  readonly loop: LoopRecord
}

/** What a transaction sees of the memory. Keys are short; after `expiresAtMs` a record may go at any time. */
export interface MemoryView {
  get<Table extends keyof MemoryRecords>(table: Table, key: string): MemoryRecords[Table] | null
  put<Table extends keyof MemoryRecords>(
    table: Table,
    key: string,
    record: MemoryRecords[Table],
    expiresAtMs: number,
  ): void
}

/** Answers the question inside a transaction. Pure but for `view`. */
export function admit(view: MemoryView, question: Admission, mode: AdmitMode): Admitted {
  const { nowMs, seen, delivery, loop } = question
  const known = view.get('seen', seen.key)
  const judged = judgeSeen(known, { nowMs, windowMs: seen.windowMs, delivery })
  if (judged === 'duplicate') return { kind: 'duplicate', seenAtMs: known?.atMs ?? nowMs }
  if (judged === 'repeat') {
    return { kind: 'admitted', isRepeat: true, throttle: known?.isThrottled === true ? 'active' : 'none' }
  }
  const loopJudged = loop === null ? null : judgeLoop(view.get('loop', loop.key), loop)
  const throttle = loopJudged?.throttle ?? 'none'
  if (mode === 'record') {
    const record: SeenRecord = { atMs: nowMs, delivery, isThrottled: throttle !== 'none' }
    if (seen.windowMs > 0) view.put('seen', seen.key, record, nowMs + seen.windowMs + 1)
    if (loop !== null && loopJudged !== null) {
      view.put('loop', loop.key, loopJudged.record, nowMs + loopJudged.keepMs)
    }
  }
  return { kind: 'admitted', isRepeat: false, throttle }
}

/** How many records are looked at for their end at each message: more than a message adds, so that all go in time. */
const sweptAtOnce = 4

/** A memory that ends with the process: for tests and dry runs. */
export function createPostMemory(): PostMemory & { readonly size: () => number } {
  const tables = {
    seen: new Map<string, { record: SeenRecord; expiresAtMs: number }>(),
    loop: new Map<string, { record: LoopRecord; expiresAtMs: number }>(),
  }
  const view: MemoryView = {
    get: (table, key) => (tables[table].get(key)?.record ?? null) as never,
    put: (table, key, record, expiresAtMs) => {
      // Behind all others, so that the oldest stand in front.
      tables[table].delete(key)
      ;(tables[table] as Map<string, unknown>).set(key, { record, expiresAtMs })
    },
  }
  return {
    admit: (question, mode) => {
      for (const table of [tables.seen, tables.loop]) sweep(table, question.nowMs)
      return Promise.resolve(admit(view, question, mode))
    },
    size: () => tables.seen.size + tables.loop.size,
  }
}

function sweep(table: Map<string, { readonly expiresAtMs: number }>, nowMs: number): void {
  let left = sweptAtOnce
  for (const [key, { expiresAtMs }] of table) {
    if (left-- === 0 || expiresAtMs > nowMs) return
    table.delete(key)
  }
}
