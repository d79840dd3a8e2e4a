/**
 * The launcher: the small shell script that stands in Courier's filter folder and keeps the host running.
 *
 * Pure: makes and recognises the text.
 * Source: spec courier 1.2 (descriptors and arguments a filter gets), 1.3 (fd 3), 1.6 (Courier never starts a dead
 *         filter again), POSIX.1-2024 Shell Command Language 2.9.3.1 (a background command reads from /dev/null).
 */

/** What the script needs to know. All paths are absolute. */
export interface LauncherSettings {
  readonly nodePath: string
  readonly programPath: string
  /** Node's own options, before the program. */
  readonly execArgs?: readonly string[]
  /** `null`: the host looks for its configuration folder itself. */
  readonly configDirectory: string | null
  /** `null`: the host takes it from its configuration. */
  readonly stateDirectory: string | null
}

/**
 * Goes up when the script's contract with the host changes. 2: a host that ends with `startAgainStatus` is started again
 * at once, and USR1 is passed on.
 */
const contract = 2

/** The line by which a launcher of ours is known. */
export const launcherMarker = `# nodefilter-launcher ${contract}`

/** A host that ends with this status was asked to restart: it is started again at once, and nothing is wrong. */
export const startAgainStatus = 85

/** What the launcher tells its host in the environment: the number of its contract and its own pid. */
const launcherVariable = 'NODEFILTER_LAUNCHER'

/**
 * Whether this process was started by a launcher that starts it again when it ends with `startAgainStatus`. A variable
 * that came down from elsewhere does not count: the launcher is the parent itself, and lives.
 */
export function startsAgain(env: NodeJS.ProcessEnv, parentPid: number): boolean {
  const [, number, pid] = /^([0-9]{1,6}) ([0-9]{1,10})$/.exec(env[launcherVariable] ?? '') ?? []
  return Number(number) >= 2 && Number(pid) === parentPid
}

/** True for a file that `launcherScript` made, in this or another version. */
export function isLauncher(text: string): boolean {
  return /^#!\/bin\/sh\n# nodefilter-launcher [0-9]+\n/.test(text)
}

/** The number in a launcher's marker; `null` for a file that is none. */
export function launcherVersion(text: string): number | null {
  const number = /^#!\/bin\/sh\n# nodefilter-launcher ([0-9]{1,6})\n/.exec(text)?.[1]
  return number === undefined ? null : Number(number)
}

/**
 * What a launcher was made of: the reverse of `launcherScript`.
 * Shape: `null` for a file that is no launcher, or whose line that starts the host is not ours.
 */
export function readLauncher(text: string): LauncherSettings | null {
  if (!isLauncher(text)) return null
  const line = /\nwhile :; do\n {4}(\S[^]*?) <&4 4<&- 3<&3 &\n/.exec(text)?.[1]
  const words = line === undefined ? null : shellWords(line)
  const at = words?.indexOf('run') ?? -1
  const nodePath = words?.[0]
  const programPath = words?.[at - 1]
  if (words === null || at < 2 || nodePath === undefined || programPath === undefined) return null
  const after = (option: string): string | null => words[words.indexOf(option, at) + 1 || words.length] ?? null
  const folders = { configDirectory: after('-c'), stateDirectory: after('--state-dir') }
  return { nodePath, programPath, execArgs: words.slice(1, at - 1), ...folders }
}

/** The words of a line as `shellQuote` writes them (a word in double quotes is kept as it is); `null` for any other. */
function shellWords(line: string): string[] | null {
  const words: string[] = []
  let rest = line
  while (rest !== '') {
    const match = /^((?:'[^']*'|\\'|"[^"]*"|[A-Za-z0-9_./:@%+,=-])+)(?: |$)/.exec(rest)
    if (match === null) return null
    words.push(
      (match[1] ?? '').replaceAll(/'([^']*)'|\\(')/g, (_, inner?: string, quote?: string) => inner ?? quote ?? ''),
    )
    rest = rest.slice(match[0].length)
  }
  return words
}

