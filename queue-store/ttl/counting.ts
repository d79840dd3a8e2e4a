/**
 * The arithmetic of rates: how many in a window, and how close together. Pure: octets in, octets out.
 *
 * Both remember which message they have counted last, so that a message that runs again (after a lost thread, or where it
 * is unknown whether a write happened) is not counted twice.
 */
import { createHash } from 'node:crypto'

import { latestMs, viewOf } from './layout.ts'
import { TtlError } from './ttl-error.ts'

/** Bounds of the counters: what they make of a record stays below `ttlLimits.recordOctets`. */
export const countingLimits = {
  /** Parts of a window. */
  steps: 120,
  /** Events that a pace remembers for one key: the oldest are forgotten. */
  events: 64,
  /** Messages that a rate remembers having counted for one key. */
  counted: 8,
} as const

/** A window of `steps` parts of `stepMs`, aligned with the clock: with steps of a minute, calendar minutes. */
export interface RateWindow {
  readonly stepMs: number
  readonly steps: number
  readonly by: number
  /** The message that counts. */
  readonly once: string | null
}

/** When to call a sender too fast: see `TtlPace`. */
export interface PaceRule {
  readonly windowMs: number
  readonly leastGapMs: number | null
  readonly atMost: number | null
  readonly throttleMs: number
  readonly once: string | null
}

/** What a pace found. */
export interface PaceResult {
  readonly isThrottled: boolean
  /** The last millisecond of the throttle that holds. */
  readonly untilMs: number | null
  /** Distance to the nearest event remembered; `null` where there is none. */
  readonly gapMs: number | null
  /** Events of the window, this one not counted. */
  readonly earlier: number
}

interface Bucket {
  readonly step: number
  count: number
}

const digestOctets = 6

/**
 * Counts into a window.
 *
 * Shape:  stepMs(6) messages(1) digest(6) ... newestStep(6), then for each step that has any, newest first: how many steps
 *         before the newest(1), count(8).
 * Steps that lie ahead of `atMs`, since the clock went back, count into the present one: a limit is never
 * opened by it, and never shut for longer than a window. A window of other steps than the one stored starts anew.
 */
export function countRate(
  stored: Uint8Array | null,
  atMs: number,
  window: RateWindow,
): { readonly octets: Uint8Array; readonly total: number } {
  const { stepMs, steps, by } = window
  const state = stored === null ? null : readRate(stored)
  const now = Math.floor(atMs / stepMs)
  const digest = window.once === null ? null : digestOf(window.once)
  const counted = state?.stepMs === stepMs ? state.counted : []
  const buckets: Bucket[] = [{ step: now, count: 0 }]
  for (const { step, count } of state?.stepMs === stepMs ? state.buckets : []) {
    const last = buckets.at(-1)
    if (step <= now - steps) break
    if (last !== undefined && step >= last.step) last.count += count
    else buckets.push({ step, count })
  }
  const isCounted = digest !== null && counted.includes(digest)
  const newest = buckets[0]
  if (!isCounted && newest !== undefined) newest.count += by
  if (!isCounted && digest !== null) counted.unshift(digest)
  let total = 0
  for (const { count } of buckets) total += count
  return { octets: writeRate(stepMs, counted.slice(0, countingLimits.counted), buckets), total }
}

/**
 * Remembers an event, and says whether its sender is too fast.
 *
 * Shape:  untilMs(6) then for each event, oldest first: timeMs(6) digest(6). No digest is six zeros.
 * Events further than the window from `atMs`, on either side, are forgotten.
 */
