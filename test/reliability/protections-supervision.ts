/** The protections of the supervision: see protections.ts. */
import type { Protection } from './protection.ts'

/** By name, in the order of the tests that use them. */
export const supervisionProtections: Readonly<Record<string, Protection>> = {
  // R08 and R30: what filters started.
  'the family of an orphan is ended': {
    file: 'host/runner/process.ts',
    find: "endOwnFamily({ variable: runnerVariable, value: process.env[runnerVariable] ?? '?' }, familyLimitMs)",
    instead: "process.kill(process.pid, 'SIGKILL')",
  },
  'what left the group of a runner is ended': {
    file: 'host/runner/runner.ts',
    find: 'processes.endMarked(mark, clock, endLimitMs)',
    instead: 'Promise.resolve()',
  },
  'what an earlier host left behind is ended': {
    file: 'host/runner/left-behind.ts',
    find: 'void processes.endMarked(mark, clock, leftOverLimitMs, hostMark(linePath))',
    instead: 'void [processes, clock, mark, leftOverLimitMs, hostMark]',
  },
  // R09: poison.
  'a killer is known by its content': {
    file: 'host/runner/poison-guard.ts',
    find: 'return entry === null ? null : { digest, entry }',
    instead: 'return null',
  },
  'trace fields do not count': {
    file: 'host/message-digest.ts',
    find: 'isLeftOut = changing.test(',
    instead: 'isLeftOut = /(?!)/.test(',
  },
  'a slow killer holds its own lane alone': {
    file: 'host/runner/solo.ts',
    find: 'export const soloLimits = { lanes: 3,',
    instead: 'export const soloLimits = { lanes: 1,',
  },
  // R10: crash loops.
  'loading is given up': {
    file: 'host/runner/lane.ts',
    find: '++failedLoads >= restart.loads',
    instead: '++failedLoads >= 1e9',
  },
  'restarts have pauses': {
    file: 'host/runner/lane.ts',
    find: 'pauseMs = young ? Math.min(restart.maxMs, Math.max(restart.firstMs, pauseMs * 2)) : 0',
    instead: 'pauseMs = young ? 0 : 0',
  },
  // R23: what no thread can be torn out of.
  'a stuck thread costs its runner': {
    file: 'host/runner/lane.ts',
    find: 'log.threadStuck(name, slot)\n          runner?.kill()',
    instead: 'log.threadStuck(name, slot)',
  },
  // R25 and R26: memory.
  'memory has a limit': {
    file: 'host/runner/runner.ts',
    find: 'if (memoryOctets > limits.maxMemoryOctets) {',
    instead: 'if (memoryOctets > Infinity) {',
  },
  'a runner that has grown is replaced': {
    file: 'host/runner/recycling.ts',
    find: "return octets > limit && nowMs >= notBeforeMs ? 'memory' : null",
    instead: 'return null',
  },
  'a recycled runner finishes what it has': {
    file: 'host/runner/supervisor.ts',
    find: 'retire(old)\n',
    instead: 'retire(old, 0)\n',
  },
  // R27: who ended a thread.
  'who ended a thread is told': {
    file: 'host/runner/process.ts',
    find: "const blamed = job === 0 || cause.includes('memory limit') ? {} : { job, filter }",
    instead: 'const blamed = {}',
  },
  // R66: what stands still.
  'a runner that stands still is ended': {
    file: 'host/runner/runner.ts',
    find: 'if (unanswered >= (hasLived ? heartbeat.missed : heartbeat.missedAtStart)) {',
    instead: 'if (false) {',
  },
  'what a thread has said is read first': {
    file: 'host/runner/line-server.ts',
    find: 'timer = setTimeout(() => socket.destroy(), hello.graceMs)',
    instead: 'socket.destroy()',
  },
  'a deadline that the host missed is judged anew': {
    file: 'host/runner/deadlines.ts',
    find: 'if (latestMs > stoodStill.lateMs && !isGrace) {',
    instead: 'if (isGrace) {',
  },
}
