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
  'a large message that failed is told': {
    file: 'queue-store/contents.ts',
    find: 'await writing(handle.sync())',
    instead: 'await handle.sync()',
  },
  // R06, R07: syncs.
  'a commit is synced': {
    file: 'queue-store/environment.ts',
    find: 'overlappingSync: false,',
    instead: 'overlappingSync: false, noSync: true,',
  },
  'a large message is synced': {
    file: 'queue-store/contents.ts',
    find: 'await writing(handle.sync())',
    instead: '',
  },
  'the name of a large message is synced': {
    file: 'queue-store/contents.ts',
    find: 'await writing(store.syncFolder())',
    instead: '',
  },
  // R16: readers.
  'places of dead readers are freed': {
    file: 'queue-store/environment.ts',
    find: 'database.readerCheck()\n',
    instead: '',
  },
  // R17, R18, R70: what is swept, what is opened.
  'a sweep goes by slices': {
    file: 'queue-store/ttl/sweeper.ts',
    find: 'slice: 400,',
    instead: 'slice: 1_000_000,',
  },
  'a store is looked over before it is opened': {
    file: 'queue-store/depot-folder.ts',
    find: 'if (damage !== null) throw',
    instead: 'if (damage === undefined) throw',
  },
  'the mark is read': {
    file: 'queue-store/depot-folder.ts',
    find: 'if (parsed?.format !== format) {',
    instead: 'if (parsed === undefined) {',
  },
  // Several users.
  'a large message belongs to the group': {
    file: 'queue-store/contents.ts',
    find: 'await writing(handle.chmod(store.fileMode))',
    instead: 'await writing(handle.chmod(0o600))',
  },
  // R62: keys.
  'a key stands for one message': {
    file: 'queue-store/ledger.ts',
    find: 'if (known !== null && (known.untilMs > nowMs',
    instead: 'if (false && (known.untilMs > nowMs',
  },
  // R05, R66: leases.
  'a lease that ran out gives the message back': {
    file: 'queue-store/ledger.ts',
    find: 'promote(at, nowMs)\n',
    instead: '\n',
  },
  'a late consumer is refused': {
    file: 'queue-store/ledger.ts',
    find: 'if (entry.token === token) {',
    instead: 'if (token > 0) {',
  },
  'renewals end with the lease': {
    file: 'queue-store/delivery.ts',
    find: 'clearInterval(timer)\n      if',
    instead: 'if',
  },
  // R65: clocks.
  'the clock is not the wall clock': {
    file: 'queue-store/depot-clock.ts',
    find: 'if (head.boot === null) return () => Date.now()',
    instead: 'if (head.boot !== null) return () => Date.now()',
  },
  'the time at a start is noted': {
    file: 'queue-store/depot-clock.ts',
    find: 'head.lastMs = Math.max(wallMs, head.lastMs)\n  head.offsetMs = head.lastMs - sinceStartMs',
    instead: 'head.offsetMs = Math.max(wallMs, head.lastMs) - sinceStartMs',
  },
  'the time is noted': {
    file: 'queue-store/ledger.ts',
    find: 'if (nowMs - (readHead(view, tables)?.lastMs ?? 0) < noteMs) return',
    instead: 'if (nowMs > 0) return',
  },
  'the clock never goes back': {
    file: 'queue-store/depot-clock.ts',
    find: 'head.lastMs = Math.max(wallMs, head.lastMs)',
    instead: 'head.lastMs = wallMs',
  },
  'a jump holds the sweep': {
    file: 'queue-store/ttl/sweeper.ts',
    find: 'if (!isSteady) return options.intervalMs',
    instead: '',
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
