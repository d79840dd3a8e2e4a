/** R46 and R49: what is read for whom, and who may reach the host's sockets and folders. */
import fs from 'node:fs'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type * as socketModule from '../../host/doors/courierfilter/socket.ts'
import type * as pairModule from '../../host/pair.ts'
import type { Files } from '../../host/platform/files.ts'
import type * as lineServerModule from '../../host/runner/line-server.ts'
import type * as stateFolderModule from '../../host/state-folder.ts'
import { requestOf } from '../helpers/converse.ts'
import { makePlace, startHost, startStream, type Place } from '../helpers/host-process.ts'
import { makePair } from '../helpers/pair.ts'
import { importWithout } from '../helpers/without.mjs'
import { createFindings, testPromise, type Check } from './check.ts'
import { evilPairs, goodPairs } from './evil-pairs.ts'

function temporaryFolder(t: Test): string {
  const root = mkdtempSync(join(tmpdir(), 'nf-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  return root
}

/** A file layer that tells of every file that it should not have opened or read. */
function watchedFiles(spool: string, tell: (offence: string) => void): Files {
  const paths = new Map<number, string>()
  return {
    ...fs,
    openSync: (path, flags, mode) => {
      const isWaiting = typeof flags === 'number' && (flags & fs.constants.O_NONBLOCK) === 0
      if (isWaiting && lstatSync(path, { throwIfNoEntry: false })?.isFIFO() === true) {
        tell('waits for the other end of a FIFO')
        throw new Error('not opened by the test')
      }
      const descriptor = fs.openSync(path, flags, mode)
      const opened = readlinkSync(`/proc/self/fd/${descriptor}`)
      paths.set(descriptor, opened)
      if (!opened.startsWith(`${spool}/`)) tell(`opens a file outside`)
      return descriptor
    },
    readSync: ((...args: Parameters<typeof fs.readSync>) => {
      const stats = fs.fstatSync(args[0])
      if (!stats.isFile() || stats.nlink !== 1) tell(`reads what is no file of its own`)
      return fs.readSync(...args)
    }) as typeof fs.readSync,
  } satisfies Files
}

const evilPaths =
  (wanted: RegExp): Check =>
  async (t, without) => {
    const { seen } = createFindings()
    const { openPair, openSpool, PairRefused } = (await importWithout('host/pair.ts', without)) as typeof pairModule
    const root = temporaryFolder(t)
    mkdirSync(join(root, 'tmp'))
    symlinkSync(join(root, 'tmp'), join(root, 'link'))
    const evil = await evilPairs(t, root, wanted)
    for (const given of without.length === 0 ? ['tmp', 'link'] : ['tmp']) {
      const spool = openSpool(join(root, given), fs)
      for (const { name, skip, ...pair } of evil) {
        if (skip !== null) {
          if (without.length === 0 && given === 'tmp') t.pass(name, { skip })
          continue
        }
        const files = watchedFiles(join(root, 'tmp'), (offence) => seen.push(`${name}: ${offence}`))
        try {
          openPair(pair, spool, files)
          seen.push(`${name}: is taken`)
        } catch (thrown) {
          if (!(thrown instanceof PairRefused)) seen.push(`${name}: ${String(thrown)}`)
        }
      }
    }
    for (const { name, ...pair } of goodPairs(root)) {
      const spool = openSpool(join(root, 'tmp'), fs)
      try {
        openPair(
          pair,
          spool,
          watchedFiles(spool.path, (offence) => seen.push(`${name}: ${offence}`)),
        )
      } catch (thrown) {
        seen.push(`${name}: is refused: ${String(thrown)}`)
      }
    }

    // Grows between the look at its size and the reading, at each reading.
    const grown = makePair(join(root, 'tmp'))
    const spool = openSpool(join(root, 'tmp'), fs)
    const growing: Files = {
      ...fs,
      fstatSync: ((descriptor: number) => {
        const stats = fs.fstatSync(descriptor)
        fs.appendFileSync(grown.controlPaths[0] ?? '', 'rlate@example.org\n')
        return stats
      }) as typeof fs.fstatSync,
    }
    try {
      openPair(grown, spool, growing)
      seen.push('a control file that grows while it is read: is taken')
    } catch (thrown) {
      if (!(thrown instanceof PairRefused)) seen.push(`a control file that grows: ${String(thrown)}`)
    }
    return seen
  }

/** The control looks at the one form that must get through. */
const lets = (without: string[], form: string, offence: string) => ({
  ...{ without, check: evilPaths(new RegExp(`^${form}$`)), sees: new RegExp(`^${form}: ${offence}`) },
})
testPromise('R46 of evil paths none is taken, and nothing outside is opened', evilPaths(/./), [
  lets(['links are not followed'], 'a control file that is a link out of the spool', 'opens a file outside'),
  lets(['folders are no links'], 'a control file in a folder that is a link out of the spool', 'opens a file outside'),
  lets(['paths are plain'], 'a control file on a relative path that climbs', 'opens a file outside'),
  lets(['paths are plain'], 'a control file with .. out of the spool', 'opens a file outside'),
  lets(
    ['files have one name'],
    'a control file that is a hard link out of the spool',
    'reads what is no file of its own',
  ),
  lets(['files are regular'], 'a data file that is a FIFO', 'is taken'),
  lets(['nothing is waited for'], 'a control file that is a FIFO', 'waits for the other end'),
  lets(['paths have no control characters'], 'a control file with an escape sequence in its path', 'is taken'),
  lets(['no file is named twice'], 'one control file twice, once by a relative path', 'is taken'),
  lets(['control files are few'], '2001 control files', 'is taken'),
  lets(['control files are small'], 'a control file of more than 4 MiB', 'is taken'),
  lets(['control files are small together'], 'control files of more than 32 MiB', 'is taken'),
  { without: ['growth is noticed'], check: evilPaths(/^$/), sees: /^a control file that grows .*: is taken/ },
  ...(process.getuid?.() === 0
    ? [lets(['files have the group of the spool'], 'a control file of another group', 'is taken')]
    : []),
])

const evilRequests =
  (wanted: RegExp): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const place = makePlace(t, 'act')
    const host = startHost(t, place, { without })
    await host.ready()
    const stream = startStream(host)
    const requests = (await evilPairs(t, place.root, wanted)).filter(({ skip }) => skip === null)
    const octets: Record<string, Buffer | string> = {
      ...Object.fromEntries(requests.map(({ name, ...pair }) => [name, requestOf(pair)])),
      'nothing but line ends': '\n\n\n',
      'no UTF-8': Buffer.from([0x2f, 0xff, 0xfe, 0x0a, 0x2f, 0xc3, 0x28, 0x0a, 0x0a]),
      'another protocol': 'GET / HTTP/1.1\r\nHost: example.com\r\n\r\n',
      'a request without an end': 'x'.repeat(300_000),
    }
    for (const [name, request] of Object.entries(octets)) {
      const answer = await host.ask(request)
      expect(/^(451 4\.3\.[0-9] .*\n)?$/.test(answer), `${name}: ${answer}`)
    }
    const bug = host.log.find((line) => line.includes(' bug '))
    expect(bug === undefined, `a bug of the host: ${bug ?? ''}`)
    const { wrong } = await stream.stop()
    expect(wrong.length === 0, `good messages heard ${JSON.stringify(wrong.slice(0, 3))}`)
    await host.stop()
    return seen
  }
testPromise("R46 evil requests on Courier's socket hear 451 or nothing, good ones 200", evilRequests(/./), [
  {
    without: ['links are not followed', 'a verdict counts for its own files'],
    check: evilRequests(/^a control file that is a link out/),
    sees: /^a control file that is a link out of the spool: 200 Ok/,
  },
])

/** Modes as `0660`. */
const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8).padStart(4, '0')

