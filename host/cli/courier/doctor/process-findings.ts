/** Findings about what runs: courierfilter, the launcher, the host and its socket. Pure. */
import { formatProblem } from '../../../problem.ts'
import { shellQuote } from '../launcher.ts'
import { filterPaths, nameProblem } from '../plan.ts'
import { octal, onPath, restartFilters, tellHost } from './cures.ts'
import type { DoctorFacts } from './facts.ts'
import type { Finding } from './finding.ts'

/** Looks at the daemon, at our entry in it, and at the socket through which mail comes. */
export function processFindings(facts: DoctorFacts): Finding[] {
  const findings = [...daemonFindings(facts), ...entryFindings(facts), ...socketFindings(facts), ...hostFindings(facts)]
  const longName = nameProblem(facts.name, facts.layout)
  if (longName !== null) findings.push({ gravity: 'failing', code: 'name', text: `${longName}.`, cure: [] })
  return findings
}

/** Mail for which no filter is asked passes; mail whose filter's socket is deaf hears 432. */
function fateOf({ socket }: DoctorFacts): string {
  if (socket.kind === 'unseen')
    return 'If its socket is still there, Courier answers 432 to all mail; else mail passes unfiltered.'
  return socket.kind === 'absent'
    ? 'There is no socket either, so that mail passes unfiltered.'
    : 'The socket is still there, so that Courier answers 432 to all mail: it is deferred.'
}

function daemonFindings(facts: DoctorFacts): Finding[] {
  const { daemon, layout, name, socket } = facts
  const { courierfilter, pidFile } = filterPaths(layout, name)
  if (daemon.pids.length === 0) {
    const stale =
      daemon.pidInFile === null
        ? ''
        : ` Its pid file ${pidFile} names process ${daemon.pidInFile}, which is no courierfilter.`
    return [
      {
        gravity: socket.kind === 'absent' ? 'unfiltered' : 'refused',
        code: 'courierfilter-down',
        text: `courierfilter does not run, and with it no filter.${stale} ${fateOf(facts)}`,
        cure: [`${shellQuote(courierfilter)} start`],
      },
    ]
  }
  if (daemon.pidInFile === null || !daemon.pids.includes(daemon.pidInFile)) {
    const text =
      `courierfilter runs (process ${daemon.pids.join(', ')}), but its pid file ${pidFile} ` +
      (daemon.pidInFile === null ? 'is missing' : `names process ${daemon.pidInFile}`) +
      '. Either it is starting and still waits for a filter to be ready, or the file was lost: then "courierfilter stop" ' +
      'and "filterctl" cannot reach it. End that process by its number, then start courierfilter.'
    return [{ gravity: 'warning', code: 'pid-file', text, cure: [] }]
  }
  return []
}

function entryFindings(facts: DoctorFacts): Finding[] {
  const { daemon, process, link, name, hosts } = facts
  if (daemon.pids.length === 0 || link.kind === 'absent' || link.kind === 'unseen') return []
  if (process === 'dead') {
    const orphan =
      hosts.length === 0
        ? ''
        : ` A host that it had started (process ${pidsOf(facts)}) still runs, with nobody to start it again.`
    const text =
      `The launcher of ${name} ended although Courier did not ask it to. Courier keeps its entry, never starts it again by ` +
      `itself, and does not on a SIGHUP either.${orphan} ${hosts.length === 0 ? fateOf(facts) : ''}`
    return [{ gravity: 'refused', code: 'entry-dead', text: text.trim(), cure: restartFilters(facts) }]
  }
  if (process === 'none') {
    const text = `courierfilter runs, but has not started ${name} although its link is there. ${fateOf(facts)}`
    const gravity = facts.socket.kind === 'absent' ? 'unfiltered' : 'refused'
    return [{ gravity, code: 'entry-missing', text, cure: restartFilters(facts) }]
  }
  if (hosts.length === 0) {
    const text =
      'The launcher runs, but no host: it ended, and the launcher starts it again after a pause of up to 30 s. The mail ' +
      `log says why it ended. ${fateOf(facts)}`
    return [{ gravity: 'refused', code: 'host-down', text, cure: [] }]
  }
  return []
}

