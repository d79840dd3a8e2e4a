/**
 * The third argument of `doFilter`: read on demand, so that a filter that ignores it costs nothing.
 */
import type { Client, Envelope, FilterContext, FilterLog, FilterMessage } from '../../courier-compat/filter.ts'
import { readControl } from '../../courier-compat/control.ts'
import { filterMessage } from '../../courier-compat/filter-message.ts'
import type { MessageStores } from '../../courier-compat/stores.ts'
import type { CallStores } from '../store/filter-stores.ts'
import type { Pair } from '../edits.ts'

/** What the filters of one message share. */
export interface MessageView {
  readonly pair: Pair
  readonly messageId: string
  readonly attempt: number
  readonly notes: Map<string, string>
}

/** A context with the host's handle on its signal. */
export class CallContext implements FilterContext {
  readonly id: string
  readonly attempt: number
  readonly notes: Map<string, string>
  readonly #pair: Pair
  readonly #makeLog: () => FilterLog
  #log: FilterLog | null = null
  #controller: AbortController | null = null
  #aborted: Error | null = null
  readonly #makeStores: () => CallStores
  #stores: CallStores | null = null

  constructor(view: MessageView, makeLog: () => FilterLog, makeStores: () => CallStores) {
    this.id = view.messageId
    this.attempt = view.attempt
    this.notes = view.notes
    this.#pair = view.pair
    this.#makeLog = makeLog
    this.#makeStores = makeStores
  }

  get log(): FilterLog {
    return (this.#log ??= this.#makeLog())
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#aborted !== null && !this.#controller.signal.aborted) this.#controller.abort(this.#aborted)
    return this.#controller.signal
  }

  get envelope(): Envelope {
    const { sender, recipients } = readControl(this.#pair.controlPaths)
    return { sender, recipients }
  }

  get client(): Client {
    const { clientIp, authUser, source } = readControl(this.#pair.controlPaths)
    return { ip: clientIp, authUser, source }
  }

  get message(): FilterMessage {
    return filterMessage(this.#pair.bodyPath, () => this.signal)
  }

  get stores(): MessageStores {
    return (this.#stores ??= this.#makeStores()).stores
  }

  get ttl(): MessageStores['ttl'] {
    return this.stores.ttl
  }

  get queue(): MessageStores['queue'] {
    return this.stores.queue
  }

  /** The stores, where the filter has asked for them. Not for the filter. */
  static storesOf(context: CallContext): CallStores | null {
    return context.#stores
  }

  /** The call's time is over. Not for the filter, whose type of this object has no such method. */
  static abort(context: CallContext, reason: Error): void {
    context.#aborted = reason
    context.#controller?.abort(reason)
  }
}
