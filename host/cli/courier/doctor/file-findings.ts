/** Findings about users, folders, modes, configuration, room on disks, and other filters. Pure. */
import { basename, join } from 'node:path'
import { formatProblem } from '../../../problem.ts'
import { shellQuote } from '../launcher.ts'
import { filterPaths } from '../plan.ts'
import { describeObstacle, obstacleCure } from '../reach.ts'
import { enableAgain, octal, onPath, restartFilters } from './cures.ts'
import type { DoctorFacts, PlaceFact } from './facts.ts'
import type { Finding, Gravity } from './finding.ts'
import { isNotEnabled } from './launcher-findings.ts'

/** A spool with less room than this is short of it; with a tenth of this it is full. */
const lowOctets = 200 * 1024 * 1024
const lowInodes = 2000
const maxProblems = 20

/** What the folder of `[log] file` is called among the obstacles. */
export const logFolder = 'the folder of the log file'

/** Looks at what lies on the disk. */
export function fileFindings(facts: DoctorFacts): Finding[] {
  return [
    ...userFindings(facts),
    ...configFindings(facts),
    ...reachFindings(facts),
    ...facts.places.flatMap((place) => placeFindings(place, facts)),
    ...stateFindings(facts),
    ...roomFindings(facts),
    ...otherFilterFindings(facts),
    ...versionFindings(facts),
  ]
}

function userFindings({ user, layout, filterFolder }: DoctorFacts): Finding[] {
  const findings: Finding[] = []
  if (user === null) {
    const text = `The user ${layout.mailUser}, as whom Courier runs its filters, does not exist on this machine.`
    findings.push({ gravity: 'failing', code: 'user-missing', text, cure: [] })
  }
  if (filterFolder.kind === 'absent') {
    const text = `Courier's folder of filters ${filterFolder.path} is missing. "filterctl" starts only what lies there.`
    findings.push({
      gravity: 'failing',
      code: 'filter-folder-missing',
      text,
      cure: [onPath('install -d -m 0755', filterFolder.path)],
    })
  }
  return findings
}

function configFindings(facts: DoctorFacts): Finding[] {
  const { directory, exists, settings, problems, warnings } = facts.config
  if (!exists) {
    if (isNotEnabled(facts)) return []
    const text = `There is no folder of configuration ${directory}: the host answers 451 4.3.5 to all mail.`
    const cure = facts.given.configDirectory === null ? [enableAgain(facts)] : []
    return [{ gravity: 'refused', code: 'config-missing', text, cure }]
  }
  const findings: Finding[] = []
  const list = (found: typeof problems): string =>
    [
      ...found.slice(0, maxProblems).map((problem) => `\n${formatProblem(problem)}`),
      ...(found.length > maxProblems ? [`\nand ${found.length - maxProblems} more`] : []),
    ].join('')
  if (problems.length > 0) {
    const passes = settings.host.whenBroken === 'pass'
    const text = `The configuration is broken. A host that runs goes on with what it read before; one that starts ${
      passes ? 'lets all mail pass unfiltered (when_broken = pass)' : 'answers 451 4.3.5 to all mail'
    }. Mend these, then run "nodefilter reload":${list(problems)}`
    findings.push({ gravity: passes ? 'unfiltered' : 'refused', code: 'config-broken', text, cure: [] })
  }
  if (warnings.length > 0) {
    const text = `The configuration has warnings:${list(warnings)}`
    findings.push({ gravity: 'warning', code: 'config-warnings', text, cure: [] })
  }
  return findings
}

function reachFindings({ obstacles, layout }: DoctorFacts): Finding[] {
  return obstacles.map(({ what, way, obstacle }) => {
    const cure = obstacleCure(obstacle)
    const told = describeObstacle(what, way, obstacle, layout.mailUser)
    const text = `${told.charAt(0).toUpperCase()}${told.slice(1)}.`
    const owns = `chown ${layout.mailUser}:${layout.mailGroup}`
    if (what === logFolder && obstacle.missing === 'write') {
      // Often /var/log, which must stay root's.
      const own = join(obstacle.path, 'nodefilter')
      return {
        ...{ gravity: 'failing', code: 'out-of-reach' },
        text: `${text} So there is no log file. Make it a folder of its own, and name a file in it in [log] file.`,
        cure: [onPath(`install -d -m 0750 -o ${layout.mailUser} -g ${layout.mailGroup}`, own)],
      } satisfies Finding
    }
    return {
      ...{ gravity: 'failing', code: 'out-of-reach', text },
      // Folders that Courier itself writes to are its user's; others must only be open to it.
      cure:
        cure !== null
          ? [onPath(cure.slice(0, -obstacle.path.length - 1), obstacle.path)]
          : obstacle.missing === 'write'
            ? [onPath(owns, obstacle.path)]
            : [],
    } satisfies Finding
  })
}

