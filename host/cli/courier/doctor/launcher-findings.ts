/** Findings about the launcher, Courier's link to it, and the Node and program that it starts. Pure. */
import { launcherMarker, launcherVersion, shellQuote } from '../launcher.ts'
import { filterPaths } from '../plan.ts'
import { enableAgain, octal, onPath, restartFilters } from './cures.ts'
import type { DoctorFacts } from './facts.ts'
import type { Finding } from './finding.ts'
import { isInRange } from './node-range.ts'

/** The version of the script that this program writes. */
const ownVersion = launcherVersion(`#!/bin/sh\n${launcherMarker}\n`) ?? 0

/** Looks at the link, then at what it leads to, then at what that starts. */
export function launcherFindings(facts: DoctorFacts): Finding[] {
  if (isNotEnabled(facts)) return [notEnabled(facts)]
  return [...linkFindings(facts), ...scriptFindings(facts), ...startFindings(facts)]
}

/** Nothing of the filter is there: what "enable" makes is then not missing, but not made yet. */
export function isNotEnabled({ launcher, link }: DoctorFacts): boolean {
  return launcher.kind === 'absent' && (link.kind === 'absent' || link.kind === 'unseen')
}

function notEnabled(facts: DoctorFacts): Finding {
  const text = `${facts.name} is not enabled: Courier has no filter of that name, and mail passes unfiltered by it.`
  return { gravity: 'unfiltered', code: 'not-enabled', text, cure: [enableAgain(facts)] }
}

function linkFindings(facts: DoctorFacts): Finding[] {
  const { link, launcher, layout, name } = facts
  const { filterctl } = filterPaths(layout, name)
  const relink = `ln -sfn ${shellQuote(launcher.path)} ${shellQuote(link.path)}`
  if (link.kind === 'unseen') return []
  if (link.kind === 'absent') {
    const text =
      `Courier does not start ${name}: there is no link ${link.path}. What runs now goes on until courierfilter is ` +
      'told of a change or restarted; then mail passes unfiltered.'
    const cure =
      launcher.kind === 'absent' ? [enableAgain(facts)] : [`${shellQuote(filterctl)} start ${shellQuote(name)}`]
    return [{ gravity: 'unfiltered', code: 'link-missing', text, cure }]
  }
  if (link.kind === 'link') {
    if (link.target === launcher.path) return []
    const text =
      `Courier's link ${link.path} leads to ${link.target ?? 'nowhere'}, not to the launcher ${launcher.path}: after its ` +
      `next start Courier runs that under the name ${name}.`
    const cure = launcher.kind === 'absent' ? [relink, enableAgain(facts)] : [relink]
    return [{ gravity: 'unfiltered', code: 'link-elsewhere', text, cure: [...cure, ...restartFilters(facts)] }]
  }
  const text = `${link.path} is no link, but something of its own. Courier runs it if it can.`
  const cure = [onPath('rm -r', link.path), enableAgain(facts)]
  return [{ gravity: 'unfiltered', code: 'link-is-no-link', text, cure }]
}

