/**
 * R46 as the kernel sees it: whatever paths a stranger writes to Courier's socket, the host opens nothing outside of the
 * spool. strace looks on; test/reliability/paths-and-modes.test.ts looks at each form by itself.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { requestOf } from '../helpers/converse.ts'
import { makePlace, startHost } from '../helpers/host-process.ts'
import { until } from '../helpers/until.ts'
import { createFindings, testPromise, type Check } from '../reliability/check.ts'
import { evilPairs } from '../reliability/evil-pairs.ts'
import { runProgram } from './program.ts'

const canTrace =
  existsSync('/usr/bin/strace') && (await runProgram('strace', ['-qq', '-o', '/dev/null', '/bin/true'])).status === 0

const openedOutside =
  (wanted: RegExp): Check =>
  async (t, without) => {
    const { seen, expect } = createFindings()
    const place = makePlace(t, 'act')
    const host = startHost(t, place, { without })
    await host.ready()
    const calls = place.at('calls')
    const words = ['-f', '-qq', '-s', '4096', '-e', 'trace=%file', '-o', calls, '-p', String(host.pid)]
    const strace = spawn('strace', words, { stdio: 'ignore' })
    const ended = new Promise((resolve) => strace.once('exit', resolve))
    t.teardown(() => strace.kill('SIGKILL'))
    await until('strace to look on', () => !/^TracerPid:\t0$/m.test(readFileSync(`/proc/${host.pid}/status`, 'latin1')))

    const good = await host.ask(place.pair())
    expect(good === '200 Ok\n', `a good message hears ${good}`)
    const requests = (await evilPairs(t, place.root, wanted)).filter(({ skip }) => skip === null)
    expect(requests.length >= (without.length === 0 ? 20 : 1), `there are ${requests.length} evil forms`)
    for (const { name, ...pair } of requests) {
      const answer = await host.ask(requestOf(pair))
      expect(without.length > 0 || /^(451 4\.3\.[0-9] .*\n)?$/.test(answer), `${name}: ${answer}`)
    }
    strace.kill('SIGINT')
    await ended
    const opened = readFileSync(calls, 'latin1')
      .split('\n')
      .flatMap((line) => /\bopen(?:at2?)?\((?:AT_FDCWD, )?"([^"\\]+)", .*\) = [0-9]+$/.exec(line)?.[1] ?? [])
      .flatMap((path) => (existsSync(path) ? [realpathSync(path)] : []))
    expect(
      opened.some((path) => path.startsWith(`${place.spool}/`)),
      'strace saw no file of the good message opened',
    )
    for (const path of opened)
      for (const folder of ['outside', 'tmp-other'])
        expect(!path.startsWith(`${join(place.root, folder)}/`), `a file in ${folder} was opened`)
    await host.stop()
    return seen
  }

if (canTrace) {
  t.setTimeout(120_000)
  testPromise('R46 strace sees no file outside of the spool opened at the word of a stranger', openedOutside(/./), [
    {
      without: ['links are not followed'],
      check: openedOutside(/^a control file that is a link out/),
      sees: /^a file in outside was opened/,
    },
    {
      without: ['paths are plain'],
      check: openedOutside(/^a control file with \.\. out of the spool/),
      sees: /^a file in outside was opened/,
    },
  ])
} else t.plan(0, 'strace is not there, or may not look on')
