/**
 * never_ends: what becomes of a filter that gives no answer. For messages with the field "X-Example: waits" or
 * "X-Example: loops".
 *
 * Reads:    the field X-Example.
 * Verdicts: pass; none where it does not end.
 *
 * In filters.conf:  never_ends with time_limit=500ms
 *
 * Waiting and looping are two things. A filter that waits gives its thread back meanwhile, and its neighbours go on; at
 * its time limit it is given up. A filter that loops keeps the thread: after [runner] blocked_limit the thread is ended
 * and another one takes its place. Either way the sender hears 451, and mail goes on.
 */
import { headerField } from './lib/header-field.mjs'

export async function doFilter(bodyPath) {
  switch (headerField(bodyPath, 'X-Example')) {
    case 'waits':
      // A server that never answers. Better hand it the third argument's `signal`, which is aborted at the time limit:
      //     await fetch(url, { signal: context.signal })
      await new Promise(() => {})
      return ''
    case 'loops':
      // A regular expression that goes through all possibilities looks just like this from outside.
      for (;;);
    default:
      return ''
  }
}
