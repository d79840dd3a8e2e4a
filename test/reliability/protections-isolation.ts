/** The protections that keep messages, and what their filters write, apart: see protections.ts. */
import type { Protection } from './protection.ts'

/** By name, in the order of the tests that use them. */
export const isolationProtections: Readonly<Record<string, Protection>> = {
  // R30: what filters print.
  'printed lines are limited in rate': {
    file: 'host/observe/flood-report.ts',
    find: 'if (told < first)',
    instead: 'if (told < 1e9)',
  },
  // R30: what filters write to others' descriptors.
  'the key of a question cannot be guessed': {
    file: 'host/runner/lane.ts',
    find: 'ticket.key = randomUUID()',
    instead: 'ticket.key = String(lastNumber + 1)',
  },
  // R29: what messages leave behind.
  'a realm is looked over': {
    file: 'host/runner/realm-watch.ts',
    find: "    return look()\n  } catch {\n    return 'the thread can no longer be looked over'",
    instead: "    return typeof look === 'function' ? null : look()\n  } catch {\n    return null",
  },
  'timers are booked': {
    file: 'host/runner/timer-watch.ts',
    find: 'if (place !== null) {\n',
    instead: 'if (place === "") {\n',
  },
}
