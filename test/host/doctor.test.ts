/** `nodefilter courier doctor`: from facts to findings, from a folder to facts, and the command as a whole. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { createCourierCommand } from '../../host/cli/courier.ts'
import { launcherMarker, launcherScript, launcherVersion, readLauncher } from '../../host/cli/courier/launcher.ts'
import { guessLayout } from '../../host/cli/courier/layout.ts'
import type { CommandRunner } from '../../host/cli/courier/run-command.ts'
import type { DoctorFacts, HostAnswer, PathFact } from '../../host/cli/courier/doctor/facts.ts'
import { logFolder } from '../../host/cli/courier/doctor/file-findings.ts'
import { gravities, paragraph, severityOf, type Gravity } from '../../host/cli/courier/doctor/finding.ts'
import { wrap } from '../../host/cli/wrap.ts'
import { findingsOf } from '../../host/cli/courier/doctor/findings.ts'
import { isInRange } from '../../host/cli/courier/doctor/node-range.ts'
import { listProcesses, processDetails, type ProcessFact } from '../../host/cli/courier/doctor/processes.ts'
import type { DoctorProbes } from '../../host/cli/courier/doctor/read.ts'
import { checkHostSettings } from '../../host/config/settings.ts'
import { takeInstanceLock } from '../../host/instance-lock.ts'
import { systemFiles } from '../../host/platform/files.ts'

const settingsWith = (raw: Parameters<typeof checkHostSettings>[0]) => checkHostSettings(raw).settings
const fact = (path: string, kind: PathFact['kind'], mode = 0o755, uid = 0, gid = 0): PathFact =>
  kind === 'absent' || kind === 'unseen' ? { path, kind, mode: -1, uid: -1, gid: -1 } : { path, kind, mode, uid, gid }

const launcherPath = '/usr/lib/courier/filters/nodefilter'
const linkPath = '/etc/courier/filters/active/nodefilter'
const socketPath = '/var/lib/courier/allfilters/nodefilter'
const statePath = '/var/lib/nodefilter'

/** What a host says with which all is well. */
const calm: Extract<HostAnswer, { kind: 'answer' }> = {
  ...{ kind: 'answer', version: '1.2.3', phase: 'serving' },
  ...{ problems: [], refusedReload: [], needRestart: [] },
}

/** An installation in which nothing is wrong. */
const healthy: DoctorFacts = {
  name: 'nodefilter',
  layout: { ...guessLayout({}), version: '1.0.16', found: true },
  isRoot: true,
  user: { user: 'courier', uid: 102, gid: 105 },
  given: { configDirectory: null, stateDirectory: null },
  filterFolder: fact('/usr/lib/courier/filters', 'folder'),
  launcher: {
    ...fact(launcherPath, 'file'),
    whose: 'ours',
    version: launcherVersion(`#!/bin/sh\n${launcherMarker}\n`),
    isCurrent: true,
    starts: {
      node: fact('/usr/bin/node', 'file'),
      program: fact('/opt/nodefilter/main.js', 'file', 0o644),
      nodeVersion: 'v24.21.0',
      programVersion: '1.2.3',
    },
  },
  link: { ...fact(linkPath, 'link', 0o777), target: launcherPath },
  socket: fact(socketPath, 'socket', 0o660, 102, 105),
  socketListens: true,
  twin: fact('/var/lib/courier/filters/nodefilter', 'absent'),
  daemon: { pidInFile: 77, pids: [77] },
  process: 'running',
  hosts: [{ pid: 80, nodeGone: false, umask: 0o022, maxFiles: 1_000_000 }],
  otherFilters: [],
  enableFiltering: ['esmtp'],
  config: {
    directory: '/etc/nodefilter',
    exists: true,
    settings: settingsWith({}),
    problems: [],
    warnings: [],
  },
  obstacles: [],
  places: [],
  state: fact(statePath, 'folder', 0o700, 102, 105),
  stateHolder: 80,
  room: [{ what: 'message files', path: '/var/lib/courier/tmp', freeOctets: 1e10, freeInodes: 1e6 }],
  version: '1.2.3',
  nodeRange: '^22.22.2 || ^24.15.0 || >=26',
  asked: calm,
}

const { launcher, link } = healthy
const starts = launcher.starts
if (starts === null) throw new Error('the healthy launcher starts something')
const problem = { file: '/etc/nodefilter/filters.conf', line: 3, column: null, text: 'unknown word', cure: 'remove it' }
const again = 'nodefilter courier enable'
const restart = ['/usr/sbin/courierfilter stop', '/usr/sbin/courierfilter start']
const noLink = { ...fact(linkPath, 'absent'), target: null } as const
const noLauncher = {
  ...fact(launcherPath, 'absent'),
  whose: 'absent',
  version: null,
  isCurrent: false,
  starts: null,
} as const
const words = (line: string): Partial<DoctorFacts> => ({ enableFiltering: [line] })
const policies = (line: string, courierfilter: Record<string, string>, host = {}): Partial<DoctorFacts> => ({
  ...words(line),
  config: { ...healthy.config, settings: settingsWith({ courierfilter, host }) },
})

type Row = readonly [
  name: string,
  change: Partial<DoctorFacts>,
  want: `${Gravity}: ${string}`,
  text: RegExp,
  cure: readonly string[] | null,
]

