/**
 * The third argument of `doFilter`: read on demand, so that a filter that ignores it costs nothing.
 */
import type { Client, Envelope, FilterContext, FilterLog } from '../../courier-compat/filter.ts'
import { readControl, type ControlFacts } from '../../courier-compat/control.ts'
import type { Pair } from '../edits.ts'

/** What the filters of one message share. */
export interface MessageView {
  readonly pair: Pair
  readonly messageId: string
  readonly attempt: number
  readonly notes: Map<string, string>
  /** What the control files said, and their sizes then; `null` until a filter asks. */
  control: { readonly sizes: readonly number[]; readonly facts: ControlFacts } | null
}

/** A context, and the host's handle on its signal. */
export interface OpenContext {
  readonly context: FilterContext
  readonly abort: (reason: Error) => void
}

/**
 * Opens the context of one filter's call.
 * `controlSizes` gives the control files' sizes: they only grow, so equal sizes mean that what was read still holds.
 */
export function openContext(
  view: MessageView,
  log: FilterLog,
  controlSizes: (pair: Pair) => readonly number[],
): OpenContext {
  let controller: AbortController | null = null
  let aborted: Error | null = null
  const control = (): ControlFacts => {
    const now = controlSizes(view.pair)
    const known = view.control
    if (known !== null && known.sizes.every((size, index) => size === now[index])) return known.facts
    const facts = readControl(view.pair.controlPaths)
    // Shared by the filters: what one of them does to the list must not change what the next one sees.
    Object.freeze(facts.recipients)
    view.control = { sizes: now, facts }
    return facts
  }
  return {
    context: {
      id: view.messageId,
      attempt: view.attempt,
      log,
      notes: view.notes,
      get signal(): AbortSignal {
        controller ??= new AbortController()
        if (aborted !== null && !controller.signal.aborted) controller.abort(aborted)
        return controller.signal
      },
      get envelope(): Envelope {
        const { sender, recipients } = control()
        return { sender, recipients }
      },
      get client(): Client {
        const { clientIp, authUser, source } = control()
        return { ip: clientIp, authUser, source }
      },
    },
    abort: (reason) => {
      aborted = reason
      controller?.abort(reason)
    },
  }
}
