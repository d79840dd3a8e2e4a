/** `context.message`: the message as it is at this moment, read on demand. */
import type { FilterMessage } from './filter.ts'
import { readHeaderSection, readMessage } from './shared-reading.ts'

/** The message in this file; `signal` is asked for when reading begins. */
export function filterMessage(bodyPath: string, signal: () => AbortSignal): FilterMessage {
  return {
    get header() {
      return readHeaderSection(bodyPath)
    },
    read: () => readMessage(bodyPath, { signal: signal() }),
  }
}
