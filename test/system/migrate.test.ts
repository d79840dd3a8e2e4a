/**
 * A site of pythonfilter behind a real Courier moves to nodefilter, and back, with a filter of its own in Python, while mail
 * comes in. The installation is a stand-in: the folder pythonfilter/ here, in a virtual environment.
 */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../helpers/until.ts'
import { courier, courierObstacle, startCourier } from './courier-server.ts'
import { mustRun, plainEnv } from './program.ts'
import { sendMessage, type SmtpReply, type Transaction } from './smtp-client.ts'
import { openSyslog } from './syslog.ts'
import { openCourierStage } from './stage.ts'

const listFile = '/etc/pythonfilter.conf'
const settingsFile = '/etc/pythonfilter-modules.conf'
const program = '/usr/lib/courier/filters/pythonfilter'
const link = join(courier.sysconfdir, 'filters/active/pythonfilter')
const socketOf = (name: string): string => join(courier.sockets, name)
/** So that a run that was cut short is not taken for somebody's installation. */
const marker = '# nodefilter system test'

const obstacle =
  courierObstacle() ??
  (existsSync('/usr/bin/python3') ? null : 'needs /usr/bin/python3') ??
  (existsSync(listFile) && !readFileSync(listFile, 'utf8').startsWith(marker) ? `there is a ${listFile} here` : null)
if (obstacle === null) await suite()
else t.plan(0, obstacle)

async function suite(): Promise<void> {
  t.setTimeout(240_000)
  const stage = await openCourierStage()
  const { nodefilter, maildir } = stage
  const removeOld = (): void => {
    for (const path of [listFile, settingsFile, program, link]) rmSync(path, { force: true })
  }
  removeOld()
  const log = await openSyslog()
  t.teardown(async () => {
    await stage.close()
    removeOld()
    await log.close()
  })
  const python = await installPythonfilter(join(nodefilter.top, 'pythonfilter'))
  await startCourier()

  const send = (token: string, subject: string, more: Partial<Transaction> = {}): Promise<SmtpReply> =>
    sendMessage({
      port: courier.port,
      localAddress: '127.0.0.2',
      from: `${token}@example.com`,
      to: [`${courier.user}@${courier.domain}`],
      message: `From: <${token}@example.com>\nSubject: ${subject}\n\nThe body of ${token}.\n`,
      ...more,
    })
  const refusedBy = async (t: Test, token: string, host: string): Promise<void> => {
    t.strictSame(await send(token, 'a lottery'), {
      code: 554,
      lines: ['554-5.7.1 No lottery here', `554 5.7.1 from <${token}@example.com>, says ${host}`],
    })
  }
  const config = nodefilter.configDirectory
  const asMailUser = (words: string): Promise<string> =>
    mustRun('su', [
      '-s',
      '/bin/sh',
      'courier',
      '-c',
      `${nodefilter.nodePath} ${join(nodefilter.top, 'app/node_modules/nodefilter/dist/host/main.js')} ${words}`,
    ])

  await t.test('before, pythonfilter filters', async (t) => {
    t.equal(existsSync(socketOf('pythonfilter')), true)
    await refusedBy(t, 'before', 'pythonfilter')
    t.match(await send('passes', 'news'), { code: 250 })
  })

  await t.test('migrate --check says what becomes of each line', async (t) => {
    const { status, output } = await nodefilter.run(['migrate', '--check'])
    t.equal(status, 0, output)
    for (const line of [
      `pythonfilter's package:  ${python.folder} (${python.interpreter})`,
      `Courier's link:          ${link} (active)`,
      `${listFile}:2: differs  nosuccessdsn`,
      `${listFile}:3: same     whitelist_auth for house_rules`,
      `${listFile}:4: python   house_rules`,
      `${settingsFile}:2: stays    [house_rules.py] word`,
    ]) {
      t.ok(output.split('\n').includes(line), line)
    }
    t.notOk(existsSync(join(config, 'filters.conf')))
  })

  await t.test('migrate writes files that load', async (t) => {
    const { status, output } = await nodefilter.run(['migrate', '--to', config])
    t.equal(status, 0, output)
    t.match(output, /2\. nodefilter courier enable -c .*\n.*\n {2}3\. filterctl stop pythonfilter/)
    const list = readFileSync(join(config, 'filters.conf'), 'utf8')
    t.match(list, `\npython as house_rules with module=house_rules interpreter=${python.interpreter}\n`)
    t.match(await asMailUser(`config check -c ${config}`), /^sound: 3 filters loaded/m)
  })

  await t.test('Courier goes from one to the other while mail comes in', async (t) => {
    const heard = new Map<string, number>()
    let isOver = false
    const stream = async (name: string): Promise<void> => {
      for (let n = 0; !isOver; n++) {
        const { code, lines } = await send(`${name}${n}`, 'a lottery')
        const host = /says (.*)$/.exec(lines.at(-1) ?? '')?.[1] ?? ''
        heard.set(`${code} ${host}`, (heard.get(`${code} ${host}`) ?? 0) + 1)
      }
    }
    const streams = Promise.all(['a', 'b'].map(stream))
    t.teardown(async () => {
      isOver = true
      await streams.catch(() => undefined)
    })
    const count = (what: string): number => heard.get(what) ?? 0
    const more = async (what: string): Promise<void> => {
      const sofar = count(what)
      await until(what, () => count(what) > sofar + 5, 20_000)
    }
    await more('554 pythonfilter')
    const enabled = await nodefilter.run(['courier', 'enable', '-c', config, '--state-dir', nodefilter.stateDirectory])
    t.equal(enabled.status, 0, enabled.output)
    await more('554 nodefilter')
    await mustRun('filterctl', ['stop', 'pythonfilter'])
    await until('the old socket to go', () => !existsSync(socketOf('pythonfilter')))
    await more('554 nodefilter')

    const mark = log.mark()
    await refusedBy(t, 'moved', 'nodefilter')
    await log.find(/house_rules reject,from=<moved@example\.com>,addr=<.*>: 554/, mark)
    await log.find(/ settled .*sender=moved@example\.com .*verdict=reject .*filter=house_rules/, mark)
    t.match(await send('passes', 'news'), { code: 250 })
    await maildir.await('news', 2)
    const login = courier.account
    t.match(await send('known', 'a lottery', { login }), { code: 250 }, '"for" works with the name it had')

    // And back again.
    await mustRun('filterctl', ['start', 'pythonfilter'])
    await until('the old socket to come', () => existsSync(socketOf('pythonfilter')))
    const disabled = await nodefilter.run(['courier', 'disable'])
    t.equal(disabled.status, 0, disabled.output)
    await more('554 pythonfilter')
    isOver = true
    await streams
    t.strictSame(
      [...heard.keys()].filter((what) => !what.startsWith('554 ') && !what.startsWith('432')),
      [],
      `nothing passed unfiltered: ${JSON.stringify([...heard])}`,
    )
    t.strictSame(
      maildir.with('a lottery').map((m) => m.returnPath),
      ['<known@example.com>'],
    )
  })
}

