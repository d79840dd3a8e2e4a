/** The protections whose absence test/faults must notice; see protections.ts. */
import type { Protection } from './protection.ts'

/** By name, in the order of the tests that use them. */
export const faultProtections: Readonly<Record<string, Protection>> = {
  // Every file operation fails once.
  'a file that cannot be looked at is not taken for none': {
    file: 'host/edits.ts',
    find: 'if (files.lstatSync(original, { throwIfNoEntry: false }) === undefined) return',
    instead: 'if (!files.existsSync(original)) return',
  },
  // R01: kills at every step.
  'edits are undone before a message runs again': {
    file: 'host/runner/supervisor.ts',
    find: 'undoEdits(ticket.pair, ticket.pair.mark, files)',
    instead: 'void undoEdits',
  },
  'a failure is a temporary refusal': {
    file: 'host/chain/failure.ts',
    find: 'return makeReply(451, status,',
    instead: "return makeReply(250, status.replace('4', '2'),",
  },
  // R02: the launcher starts a host that died again.
  'a host that dies is started again': {
    file: 'host/cli/courier/launcher.ts',
    find: '    pause || exit 0\n',
    instead: '    exit 0\n',
  },
  // R03: replies.
  'an answer is one write': {
    file: 'host/doors/courierfilter/door.ts',
    find: "socket.write(courierAnswer(verdict), 'latin1')\n    if (socket.writableLength === 0) process.nextTick(destroy, socket)",
    instead:
      "const text = courierAnswer(verdict)\n    socket.write(text.slice(0, 1))\n    if (socket.writableLength === 0) setTimeout(() => socket.end(text.slice(1), 'latin1', () => socket.destroySoon()), 3000)",
  },
  // R47: changes from elsewhere.
  'the time of change is compared': {
    file: 'host/changed-files.ts',
    find: '    now.ctimeMs === was.ctimeMs &&\n',
    instead: '',
  },
  'a version is that of the chain': {
    file: 'host/changed-files.ts',
    find: 'return isSameFile(now, version) && isVersion(now, was) ?',
    instead: 'return true ?',
  },
  'the octets of a control file are compared': {
    file: 'host/changed-files.ts',
    find: "if (!content.startsWith(wasContent)) return 'was written over'\n",
    instead: '\n',
  },
  // R48: links in the spool.
  'control files are opened without following links': {
    file: 'courier-compat/control/file.ts',
    find: 'const guarded = constants.O_NOFOLLOW | constants.O_NONBLOCK',
    instead: 'const guarded = constants.O_NONBLOCK',
  },
  'a control file has one name': {
    file: 'courier-compat/control/file.ts',
    find: 'if (stat.nlink !== 1)',
    instead: 'if (false)',
  },
  // R50: names from mail.
  'the original has a name of ours': {
    file: 'courier-compat/kept-original.ts',
    find: 'keptPrefix + basename(bodyPath)',
    instead:
      "`${keptPrefix}${/climbed[^/]{0,2}/.exec(process.getBuiltinModule('node:fs').readFileSync(bodyPath, 'latin1'))?.[0] ?? basename(bodyPath)}`",
  },
}
