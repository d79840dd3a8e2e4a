/**
 * `nodefilter courier doctor` on a real Courier: an installation is broken in one way after the other; each is found, and
 * mended by the very commands that are printed, where these are commands. At the end nothing is wrong.
 */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../helpers/until.ts'
import { courier, courierObstacle, startCourier } from './courier-server.ts'
import { takeInstanceLock, type InstanceLock } from '../../host/instance-lock.ts'
import { systemFiles } from '../../host/platform/files.ts'
import { mustRun, plainEnv, runProgram } from './program.ts'
import { sendMessage } from './smtp-client.ts'
import { openSyslog } from './syslog.ts'
import { openCourierStage } from './stage.ts'

const socket = join(courier.sockets, 'nodefilter')
const launcher = '/usr/lib/courier/filters/nodefilter'
const active = join(courier.sysconfdir, 'filters/active')
const link = join(active, 'nodefilter')
const sources = join(courier.sysconfdir, 'enablefiltering')

interface Finding {
  readonly severity: 'error' | 'warning' | 'note'
  readonly code: string
  readonly text: string
  readonly cure: readonly string[]
}

const obstacle = courierObstacle()
if (obstacle === null) await suite()
else t.plan(0, obstacle)

async function suite(): Promise<void> {
  t.setTimeout(240_000)
  const stage = await openCourierStage()
  const { nodefilter, conf } = stage
  const log = await openSyslog()
  t.teardown(() => log.close())
  t.teardown(async () => {
    rmSync(join(active, 'pythonfilter'), { force: true })
    rmSync('/usr/lib/courier/filters/pythonfilter', { force: true })
    await stage.close()
  })

  stage.configure({ list: ['answering'] })
  await startCourier()

  const hear = async (what: string): Promise<number> => {
    const { code } = await sendMessage({
      port: courier.port,
      localAddress: '127.0.0.2',
      ...{ from: 'bob@example.com', to: [`${courier.user}@${courier.domain}`] },
      message: `From: <bob@example.com>\nSubject: x\nX-Case: ${what}\n\nx\n`,
    })
    return code
  }
  const enable = ['courier', 'enable', '-c', nodefilter.configDirectory]
  const doctor = async (): Promise<{ status: number | null; findings: readonly Finding[] }> => {
    const { status, output } = await nodefilter.run(['courier', 'doctor', '--json'])
    const { findings } = JSON.parse(output) as { findings: readonly Finding[] }
    return { status, findings }
  }
  /** Errors and warnings. */
  const codes = (findings: readonly Finding[]): string[] =>
    findings.filter(({ severity }) => severity !== 'note').map(({ code }) => code)
  /** Runs what a finding says, in a shell, as an administrator would paste it. */
  const follow = async ({ cure }: Finding): Promise<void> => {
    const folder = join(nodefilter.top, 'bin')
    const program = join(nodefilter.top, 'app/node_modules/.bin/nodefilter')
    const script = `nodefilter() { ${nodefilter.nodePath} ${program} "$@"; }\nset -e\n${cure.join('\n')}\n`
    await mustRun('/bin/sh', ['-c', script], { env: { ...plainEnv, PATH: `${folder}:${plainEnv.PATH}` } })
  }
  const launcherPids = (): number[] => pidsWhere((words) => words.includes(link))
  const hostPids = (): number[] => pidsWhere((words) => words[0] === nodefilter.nodePath && words.includes('--door'))

  await t.test('nothing is enabled', async (t) => {
    const before = await nodefilter.run(['courier', 'doctor', '-c', nodefilter.configDirectory])
    t.equal(before.status, 78)
    t.match(before.output, /^ERROR not-enabled: .*\n( {2}.*\n)* {2}Cure: nodefilter courier enable -c \/opt\//)
    const { findings } = JSON.parse(
      (await nodefilter.run(['courier', 'doctor', '--json', '-c', nodefilter.configDirectory])).output,
    ) as { findings: Finding[] }
    const found = findings.find(({ code }) => code === 'not-enabled')
    if (found === undefined) throw new Error('not found')
    await follow(found)
    await until('the host to serve', () => existsSync(socket))
    await settle(t)
    t.equal(await hear('reject'), 550)
  })

  /** Waits until the doctor has nothing to say. */
  async function settle(t: Test): Promise<void> {
    let last: readonly Finding[] = []
    await until(
      'the doctor to be content',
      async () => {
        const { status, findings } = await doctor()
        last = findings
        return status === 0 && codes(findings).length === 0
      },
      20_000,
      300,
    ).catch(() => undefined)
    t.strictSame(codes(last), [], 'all is well', { found: last })
  }

  let held: InstanceLock | null = null
  /** A way to break it: what is found first, and what a message hears meanwhile; `mend` where no command helps. */
  const breaks: readonly {
    readonly name: string
    readonly finds: string
    readonly how: () => void | Promise<void>
    readonly hears?: number
    readonly mend?: () => void | Promise<void>
  }[] = [
    { name: 'the link is gone', finds: 'link-missing', how: () => unlinkSync(link) },
    {
      name: 'the link leads elsewhere',
      finds: 'link-elsewhere',
      how: () => {
        unlinkSync(link)
        symlinkSync('/bin/true', link)
      },
    },
    { name: 'the launcher is gone', finds: 'launcher-missing', how: () => unlinkSync(launcher) },
    { name: 'the launcher cannot be executed', finds: 'launcher-mode', how: () => chmodSync(launcher, 0o644) },
    {
      name: 'the launcher starts a Node that is gone',
      finds: 'node-gone',
      how: () =>
        writeFileSync(launcher, readFileSync(launcher, 'utf8').replaceAll(nodefilter.nodePath, '/opt/gone/node')),
    },
    {
      name: 'nothing that comes by SMTP is filtered',
      finds: 'smtp-not-filtered',
      how: () => writeFileSync(sources, '\nesmtp\n'),
      hears: 250,
    },
    {
      name: 'launcher and host were killed',
      finds: 'entry-dead',
      how: async () => {
        for (const pid of [...launcherPids(), ...hostPids()]) process.kill(pid, 'SIGKILL')
        await until('the end of the host', () => hostPids().length === 0)
      },
      hears: 432,
    },
    {
      name: 'the launcher alone was killed',
      finds: 'entry-dead',
      how: async () => {
        const pids = launcherPids()
        for (const pid of pids) process.kill(pid, 'SIGKILL')
        await until('the end of the launcher', () => launcherPids().length === 0)
      },
    },
    { name: 'the socket was removed', finds: 'socket-missing', how: () => unlinkSync(socket), hears: 250 },
    { name: 'the socket is closed to its group', finds: 'socket-mode', how: () => chmodSync(socket, 0o600) },
    {
      name: "the state folder is root's, and the host was started anew",
      finds: 'state-owner',
      how: async () => {
        await mustRun('courierfilter', ['stop'])
        chownSync(nodefilter.stateDirectory, 0, 0)
        await mustRun('courierfilter', ['start'])
      },
      hears: 451,
    },
    {
      name: 'the configuration is broken',
      finds: 'config-broken',
      how: () => writeFileSync(conf('filters.conf'), 'answering\nno filter at all\n'),
      mend: () => writeFileSync(conf('filters.conf'), 'answering\n'),
    },
    {
      name: 'everybody may write the filters',
      finds: 'world-writable',
      how: () => chmodSync(nodefilter.filterDirectory, 0o777),
    },
    {
      name: 'the configuration cannot be read',
      finds: 'out-of-reach',
      how: () => chmodSync(conf('filters.conf'), 0o600),
    },
    {
      name: 'courierfilter does not run',
      finds: 'courierfilter-down',
      how: async () => {
        await mustRun('courierfilter', ['stop'])
      },
      hears: 432,
    },
    {
      name: 'pythonfilter is active as well',
      finds: 'pythonfilter-active',
      how: async () => {
        // Waits for the end of its standard input, as a filter does.
        copyFileSync('/bin/cat', '/usr/lib/courier/filters/pythonfilter')
        chmodSync('/usr/lib/courier/filters/pythonfilter', 0o755)
        await mustRun('filterctl', ['start', 'pythonfilter'])
      },
    },
    {
      name: 'another process holds the state folder',
      finds: 'state-held',
      how: async () => {
        await mustRun('courierfilter', ['stop'])
        const taken = takeInstanceLock(nodefilter.stateDirectory, systemFiles)
        if (!('release' in taken)) throw new Error(`process ${taken.pid} has the state folder`)
        held = taken
        // As that of a process of Courier's user would be: it can be read.
        chmodSync(join(nodefilter.stateDirectory, 'lock'), 0o644)
        await runProgram('courierfilter', ['start'], { limitMs: 5000 })
      },
      mend: async () => {
        held?.release()
        await until('the host to serve', async () => (await hear('reject')) === 550, 40_000, 500)
      },
    },
  ]

  for (const { name, finds, how, hears, mend } of breaks) {
    await t.test(name, async (t) => {
      await how()
      let found: Finding | undefined
      let all: readonly Finding[] = []
      let exit: number | null = null
      await until(finds, async () => {
        const { findings, status } = await doctor()
        all = findings
        exit = status
        found = findings.find(({ code }) => code === finds)
        return found !== undefined
      }).catch(() => undefined)
      t.equal(
        exit,
        all.some(({ severity }) => severity === 'error') ? 78 : 0,
        'the exit status says whether there are errors',
      )
      t.ok(found, `${finds} is found`, { all })
      if (found === undefined) return
      t.comment(`${finds}: ${found.text}`)
      if (hears !== undefined) t.equal(await hear('reject'), hears, `a message hears ${hears} meanwhile`)
      if (mend === undefined) {
        t.ok(found.cure.length > 0, 'there is a cure')
        await follow(found)
      } else {
        t.strictSame(found.cure, [], 'what a person must decide has no command')
        await mend()
      }
      await settle(t)
      t.equal(await hear('reject'), 550, 'mail is filtered')
    })
  }

  await t.test('what explain tells of a message', async (t) => {
    const mark = log.mark()
    t.equal(await hear('reject'), 550)
    const { text } = await log.find(/ settled .*verdict=reject/, mark)
    const queueId = / queueId=(\S+)/.exec(text)?.[1] ?? ''
    t.equal(await hear(''), 250)
    const passed = await log.find(/ settled .*verdict=pass/, mark)
    const passedId = / queueId=(\S+)/.exec(passed.text)?.[1] ?? ''
    await log.find(new RegExp(`completed,id=${passedId.replaceAll('.', '\\.')}`), mark)
    const file = join(nodefilter.top, 'mail.log')
    writeFileSync(file, log.lines.map((line) => `Nov 21 14:03:07 mx ${line.text}\n`).join(''))
    t.teardown(() => rmSync(file))
    const rejected = await nodefilter.run(['explain', '--log', file, queueId])
    t.match(rejected, {
      status: 0,
      output: /from 127\.0\.0\.2\.[^]*answering refused it for good[^]*concerned nfalice@vm\.test\.example/,
    })
    const delivered = await nodefilter.run(['explain', '--log', file, passedId])
    t.match(delivered, {
      status: 0,
      output: /No filter decided[^]*Courier took the message[^]*Courier delivered it to[^]*Courier is done/,
    })
    t.comment(delivered.output)
  })

  await t.test('enabled again, it is as before', async (t) => {
    t.equal((await nodefilter.run(enable)).status, 0)
    await settle(t)
  })
}

/** The numbers of the processes whose words are such. */
function pidsWhere(is: (words: readonly string[]) => boolean): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return is(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'))
      } catch {
        return false
      }
    })
}