/** Quotes one word for a POSIX shell. */
export function shellQuote(word: string): string {
  return /^[A-Za-z0-9_./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/**
 * Makes the launcher's text.
 *
 * Shape:  POSIX sh without any extension; the filter's name is the last part of the path it was run by.
 * Units:  waits 1 s before the host is started again, doubling to 30 s, from 1 s again once a host has lived for 60 s.
 */
export function launcherScript(settings: LauncherSettings): string {
  const { nodePath, programPath, execArgs = [], configDirectory, stateDirectory } = settings
  const program = [nodePath, ...execArgs, programPath, 'run', '--door', 'courierfilter']
  const folders = [
    ...(configDirectory === null ? [] : ['-c', configDirectory]),
    ...(stateDirectory === null ? [] : ['--state-dir', stateDirectory]),
  ]
  const words = [...program.map(shellQuote), '--name', '"$name"', ...folders.map(shellQuote)]
  return `#!/bin/sh
${launcherMarker}
# Written by "nodefilter courier enable", which replaces it. Courier runs it as a mail filter: it starts the host,
# starts it again when it dies, or at once and without a word when it was asked to restart (status ${startAgainStatus}), and ends
# when the host ends with 0 or when Courier closes the standard input.

name=\${0##*/}
host= status=0 signalled= stopping=

say() { printf '%s\\n' "$1" >&2; }

# A signal to the launcher is one to the host. While no host runs, TERM and INT end the launcher, the others the pause.
# INT goes on as TERM: what a shell starts in the background ignores INT until it says otherwise.
pass_on() {
    signalled=1
    [ -z "$host" ] || kill -s "$1" "$host" 2>/dev/null
}
trap 'stopping=1; pass_on TERM' TERM INT
trap 'pass_on HUP' HUP
trap 'pass_on USR1' USR1

# A trapped signal ends "wait" early, so wait until it ended of itself.
await_host() {
    while :; do
        signalled=
        wait "$host" 2>/dev/null
        status=$?
        [ -n "$signalled" ] || return
    done
}

# Sleeps $delay seconds; fails when the launcher is to end: the standard input is at its end, or TERM came.
# Nothing is ever written to that input, so a reader of it comes back only when it is closed. The reader opens it anew:
# a Node that was killed leaves it non-blocking. Where there is no /proc, the next host sees the end of input instead.
pause() {
    signalled=
    sleep "$delay" 4<&- &
    timer=$!
    { while read -r line; do :; done </proc/self/fd/4 && kill -s KILL "$timer"; } 2>/dev/null &
    reader=$!
    wait "$timer" 2>/dev/null
    slept=$?
    [ -z "$signalled" ] || kill -s KILL "$timer" 2>/dev/null
    kill -s KILL "$reader" 2>/dev/null
    wait "$timer" "$reader" 2>/dev/null
    [ -z "$stopping" ] && { [ "$slept" -eq 0 ] || [ -n "$signalled" ]; }
}

# fd 4 keeps the standard input, since a background command gets /dev/null there.
# fd 3 is the pipe that tells Courier "ready" once every copy of it is closed: the first host alone may hold it. Later
# ones get /dev/null there, so that no descriptor of their own is taken for the pipe.
exec 4<&0
{ true >&3; } 2>/dev/null || exec 3</dev/null

# A core file of the host, or of what runs a filter, would hold mail and secrets.
ulimit -c 0 2>/dev/null

# By this the host knows that it may end with ${startAgainStatus}.
${launcherVariable}="${contract} $$"
export ${launcherVariable}

delay=1
while :; do
    ${words.join(' ')} <&4 4<&- 3<&3 &
    host=$!
    exec 3</dev/null
    [ -z "$stopping" ] || pass_on TERM
    begun=$(date +%s)
    await_host
    host=
    [ "$status" -ne 0 ] || exit 0
    if [ "$status" -eq ${startAgainStatus} ]; then
        [ -z "$stopping" ] || exit 0
        delay=1
        continue
    fi
    [ -z "$stopping" ] || exit "$status"
    [ $(($(date +%s) - begun)) -lt 60 ] || delay=1
    case $status in
    75) say "WARN: $name: another instance uses the state folder; next try in $delay s" ;;
    126 | 127) say "ERR: $name: cannot run Node or the program (status $status); next try in $delay s" ;;
    *) if [ "$status" -gt 128 ]; then how="died of signal $((status - 128))"; else how="ended with status $status"; fi
       say "ERR: $name: the host $how; it is started again in $delay s" ;;
    esac
    pause || exit 0
    delay=$((delay * 2))
    [ "$delay" -le 30 ] || delay=30
done
`
}
