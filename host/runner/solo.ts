/**
 * The solo lanes: a few runners of one thread each, for messages that must be in a process of their own because they, or
 * others beside them, have ended one.
 *
 * Each lane has one message at a time; the others wait here, so that a slow killer holds its own lane alone. Lanes are
 * opened one by one, as long as messages wait, more slowly while their runners are killed, and closed when none has come for
 * a while. One whose runner was killed is not started again: it may not be needed. Of messages that are known to
 * kill only one runs at a time: the other lanes are for those that are only suspected.
 */
import type { Clock, Timer } from '../platform/clock.ts'
import type { Lane } from './lane.ts'
import type { Ticket } from './ticket.ts'

/** What the supervisor does for them. */
export interface SoloTools {
  /**
   * Opens a lane; `freed` is to be called whenever its message was answered, failed or lost, and says whether its runner
   * has ended.
   */
  readonly open: (freed: (hasEnded: boolean) => void) => Lane
  /** Lets a lane finish and end. */
  readonly retire: (lane: Lane) => void
  readonly clock: Clock
}

/** The lanes. */
export interface SoloLanes {
  submit(ticket: Ticket): void
  /** How many wait for a lane. */
  waiting(): number
  has(lane: Lane): boolean
  /** Gives up the messages that no thread has yet. */
  takeWaiting(): Ticket[]
  /** Closes all lanes, and takes no more. */
  retireAll(): void
}

/** Units: `growMs` is how long a message waits before another lane is opened; `lookMs` how often that is looked at. */
export const soloLimits = { lanes: 3, idleMs: 60_000, growMs: 400, maxGrowMs: 5000, lookMs: 50 } as const

/** So long after the last one nobody asks any more how many runners were killed. */
const forgetMs = 10_000

interface Slot {
  readonly lane: Lane
  current: Ticket | null
}

/** No lane is open at first. */
export function createSoloLanes({ open, retire, clock }: SoloTools): SoloLanes {
  const slots = new Set<Slot>()
  let queue: Ticket[] = []
  let grownMs = -Infinity
  let endedMs = -Infinity
  let ended = 0
  let look: Timer | null = null
  let idle: Timer | null = null

  const isFree = (slot: Slot): boolean => {
    if (slot.current === null) return true
    // Answered at its deadline before a thread had it: then the lane never tells.
    if (!slot.current.settled || slot.lane.report().inHand > 0) return false
    slot.lane.takeWaiting()
    slot.current = null
    return true
  }
  const isReady = ({ lane }: Slot): boolean => lane.state().kind === 'serving' && lane.report().serving > 0
  /** One that serves; else one that loads for the first time; one that is broken says so of its message. */
  const pick = (): Slot | null => {
    const free = [...slots].filter(isFree)
    return (
      free.find(isReady) ??
      free.find(({ lane }) => lane.state().kind === 'starting') ??
      (slots.size === soloLimits.lanes ? free.find(({ lane }) => lane.state().kind === 'broken') : null) ??
      null
    )
  }
  const mayRun = (ticket: Ticket): boolean =>
    !ticket.isPoison || ![...slots].some((slot) => slot.current?.isPoison === true && !isFree(slot))

  const grow = (): Slot | null => {
    const nowMs = clock.monotonicMs()
    if (nowMs - endedMs > forgetMs) ended = 0
    const pauseMs = Math.min(soloLimits.maxGrowMs, soloLimits.growMs * (1 + ended))
    if (slots.size >= soloLimits.lanes || nowMs - grownMs < pauseMs) return null
    grownMs = nowMs
    const lane = open((hasEnded) => {
      slot.current = null
      if (hasEnded && slots.delete(slot)) {
        ended++
        endedMs = clock.monotonicMs()
        retire(slot.lane)
      }
      dispatch()
    })
    const slot: Slot = { lane, current: null }
    slots.add(slot)
    return slot
  }
  const dispatch = (): void => {
    queue = queue.filter(({ settled }) => !settled)
    for (;;) {
      const ticket = queue.find((waiting) => !waiting.isPoison) ?? queue.find(mayRun)
      if (ticket === undefined) break
      const slot = pick() ?? grow()
      if (slot === null) break
      queue.splice(queue.indexOf(ticket), 1)
      slot.current = ticket
      slot.lane.submit(ticket)
    }
    look?.cancel()
    look = queue.length === 0 ? null : clock.after(soloLimits.lookMs, dispatch)
  }
  const retireAll = (): void => {
    look?.cancel()
    idle?.cancel()
    for (const slot of slots) retire(slot.lane)
    slots.clear()
  }
  const rest = (): void => {
    if (queue.length === 0 && [...slots].every(isFree)) retireAll()
    else idle = clock.after(soloLimits.idleMs, rest)
  }
  return {
    submit: (ticket) => {
      idle?.cancel()
      idle = clock.after(soloLimits.idleMs, rest)
      queue.push(ticket)
      dispatch()
    },
    waiting: () => queue.length,
    has: (lane) => [...slots].some((slot) => slot.lane === lane),
    takeWaiting: () => [...queue.splice(0), ...[...slots].flatMap(({ lane }) => lane.takeWaiting())],
    retireAll,
  }
}