/** Puts the stand-in where pip would, and Courier's link to it. */
async function installPythonfilter(top: string): Promise<{ readonly interpreter: string; readonly folder: string }> {
  rmSync(top, { recursive: true, force: true })
  mkdirSync(join(top, 'bin'), { recursive: true })
  // What makes a virtual environment, as far as Python looks.
  writeFileSync(join(top, 'pyvenv.cfg'), 'home = /usr/bin\ninclude-system-site-packages = false\n')
  const interpreter = join(top, 'bin/python3')
  symlinkSync('/usr/bin/python3', interpreter)
  const question = 'import sysconfig; print(sysconfig.get_path("purelib"))'
  const site = (await mustRun(interpreter, ['-Ic', question], { env: plainEnv })).trim()
  if (!site.startsWith(`${top}/`)) throw new Error(`${site} is not in the virtual environment`)
  const source = join(import.meta.dirname, 'pythonfilter')
  const put = (file: string, path: string): void => {
    mkdirSync(join(site, path, '..'), { recursive: true })
    cpSync(join(source, file), join(site, path))
    chmodSync(join(site, path), 0o644)
  }
  for (const name of ['config', 'control']) put(`${name}.py`, `courier/${name}.py`)
  for (const name of ['house_rules', 'nosuccessdsn', 'whitelist_auth']) put(`${name}.py`, `pythonfilter/${name}.py`)
  for (const name of ['courier', 'pythonfilter']) writeFileSync(join(site, name, '__init__.py'), '')

  writeFileSync(program, `#!${interpreter}\n${readFileSync(join(source, 'host.py'), 'utf8')}`)
  chmodSync(program, 0o755)
  symlinkSync(program, link)
  writeFileSync(listFile, `${marker}\nnosuccessdsn\nwhitelist_auth for house_rules\nhouse_rules\n`)
  writeFileSync(settingsFile, "[house_rules.py]\nword = 'lottery'\n")
  return { interpreter, folder: join(site, 'pythonfilter') }
}
