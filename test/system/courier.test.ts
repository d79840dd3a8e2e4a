/**
 * The published package behind a real Courier: what a client hears, what arrives, and what the log says.
 *
 * Each test has a token of its own, in the subject, the sender's address and so in the log.
 */
import { existsSync, readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { until } from '../helpers/until.ts'
import { awaitEmptyQueue, courier, courierObstacle, setFiltered, startCourier } from './courier-server.ts'
import { type Installation } from './install.ts'
import { mustRun, runProgram } from './program.ts'
import { sendMessage, type SmtpReply, type Transaction } from './smtp-client.ts'
import { openSmtpSink } from './smtp-sink.ts'
import { openSyslog } from './syslog.ts'
import { openCourierStage } from './stage.ts'

const alice = (extension = ''): string => `${courier.user}${extension === '' ? '' : `-${extension}`}@${courier.domain}`
const socket = join(courier.sockets, 'nodefilter')
const launcher = '/usr/lib/courier/filters/nodefilter'
const link = join(courier.sysconfdir, 'filters/active/nodefilter')

const list = [
  'seen',
  'whitelist_auth for strict',
  'strict',
  'answering',
  'recipients',
  'failing with time_limit=2s',
  'slow',
]
const configuration = { list, settings: ['[runner]', 'threads = 2', 'blocked_limit = 1s'] }

const obstacle = courierObstacle()
if (obstacle === null) await suite()
else t.plan(0, obstacle)

async function suite(): Promise<void> {
  t.setTimeout(240_000)
  const stage = await openCourierStage()
  const { nodefilter, maildir, conf } = stage
  /** Subjects of mail that was refused, and so must never be delivered. */
  const refused: string[] = []
  const log = await openSyslog()
  t.teardown(() => log.close())
  const sink = await openSmtpSink(courier.sinkPort)
  t.teardown(async () => {
    await stage.close()
    await sink.close()
  })

  stage.configure(configuration)
  await startCourier()

  /** Sends one message from outside. */
  const send = async (token: string, what = '', more: Partial<Transaction> = {}): Promise<SmtpReply> => {
    const reply = await sendMessage({
      port: courier.port,
      localAddress: '127.0.0.2',
      from: `${token}@example.com`,
      to: [alice()],
      message: `From: <${token}@example.com>\nSubject: ${token}\nX-Case: ${what}\n\nThe body of ${token}.\n`,
      ...more,
    })
    if (reply.code >= 400) refused.push(token)
    return reply
  }
  /** The line in which the host tells what became of a message. */
  const settled = async (token: string, mark: number): Promise<string> => {
    const { text } = await log.find(new RegExp(`: settled .*sender="?${token}[^ ]*@example\\.com`), mark)
    return text
  }
  const hear = (reply: SmtpReply): string => reply.lines.join('\n')

  await t.test('enable puts the host into Courier', async (t) => {
    t.match(await send('before', 'reject'), { code: 250 }, 'before, mail passes unfiltered')
    const mark = log.mark()
    const { status, output } = await nodefilter.run(['courier', 'enable', '-c', nodefilter.configDirectory])
    t.equal(status, 0, output)
    t.match(output, /nodefilter is enabled and filters mail/)
    t.match(await send('enabled', 'reject'), { code: 550 }, 'the next message is filtered')
    t.equal(statSync(launcher).mode & 0o7777, 0o755)
    t.equal(readlinkSync(link), launcher)
    t.equal(statSync(socket).mode & 0o7777, 0o660, 'a local submitter may use the socket through its group')
    const owner = statSync(nodefilter.stateDirectory)
    t.strictSame([owner.uid, owner.mode & 0o7777], [statSync(courier.spool).uid, 0o700])
    await log.find(/courierfilter: host-started .*version=/, mark)

    const again = await nodefilter.run(['courier', 'enable', '-c', nodefilter.configDirectory])
    t.strictSame(again.status, 0)
    t.match(again.output, /was enabled already/)
    t.match(await send('again', 'reject'), { code: 550 }, 'it goes on filtering')
  })

  await t.test('a message passes', async (t) => {
    const mark = log.mark()
    t.match(await send('passes'), { code: 250 })
    const [message] = await maildir.await('passes')
    t.match(message?.text, /\n\nThe body of passes\.\n$/)
    t.equal(message?.returnPath, '<passes@example.com>')
    const line = await settled('passes', mark)
    t.match(line, /client=127\.0\.0\.2 .*recipients=1 .*verdict=pass/)
    const id = /\n {2}id ([0-9A-F.]+);/.exec(message?.text ?? '')?.[1]
    t.match(line, ` queueId=${id} `, 'the log has the id that the message has')
    await log.find(/ filter filter=seen .*saw passes: 1 recipients in 1 files, from <passes@example\.com>/, mark)
  })

  await t.test('a refusal of several lines reaches the client line by line', async (t) => {
    const mark = log.mark()
    t.strictSame(await send('rejected', 'reject'), {
      code: 550,
      lines: ['550-5.7.1 Not this message', '550-5.7.1 and not the next one', '550 5.7.1 either'],
    })
    t.match(await settled('rejected', mark), / verdict=reject .*filter=answering/)
    await log.find(/answering reject,from=<rejected@example\.com>,addr=<nfalice@vm\.test\.example>: 550/, mark)
  })

  await t.test('a temporary refusal', async (t) => {
    const mark = log.mark()
    t.strictSame(await send('deferred', 'defer'), { code: 451, lines: ['451 4.7.1 Not now'] })
    t.match(await settled('deferred', mark), / verdict=defer .*filter=answering/)
  })

  await t.test('a recipient is removed', async (t) => {
    const to = [alice('one'), alice('two')]
    t.match(await send('removes', `remove ${alice('two')}`, { to }), { code: 250 })
    await maildir.await('removes')
    await awaitEmptyQueue()
    t.strictSame(
      maildir.with('removes').map((m) => m.deliveredTo),
      [alice('one')],
    )
  })

  await t.test('a recipient is added', async (t) => {
    t.match(await send('adds', `add ${alice('three')}`, { to: [alice('one')] }), { code: 250 })
    const both = await maildir.await('adds', 2)
    t.strictSame(both.map((m) => m.deliveredTo).sort(), [alice('one'), alice('three')])
  })

  await t.test('250 recipients in several control files', async (t) => {
    const mark = log.mark()
    const to = Array.from({ length: 250 }, (_, index) => alice(`r${index}`))
    const gone = [alice('r0'), alice('r120'), alice('r249')]
    t.match(await send('many', `remove ${gone.join(' ')}`, { to }), { code: 250 })
    await log.find(/saw many: 250 recipients in 3 files/, mark)
    t.match(await settled('many', mark), / recipients=250 .*verdict=pass/)
    await maildir.await('many', 247, 60_000)
    await awaitEmptyQueue()
    const want = to.filter((address) => !gone.includes(address)).sort()
    t.strictSame(
      maildir
        .with('many')
        .map((m) => m.deliveredTo)
        .sort(),
      want,
    )
  })

  await t.test('the null sender', async (t) => {
    const mark = log.mark()
    t.match(await send('null-passes', '', { from: '' }), { code: 250 })
    const [message] = await maildir.await('null-passes')
    t.equal(message?.returnPath, '<>')
    await log.find(/saw null-passes: .* from <>/, mark)
    t.match(await send('null-rejected', 'reject', { from: '' }), { code: 550 })
    await log.find(/answering reject,from=<>,addr=</, mark)
  })

  await t.test('who logged in is spared the strict filter, and no other', async (t) => {
    const mark = log.mark()
    const login = courier.account
    t.match(await send('stranger', 'strict'), { code: 550, lines: ['550 5.7.1 Log in first'] })
    t.match(
      await send('relayed', 'strict', { localAddress: '127.0.0.1' }),
      { code: 550 },
      'the right to relay is no log-in',
    )
    t.match(await send('known', 'strict', { login }), { code: 250 })
    await maildir.await('known')
    t.match(await settled('known', mark), / verdict=pass /)
    t.match(await send('known-rejected', 'reject', { login }), { code: 550 })
  })

  await t.test('addresses and subject in UTF-8', async (t) => {
    const mark = log.mark()
    const [from, to] = ['utf8ü@example.com', [alice('größe')]]
    const message = `From: <${from}>\nSubject: utf8 Grüße\nX-Case: add ${alice('zwölf')}\n\nDer Inhalt: ß.\n`
    t.match(await send('utf8', '', { from, to, message, mailParameters: 'SMTPUTF8 BODY=8BITMIME' }), { code: 250 })
    const both = await maildir.await('utf8', 2)
    t.strictSame(both.map((m) => m.deliveredTo).sort(), [alice('größe'), alice('zwölf')])
    for (const { text, returnPath } of both) {
      t.match(text, /\nSubject: utf8 Grüße\n[^]*\nDer Inhalt: ß\.\n$/)
      t.equal(returnPath, `<${from}>`)
    }
    await log.find(/ settled .*sender="utf8\\u00fc@example\.com" /, mark)
  })

  await t.test('a filter that throws', async (t) => {
    const mark = log.mark()
    const reply = await send('throws', 'fail throw')
    t.match(hear(reply), /^451 4\.3\.0 Local policy check failed/)
    t.notMatch(hear(reply), /system tests throws/, 'the client is not told what broke')
    t.match(await settled('throws', mark), / verdict=defer .*filter=failing .*errorCode=threw .*system tests throws/)
  })

  await t.test('a filter that never ends holds up its own message alone', async (t) => {
    const mark = log.mark()
    const fromMs = performance.now()
    const slow = send('endless', 'fail endless').then((reply) => ({ reply, ms: performance.now() - fromMs }))
    await log.find(/saw endless:/, mark)
    const others = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => send(`meanwhile-${name}`)))
    const othersMs = performance.now() - fromMs
    t.strictSame(
      others.map((reply) => reply.code),
      [250, 250, 250, 250, 250],
    )
    const { reply, ms } = await slow
    t.match(hear(reply), /^451 4\.3\.0 Local policy check took too long/)
    t.ok(othersMs < ms && ms > 1950 && ms < 5000, `the others took ${othersMs} ms, it was answered after ${ms} ms`)
    t.match(await settled('endless', mark), / verdict=defer .*filter=failing .*errorCode=late/)
    await maildir.await('meanwhile', 5)
  })

  for (const [how, what] of [
    ['block', 'blocks its thread'],
    ['exit', 'calls process.exit'],
    ['kill', 'kills its process'],
  ] as const) {
    await t.test(`a filter that ${what}`, async (t) => {
      const mark = log.mark()
      t.match(hear(await send(`${how}s`, `fail ${how}`)), /^451 4\.3\.0 /)
      t.match(await settled(`${how}s`, mark), / verdict=defer .*errorCode=(blocked|late|thread-lost|runner-lost)/)
      t.match(await send(`after-${how}`), { code: 250 }, 'the next message passes')
      await maildir.await(`after-${how}`)
      t.match(await send(`rejected-after-${how}`, 'reject'), { code: 550 }, 'and the filters run')
    })
  }

  await t.test('a broken configuration defers all mail until it is mended', async (t) => {
    let mark = log.mark()
    writeFileSync(conf('filters.conf'), 'seen\n# a comment\nno_such_filter\n')
    await mustRun('courierfilter', ['stop'])
    await mustRun('courierfilter', ['start'])
    t.match(hear(await send('broken')), /^451 4\.3\.5 /)
    const told = await log.find(/configuration-broken/, mark)
    t.match(told.text, `${conf('filters.conf')}:3: `, 'the log names the file and the line')
    t.match(told.text, 'no_such_filter')
    t.equal(told.severity, 3, 'as an error')

    mark = log.mark()
    stage.configure(configuration)
    process.kill(launcherPid(), 'SIGHUP')
    await log.find(/: reloaded/, mark)
    t.match(await send('mended'), { code: 250 })
    await maildir.await('mended')
    t.match(await send('mended-rejected', 'reject'), { code: 550 })

    mark = log.mark()
    writeFileSync(conf('filters.conf'), 'seen\nno_such_filter\n')
    process.kill(launcherPid(), 'SIGHUP')
    await log.find(/reload-refused/, mark)
    t.match(await send('unmoved', 'reject'), { code: 550 }, 'a host that serves goes on with what it had')
    stage.configure(configuration)
  })

  await t.test('a host that is killed in the middle of a message comes back', async (t) => {
    const mark = log.mark()
    const before = ourProcesses(nodefilter)
    const reply = send('interrupted', 'slow 20000')
    await log.find(/begins to wait 20000 ms/, mark)
    process.kill(hostPid(nodefilter), 'SIGKILL')
    t.match(hear(await reply), /^432 /)
    t.ok(existsSync(socket), 'the socket file stays, so that nothing passes unfiltered')
    const replies: number[] = []
    await until('the host to be back', async () => {
      const { code } = await send('while-dead', 'reject')
      replies.push(code)
      return code === 550
    })
    t.strictSame([...new Set(replies)].sort(), [432, 550], 'until then all mail was deferred')
    await log.find(/nodefilter: the host died of signal 9; it is started again in 1 s/, mark)
    t.match(await send('back'), { code: 250 })
    await maildir.await('back')
    await until('the end of the old runner', () => !ourProcesses(nodefilter).some((pid) => before.includes(pid)))
  })

  await t.test('courierfilter is stopped and started under a stream of mail', async (t) => {
    const mark = log.mark()
    const counts = new Map<number, number>()
    const accepted: string[] = []
    let missing = 0
    let isOver = false
    const watch = setInterval(() => (missing += existsSync(socket) ? 0 : 1), 2)
    const stream = async (name: string): Promise<void> => {
      for (let n = 0; !isOver; n++) {
        const token = `${name}-${n}-end`
        const isBad = n % 2 === 0
        const { code } = await send(token, isBad ? 'reject' : '')
        if (isBad) counts.set(code, (counts.get(code) ?? 0) + 1)
        else if (code === 250) accepted.push(token)
      }
    }
    const streams = Promise.all(['stream-a', 'stream-b', 'stream-c'].map(stream))
    const heard = (code: number): number => counts.get(code) ?? 0
    for (let round = 0; round < 3; round++) {
      const [rejects, defers] = [heard(550), heard(432)]
      await until('some rejections', () => heard(550) > rejects + 5)
      await mustRun('courierfilter', ['stop'])
      await until('some mail while no filter runs', () => heard(432) > defers + 2)
      await mustRun('courierfilter', ['start'])
      t.match(await send('just-started', 'reject'), { code: 550 }, 'once "start" has returned, mail is filtered')
    }
    isOver = true
    await streams
    clearInterval(watch)
    t.equal(missing, 0, 'the socket file was never missing')
    const codes = [...counts.keys()].sort()
    t.strictSame(
      codes.filter((code) => ![432, 451, 550].includes(code)),
      [],
      `bad mail heard ${codes.join(', ')}`,
    )
    t.ok(accepted.length > 0)
    await until('the log of all accepted mail', () => {
      const saw = new Set(log.lines.slice(mark).map(({ text }) => /saw ([^ ]+):/.exec(text)?.[1]))
      return accepted.every((token) => saw.has(token))
    })
    await maildir.await('-end', accepted.length)
  })

  await t.test('local mail, where Courier is told to filter it', async (t) => {
    setFiltered('esmtp local')
    t.teardown(() => setFiltered('esmtp'))
    const submit = (token: string, what: string) => {
      const input = `From: <${alice()}>\nTo: <${alice()}>\nSubject: ${token}\nX-Case: ${what}\n\nLocal.\n`
      return runProgram('su', [courier.user, '-s', '/bin/sh', '-c', `/usr/sbin/sendmail ${alice()}`], { input })
    }
    const mark = log.mark()
    t.equal((await submit('local-passes', '')).status, 0)
    await maildir.await('local-passes')
    await log.find(/saw local-passes: .*source local/, mark)

    const { status, output } = await submit('local-rejected', 'reject')
    refused.push('local-rejected')
    t.equal(status, 67)
    t.match(output, /550-5\.7\.1 Not this message\n550-5\.7\.1 and not the next one\n550 5\.7\.1 either/)

    t.equal((await submit('local-failure', 'fail throw')).status, 0, 'a failure passes local mail, which would bounce')
    await maildir.await('local-failure')
    const told = await log.find(/failure-passed .*on_failure_local/, mark)
    t.equal(told.severity, 4)
  })

  await t.test('filterctl stop and start', async (t) => {
    await mustRun('filterctl', ['stop', 'nodefilter'])
    await until('the socket to go', () => !existsSync(socket))
    t.match(await send('stopped', 'reject'), { code: 250 }, 'without a filter mail passes unfiltered')
    await mustRun('filterctl', ['start', 'nodefilter'])
    await until('the socket to come', () => existsSync(socket))
    t.match(await send('started', 'reject'), { code: 550 })
  })

  await t.test('disable takes the host out of Courier', async (t) => {
    const { status, output } = await nodefilter.run(['courier', 'disable'])
    t.equal(status, 0, output)
    t.match(output, /nodefilter is disabled/)
    t.notOk([launcher, link, socket].some(existsSync), 'launcher, link and socket are gone')
    t.ok(existsSync(nodefilter.stateDirectory), 'the state stays')
    await until('the end of all our processes', () => ourProcesses(nodefilter).length === 0)
    t.match(await send('disabled', 'reject'), { code: 250 })
    await maildir.await('disabled')
    t.match(await nodefilter.run(['courier', 'disable']), { status: 0, output: /nothing to do/ })
  })

  await t.test('nothing that was refused was delivered or bounced', async (t) => {
    await awaitEmptyQueue()
    t.ok(refused.length > 30)
    t.strictSame(
      refused.filter((token) => maildir.with(token).some((m) => m.text.includes(`\nSubject: ${token}\n`))),
      [],
    )
    t.strictSame(sink.messages, [])
    const bugs = log.lines.filter(({ text }) => /: bug /.test(text))
    t.strictSame(bugs, [], 'the host found no bug of its own')
  })
}

/** The processes of the installed program that run: hosts and runners. */
function ourProcesses({ nodePath }: Installation): number[] {
  return pids().filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/exe`) === nodePath
    } catch {
      return false
    }
  })
}

function hostPid(installation: Installation): number {
  const pid = ourProcesses(installation).find((pid) => commandLine(pid).includes('--door'))
  if (pid === undefined) throw new Error('no host runs')
  return pid
}

function launcherPid(): number {
  const pid = pids().find((pid) => commandLine(pid).some((word) => word === link))
  if (pid === undefined) throw new Error('no launcher runs')
  return pid
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}