const rows: readonly Row[] = [
  // The launcher and its link.
  [
    'nothing is enabled',
    {
      launcher: noLauncher,
      link: noLink,
      process: 'none',
      hosts: [],
      socket: fact(socketPath, 'absent'),
      socketListens: null,
      stateHolder: null,
      state: fact(statePath, 'absent'),
    },
    'unfiltered: not-enabled',
    /Courier has no filter of that name/,
    [again],
  ],
  [
    'the link is missing',
    { link: noLink },
    'unfiltered: link-missing',
    /then mail passes unfiltered/,
    ['/usr/sbin/filterctl start nodefilter'],
  ],
  [
    'the link leads elsewhere',
    { link: { ...link, target: '/bin/true' } },
    'unfiltered: link-elsewhere',
    /leads to \/bin\/true, not to the launcher/,
    [`ln -sfn ${launcherPath} ${linkPath}`, ...restart],
  ],
  [
    'the link is a file',
    { link: { ...fact(linkPath, 'file'), target: null } },
    'unfiltered: link-is-no-link',
    /is no link/,
    [`rm -r ${linkPath}`, again],
  ],
  ['the launcher is missing', { launcher: noLauncher }, 'unfiltered: launcher-missing', /leads nowhere/, [again]],
  [
    'the launcher is missing, and it has folders of its own',
    { launcher: noLauncher, given: { configDirectory: '/srv/my conf', stateDirectory: '/srv/s' }, name: 'nodefilter' },
    'unfiltered: launcher-missing',
    /leads nowhere/,
    ["nodefilter courier enable -c '/srv/my conf' --state-dir /srv/s"],
  ],
  [
    'the launcher is not ours',
    { launcher: { ...launcher, whose: 'foreign', starts: null, version: null } },
    'unfiltered: launcher-foreign',
    /was not written by nodefilter/,
    [],
  ],
  [
    'the launcher cannot be executed',
    { launcher: { ...launcher, mode: 0o644 } },
    'unfiltered: launcher-mode',
    /mode 0644/,
    [`chmod 0755 ${launcherPath}`],
  ],
  [
    'the launcher is of an older version',
    { launcher: { ...launcher, version: 0, isCurrent: false } },
    'warning: launcher-old',
    /of version 0; this program writes/,
    [again, ...restart],
  ],
  [
    'the launcher is of a newer version',
    { launcher: { ...launcher, version: 99, isCurrent: false } },
    'note: launcher-newer',
    /newer nodefilter \(version 99/,
    [],
  ],
  [
    'the launcher was edited',
    { launcher: { ...launcher, isCurrent: false } },
    'warning: launcher-differs',
    /somebody edited it/,
    [again],
  ],
  [
    'what the launcher starts was edited away',
    { launcher: { ...launcher, starts: null } },
    'failing: launcher-unreadable',
    /cannot be read/,
    [again],
  ],
  [
    'Node is gone',
    {
      launcher: {
        ...launcher,
        starts: { ...starts, node: fact('/old/node', 'absent'), nodeVersion: null, programVersion: null },
      },
    },
    'refused: node-gone',
    /Node from \/old\/node, which is not there.*432/,
    [again, ...restart],
  ],
  [
    'the program is gone',
    { launcher: { ...launcher, starts: { ...starts, program: fact('/old/main.js', 'absent'), programVersion: null } } },
    'refused: program-gone',
    /the program \/old\/main\.js/,
    [again, ...restart],
  ],
  [
    'Node does not run',
    { launcher: { ...launcher, starts: { ...starts, nodeVersion: null, programVersion: null } } },
    'refused: node-does-not-run',
    /does not run as Courier's user/,
    [],
  ],
  [
    'Node is too old',
    { launcher: { ...launcher, starts: { ...starts, nodeVersion: 'v20.20.0' } } },
    'failing: node-unsupported',
    /starts Node v20\.20\.0 .*runs on \^22/,
    [],
  ],
  [
    'the program does not run',
    { launcher: { ...launcher, starts: { ...starts, programVersion: null } } },
    'refused: program-does-not-run',
    /gave no version/,
    [],
  ],
  [
    'the launcher starts another version',
    { launcher: { ...launcher, starts: { ...starts, programVersion: '1.0.0' } } },
    'warning: program-other-version',
    /starts nodefilter 1\.0\.0 .*this is nodefilter 1\.2\.3/,
    [again, ...restart],
  ],
  [
    'another version runs',
    { asked: { ...calm, version: '1.0.0' } },
    'note: running-other-version',
    /runs is nodefilter 1\.0\.0; installed is 1\.2\.3/,
    ['nodefilter restart'],
  ],
  [
    'the host is broken',
    { asked: { ...calm, phase: 'broken', problems: [problem] } },
    'refused: host-broken',
    /451 4\.3\.5 to all mail\. Mend .*:\n.*filters\.conf:3/,
    ['nodefilter reload'],
  ],
  [
    'the host gives no answer',
    { asked: { kind: 'silent', text: 'it said nothing' } },
    'failing: host-silent',
    /does not answer .*: it said nothing\./,
    restart,
  ],
  [
    'another version runs, with a state folder of its own',
    { asked: { ...calm, version: '1.0.0' }, state: { ...healthy.state, path: '/srv/it s' } },
    'note: running-other-version',
    /1\.0\.0/,
    ["nodefilter restart --state-dir '/srv/it s'"],
  ],
  [
    'a reload was refused',
    { asked: { ...calm, refusedReload: [problem] } },
    'warning: reload-refused',
    /goes on with what it had:\n.*filters\.conf:3/,
    ['nodefilter reload'],
  ],
  [
    'a setting waits for a restart',
    { asked: { ...calm, needRestart: ['host.deadline'] } },
    'note: restart-needed',
    /need a restart: host\.deadline\./,
    ['nodefilter restart'],
  ],
  // What runs.
  [
    'courierfilter does not run, the socket is there',
    { daemon: { pidInFile: null, pids: [] }, process: 'none', hosts: [], socketListens: false, stateHolder: null },
    'refused: courierfilter-down',
    /432 to all mail/,
    ['/usr/sbin/courierfilter start'],
  ],
  [
    'courierfilter does not run, nor is there a socket',
    {
      daemon: { pidInFile: 4, pids: [] },
      process: 'none',
      hosts: [],
      socket: fact(socketPath, 'absent'),
      socketListens: null,
      stateHolder: null,
    },
    'unfiltered: courierfilter-down',
    /names process 4, which is no courierfilter.*passes unfiltered/,
    ['/usr/sbin/courierfilter start'],
  ],
  [
    'the pid file is lost',
    { daemon: { pidInFile: null, pids: [77] } },
    'warning: pid-file',
    /pid file .* is missing/,
    [],
  ],
  ['the pid file is stale', { daemon: { pidInFile: 5, pids: [77] } }, 'warning: pid-file', /names process 5/, []],
  [
    'the launcher died',
    { process: 'dead', hosts: [], socketListens: false, stateHolder: null },
    'refused: entry-dead',
    /never starts it again.*432/,
    restart,
  ],
  [
    'the launcher died, and its host lives on',
    { process: 'dead' },
    'refused: entry-dead',
    /process 80\) still runs/,
    restart,
  ],
  [
    'Courier has not started it',
    { process: 'none', hosts: [], socket: fact(socketPath, 'absent'), socketListens: null, stateHolder: null },
    'unfiltered: entry-missing',
    /although its link is there/,
    restart,
  ],
  [
    'the launcher runs without a host',
    { hosts: [], socketListens: false, stateHolder: null },
    'refused: host-down',
    /after a pause of up to 30 s/,
    [],
  ],
  [
    'the socket is missing',
    { socket: fact(socketPath, 'absent'), socketListens: null },
    'unfiltered: socket-missing',
    /mail passes unfiltered/,
    restart,
  ],
  ['nobody listens', { socketListens: false }, 'refused: socket-stale', /Nobody listens.*432/, restart],
  [
    'a socket is left over',
    { link: noLink, launcher: noLauncher, process: 'none', hosts: [], socketListens: false, stateHolder: null },
    'refused: socket-stale',
    /is a leftover/,
    [`rm ${socketPath}`],
  ],
  [
    'somebody else listens',
    { link: noLink, launcher: noLauncher, process: 'none', hosts: [], stateHolder: null },
    'warning: socket-of-another',
    /some process listens/,
    [],
  ],
  [
    'a file stands in the place of the socket',
    { socket: fact(socketPath, 'file', 0o644), socketListens: null },
    'refused: socket-is-none',
    /is no socket, but a file/,
    [`rm -r ${socketPath}`, ...restart],
  ],
  [
    'the socket is private',
    { socket: { ...healthy.socket, mode: 0o600 } },
    'refused: socket-mode',
    /0600 instead of 0660.*local mail hears 432/,
    [`chmod 0660 ${socketPath}`],
  ],
  [
    'the socket is open to all',
    { socket: { ...healthy.socket, mode: 0o666 } },
    'unsafe: socket-mode',
    /Every user of this machine/,
    [`chmod 0660 ${socketPath}`],
  ],
  [
    'the socket has another group',
    { socket: { ...healthy.socket, gid: 0 } },
    'refused: socket-owner',
    /belongs to 102:0, not to courier \(102:105\)/,
    restart,
  ],
  [
    'a socket of that name is in the other folder',
    { twin: fact('/var/lib/courier/filters/nodefilter', 'socket') },
    'warning: socket-twice',
    /There is also \/var\/lib\/courier\/filters\/nodefilter/,
    ['rm /var/lib/courier/filters/nodefilter'],
  ],
  [
    'there are two hosts',
    { hosts: [...healthy.hosts, { pid: 81, nodeGone: false, umask: null, maxFiles: null }] },
    'warning: hosts-several',
    /processes 80, 81/,
    restart,
  ],
  [
    'another instance holds the state folder',
    { stateHolder: 99 },
    'refused: state-held',
    /Process 99 holds the state folder/,
    [],
  ],
  [
    'Node was replaced under the host',
    { hosts: [{ pid: 80, nodeGone: true, umask: 0o022, maxFiles: null }] },
    'note: node-replaced',
    /replaced since/,
    restart,
  ],
  [
    'the umask is open',
    { hosts: [{ pid: 80, nodeGone: false, umask: 0, maxFiles: null }] },
    'unsafe: umask',
    /umask 0000/,
    ['umask 0022', ...restart],
  ],
  [
    'the host may open few files',
    { hosts: [{ pid: 80, nodeGone: false, umask: 0o022, maxFiles: 256 }] },
    'warning: files-limit',
    /may open 256 files.*max_connections is 1000/,
    ['ulimit -n 1100', ...restart],
  ],
  ['the name is too long for a socket', { name: 'x'.repeat(65) }, 'failing: name', /cannot name a filter/, null],
  // Which mail is filtered.
  [
    'enablefiltering is missing',
    { enableFiltering: 'absent' },
    'unfiltered: smtp-not-filtered',
    /enablefiltering is missing/,
    ['echo esmtp > /etc/courier/enablefiltering'],
  ],
  [
    'enablefiltering is empty',
    { enableFiltering: [''] },
    'unfiltered: smtp-not-filtered',
    /is empty/,
    ['echo esmtp > /etc/courier/enablefiltering'],
  ],
  [
    'enablefiltering lacks esmtp',
    words('uucp'),
    'unfiltered: smtp-not-filtered',
    /says "uucp"/,
    ["echo 'esmtp uucp' > /etc/courier/enablefiltering"],
  ],
  [
    'esmtp stands on the second line',
    { enableFiltering: ['', 'esmtp'] },
    'unfiltered: smtp-not-filtered',
    /later lines \("esmtp"\) have no effect/,
    ['echo esmtp > /etc/courier/enablefiltering'],
  ],
  [
    'a second line repeats',
    { enableFiltering: ['esmtp', 'esmtp'] },
    'warning: sources-second-line',
    /Courier reads the first alone/,
    ['echo esmtp > /etc/courier/enablefiltering'],
  ],
  [
    'a second line wants more',
    { enableFiltering: ['esmtp', 'local'] },
    'warning: sources-second-line',
    /\("local"\) have no effect/,
    [],
  ],
  ['a word is misspelt', words('esmtp lokal'), 'warning: source-unknown', /"lokal".*did you mean "local"/, []],
  [
    'local mail passes where filters fail',
    words('esmtp local'),
    'note: local-filtered',
    /passes unfiltered \(on_failure_local = pass\).*432 while no host runs/,
    ['echo esmtp > /etc/courier/enablefiltering'],
  ],
  [
    'local mail bounces where filters fail',
    policies('esmtp local', { on_failure_local: 'defer' }),
    'warning: local-bounces',
    /bounces forwarded mail/,
    ['echo esmtp > /etc/courier/enablefiltering'],
  ],
  [
    'notices pass where filters fail',
    words('esmtp dsn'),
    'note: dsn-filtered',
    /they pass \(on_failure_dsn = pass\).*until it expires/,
    ['echo esmtp > /etc/courier/enablefiltering'],
  ],
  [
    'notices are refused where filters fail',
    policies('esmtp dsn', { on_failure_dsn: 'defer' }),
    'warning: dsn-refused',
    /refuses Courier's own notices/,
    ['echo esmtp > /etc/courier/enablefiltering'],
  ],
  [
    'failures pass',
    policies('esmtp', { on_failure: 'pass' }),
    'note: failures-pass',
    /mail from outside passes unfiltered/,
    [],
  ],
  [
    'a broken configuration passes',
    policies('esmtp', {}, { when_broken: 'pass' }),
    'note: broken-passes',
    /when_broken/,
    [],
  ],
  // Files.
  ["Courier's user does not exist", { user: null }, 'failing: user-missing', /The user courier.*does not exist/, []],
  [
    'the folder of filters is missing',
    { filterFolder: fact('/usr/lib/courier/filters', 'absent') },
    'failing: filter-folder-missing',
    /is missing/,
    ['install -d -m 0755 /usr/lib/courier/filters'],
  ],
  [
    'there is no configuration',
    { config: { ...healthy.config, exists: false } },
    'refused: config-missing',
    /no folder of configuration \/etc\/nodefilter/,
    [again],
  ],
  [
    'the configuration is broken',
    { config: { ...healthy.config, problems: [problem, { ...problem, line: 4 }] } },
    'refused: config-broken',
    /filters\.conf:3: unknown word; remove it\n.*filters\.conf:4: /,
    [],
  ],
  [
    'the configuration is broken, and then all mail passes',
    { config: { ...healthy.config, problems: [problem], settings: settingsWith({ host: { when_broken: 'pass' } }) } },
    'unfiltered: config-broken',
    /lets all mail pass unfiltered/,
    [],
  ],
  [
    'the configuration has a very long list of problems',
    { config: { ...healthy.config, problems: Array(30).fill(problem) as (typeof problem)[] } },
    'refused: config-broken',
    /\nand 10 more$/,
    [],
  ],
  [
    'the configuration has warnings',
    { config: { ...healthy.config, warnings: [problem] } },
    'warning: config-warnings',
    /filters\.conf:3/,
    [],
  ],
  [
    'a filter folder cannot be entered',
    {
      obstacles: [
        {
          what: 'the filter folder',
          path: '/root/f',
          wanted: ['read'],
          way: '/root/f',
          obstacle: { path: '/root', missing: 'search' },
        },
      ],
    },
    'failing: out-of-reach',
    /may not enter its parent folder \/root\.$/,
    ['chmod o+x /root'],
  ],
  [
    'the spool cannot be written',
    {
      obstacles: [
        {
          what: "Courier's folder of message files",
          path: '/v/tmp',
          wanted: ['write'],
          way: '/v/tmp',
          obstacle: { path: '/v/tmp', missing: 'write' },
        },
      ],
    },
    'failing: out-of-reach',
    /may not write \/v\/tmp/,
    ['chown courier:courier /v/tmp'],
  ],
  [
    "the log file is to lie in a folder of root's, which stays root's",
    {
      obstacles: [
        {
          what: logFolder,
          path: '/var/log',
          wanted: ['write', 'search'],
          way: '/var/log',
          obstacle: { path: '/var/log', missing: 'write' },
        },
      ],
    },
    'failing: out-of-reach',
    /may not write \/var\/log\. So there is no log file\..*\[log\] file\.$/,
    ['install -d -m 0750 -o courier -g courier /var/log/nodefilter'],
  ],
  [
    'everybody may write where filters lie',
    { places: [{ ...fact('/f', 'folder', 0o777), what: 'the filter folder', owners: 'root-or-user' }] },
    'unsafe: world-writable',
    /every user of this machine.*refuses to load/,
    ['chmod o-w /f'],
  ],
  [
    "the configuration is a stranger's",
    {
      places: [
        { ...fact('/etc/nodefilter', 'folder', 0o755, 1000), what: 'the configuration folder', owners: 'root-or-user' },
      ],
    },
    'warning: foreign-owner',
    /user 1000, neither root nor Courier's user/,
    ['chown root: /etc/nodefilter'],
  ],
  [
    "the filters are a stranger's",
    { places: [{ ...fact('/f', 'folder', 0o755, 1000), what: 'the filter folder', owners: 'root-or-user' }] },
    'refused: foreign-owner',
    /451 4\.3\.5/,
    ['chown root: /f'],
  ],
  [
    "Courier's filter folder is not root's",
    { places: [{ ...fact('/l', 'folder', 0o755, 102), what: "Courier's folder of filters", owners: 'root' }] },
    'warning: foreign-owner',
    /belongs to courier, not to root/,
    ['chown root: /l'],
  ],
  [
    'the state folder is missing',
    { state: fact(statePath, 'absent'), stateHolder: null },
    'refused: state-missing',
    /is missing.*451 4\.3\.5/,
    [`install -d -m 0700 -o courier -g courier ${statePath}`, ...restart],
  ],
  ['the state folder is a link', { state: fact(statePath, 'link') }, 'refused: state-no-folder', /is a link/, []],
  [
    "the state folder is another user's",
    { state: fact(statePath, 'folder', 0o700) },
    'refused: state-owner',
    /belongs to user 0, not to courier/,
    [`chown -R courier:courier ${statePath}`, ...restart],
  ],
  [
    'everybody may write the state folder',
    { state: fact(statePath, 'folder', 0o777, 102, 105) },
    'refused: state-open',
    /written by everybody/,
    [`chmod 0700 ${statePath}`, ...restart],
  ],
  [
    'others may look into the state folder',
    { state: fact(statePath, 'folder', 0o750, 102, 105) },
    'warning: state-mode',
    /mode 0750/,
    [`chmod 0700 ${statePath}`],
  ],
  [
    'the disk is nearly full',
    { room: [{ what: 'message files', path: '/v', freeOctets: 1e8, freeInodes: null }] },
    'warning: disk-full',
    /95 MiB left/,
    null,
  ],
  [
    'the disk is full',
    { room: [{ what: 'message files', path: '/v', freeOctets: 1e6, freeInodes: null }] },
    'refused: disk-full',
    /0 MiB left/,
    null,
  ],
  [
    'the disk has no inodes',
    { room: [{ what: 'message files', path: '/v', freeOctets: 1e12, freeInodes: 3 }] },
    'refused: disk-full',
    /3 inodes left/,
    null,
  ],
  [
    'pythonfilter is active too',
    { otherFilters: [{ name: 'pythonfilter', target: '/usr/bin/pythonfilter' }] },
    'warning: pythonfilter-active',
    /both filter every message/,
    ['/usr/sbin/filterctl stop pythonfilter'],
  ],
  [
    'pythonfilter is active under another name',
    { otherFilters: [{ name: 'py', target: '/usr/bin/pythonfilter' }] },
    'warning: pythonfilter-active',
    /link py/,
    ['/usr/sbin/filterctl stop py'],
  ],
  [
    "another filter's link leads nowhere",
    { otherFilters: [{ name: 'old', target: null }] },
    'note: other-link-dangling',
    /link old .*leads nowhere/,
    [],
  ],
  [
    'the version of Courier is not known',
    { layout: { ...healthy.layout, version: null } },
    'note: courier-version',
    /not known/,
    [],
  ],
  [
    'Courier is very old',
    { layout: { ...healthy.layout, version: '0.78' } },
    'note: courier-version',
    /Courier 0\.78/,
    [],
  ],
  [
    'it was not run by root',
    { isRoot: false },
    'note: not-root',
    /not run by root/,
    ['sudo nodefilter courier doctor'],
  ],
]

