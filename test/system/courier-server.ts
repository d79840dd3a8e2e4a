/**
 * A real Courier mail server on the loopback address, for tests: installed, configured, started, stopped.
 *
 * For throw-away Debian machines: it changes /etc/courier. It refuses where Courier serves a domain other than its own.
 * Source: spec courier-testing; Courier's own manuals courier(8), courierfilter(8), esmtpd(8), makeuserdb(8).
 */
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { until } from '../helpers/until.ts'
import { mustRun, plainEnv, runProgram } from './program.ts'
import { connectSmtp } from './smtp-client.ts'

/** The names and numbers of the server under test. */
export const courier = {
  domain: 'vm.test.example',
  port: 2525,
  sinkPort: 2526,
  /** Has a Maildir; mail to `USER-anything` comes there as well. */
  user: 'nfalice',
  maildir: '/home/nfalice/Maildir',
  /** May log in by SMTP AUTH. */
  account: { user: 'nfdora@vm.test.example', password: 'secretpw' },
  sysconfdir: '/etc/courier',
  spool: '/var/lib/courier',
  sockets: '/var/lib/courier/allfilters',
} as const

const packages = ['courier-mta', 'courier-authdaemon', 'courier-authlib-userdb']
const marker = '# nodefilter system test'
const etc = (name: string): string => join(courier.sysconfdir, name)

/** Why this machine cannot be used, or `null`. */
export function courierObstacle(): string | null {
  if (process.getuid?.() !== 0) return 'needs root: it installs, configures and starts a mail server'
  if (!existsSync('/etc/debian_version') || !existsSync('/usr/bin/apt-get')) return 'needs Debian'
  const me = existsSync(etc('me')) ? readFileSync(etc('me'), 'utf8').trim() : ''
  return me === '' || me === courier.domain ? null : `Courier serves ${me} on this machine, and would be reconfigured`
}

/** Installs what is missing; afterwards nothing runs. */
export async function installCourier(): Promise<void> {
  const { output } = await runProgram('dpkg-query', ['-W', '-f', '${db:Status-Status}\n', ...packages])
  if (
    output
      .trim()
      .split('\n')
      .filter((status) => status === 'installed').length === packages.length
  )
    return
  // Where there is an init, dpkg would start a server on port 25.
  const policy = '/usr/sbin/policy-rc.d'
  const isOurs = !existsSync(policy)
  if (isOurs) {
    writeFileSync(policy, '#!/bin/sh\nexit 101\n')
    chmodSync(policy, 0o755)
  }
  try {
    const env = { ...plainEnv, DEBIAN_FRONTEND: 'noninteractive' }
    const limitMs = 300_000
    await mustRun('apt-get', ['-qq', 'update'], { env, limitMs })
    await mustRun('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...packages], { env, limitMs })
  } finally {
    if (isOurs) rmSync(policy)
  }
}

/** Writes the whole configuration; the server must be stopped. */
export async function configureCourier(): Promise<void> {
  const { domain, user, account, port, sinkPort } = courier
  const files = {
    me: domain,
    defaultdomain: domain,
    locals: `localhost\n${domain}`,
    esmtpacceptmailfor: `localhost\n${domain}`,
    dsnfrom: `mailer-daemon@${domain}`,
    enablefiltering: 'esmtp',
    bofh: 'maxrcpts 5000',
    esmtproutes: `:[127.0.0.1],${sinkPort}`,
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(etc(name), `${text}\n`)
  // The shell reads this file, and the last assignment wins.
  if (!readFileSync(etc('esmtpd'), 'utf8').includes(marker)) {
    const settings = {
      PORT: `127.0.0.1.${port}`,
      MAXPERIP: 40,
      MAXPERC: 40,
      BOFHCHECKDNS: 0,
      TARPIT: 0,
      ESMTPAUTH: 'PLAIN LOGIN',
      TCPDOPTS: '-stderrlogger=/usr/sbin/courierlogger -nodnslookup -noidentlookup',
    }
    const lines = Object.entries(settings).map(([key, value]) => `${key}="${value}"`)
    appendFileSync(etc('esmtpd'), [marker, ...lines, ''].join('\n'))
  }
  const authRc = readFileSync(etc('authdaemonrc'), 'utf8')
  writeFileSync(etc('authdaemonrc'), authRc.replace(/^authmodulelist=.*$/m, 'authmodulelist="authuserdb authpam"'))

  const home = `/home/${user}`
  if ((await runProgram('id', [user])).status !== 0) await mustRun('useradd', ['-m', '-s', '/bin/sh', user])
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (option) => Number(await mustRun('id', [option, user]))))
  // The SMTP side looks for .courier files in it.
  chmodSync(home, 0o755)
  if (!existsSync(courier.maildir)) await mustRun('su', [user, '-c', 'maildirmake.courier "$HOME/Maildir"'])
  writeFileSync(join(home, '.courier-default'), './Maildir\n')
  chownSync(join(home, '.courier-default'), uid ?? 0, gid ?? 0)

  const fields = [`uid=${uid}`, `gid=${gid}`, `home=${home}`, `mail=${courier.maildir}`]
  await mustRun('userdb', [account.user, 'set', ...fields])
  const password = await mustRun('userdbpw', [], { input: `${account.password}\n` })
  await mustRun('userdb', [account.user, 'set', `systempw=${password.trim()}`])
  await mustRun('makeuserdb', [])
  // It tells the running server, of which there is none.
  await runProgram('makesmtpaccess', [])
  for (const program of ['makehosteddomains', 'makeacceptmailfor', 'makealiases']) await mustRun(program, [])
}

