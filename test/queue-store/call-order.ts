/**
 * Whether a process that adds messages one after the other says each only when it is on disk, by the system calls that it made
 * and the order of these: what a power cut leaves is decided by it, on whatever file system.
 *
 * Shape: the output of `strace -f -y -e trace=openat,fsync,fdatasync,rename,write,writev,pwrite64,pwritev,msync`, with one thread
 *        that writes at a time.
 */

/** Whether the message of a line `added N` is one that goes into a file. */
export type IsLarge = (name: string) => boolean

/** The calls to be traced. */
export const orderedCalls = 'openat,fsync,fdatasync,rename,write,writev,pwrite64,pwritev'

/** What is wrong, a sentence each. */
export function orderFaults(trace: string, isLarge: IsLarge): readonly string[] {
  const faults: string[] = []
  // Calls that another thread's interrupted in the output: the beginning is kept until the end comes.
  const begun = new Map<string, string>()
  // Files whose writes are on disk when they return.
  const synchronous = new Set<string>()
  let steps: Step[] = []
  for (const line of trace.split('\n')) {
    const [, thread = '', rest = ''] = /^([0-9]+) +(.*)$/.exec(line) ?? []
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(thread, rest.slice(0, -'<unfinished ...>'.length))
      continue
    }
    const call = rest.replace(/^<\.\.\. \w+ resumed>/, () => begun.get(thread) ?? '')
    const opened = /^openat\(.*O_DSYNC.*\) = ([0-9]+)</.exec(call)
    if (opened !== null) synchronous.add(opened[1] ?? '')
    const said = /^write\(1(?:<[^>]*>)?, "added (\w+)\\n"/.exec(call)
    if (said === null) {
      const step = stepOf(call, synchronous)
      if (step !== null) steps.push(step)
      continue
    }
    const name = said[1] ?? ''
    for (const fault of faultsOf(steps, isLarge(name))) faults.push(`message ${name}: ${fault}`)
    steps = []
  }
  return faults
}

type Step = 'data' | 'data synced' | 'head' | 'file' | 'file synced' | 'file named' | 'folder synced'

function stepOf(call: string, synchronous: ReadonlySet<string>): Step | null {
  const [, name = '', descriptor = '', path = ''] = /^(\w+)\(([0-9]+)<([^>]*)>/.exec(call) ?? []
  if (/^rename\(".*\.part"/.test(call)) return 'file named'
  if (/^p?writev?(64)?$/.test(name)) {
    if (path.endsWith('.part')) return 'file'
    if (!path.endsWith('store.mdb')) return null
    return synchronous.has(descriptor) ? 'head' : 'data'
  }
  if (name !== 'fsync' && name !== 'fdatasync') return null
  if (!call.endsWith('= 0')) return null
  if (path.endsWith('store.mdb')) return 'data synced'
  if (path.endsWith('.part')) return 'file synced'
  return path.endsWith('/messages') ? 'folder synced' : null
}

function faultsOf(steps: readonly Step[], isLarge: boolean): readonly string[] {
  const faults: string[] = []
  const last = (step: Step): number => steps.lastIndexOf(step)
  const [data, synced, head] = [last('data'), last('data synced'), last('head')]
  if (data < 0 || head < 0) faults.push('nothing was written for it, or its head without a sync')
  if (synced < data) faults.push('its pages were not synced after they were written')
  if (head < synced) faults.push('it was said before the head of the store was written')
  if (steps.slice(0, head).lastIndexOf('data') > steps.slice(0, head).lastIndexOf('data synced')) {
    faults.push('the head of the store was written before the pages were on disk')
  }
  if (!isLarge) return faults
  const [file, fileSynced, named, folder] = [
    last('file'),
    last('file synced'),
    last('file named'),
    last('folder synced'),
  ]
  if (file < 0 || fileSynced < file || named < fileSynced) faults.push('its file was named before it was synced')
  const transaction = steps.slice(0, head).lastIndexOf('head') + 1
  if (folder < named || steps.indexOf('data', transaction) < folder)
    faults.push('its name was not synced before the store named it')
  return faults
}