t.test('a healthy installation has no findings', (t) => {
  t.strictSame(findingsOf(healthy), [])
  const other = { name: 'spamd', target: '/usr/lib/courier/filters/spamd' }
  t.strictSame(findingsOf({ ...healthy, otherFilters: [other] }), [], 'other filters are nobody’s fault')
  const unseen = {
    link: { ...fact(linkPath, 'unseen'), target: null },
    process: 'none',
    enableFiltering: 'unseen',
  } as const
  const blind = {
    ...healthy,
    ...unseen,
    socket: fact(socketPath, 'unseen'),
    socketListens: null,
    state: fact(statePath, 'unseen'),
  }
  t.strictSame(findingsOf(blind), [], 'nothing is said of what cannot be seen')
  t.end()
})

t.test('what is found, how grave it is, and what mends it', (t) => {
  for (const [name, change, want, text, cure] of rows) {
    const findings = findingsOf({ ...healthy, ...change })
    const found = findings.find(({ code, gravity }) => `${gravity}: ${code}` === want)
    t.ok(found, `${name}: ${want}`, { findings })
    t.match(found?.text, new RegExp(text.source, 's'), name)
    if (cure !== null) t.strictSame(found?.cure, cure, name)
  }
  const single = rows.filter(([, change]) => Object.keys(change).length === 1)
  for (const [name, change, want] of single) {
    // One thing wrong is told once: a finding for each of its consequences would hide the cause.
    const codes = findingsOf({ ...healthy, ...change }).map(({ code, gravity }) => `${gravity}: ${code}`)
    if (!/^(warning|note)/.test(want))
      t.equal(codes.filter((code) => !/^(warning|note)/.test(code)).length, 1, `${name}, and no second error`, {
        codes,
      })
  }
  t.end()
})

