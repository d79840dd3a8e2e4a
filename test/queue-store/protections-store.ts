/** The protections whose absence the tests of queue-store must notice. */
import type { Protection } from '../reliability/protection.ts'

export const storeProtections: Readonly<Record<string, Protection>> = {
  // R06: kills.
  'published is on disk': {
    file: 'queue-store/depot.ts',
    find: 'const entries = list.map(takeStaged)\n      return writingWith(',
    instead:
      "const entries = list.map(takeStaged)\n      return ((...all) => { setTimeout(() => void writingWith(...all), 20); return entries.map(() => ({ id: '0', isNew: true })) })(",
  },
  'a transaction is one': {
    file: 'queue-store/depot.ts',
    find: '(view) =>\n          entries.map(',
    instead:
      '(view) => (setTimeout(() => void environment.write((late) => ledger.add(late, books, numberOf(late, core, entries[0].queue), entries[0].prepared, nowMs())), 20), entries.slice(1)).map(',
  },
  // R13, R15: writes that fail.
  'a write that failed is told': {
    file: 'queue-store/environment.ts',
    find: 'for (const one of left) one.reject(failure)',
    instead: 'for (const { by, value } of done) by.resolve(value)',
  },
  // R05, R66: leases.
  'a lease that ran out gives the message back': {
    file: 'queue-store/ledger.ts',
    find: 'promote(view, books, queue, owner, nowMs)\n',
    instead: '\n',
  },
  'a late consumer is refused': {
    file: 'queue-store/ledger.ts',
    find: 'if (entry.token === token) {',
    instead: 'if (token > 0) {',
  },
  'a leased message is nobody else\u2019s': {
    file: 'queue-store/ledger-places.ts',
    find: "if (state === 'ready') view.remove(tables.ready, inQueue(queue, entry.position))",
    instead: "if (state === 'held') view.remove(tables.ready, inQueue(queue, entry.position))",
  },
  // Waiting across processes.
  'the bell is heard in other processes': {
    file: 'queue-store/bell.ts',
    find: "writeSync(file, '.', 0)",
    instead: '',
  },
}
