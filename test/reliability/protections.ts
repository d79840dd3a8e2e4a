/**
 * The protections whose absence the reliability tests must notice: where each stands in the program, and what stands
 * there without it. `test/helpers/without.mjs` takes them out.
 */
import type { Protection } from './protection.ts'

import { addressProtections } from './protections-addresses.ts'
import { boundsProtections } from './protections-bounds.ts'
import { faultProtections } from './protections-faults.ts'
import { isolationProtections } from './protections-isolation.ts'
import { messageProtections } from './protections-message.ts'
import { quarantineProtections } from './protections-quarantine.ts'
import { securityProtections } from './protections-security.ts'
import { storeProtections } from './protections-store.ts'
import { supervisionProtections } from './protections-supervision.ts'

/** By name, in the order of the tests that use them. */
export const protections: Readonly<Record<string, Protection>> = {
  ...boundsProtections,
  ...securityProtections,
  ...faultProtections,
  ...isolationProtections,
  ...supervisionProtections,
  ...addressProtections,
  ...quarantineProtections,
  ...messageProtections,
  ...storeProtections,
  // R11: a stop under load.
  'socket stays at stop': {
    file: 'host/doors/courierfilter/door.ts',
    find: '      server.close()\n',
    instead: '      server.close()\n      platform.files.rmSync(`${options.directory}/${options.name}`)\n',
  },
  'socket is replaced by rename': {
    file: 'host/doors/courierfilter/socket.ts',
    find: '  files.rmSync(hidden, { force: true })\n',
    // The pause makes the gap that a busy machine makes by chance.
    instead:
      '  files.rmSync(hidden, { force: true })\n  files.rmSync(path, { force: true })\n  await new Promise((done) => setTimeout(done, 50))\n',
  },
  'stop has an end': {
    file: 'host/doors/courierfilter/door.ts',
    find: 'await Promise.race([allSettled(), late])',
    instead: 'await allSettled()',
  },
  'stop by signal': {
    file: 'host/cli/run.ts',
    find: "process.on('SIGTERM', () => stop('SIGTERM'))",
    instead: '',
  },
  // R12: one host a state folder, and a lock that outlives nobody.
  'one instance': {
    file: 'host/daemon.ts',
    find: "if (lock !== null && 'pid' in lock) {",
    instead: 'if (false) {',
  },
  'a lock of the dead is taken over': {
    file: 'host/instance-lock.ts',
    find: 'if (holder !== null && isAlive(holder, files)) return',
    instead: 'if (holder !== null) return',
  },
  'a lock names its process for certain': {
    file: 'host/instance-lock.ts',
    find: 'return now === null || now === holder.identity',
    instead: 'return true',
  },
  'runner ends with its host': {
    file: 'host/runner/process.ts',
    find: "control.on('close', die)",
    instead: '',
  },
  // R21: threads that stand still.
  'a thread that stands still is ended': {
    file: 'host/runner/process.ts',
    find: "      tell({ type: 'blocked', slot, job: pulse.job, filter: pulse.filter, afterMs })\n      endThread(slot)\n",
    instead: '',
  },
  'it is known whose filter was running': {
    file: 'host/runner/lane.ts',
    find: 'thread.blame = { number, filter, text: `did not give',
    instead: 'const blame = { number, filter, text: `did not give',
  },
  'neighbours run again': {
    file: 'host/runner/loss.ts',
    find: 'const maxAttempts = { suspect: 2, innocent: 4 } as const',
    instead: 'const maxAttempts = { suspect: 2, innocent: 1 } as const',
  },
  'a thread that stands still gets nothing new': {
    file: 'host/runner/roster.ts',
    find: 'return !thread.exclusive && !thread.stalled && ',
    instead: 'return !thread.exclusive && ',
  },
  // R22: limits of time.
  "a filter's time limit": {
    file: 'host/chain/chain.ts',
    find: 'let timer = tools.after(limitMs, () => {',
    instead: 'let timer = tools.after(0x7fffffff, () => {',
  },
  'an answer in the grace is late': {
    file: 'host/chain/chain.ts',
    find: "resolve(late ? { kind: 'late', stray: false, limitMs } : result)",
    instead: 'resolve(result)',
  },
  "a message's deadline": {
    file: 'host/runner/deadlines.ts',
    find: 'timer = clock.after(Math.max(0, dueMs - clock.monotonicMs()), look)',
    instead: 'timer = clock.after(0x7fffffff, look)',
  },
  // R27: whatever a filter throws or kills.
  'a throw is a failure': {
    file: 'host/chain/chain.ts',
    find: "    case 'threw': {\n",
    instead: "    case 'threw': {\n      if (!result.thrown) return { verdict: { kind: 'pass' } }\n",
  },
  "a lost thread's messages are told of": {
    file: 'host/runner/lane.ts',
    find: 'lose(lossesOfThread(thread, text, filterAt, caller))',
    instead: '',
  },
  'a runner is started again': {
    file: 'host/runner/lane.ts',
    find: 'if (draining === null) start()',
    instead: '',
  },
  // R28: what counts as an answer.
  'one answer to one question': {
    file: 'host/runner/lane.ts',
    find: '    thread.inHand.delete(ticket.key)\n    if (thread.inHand.size === 0) thread.exclusive = false\n',
    instead: '',
  },
  'a question belongs to its thread': {
    file: 'host/runner/lane.ts',
    find: "const thread = roster.get(slot)\n    const ticket = typeof result['key']",
    instead:
      "const thread = roster.get(slot)?.inHand.size ? roster.get(slot) : roster.get(1 - slot)\n    const ticket = typeof result['key']",
  },
  'outcomes are checked': {
    file: 'host/runner/lane.ts',
    find: "const outcome = checkOutcome(result['outcome'])",
    instead: "const outcome = result['outcome'] ?? ''",
  },
  'a code of another class is no reply': {
    file: 'courier-compat/reply.ts',
    find: '    default:\n      // A mail server would',
    instead:
      "    default:\n      return { verdict: { kind: 'accept', skipOthers: false, reply } }\n      // A mail server would",
  },
  'a verdict from a thread is checked': {
    file: 'courier-compat/reply.ts',
    find: "return typeof skipOthers === 'boolean' && firstDigit === (skipOthers ? 0 : 2)",
    instead: 'return true',
  },
  // R68: every mistake in the configuration is told.
  'unknown settings are told': {
    file: 'host/config/settings.ts',
    find: '      problems.push({ section, key, text, cure })\n    }\n    const values',
    instead:
      '      if (Object.hasOwn(schemas, key)) problems.push({ section, key, text, cure })\n    }\n    const values',
  },
  'unknown sections are told': {
    file: 'host/config/settings.ts',
    find: 'if (Object.hasOwn(hostSchemas, section)) continue',
    instead: 'continue',
  },
  'a setting that stands twice is told': {
    file: 'host/config/ini-lines.ts',
    find: 'if (firstLine !== undefined) fault(',
    instead: 'if (false) fault(',
  },
  'an alias that is taken is told': {
    file: 'host/chain/list.ts',
    find: 'if (clash !== null) problems.push(',
    instead: 'if (false) problems.push(',
  },
  'sections of no filter are told': {
    file: 'host/config/modules.ts',
    find: 'list.problems.length === 0 ? unknownSections(',
    instead: 'false ? unknownSections(',
  },
  'settings that a filter does not know are told': {
    file: 'courier-compat/module-config/filter-settings.ts',
    find: "problems.push(told(option, 'unknown-option', 'no such setting'",
    instead: "void (told(option, 'unknown-option', 'no such setting'",
  },
  // R69: reloads under load.
  'a reload hands over what waits': {
    file: 'host/runner/supervisor.ts',
    find: 'for (const ticket of [...old.main.takeWaiting(), ',
    instead: 'for (const ticket of [...old.main.takeWaiting().slice(0, 0), ',
  },
  'an old runner finishes what it has': {
    file: 'host/runner/supervisor.ts',
    find: 'retire(old.main)\n',
    instead: 'retire(old.main, 0)\n',
  },
  'a broken chain does not take over': {
    file: 'host/runner/supervisor.ts',
    find: "      if (state.kind !== 'serving') {\n        lanes.delete(lane)\n",
    instead: "      if (state.kind === 'starting') {\n        lanes.delete(lane)\n",
  },
  'a broken configuration is not taken over': {
    file: 'host/daemon.ts',
    find: 'next.problems.length > 0 ||',
    instead: '',
  },
  'a reload reads the files after it was asked for': {
    file: 'host/turns.ts',
    find: 'waiting = null\n      return job()',
    instead: 'return job().finally(() => (waiting = null))',
  },
  'every question has a key of its own': {
    file: 'host/runner/lane.ts',
    find: 'ticket.key = randomUUID()',
    instead: "ticket.key = 'key'",
  },
  // R46: which files are read at a stranger's word.
  'links are not followed': {
    file: 'host/pair.ts',
    find: 'constants.O_RDONLY | constants.O_NOFOLLOW |',
    instead: 'constants.O_RDONLY |',
  },
  'folders are no links': {
    file: 'host/pair.ts',
    find: 'if (!look(place, files).isDirectory())',
    instead: 'if (!files.statSync(place).isDirectory())',
  },
  'paths are plain': {
    file: 'host/pair.ts',
    find: "if (names.some((name) => name === '' || name === '.' || name === '..'))",
    instead: 'if (false)',
  },
  'files have one name': { file: 'host/pair.ts', find: 'if (stats.nlink !== 1)', instead: 'if (false)' },
  'files are regular': { file: 'host/pair.ts', find: 'if (!stats.isFile())', instead: 'if (false)' },
  'nothing is waited for': {
    file: 'host/pair.ts',
    find: '| constants.O_NONBLOCK | constants.O_NOCTTY',
    instead: '| constants.O_NOCTTY',
  },
  'paths have no control characters': {
    file: 'host/pair.ts',
    find: "if (path === '' || /[\\u0000-\\u001f\\u007f]/.test(path))",
    instead: "if (path === '')",
  },
  'no file is named twice': { file: 'host/pair.ts', find: 'if (seen.has(place))', instead: 'if (false)' },
  'control files are few': {
    file: 'host/pair.ts',
    find: 'if (requested.controlPaths.length > pairLimits.controlFiles) {',
    instead: 'if (false) {',
  },
  'control files are small': {
    file: 'host/pair.ts',
    find: 'if (size > pairLimits.controlFileOctets)',
    instead: 'if (false)',
  },
  'control files are small together': {
    file: 'host/pair.ts',
    find: 'if (total > pairLimits.controlOctets)',
    instead: 'if (false)',
  },
  'growth is noticed': { file: 'host/pair.ts', find: 'if (length > size) throw', instead: 'if (false) throw' },
  'the log is private': {
    file: 'host/observe/log.ts',
    find: 'const fileMode = 0o640',
    instead: 'const fileMode = 0o666',
  },
  'files have the group of the spool': {
    file: 'host/pair.ts',
    find: 'if (stats.gid !== spool.gid)',
    instead: 'if (false)',
  },
  'a verdict counts for its own files': {
    file: 'host/intake.ts',
    find: 'const result = pair === null || isUntouched ? found : checked(found, pair)',
    instead: 'const result = found',
  },
  // R49: modes and owners.
  'sockets are private': {
    file: 'host/platform/private-socket.ts',
    find: 'process.umask(0o177)',
    instead: 'process.umask()',
  },
  "Courier's socket is for its group": {
    file: 'host/doors/courierfilter/socket.ts',
    find: 'files.chmodSync(hidden, 0o660)\n',
    instead: '\n',
  },
  'the state folder is private': {
    file: 'host/state-folder.ts',
    find: 'files.mkdirSync(path, { mode: 0o700, recursive: false })',
    instead: 'files.mkdirSync(path)',
  },
  'an open state folder is closed': {
    file: 'host/state-folder.ts',
    find: 'files.chmodSync(path, 0o700)',
    instead: '',
  },
  'a shared folder is no state folder': {
    file: 'host/state-folder.ts',
    find: 'if (stranger !== undefined) {',
    instead: 'if (stranger === null) {',
  },
  'an open state folder is refused': {
    file: 'host/state-folder.ts',
    find: 'if ((stats.mode & 0o002) !== 0) return',
    instead: 'if (false) return',
  },
  "another user's state folder is refused": {
    file: 'host/state-folder.ts',
    find: 'if (stats.uid !== user)\n',
    instead: 'if (false)\n',
  },
  'open filter folders are refused': {
    file: 'host/chain/module-file.ts',
    find: 'if ((found.mode & 0o002) !== 0) return',
    instead: 'if (false) return',
  },
  "another user's filters are refused": {
    file: 'host/chain/module-file.ts',
    find: 'if (found.uid !== 0 && found.uid !== owner) {',
    instead: 'if (false) {',
  },
  // R42: text sinks.
  'what is no ASCII is escaped': {
    file: 'courier-compat/ascii-json.ts',
    find: '.replace(/[^ -~\\n]/g, escape)',
    instead: '.replace(/(?!)/g, escape)',
  },
  'a value has quotes': {
    file: 'host/observe/line-format.ts',
    find: 'if (/^[!#-[\\]-~]+$/.test(text)) return text\n',
    instead: 'return text\n',
  },
  'the text of a refusal is escaped': {
    file: 'host/observe/events.ts',
    find: '>: ${escapeText(reply)}`',
    instead: '>: ${reply}`',
  },
  'an address ends at its bracket': {
    file: 'host/observe/line-format.ts',
    find: 'return escapeText(address).replace(/[<>]/g, ',
    instead: 'return escapeText(address).replace(/(?!)/g, ',
  },
  'a reply is printable': {
    file: 'courier-compat/reply.ts',
    find: "return text.replace(/\\t/g, ' ').replace(/[^ -~]/g, '?')",
    instead: 'return text',
  },
  'a problem is one line': {
    file: 'host/problem.ts',
    find: 'told}`.replace(/[',
    instead: 'told}`.replace(/(?!)[',
  },
}