t.test('findings come in the order of gravity', (t) => {
  const all: DoctorFacts = {
    ...healthy,
    ...{
      isRoot: false,
      socket: { ...healthy.socket, mode: 0o666 },
      enableFiltering: 'absent',
      stateHolder: 1,
      twin: fact('/x', 'socket'),
    },
    ...{ filterFolder: fact('/l', 'absent') },
  }
  const order = findingsOf(all).map(({ gravity }) => gravity)
  t.strictSame(order, [...gravities])
  t.strictSame(
    order.map((gravity) => severityOf({ gravity, code: '', text: '', cure: [] })),
    ['ERROR', 'ERROR', 'ERROR', 'ERROR', 'WARNING', 'note'],
  )
  t.end()
})

t.test('a finding on the terminal', (t) => {
  const text = `${'word '.repeat(10)}end.\n/etc/x:1: wrong\u001b[2J\u202e`
  t.equal(
    paragraph({ gravity: 'refused', code: 'some-code', text, cure: ['first', 'second'] }, 40),
    `ERROR some-code: word word word word
  word word word word word word end.
  /etc/x:1: wrong?[2J?
  Cure: first
        second
`,
  )
  t.strictSame(wrap('averylongword b', 5), ['averylongword', '  b'], 'a long word is not broken')
  t.end()
})

