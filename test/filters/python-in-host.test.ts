/** The whole host with a filter written for pythonfilter in its list. */
import { cpSync, existsSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { makePlace, startHost, type HostOptions, type HostProcess } from '../helpers/host-process.ts'
import { fixtures, noPython, pidsIn, runs } from '../helpers/python.ts'
import { until } from '../helpers/until.ts'

const skip = noPython()

/** A host with the fixture filter. */
async function host(
  t: Test,
  line: string,
  options: HostOptions & { readonly more?: readonly string[] },
): Promise<HostProcess> {
  const place = makePlace(t)
  cpSync(fixtures, place.at('py'), { recursive: true })
  place.list(line.replace('SITE', place.at('py/site')), ...(options.more ?? []))
  const started = startHost(t, place, options)
  await started.ready()
  return started
}

t.test('messages of two threads', { skip }, async (t) => {
  const set = ['runner.threads=2', 'runner.messages_per_thread=1']
  const served = await host(t, 'python as acting with path=SITE time_limit=1s', { set })
  const { place } = served
  const ask = (id: string, orders: string | readonly string[]): Promise<string> => {
    const content = [...[orders].flat().map((order) => `X-Do: ${order}`), '', 'text', ''].join('\n')
    return served.ask(place.pair({ id, content }))
  }
  t.equal(await ask('PASS', []), '200 Ok\n')
  t.same(
    await Promise.all([ask('MEET.1', 'meet'), ask('MEET.2', 'meet')]),
    ['200 Ok\n', '200 Ok\n'],
    'messages of two threads meet',
  )
  t.equal(await ask('REF', 'say 554-a\\n554 b'), '554-a\n554 b\n', 'a refusal')
  t.equal(
    await ask('ERR', 'raise bad luck'),
    '451 4.3.0 Local policy check failed, try again later (ERR)\n',
    'an exception',
  )
  t.match(
    await served.settled('ERR'),
    /errorCause="ValueError: bad luck at \/.*\/acting\.py:[0-9]+"/,
    'with its place in the log',
  )
  await ask('NONE', 'return None')
  t.match(await served.settled('NONE'), /errorCause="Error: pythonfilter\.acting returned NoneType, not a string at /)

  const [worker = 0] = pidsIn(await ask('PID.1', 'pid'))
  t.equal(
    await ask('HANG', `hang ${place.at('hung')}`),
    '451 4.3.0 Local policy check took too long, try again later (HANG)\n',
    'one that hangs',
  )
  t.match(await served.settled('HANG'), /errorCode=late/)
  t.notOk(runs(worker), 'has no process any more when its message is answered')
  t.equal(await ask('NEXT', 'say 200 next'), '200 next\n', 'the next message is served')
  t.notOk(
    served.log.some((line) => line.includes(' thread-lost ')),
    'by the same threads',
  )

  const [second = 0, keeper = 0] = pidsIn(await ask('PID.2', 'pid'))
  t.ok(runs(second) && runs(keeper))
  t.same(await served.stop(), { code: 0, signal: null }, 'it stops')
  t.notOk(runs(second) || runs(keeper), 'and no Python is left')
  t.match(served.log.join('\n'), / filter filter=acting .*text="closed in peace"/, 'it was closed first')
})

t.test('a thread that is lost', { skip }, async (t) => {
  const shared = await host(t, 'python as acting with path=SITE', {
    set: ['runner.threads=1', 'runner.messages_per_thread=2', 'runner.blocked_limit=500ms'],
    more: ['act'],
  })
  const go = shared.place.at('go')
  const say = (orders: string): Promise<string> => shared.ask(shared.place.pair({ content: `${orders}\n\ntext\n` }))
  const [first = 0, its = 0] = pidsIn(await say('X-Do: pid'))
  const innocent = say(`X-Do: mark ${shared.place.at('begun')}\nX-Do: hold ${go}\nX-Do: pid`)
  await until('it to run', () => existsSync(shared.place.at('begun')))
  t.match(await say('X-Act-act: loop'), /^451 4\.3\.0 /, 'a neighbour that blocks the thread')
  await until('Python to be ended', () => !runs(first))
  t.ok(runs(its), 'ends the Python process with it, but not its keeper')
  writeFileSync(go, '')
  const [other, same] = pidsIn(await innocent)
  t.not(other, first, 'the message runs again, in another')
  t.equal(same, its, 'of the same keeper')
})

t.test('a runner or a host that is killed', { skip }, async (t) => {
  const set = ['runner.threads=2']
  for (const victim of ['runner', 'host'] as const) {
    const doomed = await host(t, 'python as acting with path=SITE', { set })
    const reply = await doomed.ask(doomed.place.pair({ content: 'X-Do: pid\n\ntext\n' }))
    const pids = pidsIn(reply)
    t.equal(pids.length, 2)
    const busy = doomed
      .ask(doomed.place.pair({ content: `X-Do: clutch ${doomed.place.at('on')}\n\ntext\n` }))
      .catch(() => '')
    await until('it to hold its interpreter', () => existsSync(doomed.place.at('on')))
    const [, runner = '0'] = /runner-started .*pid=([0-9]+)/.exec(doomed.log.join('\n')) ?? []
    process.kill(victim === 'runner' ? Number(runner) : doomed.pid, 'SIGKILL')
    await until('Python to end', () => !pids.some(runs), 2000)
    t.pass(`SIGKILL of the ${victim} leaves no Python behind`)
    await doomed.kill()
    await busy
  }
})

t.test('a filter that is not there', { skip }, async (t) => {
  const deaf = await host(t, 'python as nosuch with path=SITE', {})
  t.match(
    await deaf.logged(/there is no module/),
    /initFilter of .*nosuch.* failed: Error: there is no module pythonfilter\.nosuch/,
    'a filter that is not there is a broken configuration',
  )
})