function socketFindings(facts: DoctorFacts): Finding[] {
  const { socket, socketListens, twin, link, daemon, process, hosts, user, name } = facts
  const findings: Finding[] = []
  const isEnabled = link.kind !== 'absent'
  const isTold =
    daemon.pids.length === 0 ||
    (link.kind === 'link' && process !== 'running') ||
    (process === 'running' && hosts.length === 0)
  if (socket.kind === 'absent' && isEnabled && !isTold) {
    const text = `${name} runs, but its socket ${socket.path} is missing: Courier asks no filter, and mail passes unfiltered.`
    findings.push({ gravity: 'unfiltered', code: 'socket-missing', text, cure: restartFilters(facts) })
  }
  if (socket.kind === 'socket' && socketListens === false && !isTold) {
    const text =
      `Nobody listens on the socket ${socket.path}: Courier answers 432 to all mail, which is deferred. ` +
      (isEnabled
        ? 'A host that is starting replaces it in a moment; else start the filters anew.'
        : `${name} is not enabled, so the socket is a leftover.`)
    const cure = isEnabled ? restartFilters(facts) : [onPath('rm', socket.path)]
    findings.push({ gravity: 'refused', code: 'socket-stale', text, cure })
  }
  if (socket.kind === 'socket' && socketListens === true && !isEnabled && hosts.length === 0) {
    const text = `${name} is not enabled, and yet some process listens on ${socket.path}.`
    findings.push({ gravity: 'warning', code: 'socket-of-another', text, cure: [] })
  }
  if (socket.kind !== 'absent' && socket.kind !== 'unseen' && socket.kind !== 'socket') {
    const text =
      `${socket.path} is no socket, but a ${socket.kind === 'folder' ? 'folder' : 'file'}. Courier cannot connect to it and ` +
      'answers 432 to all mail.'
    findings.push({
      gravity: 'refused',
      code: 'socket-is-none',
      text,
      cure: [onPath('rm -r', socket.path), ...restartFilters(facts)],
    })
  }
  if (socket.kind === 'socket' && user !== null) {
    if ((socket.mode & 0o777) !== 0o660) {
      const open = (socket.mode & 0o002) !== 0
      const text =
        `The socket ${socket.path} has the mode ${octal(socket.mode)} instead of 0660. ` +
        (open
          ? 'Every user of this machine can hand messages to the filters.'
          : 'The process of a local submitter reaches it through its group: local mail hears 432.')
      const cure = [onPath('chmod 0660', socket.path)]
      findings.push({ gravity: open ? 'unsafe' : 'refused', code: 'socket-mode', text, cure })
    }
    if (socket.gid !== user.gid || socket.uid !== user.uid) {
      const text =
        `The socket ${socket.path} belongs to ${socket.uid}:${socket.gid}, not to ${user.user} ` +
        `(${user.uid}:${user.gid}): Courier's processes may not reach it, and mail hears 432. Was a host started by hand?`
      findings.push({ gravity: 'refused', code: 'socket-owner', text, cure: restartFilters(facts) })
    }
  }
  if (twin.kind !== 'absent' && twin.kind !== 'unseen') {
    const text =
      `There is also ${twin.path}. Courier asks it for recipients whose own filter says so, before or instead of ours; ` +
      'the host removes it when it starts.'
    findings.push({ gravity: 'warning', code: 'socket-twice', text, cure: [onPath('rm', twin.path)] })
  }
  return findings
}