export function keepPace(
  stored: Uint8Array | null,
  atMs: number,
  rule: PaceRule,
): { readonly octets: Uint8Array; readonly result: PaceResult } {
  const state = stored === null ? { untilMs: 0, events: [] } : readPace(stored)
  const digest = rule.once === null ? 0 : digestOf(rule.once)
  const others: PaceEvent[] = []
  let timeMs = atMs
  let gapMs: number | null = null
  let earlier = 0
  for (const event of state.events) if (digest !== 0 && event.digest === digest) timeMs = event.timeMs
  for (const event of state.events) {
    if (Math.abs(event.timeMs - timeMs) > rule.windowMs || (digest !== 0 && event.digest === digest)) continue
    others.push(event)
    if (event.timeMs <= timeMs) earlier++
    gapMs = Math.min(gapMs ?? Infinity, Math.abs(event.timeMs - timeMs))
  }
  // A throttle that ends later than one set now was set when the clock was ahead.
  let untilMs = Math.min(state.untilMs, timeMs + rule.throttleMs)
  const isHeld = state.untilMs > 0 && untilMs >= timeMs
  const isTooClose = rule.leastGapMs !== null && gapMs !== null && gapMs < rule.leastGapMs
  const isTooMany = rule.atMost !== null && earlier > rule.atMost
  const isThrottled = isHeld || isTooClose || isTooMany
  if (!isHeld) untilMs = isThrottled ? Math.min(timeMs + rule.throttleMs, latestMs) : 0
  const events = bounded([...others, { timeMs, digest }], timeMs)
  const result = { isThrottled, untilMs: isThrottled ? untilMs : null, gapMs, earlier }
  return { octets: writePace(untilMs, events), result }
}

interface PaceEvent {
  readonly timeMs: number
  readonly digest: number
}

/** The events by time; one too many drops the one furthest away. */
function bounded(events: PaceEvent[], atMs: number): PaceEvent[] {
  const sorted = events.sort((one, other) => one.timeMs - other.timeMs)
  while (sorted.length > countingLimits.events) {
    const first = sorted[0]?.timeMs ?? atMs
    const last = sorted.at(-1)?.timeMs ?? atMs
    if (atMs - first >= last - atMs) sorted.shift()
    else sorted.pop()
  }
  return sorted
}

function readRate(stored: Uint8Array): { stepMs: number; counted: number[]; buckets: Bucket[] } {
  const octets = viewOf(stored)
  const messages = octets.length < 13 ? 0 : octets.readUInt8(6)
  const start = 13 + messages * digestOctets
  if (octets.length < start || (octets.length - start) % 9 !== 0) throw new TtlError('TTL_RECORD_BROKEN', 'a rate')
  const counted = Array.from({ length: messages }, (_, at) => octets.readUIntBE(7 + at * digestOctets, digestOctets))
  const newest = octets.readUIntBE(start - 6, 6)
  const buckets: Bucket[] = []
  for (let at = start; at < octets.length; at += 9) {
    buckets.push({ step: newest - octets.readUInt8(at), count: octets.readDoubleBE(at + 1) })
  }
  return { stepMs: octets.readUIntBE(0, 6), counted, buckets }
}

function writeRate(stepMs: number, counted: readonly number[], buckets: readonly Bucket[]): Uint8Array {
  const start = 13 + counted.length * digestOctets
  const octets = Buffer.allocUnsafe(start + buckets.length * 9)
  const newest = buckets[0]?.step ?? 0
  octets.writeUIntBE(stepMs, 0, 6)
  octets[6] = counted.length
  for (const [at, digest] of counted.entries()) octets.writeUIntBE(digest, 7 + at * digestOctets, digestOctets)
  octets.writeUIntBE(newest, start - 6, 6)
  for (const [at, { step, count }] of buckets.entries()) {
    octets[start + at * 9] = newest - step
    octets.writeDoubleBE(count, start + at * 9 + 1)
  }
  return octets
}

function readPace(stored: Uint8Array): { untilMs: number; events: PaceEvent[] } {
  const octets = viewOf(stored)
  if (octets.length < 6 || octets.length % 12 !== 6) throw new TtlError('TTL_RECORD_BROKEN', 'a pace')
  const events: PaceEvent[] = []
  for (let at = 6; at < octets.length; at += 12) {
    events.push({ timeMs: octets.readUIntBE(at, 6), digest: octets.readUIntBE(at + 6, digestOctets) })
  }
  return { untilMs: octets.readUIntBE(0, 6), events }
}

function writePace(untilMs: number, events: readonly PaceEvent[]): Uint8Array {
  const octets = Buffer.allocUnsafe(6 + events.length * 12)
  octets.writeUIntBE(untilMs, 0, 6)
  for (const [at, { timeMs, digest }] of events.entries()) {
    octets.writeUIntBE(timeMs, 6 + at * 12, 6)
    octets.writeUIntBE(digest, 12 + at * 12, digestOctets)
  }
  return octets
}

/** Never 0, which stands for no message. */
function digestOf(once: string): number {
  return createHash('sha256').update(once).digest().readUIntBE(0, digestOctets) || 1
}
