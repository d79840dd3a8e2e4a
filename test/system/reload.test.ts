/** `nodefilter status`, `reload` and `restart` behind a real Courier, under a stream of mail. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { HostStatus } from '../../host/control/status.ts'
import { until } from '../helpers/until.ts'
import { awaitEmptyQueue, courier, courierObstacle, startCourier } from './courier-server.ts'
import { type Maildir } from './maildir.ts'
import { sendMessage } from './smtp-client.ts'
import { openSmtpSink } from './smtp-sink.ts'
import { openSyslog } from './syslog.ts'
import { openCourierStage } from './stage.ts'

const socket = join(courier.sockets, 'nodefilter')

/** What one message of the stream heard. */
interface Heard {
  readonly token: string
  /** The filter refuses it, whichever configuration is in force. */
  readonly isMarked: boolean
  /** 0 where the conversation broke off. */
  readonly code: number
  readonly text: string
  /** The turn that was known to be in force when it was sent. */
  readonly least: number
}

/**
 * Mail on several connections at a time, without a pause: every second message is marked. Of those that are not, half keep
 * their filter for a while, so that each reload and each restart comes upon some in hand.
 */
function startStream(name: string, turn: () => number) {
  const heard: Heard[] = []
  let isOver = false
  let missing = 0
  const watch = setInterval(() => (missing += existsSync(socket) ? 0 : 1), 2)
  const lane = async (letter: string): Promise<void> => {
    for (let n = 0; !isOver; n++) {
      const token = `${name}-${letter}${n}-end`
      const isMarked = n % 2 === 0
      const what = isMarked ? 'mark' : n % 4 === 1 ? 'slow 200' : 'pass'
      const least = turn()
      const reply = await sendMessage({
        ...{ port: courier.port, localAddress: '127.0.0.2', from: `${token}@example.com` },
        to: [`${courier.user}@${courier.domain}`],
        message: `From: <${token}@example.com>\nSubject: ${token}\nX-Case: ${what}\n\nThe body of ${token}.\n`,
      }).catch((error: unknown) => ({ code: 0, lines: [String(error)] }))
      heard.push({ token, isMarked, least, code: reply.code, text: reply.lines.join(' / ') })
    }
  }
  const lanes = Promise.all(['a', 'b', 'c', 'd'].map(lane))
  return {
    heard,
    /** Waits until so many marked messages more were refused. */
    refusals: (count: number): Promise<unknown> => {
      const refused = (): number => heard.filter(({ code }) => code === 550).length
      const before = refused()
      return until(`${count} refusals`, () => refused() >= before + count)
    },
    stop: async () => {
      isOver = true
      await lanes
      clearInterval(watch)
      return { heard, missing }
    },
  }
}

/** All that was accepted has arrived, once; of the rest nothing has. */
async function checkDelivered(t: Test, maildir: Maildir, name: string, heard: readonly Heard[]): Promise<void> {
  const accepted = heard.filter(({ code }) => code === 250).map(({ token }) => token)
  await maildir.await(`${name}-`, accepted.length)
  await awaitEmptyQueue()
  const subjects = maildir.with(`${name}-`).map(({ text }) => /^Subject: (.*)$/m.exec(text)?.[1])
  t.strictSame(subjects.sort(), accepted.sort(), `the ${accepted.length} that were accepted are delivered, each once`)
}

const obstacle = courierObstacle()
if (obstacle === null) await suite()
else t.plan(0, obstacle)