t.test('versions of Node', (t) => {
  const range = '^22.22.2 || ^24.15.0 || >=26'
  for (const [version, want] of [
    ...[
      ['v22.22.2', true] as const,
      ['v22.22.1', false] as const,
      ['22.99.0', true] as const,
      ['v23.11.0', false] as const,
    ],
    ...[
      ['v24.15.0', true] as const,
      ['v24.2.0', false] as const,
      ['v26.0.0', true] as const,
      ['v25.9.9', false] as const,
    ],
    ...[['v100.0.0', true] as const, ['', false] as const, ['latest', false] as const],
  ]) {
    t.equal(isInRange(version, range), want, version)
  }
  t.equal(isInRange('v24.0.0', '~24'), false, 'a form that is not understood allows nothing')
  t.end()
})

t.test('a launcher can be read back', (t) => {
  const plain = {
    nodePath: '/usr/bin/node',
    programPath: '/opt/n/main.js',
    configDirectory: null,
    stateDirectory: null,
  }
  for (const settings of [
    plain,
    { ...plain, configDirectory: '/etc/n', stateDirectory: '/srv/s' },
    {
      ...plain,
      nodePath: "/opt/it's node/bin",
      programPath: '/a b/"c"/$d/run',
      configDirectory: "'",
      stateDirectory: '/x\\y',
    },
    { ...plain, execArgs: ['--import', 'file:///x y.mjs'] },
  ]) {
    const text = launcherScript(settings)
    t.strictSame(readLauncher(text), { execArgs: [], ...settings })
    t.equal(launcherScript(readLauncher(text) ?? plain), text)
  }
  const text = launcherScript(plain)
  t.equal(readLauncher(text.replace(launcherMarker, '# other')), null)
  t.equal(readLauncher(text.replace('--door courierfilter', '--door $(x)')), null, 'no word of ours')
  t.equal(readLauncher(text.replace(' <&4 4<&- 3<&3 &', ' &')), null)
  t.strictSame(
    [launcherVersion(text.replace(/launcher [0-9]+/, 'launcher 7')), launcherVersion('#!/bin/sh\n')],
    [7, null],
  )
  t.end()
})