/** Everything that is made at a start, looked at right after it was made, under a umask that forbids nothing. */
const firstModes: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const root = temporaryFolder(t)
  for (const folder of ['allfilters', 'filters']) mkdirSync(join(root, folder))
  const { listenForCourier } = (await importWithout(
    'host/doors/courierfilter/socket.ts',
    without,
  )) as typeof socketModule
  const { openLineServer } = (await importWithout('host/runner/line-server.ts', without)) as typeof lineServerModule
  const { stateFolderProblem } = (await importWithout('host/state-folder.ts', without)) as typeof stateFolderModule
  const state = join(root, 's')
  const files: Files = {
    ...fs,
    mkdirSync: ((path: string, options: fs.MakeDirectoryOptions) => {
      fs.mkdirSync(path, options)
      expect(modeOf(path) === '0700', `the state folder is made with mode ${modeOf(path)}`)
      return undefined
    }) as typeof fs.mkdirSync,
  }
  const server = createServer()
  const listen = Reflect.get(Server.prototype, 'listen') as (this: Server, ...args: unknown[]) => Server
  // The path is bound when `listen` returns: this is the first moment of the socket.
  Server.prototype.listen = function (this: Server, ...args: unknown[]) {
    Reflect.apply(listen, this, args)
    const { path } = args[0] as { path: string }
    expect(modeOf(path) === '0600', `${path.slice(root.length + 1)} is made with mode ${modeOf(path)}`)
    return this
  } as typeof listen
  const mask = process.umask(0)
  try {
    expect(stateFolderProblem(state, files) === null, 'the state folder cannot be made')
    const lines = await openLineServer(join(state, 'threads.sock'), files)
    const path = await listenForCourier(server, join(root, 'allfilters'), 'nodefilter', files)
    expect(modeOf(path) === '0660', `Courier's socket has mode ${modeOf(path)}`)
    lines.close()
  } finally {
    process.umask(mask)
    Server.prototype.listen = listen
    server.close()
  }
  return seen
}
testPromise('R49 under umask 0 sockets and state folder are closed to others from their first moment', firstModes, [
  { without: ['sockets are private'], sees: /^allfilters\/\.nodefilter is made with mode 0777/ },
  { without: ['sockets are private'], sees: /^s\/threads\.sock is made with mode 0777/ },
  { without: ["Courier's socket is for its group"], sees: /^Courier's socket has mode 0600/ },
  { without: ['the state folder is private'], sees: /^the state folder is made with mode 0777/ },
])

const modesOfHost: Check = async (t, without) => {
  const { seen, expect } = createFindings()
  const place = makePlace(t, 'act')
  const host = startHost(t, place, { without, umask: 0, set: [`log.file=${place.at('log')}`] })
  await host.ready()
  const modes = {
    'allfilters/nodefilter': '0660',
    s: '0700',
    's/threads.sock': '0600',
    's/lock': '0600',
    log: '0640',
  }
  for (const [path, mode] of Object.entries(modes)) {
    if (!existsSync(place.at(path))) seen.push(`${path} is not there`)
    else expect(modeOf(place.at(path)) === mode, `${path} has mode ${modeOf(place.at(path))}`)
  }
  expect((await host.ask(place.pair())) === '200 Ok\n', 'the host does not serve')
  await host.stop()
  return seen
}
testPromise('R49 a host under umask 0 leaves nothing open to others', modesOfHost, [
  { without: ['the state folder is private', 'an open state folder is closed'], sees: /^s has mode 0777/ },
  { without: ['the log is private'], sees: /^log has mode 0666/ },
])

/** A folder that others can write: the door answers 451 4.3.5, and the log says why. */
const openFolder =
  (spoil: (place: Place) => void, because: string): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const place = makePlace(t, 'local')
    place.filter('local.mjs', "export const doFilter = () => ''\n")
    spoil(place)
    const host = startHost(t, place, { without })
    await host.ready()
    const answer = await host.ask(place.pair())
    expect(answer.startsWith('451 4.3.5 Mail filter is not configured correctly'), `the door answers ${answer}`)
    const said = host.log.find((line) => line.startsWith('ERR: configuration-broken '))
    expect(said?.includes(because) === true, `the log says ${said ?? 'nothing'}, not: ${because}`)
    await host.stop()
    return seen
  }