async function suite(): Promise<void> {
  t.setTimeout(240_000)
  const stage = await openCourierStage()
  const { nodefilter, maildir, conf } = stage
  const log = await openSyslog()
  t.teardown(() => log.close())
  const sink = await openSmtpSink(courier.sinkPort)
  t.teardown(async () => {
    await stage.close()
    await sink.close()
  })

  let turn = 0
  const configure = (next: number): void => {
    stage.configure({ list: ['seen', 'slow', `turning as list-${next}`], settings: ['[runner]', 'threads = 2'] })
    writeFileSync(conf('modules.conf'), `[turning]\nturn = 'modules-${next}'\n`)
  }
  configure(turn)
  await startCourier()
  await stage.enable()

  const command = (...words: readonly string[]) => nodefilter.run([...words, '-c', nodefilter.configDirectory])
  const status = async (): Promise<HostStatus> => JSON.parse((await command('status', '--json')).output) as HostStatus
  /** The one answer that a marked message may have while this turn alone can be in force. */
  const answerOf = (number: number): string => `550 5.7.1 list=list-${number} modules=modules-${number}`

  await t.test('status tells of the host that serves', async (t) => {
    const stream = startStream('status', () => turn)
    await stream.refusals(2)
    const { heard } = await stream.stop()
    await checkDelivered(t, maildir, 'status', heard)
    const now = await status()
    const told = await command('status')
    t.equal(told.status, 0)
    const head = `^nodefilter [0-9.]+ serves \\(process ${now.pid}, Node ${process.version}, up `
    for (const line of [
      new RegExp(head),
      new RegExp(`^ {2}state folder +${nodefilter.stateDirectory}$`, 'm'),
      new RegExp(`^ {2}configuration +${nodefilter.configDirectory}: nodefilter.conf filters.conf modules.conf$`, 'm'),
      /^ {2}loaded +.*, at the start$/m,
      new RegExp(`^ {2}door +courierfilter ${socket}$`, 'm'),
      new RegExp(`^ {2}messages +${heard.length} since the start: `, 'm'),
      /^ {2}failures +none$/m,
      /^ *list-0 /m,
      /^ *runner\.threads = 2$/m,
    ]) {
      t.match(told.output, line)
    }
    const count = (code: number): number => heard.filter((one) => one.code === code).length
    t.strictSame(now.tally.verdicts, { reject: count(550), pass: count(250) }, 'what was heard is what was counted')
    t.match(now, { phase: 'serving', canRestart: true, configuration: { filters: ['seen', 'slow', 'list-0'] } })
  })

  await t.test('six reloads under a stream of mail: each answers by one configuration, none is lost', async (t) => {
    const before = await status()
    const stream = startStream('reload', () => turn)
    for (let next = 1; next <= 6; next++) {
      await stream.refusals(3)
      configure(next)
      const { status, output } = await command('reload')
      t.strictSame({ status, output }, { status: 0, output: `reloaded: 3 filters: seen slow list-${next}\n` })
      turn = next
    }
    await stream.refusals(3)
    const { heard, missing } = await stream.stop()
    t.equal(missing, 0, 'the socket file was never missing')
    const wrong = heard.filter(({ isMarked, code, text, least }) => {
      if (!isMarked) return code !== 250
      const [, list, modules] = /^550 5\.7\.1 list=list-([0-9]+) modules=modules-([0-9]+)$/.exec(text) ?? []
      return list === undefined || list !== modules || Number(list) < least
    })
    t.strictSame(wrong, [], `each of ${heard.length} hears what the filters say, of one configuration`)
    await checkDelivered(t, maildir, 'reload', heard)
    const after = await status()
    t.match(after, { pid: before.pid, instance: before.instance, tally: { failures: {} } }, 'by the same host')
    t.match(after.configuration, { reloads: 6, refusedReload: null, filters: ['seen', 'slow', 'list-6'] })
  })

  await t.test('a broken reload changes nothing', async (t) => {
    const stream = startStream('broken', () => turn)
    const breaks: [file: string, text: string, where: string, what: RegExp][] = [
      ['filters.conf', 'seen\n\nno_such_filter\n', 'filters.conf:3: ', /there is no filter "no_such_filter"/],
      ['filters.conf', 'seen\nturning whith x=y\n', 'filters.conf:2: ', /"whith" after "turning"/],
      ['modules.conf', "[turning]\n\ntrun = 'x'\n", 'modules.conf:3:1: ', /\[turning\] trun: no such setting/],
    ]
    for (const [file, text, where, what] of breaks) {
      configure(turn + 1)
      writeFileSync(conf(file), text)
      const mark = log.mark()
      const told = await command('reload')
      t.equal(told.status, 78, `${where}${told.output}`)
      t.match(told.output, conf(where))
      t.match(told.output, what)
      t.match(told.output, /nodefilter reload: refused, 3 filters go on as before\n$/)
      await log.find(/courierfilter: reload-refused/, mark)
      const { status, output } = await command('status')
      t.equal(status, 0, 'the host serves')
      t.match(output, /^ {2}reload refused +.*, since it was broken; the old configuration goes on$/m)
      t.match(output, conf(where), 'status tells why')
      t.match(output, /^ *list-6 /m)
      await stream.refusals(3)
    }
    configure(turn)
    t.match(await command('reload'), { status: 0 })
    t.notMatch((await command('status')).output, /refused/, 'a sound one is all that is told of')
    const { heard } = await stream.stop()
    const wrong = heard.filter(({ isMarked, code, text }) => (isMarked ? text !== answerOf(turn) : code !== 250))
    t.strictSame(wrong, [], `each of ${heard.length} hears what the old configuration says`)
    await checkDelivered(t, maildir, 'broken', heard)
  })

  await t.test('a restart under a stream of mail: nothing passes unfiltered, at worst it is tried again', async (t) => {
    const before = await status()
    const mark = log.mark()
    // What only a restart takes over.
    configure(turn + 1)
    const stream = startStream('restart', () => turn)
    await stream.refusals(3)
    const { status: code, output } = await command('restart')
    const after = await status()
    t.equal(code, 0)
    t.match(output, new RegExp(`^restarted in [0-9]+\\.[0-9] s: nodefilter [0-9.]+, process ${after.pid}\n$`))
    t.not(after.pid, before.pid, 'another process')
    t.match(after, { phase: 'serving', canRestart: true, configuration: { reloads: 0 } })
    const atOnce = stream.heard.length
    await stream.refusals(6)
    const { heard, missing } = await stream.stop()
    t.equal(missing, 0, 'the socket file was never missing')
    const marked = heard.filter(({ isMarked }) => isMarked)
    const wrong = heard.filter(({ isMarked, code, text }) => {
      if (code >= 400 && code < 500) return false
      return isMarked ? text !== answerOf(turn) && text !== answerOf(turn + 1) : code !== 250
    })
    t.strictSame(wrong, [], `each of ${heard.length} is filtered, or is tried again`)
    t.ok(
      marked.length > 9 && marked.every(({ code }) => code !== 250),
      `none of ${marked.length} marked ones is accepted`,
    )
    t.ok(
      heard.some(({ code }) => code >= 400 && code < 500),
      'some came while no host ran',
    )
    t.equal(marked.at(-1)?.text, answerOf(turn + 1), 'the new host has read the new files')
    const late = heard.slice(atOnce + 4).filter(({ code }) => code >= 400 && code < 500)
    t.strictSame(late, [], 'once the command has ended nobody is put off')
    await checkDelivered(t, maildir, 'restart', heard)
    await log.find(/courierfilter: host-stopping reason=restart/, mark)
    turn++
  })

  await t.test('nothing went wrong unseen', (t) => {
    t.strictSame(sink.messages, [], 'nothing bounced')
    t.strictSame(
      log.lines.filter(({ text }) => /: (bug|runner-ended|thread-lost) /.test(text)),
      [],
    )
    t.end()
  })
}
