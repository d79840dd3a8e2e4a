/** The protections of the host's stores, whose absence test/reliability/store.test.ts must notice; see protections.ts. */
import type { Protection } from './protection.ts'

/** By name, in the order of the tests that use them. */
export const storeProtections: Readonly<Record<string, Protection>> = {
  'what is added is there before the answer': {
    file: 'host/intake.ts',
    find: 'if (staging === undefined) return finish(entry, decision)',
    instead:
      'if (staging !== undefined) setTimeout(() => void staging.publish(), 50)\n      if (verdict) return finish(entry, decision)',
  },
  'a delivery is recognised when it comes again': {
    file: 'host/store/staging.ts',
    find: 'if (content === null) return null',
    instead: 'if (content !== undefined) return null',
  },
  'what was added is dropped with a refusal': {
    file: 'host/runner/supervisor.ts',
    find: 'if (!isAccepted) dropStaged(ticket)',
    instead: 'if (!isAccepted) void staging?.publish()',
  },
  'what cannot be added is not accepted': {
    file: 'host/intake.ts',
    find: '        fail(describeThrown(thrown))\n',
    instead: '        finishSafely(entry, decision)\n',
  },
  'a run that was lost adds nothing': {
    file: 'host/runner/supervisor.ts',
    find: '    dropStaged(ticket)\n    try {\n      undoEdits',
    instead: '    try {\n      undoEdits',
  },
  'what a filter added goes with its failure': {
    file: 'host/chain/chain.ts',
    find: '        stores?.forget()\n',
    instead: '',
  },
  'a filter on trial adds nothing': {
    file: 'host/store/desk.ts',
    find: 'if (request.isDry) {',
    instead: 'if (false) {',
  },
  'what a filter began to add is waited for': {
    file: 'host/chain/chain.ts',
    find: '    if (open !== null) await open\n',
    instead: '',
  },
  'what is not staged is not published': {
    file: 'host/store/staging.ts',
    find: 'if (handles.length < all.length) {',
    instead: 'if (false) {',
  },
  'nobody adds to the message of another thread': {
    file: 'host/runner/lane.ts',
    find: 'const ticket = roster.get(slot)?.inHand.get(key)\n',
    instead:
      'const ticket = [0, 1].map((any) => roster.get(any)?.inHand.get(key)).find((found) => found !== undefined)\n',
  },
  'a message that is answered is added to no more': {
    file: 'host/runner/lane.ts',
    find: 'return ticket === undefined || ticket.settled || ticket.expired ? null : ticket',
    instead: 'return ticket ?? null',
  },
  'requests to the stores are few at a time': {
    file: 'host/store/desk.ts',
    find: 'if (load.requests >= storeLimits.open || load.octets',
    instead: 'if (load.requests < 0 || load.octets',
  },
  'requests to the stores hold little': {
    file: 'host/store/desk.ts',
    find: '|| load.octets + octets > storeLimits.openOctets',
    instead: '',
  },
  'a large message goes through in pieces': {
    file: 'host/store/thread.ts',
    find: "typeof message === 'string' ? openMessage(message, wholeOctets) : message",
    instead: "typeof message === 'string' ? process.getBuiltinModule('node:fs').readFileSync(message) : message",
  },
  'a store that could not be opened is tried again': {
    file: 'host/store/thread.ts',
    find: 'if (failure !== null && performance.now() < failure.untilMs)',
    instead: 'if (failure !== null)',
  },
  'a settling that fails is answered all the same': {
    file: 'host/runner/supervisor.ts',
    find: '      tellFailure(ticket, describeThrown(thrown))\n',
    instead: '      throw thrown\n',
  },
}