testPromise(
  'R49 a state folder that everybody may write is refused',
  openFolder((place) => {
    mkdirSync(place.state, { mode: 0o700 })
    chmodSync(place.state, 0o777)
  }, 'may be written by everybody; chmod 0700 it'),
  [{ without: ['an open state folder is refused'], sees: /^the door answers 200 Ok/ }],
)
testPromise(
  'R49 a folder that others use is not made the state folder, which would shut them out',
  openFolder((place) => {
    mkdirSync(place.state, { mode: 0o755 })
    writeFileSync(join(place.state, 'passwd'), '')
  }, "holds what is not the host's: passwd"),
  [{ without: ['a shared folder is no state folder'], sees: /^the door answers 200 Ok/ }],
)
testPromise(
  'R49 a filter folder that everybody may write is refused',
  openFolder((place) => {
    chmodSync(place.filters, 0o777)
  }, 'may be written by everybody; chmod o-w it'),
  [{ without: ['open filter folders are refused'], sees: /^the door answers 200 Ok/ }],
)
testPromise(
  'R49 a filter that everybody may write is refused',
  openFolder((place) => {
    chmodSync(join(place.filters, 'local.mjs'), 0o666)
  }, 'local.mjs: may be written by everybody'),
  [{ without: ['open filter folders are refused'], sees: /^the door answers 200 Ok/ }],
)
if (process.getuid?.() !== 0) {
  t.pass('R49 state and filter folders of another user are refused', { skip: 'only root gives folders away' })
} else {
  testPromise(
    'R49 a state folder of another user is refused',
    openFolder((place) => {
      mkdirSync(place.state, { mode: 0o700 })
      chownSync(place.state, 12_345, 12_345)
    }, 'belongs to user 12345, the host runs as 0'),
    [{ without: ["another user's state folder is refused"], sees: /^the door answers 200 Ok/ }],
  )
  testPromise(
    'R49 a filter folder of another user is refused',
    openFolder((place) => {
      chownSync(place.filters, 12_345, 0)
    }, 'belongs to user 12345, not to root or user 0'),
    [{ without: ["another user's filters are refused"], sees: /^the door answers 200 Ok/ }],
  )
}