function hostFindings(facts: DoctorFacts): Finding[] {
  const { hosts, config, state, stateHolder } = facts
  const findings: Finding[] = []
  if (hosts.length > 1) {
    const text = `There are ${hosts.length} hosts of this name (processes ${pidsOf(facts)}); only one can serve.`
    findings.push({ gravity: 'warning', code: 'hosts-several', text, cure: restartFilters(facts) })
  }
  if (stateHolder !== null && !hosts.some(({ pid }) => pid === stateHolder)) {
    const text =
      `Process ${stateHolder} holds the state folder ${state.path}, and it is no host of this launcher: an instance that was ` +
      'started by hand, or under another name with the same folder. The host cannot start beside it. End that process, ' +
      'or give one of the two another folder with --state-dir.'
    findings.push({ gravity: 'refused', code: 'state-held', text, cure: [] })
  }
  for (const { pid, nodeGone, umask, maxFiles } of hosts) {
    if (nodeGone) {
      const text = `The host (process ${pid}) still runs a Node that was replaced since, for instance by an upgrade.`
      findings.push({ gravity: 'note', code: 'node-replaced', text, cure: restartFilters(facts) })
    }
    if (umask !== null && (umask & 0o002) === 0) {
      const text =
        `The host (process ${pid}) runs with the umask ${octal(umask)}: what filters write could be changed by every user. It ` +
        'comes from whatever started courierfilter; Courier expects 0022 there.'
      findings.push({ gravity: 'unsafe', code: 'umask', text, cure: ['umask 0022', ...restartFilters(facts)] })
    }
    const wanted = config.settings.courierfilter.maxConnections + 100
    if (maxFiles !== null && maxFiles < wanted) {
      const text =
        `The host (process ${pid}) may open ${maxFiles} files, but [courierfilter] max_connections is ` +
        `${config.settings.courierfilter.maxConnections}: under a flood it would run out of them. Raise the limit before ` +
        'courierfilter is started, or lower max_connections.'
      findings.push({
        gravity: 'warning',
        code: 'files-limit',
        text,
        cure: [`ulimit -n ${wanted}`, ...restartFilters(facts)],
      })
    }
  }
  return [...findings, ...answerFindings(facts)]
}

/** What the host says of itself. */
function answerFindings(facts: DoctorFacts): Finding[] {
  const { asked, version, hosts, config } = facts
  if (hosts.length === 0) return []
  if (asked.kind === 'silent') {
    const text = `The host (process ${pidsOf(facts)}) does not answer on its control socket: ${asked.text}. Does it stand still?`
    return [{ gravity: 'failing', code: 'host-silent', text, cure: restartFilters(facts) }]
  }
  if (asked.kind !== 'answer') return []
  const findings: Finding[] = []
  // What is broken in the files is told already.
  if (asked.phase === 'broken' && config.problems.length === 0) {
    const passes = config.settings.host.whenBroken === 'pass'
    const text =
      `The host is broken and ${passes ? 'lets all mail pass unfiltered' : 'answers 451 4.3.5 to all mail'}. ` +
      `Mend what is named here, then have it read again:\n${asked.problems.map(formatProblem).join('\n')}`
    const cure = [tellHost('reload', facts)]
    findings.push({ gravity: passes ? 'unfiltered' : 'refused', code: 'host-broken', text, cure })
  }
  if (asked.refusedReload.length > 0) {
    const text =
      'The host was told to reload, but what it read was broken, so that it goes on with what it had:' +
      asked.refusedReload.map((problem) => `\n${formatProblem(problem)}`).join('')
    findings.push({ gravity: 'warning', code: 'reload-refused', text, cure: [tellHost('reload', facts)] })
  }
  if (asked.needRestart.length > 0) {
    const text = `These settings are written otherwise than they are in force, and need a restart: ${asked.needRestart.join(', ')}.`
    findings.push({ gravity: 'note', code: 'restart-needed', text, cure: [tellHost('restart', facts)] })
  }
  if (asked.version !== version) {
    const text = `The host that runs is nodefilter ${asked.version}; installed is ${version}. It takes over when it is started anew.`
    findings.push({ gravity: 'note', code: 'running-other-version', text, cure: [tellHost('restart', facts)] })
  }
  return findings
}

function pidsOf({ hosts }: DoctorFacts): string {
  return hosts.map(({ pid }) => pid).join(', ')
}
