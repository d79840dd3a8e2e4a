/**
 * A reader of `/dev/log`, where everything that Courier and its filters log arrives.
 *
 * Node has no datagram sockets of this family; perl, which Debian always has, binds it and hands the lines on.
 */
import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { until } from '../helpers/until.ts'

/** One line that was logged. */
export interface LoggedLine {
  /** 3 error, 4 warning, 6 info: RFC 5424 6.2.1. */
  readonly severity: number
  /** `courierfilter: INFO ...`: the tag and the text. */
  readonly text: string
}

/** The log since the reader was started. */
export interface Syslog {
  readonly lines: readonly LoggedLine[]
  /** A position, for `find`: only later lines count. */
  mark(): number
  /** The first line since `mark` that matches; an error at the deadline. */
  find(pattern: RegExp, mark: number, limitMs?: number): Promise<LoggedLine>
  close(): Promise<void>
}

const socketPath = '/dev/log'

// Ends with its standard input, so that it does not outlive a test that was killed.
const reader = `
use strict; use IO::Socket::UNIX; use IO::Select; $| = 1;
my $socket = IO::Socket::UNIX->new(Local => '${socketPath}', Type => SOCK_DGRAM) or die "cannot bind: $!\\n";
chmod 0666, '${socketPath}';
print "bound\\n";
my $ready = IO::Select->new($socket, \\*STDIN);
while (1) {
  for my $handle ($ready->can_read) {
    exit 0 if $handle == \\*STDIN;
    my $line;
    $socket->recv($line, 65536);
    $line =~ s/[\\r\\n\\0]+$//; $line =~ s/\\n/ /g; print "$line\\n";
  }
}
`

/** Binds the socket. Errors: Error if somebody else has it, as a machine with a log daemon has. */
export async function openSyslog(): Promise<Syslog> {
  if (existsSync(socketPath)) {
    const probe = spawn('perl', [
      '-MIO::Socket::UNIX',
      '-e',
      `exit !IO::Socket::UNIX->new(Peer => '${socketPath}', Type => SOCK_DGRAM)`,
    ])
    const inUse = await new Promise<boolean>((resolve) => probe.on('exit', (code) => resolve(code === 0)))
    if (inUse) throw new Error(`${socketPath} belongs to a log daemon`)
    rmSync(socketPath)
  }
  const child = spawn('perl', ['-e', reader], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: LoggedLine[] = []
  const state = { isBound: false, hasEnded: false }
  child.on('exit', () => (state.hasEnded = true))
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!state.isBound) {
      state.isBound = true
      return
    }
    const match = /^<([0-9]+)>(?:[A-Z][a-z]{2} [ 0-9:]{11} )?(.*)$/.exec(line)
    lines.push({ severity: Number(match?.[1] ?? 6) % 8, text: match?.[2] ?? line })
  })
  await until(`a socket at ${socketPath}`, () => state.isBound || state.hasEnded)
  if (!state.isBound) throw new Error(`no socket at ${socketPath}`)

  return {
    lines,
    mark: () => lines.length,
    find: (pattern, mark, limitMs) =>
      until(
        `a log line that matches ${pattern}`,
        () => lines.slice(mark).find(({ text }) => pattern.test(text)),
        limitMs,
      ),
    close: async () => {
      child.stdin.end()
      await until('the end of the log reader', () => state.hasEnded)
      rmSync(socketPath, { force: true })
    },
  }
}
