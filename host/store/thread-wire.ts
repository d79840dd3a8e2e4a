/** The types that cross between the host and its store thread, as structured clones. */
import type { Added, QueueSettings } from '../../queue-store/depot-types.ts'
import type { TtlOperation } from '../../queue-store/ttl/operation.ts'
import type { MapTime, StoreFault } from './requests.ts'
import type { Staged, StageEntry } from './stores.ts'

/** What the thread is started with. */
export interface ThreadPlan {
  readonly directory: string
  /** `null`: no limit. */
  readonly maxOctets: number | null
  readonly insideOctets: number
  /** A name or a number; `null`: the depot is its owner's alone. */
  readonly group: string | null
  readonly mode: 'auto' | '0600' | '0660'
}

/** What is asked, and what each answers. */
export interface ThreadCalls {
  readonly ttl: {
    readonly ask: { maps: readonly MapTime[]; operations: readonly TtlOperation[] }
    readonly result: unknown[]
  }
  readonly makeQueue: { readonly ask: { queue: string; settings: Partial<QueueSettings> }; readonly result: null }
  readonly queues: { readonly ask: null; readonly result: string[] }
  readonly demandQueue: { readonly ask: { queue: string }; readonly result: null }
  readonly stage: { readonly ask: StageEntry; readonly result: Staged }
  readonly publish: { readonly ask: { handles: readonly number[] }; readonly result: Added[] }
  readonly drop: { readonly ask: { handles: readonly number[] }; readonly result: null }
  readonly identify: { readonly ask: { path: string }; readonly result: string | null }
  readonly close: { readonly ask: null; readonly result: null }
}

/** The name of a call. */
export type ThreadCall = keyof ThreadCalls

/** Host -> thread. */
export type ThreadDown = {
  [Call in ThreadCall]: { readonly number: number; readonly call: Call; readonly ask: ThreadCalls[Call]['ask'] }
}[ThreadCall]

/** Thread -> host. */
export type ThreadUp =
  | { readonly type: 'answer'; readonly number: number; readonly result: unknown }
  | { readonly type: 'fault'; readonly number: number; readonly fault: StoreFault }
  /** The depot was opened, or could not be. */
  | { readonly type: 'opened'; readonly problem: string | null }
  /** Something that nobody asked for failed. */
  | { readonly type: 'trouble'; readonly text: string }