t.test('processes as /proc shows them', (t) => {
  const folder = t.testdir({
    '12': {
      stat: '12 (node) x) S 7 12 12 0 -1 1\n',
      cmdline: '/usr/bin/node\0main.js\0',
      status: 'Name:\tnode\nUmask:\t0002\n',
      limits:
        'Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 4096                 files\n',
    },
    '13': { stat: '13 (nodefilter) Z 7 12\n', cmdline: '' },
    self: {},
  })
  t.strictSame(listProcesses(folder), [
    { pid: 12, parent: 7, name: 'node) x', words: ['/usr/bin/node', 'main.js', ''], isZombie: false },
    { pid: 13, parent: 7, name: 'nodefilter', words: [''], isZombie: true },
  ])
  t.strictSame(processDetails(12, folder), { programGone: false, umask: 2, maxFiles: 1024 })
  t.strictSame(processDetails(99, folder), { programGone: false, umask: null, maxFiles: null })
  t.strictSame(listProcesses(`${folder}/none`), [])
  const own = listProcesses().find(({ pid }) => pid === process.pid)
  t.equal(own?.parent, process.ppid, 'this process is found')
  t.end()
})

interface Place {
  readonly at: (path: string) => string
  processes: ProcessFact[]
  run(
    words: string,
    more?: { uid?: number; noCourier?: boolean; noUser?: boolean },
  ): Promise<{ code: number; out: string; err: string }>
  /** The programs that were run. */
  readonly ran: string[]
  /** The codes of what is found, notes left out. */
  codes(words?: string): Promise<string[]>
}

