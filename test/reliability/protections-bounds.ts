/** The protections that bound what can grow or wait: see protections.ts. */
import type { Protection } from './protection.ts'

/** By name, in the order of the tests that use them. */
export const boundsProtections: Readonly<Record<string, Protection>> = {
  // R52: slow clients.
  'a request has its time': {
    file: 'host/doors/courierfilter/door.ts',
    find: '    askingTimer ??= clock.after(options.requestTimeoutMs, endLate)\n',
    instead: '',
  },
  'what follows a request is not read': {
    file: 'host/doors/courierfilter/door.ts',
    find: '      socket.pause()\n',
    instead: '',
  },
  'one request a connection': {
    file: 'host/doors/courierfilter/door.ts',
    find: '    asking.delete(socket)\n    faults.at',
    instead: '    faults.at',
  },
  'a request has a longest size': {
    file: 'host/doors/courierfilter/request.ts',
    find: 'collected.length > limitOctets ?',
    instead: 'collected.length > limitOctets * 1e6 ?',
  },
  // R53: floods.
  'connections leave descriptors for the rest': {
    file: 'host/platform/descriptors.ts',
    find: '  return Math.min(wanted, Math.max(fewest, room))\n',
    instead: '  return room > 0 ? wanted : wanted\n',
  },
  'refused connections are counted': {
    file: 'host/doors/courierfilter/door.ts',
    find: '    connectionReport.add(null)\n',
    instead: '',
  },
  'a flood is told by its number': {
    file: 'host/observe/flood-report.ts',
    find: 'if (told < first)',
    instead: 'if (told < 1e9)',
  },
  'a runner without pipes is none': {
    file: 'host/runner/runner.ts',
    find: '(child.stdio as typeof child.stdio | undefined)?.[3]',
    instead: 'child.stdio[3]',
  },
  'the queue has an end': {
    file: 'host/runner/supervisor.ts',
    find: '!isBroken && waiting >= plan.maxWaiting',
    instead: 'isBroken && waiting < 0',
  },
  // R14: the log.
  'the log never waits': {
    file: 'host/observe/log.ts',
    find: 'constants.O_WRONLY | constants.O_NONBLOCK)\n  } catch',
    instead: 'constants.O_WRONLY)\n  } catch',
  },
  'the log has a longest buffer': {
    file: 'host/observe/log.ts',
    find: '      maxLength: options.maxBufferOctets,\n',
    instead: '',
  },
  'lost log lines are told of': {
    file: 'host/observe/log.ts',
    find: "    writer.on('drain', tellLost)\n",
    instead: '',
  },
  // R30: what filters log (filter-output.test.ts).
  "a filter's log lines are limited in rate": {
    file: 'host/runner/thread-log.ts',
    find: 'if (!own.limit.allow()) {',
    instead: 'if (false as boolean) {',
  },
  'lines left out are told without another line': {
    file: 'host/runner/thread-log.ts',
    find: 'own.timer ??= clock.after(toldAfterMs, ',
    instead: 'void (',
  },
  // R32: big messages.
  'the host reads no body': {
    file: 'host/pair.ts',
    find: 'const data = fileState(stats)\n',
    instead: 'const data = { ...fileState(stats), size: files.readFileSync(bodyPath).length }\n',
  },
}