function scriptFindings(facts: DoctorFacts): Finding[] {
  const { launcher, link, name } = facts
  if (launcher.kind === 'unseen') return []
  if (launcher.kind === 'absent') {
    if (link.target !== launcher.path) return []
    const text =
      `The launcher ${launcher.path} is missing, so that Courier's link ${link.path} leads nowhere: Courier cannot ` +
      `start ${name}. What runs now goes on; after the next start of courierfilter nothing does.`
    return [{ gravity: 'unfiltered', code: 'launcher-missing', text, cure: [enableAgain(facts)] }]
  }
  if (launcher.whose === 'foreign') {
    const text =
      `${launcher.path} was not written by nodefilter. Look at it: if nobody needs it, move it away and enable ${name} ` +
      'again; else enable nodefilter under another name with --name.'
    return [{ gravity: 'unfiltered', code: 'launcher-foreign', text, cure: [] }]
  }
  const findings: Finding[] = []
  if (launcher.kind === 'file' && (launcher.mode & 0o111) !== 0o111) {
    const text =
      `The launcher ${launcher.path} has the mode ${octal(launcher.mode)} and cannot be executed by everybody, so that ` +
      'Courier cannot start it.'
    findings.push({ gravity: 'unfiltered', code: 'launcher-mode', text, cure: [onPath('chmod 0755', launcher.path)] })
  }
  const version = launcher.version ?? 0
  if (version < ownVersion) {
    const text = `The launcher ${launcher.path} is of version ${version}; this program writes version ${ownVersion}.`
    const cure = [enableAgain(facts), ...restartFilters(facts)]
    findings.push({ gravity: 'warning', code: 'launcher-old', text, cure })
  } else if (version > ownVersion) {
    const text =
      `The launcher ${launcher.path} was written by a newer nodefilter (version ${version} of the script) than this ` +
      `one, ${facts.version}, which writes version ${ownVersion}.`
    findings.push({ gravity: 'note', code: 'launcher-newer', text, cure: [] })
  } else if (!launcher.isCurrent) {
    const text =
      `The launcher ${launcher.path} differs from what this version of nodefilter writes: somebody edited it, or another ` +
      'version wrote it. Enabling again replaces it.'
    findings.push({ gravity: 'warning', code: 'launcher-differs', text, cure: [enableAgain(facts)] })
  }
  return findings
}

function startFindings(facts: DoctorFacts): Finding[] {
  const { launcher, version, nodeRange } = facts
  if (launcher.whose !== 'ours') return []
  const { starts } = launcher
  if (starts === null) {
    const text = `What the launcher ${launcher.path} starts cannot be read from it: it was edited.`
    return [{ gravity: 'failing', code: 'launcher-unreadable', text, cure: [enableAgain(facts)] }]
  }
  const gone = (what: string, path: string, code: string): Finding => ({
    ...{ gravity: 'refused', code, cure: [enableAgain(facts), ...restartFilters(facts)] },
    text:
      `The launcher starts ${what} ${path}, which is not there (any more). A host that runs goes on; the next one cannot ` +
      'start, and Courier then answers 432 to all mail. Enabling again writes the paths of today.',
  })
  if (starts.node.kind === 'absent') return [gone('Node from', starts.node.path, 'node-gone')]
  if (starts.program.kind === 'absent') return [gone('the program', starts.program.path, 'program-gone')]
  if (starts.node.kind === 'unseen' || starts.program.kind === 'unseen') return []

  const findings: Finding[] = []
  const { nodeVersion, programVersion } = starts
  if (nodeVersion === null) {
    const text = `${starts.node.path} does not run as Courier's user, or does not tell its version; the host cannot start.`
    findings.push({ gravity: 'refused', code: 'node-does-not-run', text, cure: [] })
  } else if (nodeRange !== null && !isInRange(nodeVersion, nodeRange)) {
    const text =
      `The launcher starts Node ${nodeVersion} (${starts.node.path}); nodefilter runs on ${nodeRange}. Enable it again with ` +
      'a Node of such a version: the launcher then starts the Node that ran "enable".'
    findings.push({ gravity: 'failing', code: 'node-unsupported', text, cure: [] })
  } else if (programVersion === null) {
    const text =
      `${starts.program.path} does not run as Courier's user: "${starts.node.path} ${starts.program.path} --version" gave ` +
      'no version. The host cannot start.'
    findings.push({ gravity: 'refused', code: 'program-does-not-run', text, cure: [] })
  } else if (programVersion !== version) {
    const text =
      `The launcher starts nodefilter ${programVersion} (${starts.program.path}), and this is nodefilter ${version}. ` +
      'Enabling with this one makes the launcher start this one.'
    findings.push({
      gravity: 'warning',
      code: 'program-other-version',
      text,
      cure: [enableAgain(facts), ...restartFilters(facts)],
    })
  }
  return findings
}