/** Only root can make such an installation: Courier's folders belong to root. */
const needsRoot = process.getuid?.() !== 0 && "Courier's folders belong to root"

/** A folder with a whole installation, in which nothing is wrong, and a stand-in for Courier's programs. */
async function installation(t: Test): Promise<Place> {
  const top = mkdtempSync(join(tmpdir(), 'nf-'))
  t.teardown(() => rmSync(top, { recursive: true, force: true }))
  chmodSync(top, 0o755)
  const at = (path: string): string => join(top, path)
  for (const folder of ['lib/filters', 'etc/filters/active', 'var/allfilters', 'var/tmp', 'run', 'conf', 'bin']) {
    mkdirSync(at(folder), { recursive: true })
  }
  mkdirSync(at('state'), { mode: 0o700 })
  writeFileSync(at('etc/enablefiltering'), 'esmtp\n')
  writeFileSync(at('conf/filters.conf'), '')
  writeFileSync(at('bin/main.js'), '')
  writeFileSync(at('run/courierfilter.pid'), '500\n')
  const [user, group] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0]
  const config = Object.entries({ sbindir: 'sbin', libexecdir: 'lib', sysconfdir: 'etc', localstatedir: 'var' })
    .map(([key, folder]) => `${key}=${at(folder)}\n`)
    .join('')
    .concat(`mailuser=mail\nmailgroup=mail\nconfigure_args="'--with-piddir=${at('run')}'"\n`)
  const ran: string[] = []
  const run =
    (noCourier: boolean, noUser: boolean): CommandRunner =>
    (file, args) => {
      ran.push(file)
      const ok = (stdout: string) => Promise.resolve({ status: 0, stdout, stderr: '' })
      const name = basename(file)
      if (name === 'courier-config' && !noCourier) return ok(config)
      if (name === 'courier') return ok('Courier 1.0.16 Copyright\n')
      if (name === 'id' && !noUser) return ok(`${args[0] === '-u' ? user : group}\n`)
      if (file === process.execPath) return ok(args.length === 1 ? 'v24.21.0\n' : 'nodefilter 1.2.3\n')
      return Promise.resolve({ status: 1, stdout: '', stderr: 'not on this machine' })
    }
  const machine = {
    ...{ nodePath: () => process.execPath, programPath: () => at('bin/main.js'), stateDirectory: at('state') },
    configFolders: () => [at('conf')],
  }
  const script = {
    ...{ nodePath: process.execPath, programPath: at('bin/main.js') },
    configDirectory: null,
    stateDirectory: null,
  }
  writeFileSync(at('lib/filters/nodefilter'), launcherScript(script), { mode: 0o755 })
  symlinkSync(at('lib/filters/nodefilter'), at('etc/filters/active/nodefilter'))
  const server = createServer((socket) => socket.destroy())
  await new Promise((resolve) => server.listen(at('var/allfilters/nodefilter'), () => resolve(null)))
  t.teardown(() => server.close())
  chmodSync(at('var/allfilters/nodefilter'), 0o660)
  const door = ['node', 'main.js', 'run', '--door', 'courierfilter', '--name', 'nodefilter']
  const process_ = (pid: number, parent: number, name: string, words: string[] = []): ProcessFact => ({
    ...{ pid, parent, name, words },
    isZombie: false,
  })
  const place: Place = {
    ...{ at, ran },
    processes: [process_(500, 1, 'courierfilter'), process_(501, 500, 'nodefilter'), process_(502, 501, 'node', door)],
    run: async (words, more = {}) => {
      const probes: DoctorProbes = {
        ...{ processes: () => place.processes, version: '1.2.3', nodeRange: '>=22' },
        processDetails: () => ({ programGone: false, umask: 0o022, maxFiles: null }),
        askHost: () => Promise.resolve(calm),
      }
      const command = createCourierCommand(
        { ...machine, run: run(more.noCourier === true, more.noUser === true), uid: () => more.uid ?? 0 },
        () => probes,
      )
      let [out, err] = ['', '']
      const io = {
        ...{ out: (text: string) => void (out += text), err: (text: string) => void (err += text) },
        env: { prefix: at('none') },
      }
      const code = await command.run(['doctor', ...words.split(' ').filter(Boolean)], io)
      return { code, out: out.replaceAll(top, ''), err: err.replaceAll(top, '') }
    },
    codes: async (words = '') => {
      const { out } = await place.run(`--json ${words}`)
      const { findings } = JSON.parse(out) as { findings: { severity: string; code: string }[] }
      return findings.filter(({ severity }) => severity !== 'note').map(({ code }) => code)
    },
  }
  return place
}

