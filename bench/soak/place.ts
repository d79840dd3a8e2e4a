/** The host of the soak: its folders, its configuration, its messages' files. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { requestFor } from '../../examples/lib/courier-client.ts'
import { makeHome, removeHome, startHost, type HostProcess } from '../../examples/lib/host-process.ts'
import { spoolMessage, type SpooledPair } from '../../examples/lib/spool-files.ts'
import { askHost, type Asked } from '../../host/control/client.ts'
import type { ControlAsk } from '../../host/control/protocol.ts'
import type { HostStatus } from '../../host/control/status.ts'
import { makeCourierFolder, settingE0 } from '../../test/helpers/courier-folder.ts'
import { childrenOf } from '../process-facts.ts'
import type { SoakMessage, SoakPlace } from './cases.ts'
import { collectorOptions, filesBelow, processes } from './watch.ts'

/** The settings, tight enough that faults are over soon. */
const configuration = `[host]
deadline = 15s
[runner]
threads = 2
blocked_limit = 1s
max_heap = 128MiB
[courierfilter]
request_timeout = 2s
[log]
lines_per_second = 20
`

const filters = ['noduplicates', 'edits', 'hostile with time_limit=1s', 'answers']

/** A message in the spool. */
export interface Spooled extends SpooledPair {
  readonly request: string
  /** What Courier does with the files once it has an answer. */
  remove(): void
}

/** A running host. */
export interface SoakHost extends SoakPlace {
  readonly pid: number
  readonly socketPath: string
  readonly spoolDirectory: string
  /** Where `sampleMemory` writes. */
  readonly memoryDirectory: string
  spool(message: SoakMessage): Spooled
  /** The pids of its runners. */
  runners(): number[]
  ask(what: ControlAsk): Promise<Asked>
  /** Errors: Error if the host does not tell. */
  status(): Promise<HostStatus>
  /** Writes one of two lists that mean the same, or one that cannot be loaded. */
  writeList(which: 'one' | 'other' | 'broken'): void
  stateFiles(): string[]
  /** What it has logged so far. */
  log(): string
  /** Keeps the log where `remove` does not remove it, and says where. */
  keepLog(name: string): string
  /** Its exit status. */
  stop(): Promise<number | null>
  /** Removes its folders. */
  remove(): void
}

/** Starts one. `childSeconds` marks the children of its filters. */
export async function startSoakHost(childSeconds: string): Promise<SoakHost> {
  const home = makeHome('nf-soak-')
  const at = (name: string): string => join(home, name)
  for (const folder of ['config', 'memory']) mkdirSync(at(folder))
  const fifo = at('fifo')
  execFileSync('mkfifo', [fifo])
  const writeList: SoakHost['writeList'] = (which) => {
    const further = { one: [], other: ['nosuccessdsn'], broken: ['no_such_filter'] }[which]
    writeFileSync(at('config/filters.conf'), `${[...filters, ...further].join('\n')}\n`)
  }
  writeList('one')
  writeFileSync(at('config/nodefilter.conf'), configuration)
  let host: HostProcess
  try {
    host = await startHost({
      ...{
        configDirectory: at('config'),
        filterDirectory: join(import.meta.dirname, 'filters'),
        home,
        logsJson: false,
      },
      env: { sysconfdir: makeCourierFolder(home, settingE0) },
      nodeOptions: collectorOptions(at('memory')),
    })
  } catch (thrown) {
    removeHome(home)
    throw thrown
  }
  const control = at('state/control.sock')
  const ask: SoakHost['ask'] = (what) => askHost(control, what)
  let spooled = 0
  return {
    ...{ pid: host.pid, socketPath: host.socketPath, spoolDirectory: host.spoolDirectory, childSeconds, fifo },
    ...{ memoryDirectory: at('memory'), writeList, ask, stop: () => host.stop() },
    spool: ({ content, recipients }) => {
      const envelope = { message: content, sender: 'sender@example.com', recipients }
      const client = { clientIp: '203.0.113.9', helo: 'client.example.com', authUser: null }
      const pair = spoolMessage(host.spoolDirectory, { ...envelope, ...client }, spooled++, new Date())
      const paths = [pair.bodyPath, ...pair.controlPaths]
      const remove = (): void => {
        for (const path of paths) rmSync(path, { force: true })
      }
      return { ...pair, request: requestFor(pair), remove }
    },
    runners: () => {
      const children = childrenOf(host.pid)
      return processes()
        .filter(({ pid, command }) => children.includes(pid) && /runner\/process\.[jt]s/.test(command))
        .map(({ pid }) => pid)
    },
    status: async () => {
      const asked = await ask('status')
      if (asked.kind === 'answer' && asked.answer.type === 'status') return asked.answer.status
      throw new Error(`the host tells no status: ${JSON.stringify(asked)}`)
    },
    stateFiles: () => filesBelow(at('state')),
    log: () => (existsSync(host.textLog) ? readFileSync(host.textLog, 'utf8') : ''),
    keepLog: (name) => {
      const path = join(tmpdir(), name)
      copyFileSync(host.textLog, path)
      return path
    },
    remove: () => removeHome(home),
  }
}
