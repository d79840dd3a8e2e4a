/** Where a process stands in the hierarchies of control groups, and what their files say. Pure. */

/** The folders of our own groups; `null` where there is none of the kind. */
export interface OwnGroups {
  /** In the one hierarchy of version 2, which may or may not limit memory. */
  readonly unified: string | null
  /** In version 1's hierarchy for memory. */
  readonly memory: string | null
}

/** Reads `/proc/self/cgroup` and `/proc/self/mountinfo`. Source: cgroups(7), proc_pid_mountinfo(5). */
export function findOwnGroups(cgroup: string, mountinfo: string): OwnGroups {
  let unified: string | null = null
  let memory: string | null = null
  const paths = cgroup.split('\n').flatMap((line) => {
    const [, controllers, path] = /^[0-9]+:([^:]*):(\/.*)$/.exec(line) ?? []
    return controllers === undefined || path === undefined ? [] : [{ controllers: controllers.split(','), path }]
  })
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , root = '', place = ''] = before.split(' ')
    const [type, , options = ''] = after.split(' ')
    const has = (word: string): boolean => options.split(',').includes(word)
    if (type === 'cgroup2') {
      unified ??= folderOf(paths.find(({ controllers }) => controllers[0] === '')?.path, root, place)
    } else if (type === 'cgroup' && has('memory')) {
      memory ??= folderOf(paths.find(({ controllers }) => controllers.includes('memory'))?.path, root, place)
    }
  }
  return { unified, memory }
}

/** A mount shows the hierarchy from `root` on; a group outside of that cannot be reached by it. */
function folderOf(path: string | undefined, root: string, place: string): string | null {
  if (path === undefined || path.split('/').includes('..')) return null
  const below = root === '/' ? path : path === root ? '' : path.startsWith(`${root}/`) ? path.slice(root.length) : null
  if (below === null) return null
  return unescapeMount(place) + (below === '/' ? '' : below)
}

/** Blanks in a mount's place are written as `\040`. */
function unescapeMount(place: string): string {
  return place.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)))
}

/** The number behind `key` in a file of lines `key number`, `memory.events` for instance; 0 where it is not there. */
export function keyedNumber(text: string, key: string): number {
  return Number(new RegExp(`^${key} ([0-9]+)$`, 'm').exec(text)?.[1] ?? 0)
}

/** The processes in `cgroup.procs`. */
export function groupMembers(text: string): number[] {
  return text.split('\n').filter(Boolean).map(Number)
}