t.test('a folder in which all is well', { skip: needsRoot }, async (t) => {
  const place = await installation(t)
  t.strictSame(await place.run(''), {
    code: 0,
    out: 'Nothing is wrong: Courier asks nodefilter about its mail.\n',
    err: '',
  })
  t.match(await place.run('', { uid: 1000 }), { code: 77, out: /^note not-root: /, err: '' })
  t.match(await place.run('--json'), { code: 0, out: /"findings": \[\]/ })
})

t.test('a folder that was broken', { skip: needsRoot }, async (t) => {
  const breaks: Record<string, (place: Place) => void> = {
    'link-missing': ({ at }) => unlinkSync(at('etc/filters/active/nodefilter')),
    'link-elsewhere': ({ at }) => {
      unlinkSync(at('etc/filters/active/nodefilter'))
      symlinkSync('/bin/true', at('etc/filters/active/nodefilter'))
    },
    'launcher-missing': ({ at }) => unlinkSync(at('lib/filters/nodefilter')),
    'launcher-foreign': ({ at }) => writeFileSync(at('lib/filters/nodefilter'), '#!/bin/sh\n'),
    'launcher-mode out-of-reach': ({ at }) => chmodSync(at('lib/filters/nodefilter'), 0o644),
    'launcher-differs': ({ at }) => {
      const path = at('lib/filters/nodefilter')
      writeFileSync(path, `${readFileSync(path, 'utf8')}# mine\n`)
    },
    'program-gone': ({ at }) => unlinkSync(at('bin/main.js')),
    'smtp-not-filtered': ({ at }) => writeFileSync(at('etc/enablefiltering'), 'local\nesmtp\n'),
    'socket-missing': ({ at }) => unlinkSync(at('var/allfilters/nodefilter')),
    'socket-mode': ({ at }) => chmodSync(at('var/allfilters/nodefilter'), 0o600),
    'socket-twice': ({ at }) => {
      mkdirSync(at('var/filters'))
      writeFileSync(at('var/filters/nodefilter'), '')
    },
    'config-broken': ({ at }) => writeFileSync(at('conf/nodefilter.conf'), '[hots]\nx = y\n'),
    'world-writable': ({ at }) => chmodSync(at('conf'), 0o777),
    'state-open': ({ at }) => chmodSync(at('state'), 0o777),
    'state-missing': ({ at }) => rmSync(at('state'), { recursive: true }),
    'state-held': ({ at }) => void takeInstanceLock(at('state'), systemFiles),
    'courierfilter-down': (place) => (place.processes = []),
    'entry-dead': (place) => {
      place.processes = place.processes.map((one) => (one.pid === 501 ? { ...one, isZombie: true } : one))
    },
    'host-down': (place) => (place.processes = place.processes.slice(0, 2)),
    'pid-file': ({ at }) => unlinkSync(at('run/courierfilter.pid')),
    'pythonfilter-active': ({ at }) => symlinkSync('/bin/true', at('etc/filters/active/pythonfilter')),
  }
  for (const [codes, breakIt] of Object.entries(breaks)) {
    const place = await installation(t)
    breakIt(place)
    t.strictSame(await place.codes(), codes.split(' '), codes)
  }
})

t.test("what the launcher names is not run by root where Courier's user is missing", { skip: needsRoot }, async (t) => {
  const place = await installation(t)
  t.ok((await place.codes()).length === 0 && place.ran.includes(process.execPath), 'else it is run, as that user')
  place.ran.splice(0)
  t.match(await place.run('', { noUser: true }), { code: 78, out: /does not exist on this machine/ })
  t.notOk(place.ran.includes(process.execPath))
})

t.test('a socket that nobody serves is told from one that is served', { skip: needsRoot }, async (t) => {
  const place = await installation(t)
  const path = place.at('var/allfilters/nodefilter')
  const probes = await place.codes()
  t.strictSame(probes, [])
  unlinkSync(path)
  const server = createServer()
  await new Promise((resolve) => server.listen(place.at('var/allfilters/old'), () => resolve(null)))
  // The file stays when its listener goes under another name, as the door's does.
  renameSync(place.at('var/allfilters/old'), path)
  chmodSync(path, 0o660)
  await new Promise((resolve) => server.close(resolve))
  t.ok(existsSync(path))
  t.strictSame(await place.codes(), ['socket-stale'])
})

t.test('no Courier, and wrong arguments', async (t) => {
  const place = await installation(t)
  t.match(await place.run('', { noCourier: true }), { code: 69, err: /no Courier was found/, out: '' })
  t.match(await place.run('--frobnicate'), { code: 64, err: /--frobnicate.*\nUsage: /s })
  t.match(await place.run('--name a/b'), { code: 64, err: /"a\/b" cannot name a filter/ })
  t.match(await place.run('--help'), { code: 0, out: /^Usage: .*doctor {3}Looks at/s })
})
