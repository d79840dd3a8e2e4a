/** Requests that no mail server makes: paths that lead out of the spool, to what is no file, or to no end. */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { basename, dirname, join } from 'node:path'
import type { Test } from 'tap'
import { makePair, type Pair } from '../helpers/pair.ts'

/** One request; `skip` says why it cannot be made here. */
export interface PairRequest extends Pair {
  readonly name: string
  readonly skip: string | null
}

const isRoot = process.getuid?.() === 0

/** Makes the evil requests whose names are wanted below `root`, whose folder `tmp` is the spool. */
export async function evilPairs(t: Test, root: string, wanted: RegExp): Promise<PairRequest[]> {
  const spool = join(root, 'tmp')
  const outside = join(root, 'outside')
  mkdirSync(outside)
  // A whole pair that must not be read, beside the spool and in a folder whose name begins as the spool's does.
  const secret = makePair(outside, { sender: 'secret@example.com' })
  mkdirSync(join(root, 'tmp-other'))
  const sibling = makePair(join(root, 'tmp-other'))
  const requests: PairRequest[] = []
  let last = makePair(spool)
  const fresh = (): Pair => (last = makePair(spool))
  const beside = (name: string): string => join(dirname(last.bodyPath), name)
  const add = (request: PairRequest): void => {
    if (wanted.test(request.name)) requests.push(request)
  }
  const control = (name: string, path: string, skip: string | null = null): void =>
    add({ name: `a control file ${name}`, skip, bodyPath: last.bodyPath, controlPaths: [path] })
  const body = (name: string, path: string, skip: string | null = null): void =>
    add({ name: `a data file ${name}`, skip, bodyPath: path, controlPaths: last.controlPaths })
  const both = (name: string, make: () => string): void => {
    fresh()
    const path = make()
    control(name, path)
    body(name, path)
  }
  const secretControl = secret.controlPaths[0] ?? ''

  both('that is a link out of the spool', () => {
    symlinkSync(secretControl, beside('link'))
    return beside('link')
  })
  both('that is a link to a file of the spool', () => {
    symlinkSync(last.controlPaths[0] ?? '', beside('link'))
    return beside('link')
  })
  both('in a folder that is a link out of the spool', () => {
    symlinkSync(dirname(secretControl), join(spool, `folder-${requests.length}`))
    return join(spool, `folder-${requests.length}`, basename(secretControl))
  })
  both(
    'with .. out of the spool',
    () => `${dirname(last.bodyPath)}/../../outside/${basename(dirname(secretControl))}/${basename(secretControl)}`,
  )
  both(
    'with .. inside the spool',
    () => `${dirname(last.bodyPath)}/../${basename(dirname(last.bodyPath))}/${basename(last.controlPaths[0] ?? '')}`,
  )
  both(
    'on a relative path that climbs',
    () => `../outside/${basename(dirname(secretControl))}/${basename(secretControl)}`,
  )
  both('with . in its path', () => `${dirname(last.bodyPath)}/./${basename(last.controlPaths[0] ?? '')}`)
  both('with two slashes', () => `${dirname(last.bodyPath)}//${basename(last.controlPaths[0] ?? '')}`)
  both('outside the spool', () => secretControl)
  both('in a folder whose name begins like that of the spool', () => sibling.controlPaths[0] ?? '')
  both('that is /proc/self/environ', () => '/proc/self/environ')
  both('that is /dev/zero', () => '/dev/zero')
  both('that is a FIFO', () => {
    execFileSync('mkfifo', [beside('fifo')])
    return beside('fifo')
  })
  both('that is a folder', () => dirname(last.bodyPath))
  both('that is the spool', () => `${spool}/`)
  both('that is a hard link out of the spool', () => {
    linkSync(makePair(outside).controlPaths[0] ?? '', beside('hard'))
    return beside('hard')
  })
  both('that is not there', () => beside('missing'))
  both('with a NUL in its path', () => `${last.controlPaths[0] ?? ''}\0`)
  both('with a line end in its path', () => {
    const path = beside('line\nend')
    copyFileSync(last.controlPaths[0] ?? '', path)
    return path
  })
  both('with an escape sequence in its path', () => {
    const path = beside('escape\u001b[2J')
    copyFileSync(last.controlPaths[0] ?? '', path)
    return path
  })
  both('without a path', () => '')
  both('with a blank for a path', () => ' ')
  both('with too long a name', () => beside('x'.repeat(300)))
  both('with too long a path', () => join(spool, 'x/'.repeat(3000), 'y'))
  both('in a folder with too long a name', () => join(spool, 'x'.repeat(300), 'y'))

  const listener = createServer()
  fresh()
  await new Promise<void>((resolve) => void listener.listen(beside('s'), resolve))
  t.teardown(() => listener.close())
  control('that is a socket', beside('s'))

  fresh()
  if (isRoot) {
    execFileSync('mknod', [beside('device'), 'c', '1', '5'])
    chownSync(last.controlPaths[0] ?? '', 0, 12_345)
  }
  control('that is a device', beside('device'), isRoot ? null : 'only root makes devices')
  control('of another group', last.controlPaths[0] ?? '', isRoot ? null : 'only root gives files to any group')

  fresh()
  chmodSync(last.controlPaths[0] ?? '', 0)
  control('that may not be read', last.controlPaths[0] ?? '', isRoot ? 'root may read everything' : null)

  fresh()
  truncateSync(last.controlPaths[0] ?? '', 4 * 1024 * 1024 + 1)
  control('of more than 4 MiB', last.controlPaths[0] ?? '')

  const many = (name: string, controlPaths: string[]): void =>
    add({ name, skip: null, bodyPath: last.bodyPath, controlPaths })
  fresh()
  const [first = ''] = last.controlPaths
  many('no control files', [])
  many('one control file twice', [first, first])
  many('one control file twice, once by a relative path', [first, `${basename(dirname(first))}/${basename(first)}`])
  many('a data file that is a control file too', [first, last.bodyPath])
  const copies = (count: number, name: string): string[] =>
    Array.from({ length: count }, (_, index) => {
      const path = beside(`${name}${index}`)
      writeFileSync(path, '')
      return path
    })
  if (wanted.test('2001 control files')) many('2001 control files', copies(2001, 'c'))
  const large = copies(9, 'large')
  for (const path of large) truncateSync(path, 4 * 1024 * 1024)
  many('control files of more than 32 MiB', large)
  return requests
}

/** Requests that must be taken, among them those that are nearly evil. */
export function goodPairs(root: string): PairRequest[] {
  const spool = join(root, 'tmp')
  const named = (name: string, pair: Pair): PairRequest => ({ name, skip: null, ...pair })
  const deep = makePair(spool)
  mkdirSync(join(spool, '179523'))
  renameSync(dirname(deep.bodyPath), join(spool, '179523/deep'))
  const moved = (path: string): string => join(spool, '179523/deep', basename(path))
  const empty = makePair(spool)
  writeFileSync(empty.controlPaths[0] ?? '', '')
  const relative = makePair(spool)
  const below = (path: string): string => path.slice(spool.length + 1)
  return [
    named('a pair as Courier names it', makePair(spool)),
    named('a pair of several control files', makePair(spool, { files: [['a@example.org'], ['b@example.org']] })),
    named('a pair some folders down', { bodyPath: moved(deep.bodyPath), controlPaths: deep.controlPaths.map(moved) }),
    named('a pair by relative paths', {
      bodyPath: below(relative.bodyPath),
      controlPaths: relative.controlPaths.map(below),
    }),
    named('a pair with an empty control file', empty),
  ]
}