/** Starts all daemons; mail is served when it resolves. */
export async function startCourier(): Promise<void> {
  for (const [path, mode] of [
    ['/run/courier', 0o775],
    ['/run/courier/authdaemon', 0o750],
  ] as const) {
    // systemd-tmpfiles makes them, where there is one.
    mkdirSync(path, { recursive: true })
    chmodSync(path, mode)
    const { uid, gid } = statSync(courier.spool)
    chownSync(path, uid, gid)
  }
  await mustRun('authdaemond', ['start'])
  await mustRun('courierfilter', ['start'])
  await mustRun('courier', ['start'])
  await mustRun('esmtpd', ['start'])
  await until('the SMTP port', async () => {
    try {
      const client = await connectSmtp({ port: courier.port, limitMs: 2000 })
      client.close()
      return true
    } catch {
      return false
    }
  })
}

/** Stops whatever runs of it. Errors: Error that lists what is left. */
export async function stopCourier(): Promise<void> {
  const stops = [
    ['esmtpd', 'stop'],
    ['courierfilter', 'stop'],
    ['courier', 'stop'],
    ['authdaemond', 'stop'],
  ] as const
  for (const [program, word] of stops) await runProgram(program, [word])
  const isOver = (): boolean => runningDaemons().length === 0
  const what = 'the end of all of Courier'
  try {
    await until(what, isOver, 10_000)
  } catch {
    // A courierfilter that still waits for a filter to be ready has no pid file yet, and so cannot be told to stop.
    for (const { pid } of runningDaemons()) process.kill(pid, 'SIGTERM')
    await until(what, isOver).catch((error: unknown) => {
      const left = runningDaemons().map(({ name, pid }) => `${name} (${pid})`)
      throw new Error(`still running: ${left.join(', ')}`, { cause: error })
    })
  }
}

/** Removes all mail that waits; the server must be stopped. Stale sockets go too: they would refuse all mail. */
export function cleanSpool(): void {
  cleanQueue()
  for (const socket of readdirSync(courier.sockets)) rmSync(join(courier.sockets, socket))
}

/** Removes all mail that waits; nobody may deliver or send any at that moment. */
export function cleanQueue(): void {
  for (const part of ['msgs', 'msgq', 'tmp']) {
    for (const folder of foldersIn(join(courier.spool, part))) {
      for (const file of readdirSync(folder)) rmSync(join(folder, file), { recursive: true })
    }
  }
}

/** Stops the delivery of mail; mail is taken as before, and waits. */
export async function holdDeliveries(): Promise<void> {
  await mustRun('courier', ['stop'])
  await until('the end of deliveries', () => !runningDaemons().some(({ name }) => name === 'courierd'))
}

/** Waits until no mail waits for delivery. */
export async function awaitEmptyQueue(limitMs = 30_000): Promise<void> {
  const queued = (): number =>
    foldersIn(join(courier.spool, 'msgs')).reduce((count, folder) => count + readdirSync(folder).length, 0)
  // Between the answer to the client and the queue there is a moment in which a message is in neither: look for a while.
  let emptyLooks = 0
  await until('an empty queue', () => (emptyLooks = queued() === 0 ? emptyLooks + 1 : 0) >= 10, limitMs, 50)
}

/** Says which mail is filtered, for instance `esmtp local`; takes effect at once. */
export function setFiltered(words: string): void {
  writeFileSync(etc('enablefiltering'), `${words}\n`)
}

function foldersIn(path: string): string[] {
  if (!existsSync(path)) return []
  const entries = readdirSync(path, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(path, entry.name))
}

function runningDaemons(): { readonly name: string; readonly pid: number }[] {
  const names = ['courierd', 'couriertcpd', 'courierfilter', 'authdaemond', 'courieresmtpd']
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      const name = /^Name:\t(.*)$/m.exec(status)?.[1] ?? ''
      // Without an init that collects them, daemons that ended stay as zombies.
      return names.includes(name) && !/^State:\tZ/m.test(status) ? [{ name, pid: Number(pid) }] : []
    } catch {
      return []
    }
  })
}