function placeFindings(place: PlaceFact, { user }: DoctorFacts): Finding[] {
  const { what, path, mode, uid, owners, kind } = place
  const findings: Finding[] = []
  const [subject, effect] = [`${what.charAt(0).toUpperCase()}${what.slice(1)} ${path}`, effectOf(place)]
  if ((mode & 0o002) !== 0) {
    const text = `${subject} may be written by every user of this machine: ${effect}.`
    findings.push({ gravity: 'unsafe', code: 'world-writable', text, cure: [onPath('chmod o-w', path)] })
  }
  const isUsers = user !== null && uid === user.uid
  if (uid !== 0 && !(owners === 'root-or-user' && isUsers)) {
    const gravity: Gravity = what === 'the filter folder' ? 'refused' : 'warning'
    const told = isUsers ? `${user.user}, not to root` : `user ${uid}, neither root nor Courier's user`
    const text = `${subject} belongs to ${told}: ${effect}.`
    findings.push({
      gravity,
      code: 'foreign-owner',
      text,
      cure: [onPath(`chown root${kind === 'folder' ? ':' : ''}`, path)],
    })
  }
  return findings
}

function effectOf({ what }: PlaceFact): string {
  switch (what) {
    case "Courier's folder of sockets":
      return "whoever can write there can take the filters' socket away, or put one of their own in its place"
    case 'the configuration folder':
    case 'the file':
      return 'whoever can write there decides what runs, and reads all mail'
    case 'the filter folder':
      return "whoever can write there runs code as Courier's user; the host refuses to load filters from it, and answers 451 4.3.5"
    default:
      return "whoever can write there runs code as Courier's user"
  }
}

function stateFindings(facts: DoctorFacts): Finding[] {
  const { state, user, layout } = facts
  const owner = `${layout.mailUser}:${layout.mailGroup}`
  const broken = (code: string, text: string, ...cure: readonly string[]): Finding[] => [
    {
      ...{ gravity: 'refused', code, cure: [...cure, ...(cure.length === 0 ? [] : restartFilters(facts))] },
      text: `The state folder ${state.path} ${text}. A host that starts answers 451 4.3.5 to all mail.`,
    },
  ]
  if (state.kind === 'unseen') return []
  if (state.kind === 'absent') {
    if (isNotEnabled(facts)) return []
    const make = `install -d -m 0700 -o ${layout.mailUser} -g ${layout.mailGroup} ${shellQuote(state.path)}`
    return broken('state-missing', 'is missing', make)
  }
  if (state.kind !== 'folder') {
    return broken('state-no-folder', state.kind === 'link' ? 'is a link; name the folder itself' : 'is no folder')
  }
  if (user !== null && state.uid !== user.uid) {
    return broken(
      'state-owner',
      `belongs to user ${state.uid}, not to ${user.user}`,
      onPath(`chown -R ${owner}`, state.path),
    )
  }
  if ((state.mode & 0o002) !== 0) {
    return broken('state-open', 'may be written by everybody', onPath('chmod 0700', state.path))
  }
  if ((state.mode & 0o077) === 0) return []
  const text = `The state folder ${state.path} has the mode ${octal(state.mode)}: others can look into it. The host sets 0700 when it starts.`
  return [{ gravity: 'warning', code: 'state-mode', text, cure: [onPath('chmod 0700', state.path)] }]
}

function roomFindings({ room }: DoctorFacts): Finding[] {
  return room.flatMap(({ what, path, freeOctets, freeInodes }): Finding[] => {
    const isShort = freeOctets < lowOctets || (freeInodes !== null && freeInodes < lowInodes)
    if (!isShort) return []
    const isFull = freeOctets < lowOctets / 10 || (freeInodes !== null && freeInodes < lowInodes / 10)
    const free = `${Math.floor(freeOctets / 1024 / 1024)} MiB${freeInodes === null ? '' : ` and ${freeInodes} inodes`}`
    const text =
      `The disk of ${what} (${path}) has ${free} left. ` +
      (isFull ? 'Mail is refused when nothing is left.' : 'Make room before it is full.')
    const cure = [`du -x -d 2 -h ${shellQuote(path)} | sort -h | tail`]
    return [{ gravity: isFull ? 'refused' : 'warning', code: 'disk-full', text, cure }]
  })
}

function otherFilterFindings({ otherFilters, layout, name, link }: DoctorFacts): Finding[] {
  const filterctl = shellQuote(filterPaths(layout, name).filterctl)
  return otherFilters.flatMap(({ name: other, target }): Finding[] => {
    if (target === null) {
      const text = `Courier's link ${other} in its folder of active filters leads nowhere; it starts nothing of that name.`
      return [{ gravity: 'note', code: 'other-link-dangling', text, cure: [] }]
    }
    if (other !== 'pythonfilter' && basename(target) !== 'pythonfilter') return []
    const text =
      `pythonfilter is active as well (link ${other}): ` +
      (link.kind === 'absent'
        ? `it filters, and ${name} does not.`
        : 'both filter every message, one after the other, and a filter that is in both lists runs twice.') +
      ' Stop it once its filters are in filters.conf.'
    return [{ gravity: 'warning', code: 'pythonfilter-active', text, cure: [`${filterctl} stop ${shellQuote(other)}`] }]
  })
}

function versionFindings({ layout }: DoctorFacts): Finding[] {
  if (layout.version === null) {
    const text = 'The version of Courier is not known: "courier --version" did not tell it.'
    return [{ gravity: 'note', code: 'courier-version', text, cure: [] }]
  }
  if (Number(layout.version.split('.')[0]) >= 1) return []
  const text = `This is Courier ${layout.version}; nodefilter is tested with Courier 1 and 2.`
  return [{ gravity: 'note', code: 'courier-version', text, cure: [] }]
}
