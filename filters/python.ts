/**
 * python: run a filter written for pythonfilter, unchanged, in a Python process beside the worker threads.
 *
 * Reads:    nothing itself; the Python filter gets the same two arguments, and reads its own configuration.
 * Keeps:    one Python process for all threads of the runner, found through a socket in the filter's state folder.
 * Verdicts: what the Python filter returns. What is no string, and every exception, is a failure, where pythonfilter went on.
 * Source:   spec pythonfilter 1.3, 1.5, 7.3; docs/python-filters.md.
 *
 * One process, not one a thread: such filters count in module variables and lock their databases.
 */
import { lstatSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import type { CloseFilter, DoFilter, FilterSetup, SettingSchemas, SettingsOf } from '../courier-compat/index.ts'
import { identityOf, isSameFile, type FileIdentity } from '../courier-compat/kept-original.ts'
import { noteVersion } from '../courier-compat/message-versions.ts'
import { createBridge, errorAt, type Bridge } from './python/bridge.ts'

export const about = 'runs a filter written for pythonfilter in a Python process'

export const settings = {
  module: {
    type: 'text',
    default: null,
    text: 'The Python filter, by the name that it has in pythonfilter.conf; the alias of this line unless set.',
  },
  interpreter: {
    type: 'path',
    default: '/usr/bin/python3',
    text: 'The Python that pythonfilter is installed for (3.6 or later); for a virtual environment its bin/python.',
  },
  path: {
    type: 'list',
    default: [],
    text: "Folders that are looked in first, for the filter and for what it imports; then the interpreter's own.",
  },
  start_limit: {
    type: 'duration',
    default: '20s',
    min: '100ms',
    max: '10m',
    text: 'How long Python may take to import the filter and to run its init_filter.',
  },
  threads: {
    type: 'count',
    default: 16,
    min: 1,
    max: 1000,
    text: 'How many messages the filter runs over at the same time, each in a Python thread; others wait.',
  },
} as const satisfies SettingSchemas

/** The longest path that a Unix socket can have. */
const maxSocketOctets = 107

let bridge: Bridge | null = null

export async function initFilter(setup: FilterSetup<SettingsOf<typeof settings>>): Promise<void> {
  const { module, interpreter, path, start_limit: startLimitMs, threads } = setup.settings
  const name = module ?? (setup.alias === setup.name ? null : setup.alias)
  if (name === null) throw new Error('which filter? write "python as NAME", or "python with module=NAME"')
  if (!/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(name)) throw new Error(`"${name}" is no name of a Python module`)
  const loose = path.find((folder) => !isAbsolute(folder))
  if (loose !== undefined) throw new Error(`path: "${loose}" is not an absolute path`)
  const socket = join(setup.state, `${process.pid}.sock`)
  const octets = Buffer.byteLength(socket)
  if (octets > maxSocketOctets) {
    throw new Error(`the socket ${socket} has ${octets} octets, at most ${maxSocketOctets} work: shorten the alias`)
  }
  bridge = createBridge(
    { alias: setup.alias, module: name, path, interpreter, socket, startSeconds: startLimitMs / 1000, threads },
    setup.log,
  )
  await bridge.open()
}

export const doFilter: DoFilter = async (bodyPath, controlPaths, context) => {
  if (bridge === null) throw new Error('initFilter was not called')
  const before = identityAt(bodyPath)
  const result = await bridge.run(bodyPath, controlPaths, context.signal)
  const after = identityAt(bodyPath)
  // courier.xfilter writes to the data file itself.
  if (before !== null && after !== null && !isSameFile(before, after)) noteVersion(bodyPath, after)
  if ('reply' in result) return result.reply
  if ('malformed' in result) throw new Error(result.malformed)
  const { name, text, place, trace } = result.error
  if (trace.length > 1) context.log.warn(`${name} came through ${trace.join(', ')}`)
  throw errorAt(name, text, place)
}

export const closeFilter: CloseFilter = async () => {
  await bridge?.close()
  bridge = null
}

/** `null` where there is no such file: what is told of that is the module's own. */
function identityAt(path: string): FileIdentity | null {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats === undefined ? null : identityOf(stats)
}
