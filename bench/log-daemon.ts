/**
 * A log daemon on `/dev/log` that writes each line to a file, as a machine in service has one. What it costs belongs to
 * what is measured, so it is a program of its own and does nothing else. For throw-away machines.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import type { Helper } from './load-generator.ts'

const socketPath = '/dev/log'

// Perl is on every Debian, and Node has no datagram sockets of this family.
const program = `
use strict; use IO::Socket::UNIX;
my $socket = IO::Socket::UNIX->new(Local => '${socketPath}', Type => SOCK_DGRAM) or die "cannot bind: $!\\n";
chmod 0666, '${socketPath}';
open(my $file, '>>', $ARGV[0]) or die "cannot write: $!\\n";
syswrite STDOUT, "bound\\n";
my $line;
while (defined $socket->recv($line, 65536)) { $line =~ tr/\\r\\n\\0/ /; syswrite $file, "$line\\n" }
`

/** The daemon. */
export interface LogDaemon extends Helper {
  /** How many lines so far match. */
  count(pattern: RegExp): number
}

/** Binds the socket. Errors: Error if somebody else has it. */
export async function startLogDaemon(path: string): Promise<LogDaemon> {
  if (existsSync(socketPath)) throw new Error(`${socketPath} is there: this machine has a log daemon`)
  const child = spawn('perl', ['-e', program, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  await Promise.race([once(child.stdout, 'data'), ended])
  if (child.exitCode !== null) throw new Error(`no socket at ${socketPath}`)
  return {
    pid: child.pid ?? 0,
    count: (pattern) =>
      readFileSync(path, 'latin1')
        .split('\n')
        .filter((line) => pattern.test(line)).length,
    stop: async () => {
      child.kill()
      await ended
      rmSync(socketPath, { force: true })
    },
  }
}
