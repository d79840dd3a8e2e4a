/** The test kit: a filter meets the same things as in the host. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import {
  addRecipient,
  defer,
  delRecipient,
  getSendersIp,
  type FilterSetup,
  type SettingSchemas,
} from '../../courier-compat/index.ts'
import { openFilter, runFilter, type RunOptions, type TestedModule } from '../../courier-compat/testing.ts'

const pass = (): string => ''

t.test('settings are checked and completed as in the host', async (t) => {
  const settings = {
    level: { type: 'count', default: 3, min: 1, max: 9, text: 'How much.' },
    wait: { type: 'duration', default: '5m', text: 'How long.' },
  } as const satisfies SettingSchemas
  const given: FilterSetup[] = []
  const filter: TestedModule = { settings, initFilter: (setup: FilterSetup) => given.push(setup), doFilter: pass }
  await runFilter(filter, 'x', { settings: { wait: '2h' }, name: 'f', alias: 'g' })
  t.match(given[0], { name: 'f', alias: 'g', settings: { level: 3, wait: 7_200_000 } })
  t.ok(Object.isFrozen(given[0]?.settings))

  const rows: { name: string; filter: TestedModule; settings: Record<string, unknown>; want: RegExp }[] = [
    { name: 'out of bounds', filter, settings: { level: 10 }, want: /^level: 10 is above the maximum, 9$/ },
    { name: 'unknown', filter, settings: { levle: 1 }, want: /^levle: no such setting; did you mean "level"\?$/ },
    { name: 'two', filter, settings: { level: 0, x: 1 }, want: /level: .*; x: no such setting/ },
    {
      name: 'a schema that is none',
      filter: { doFilter: pass, settings: { a: { type: 'count', default: 1 } } as unknown as SettingSchemas },
      settings: {},
      want: /"a": text is not one line of text/,
    },
  ]
  for (const { name, filter, settings, want } of rows) {
    await t.rejects(runFilter(filter, 'x', { settings }), { name: 'TypeError', message: want }, name)
  }
})

t.test('a run tells everything that came of it', async (t) => {
  const filter: TestedModule = {
    doFilter: (bodyPath, controlPaths, { attempt, client, envelope, log, notes, signal }) => {
      log.info(
        `${envelope.sender ?? '<>'} at ${client.ip ?? '-'} ${getSendersIp(controlPaths) ?? '-'}, user ${client.authUser ?? '-'}`,
      )
      log.warn(`attempt ${attempt}, aborted ${signal.aborted}`)
      notes.set('content', readFileSync(bodyPath, 'latin1'))
      addRecipient(controlPaths, 'new@example.org')
      delRecipient(controlPaths, 'b@example.org')
      writeFileSync(bodyPath, 'edited\n')
      return defer('4.7.1', `${envelope.recipients.length} then ${String(notes.size)}`)
    },
  }
  const options: RunOptions = {
    ...{ sender: '', recipients: ['a@example.org', 'b@example.org'], clientIp: '2001:db8::1', authUser: 'amy' },
    ...{ attempt: 2, signal: AbortSignal.abort() },
  }
  const run = await runFilter(filter, 'Subject: x\r\n\r\ncaf\u00e9', options)
  t.equal(run.reply, '451 4.7.1 2 then 1')
  t.match(run.verdict, { kind: 'defer', reply: { code: 451, status: '4.7.1' } })
  t.strictSame(run.log, ['info: <> at 2001:db8::1 2001:db8::1, user amy', 'warn: attempt 2, aborted true'])
  t.equal(run.notes.get('content'), 'Subject: x\n\ncaf\u00c3\u00a9\n', 'LF line ends, UTF-8, a final LF')
  t.strictSame(run.recipients, ['a@example.org', 'new@example.org'])
  t.equal(run.content.toString(), 'edited\n')

  const plain = await runFilter({ doFilter: () => undefined }, new Uint8Array([0x61, 0xff]))
  t.match(plain, { reply: '', verdict: { kind: 'pass' }, log: [], recipients: ['recipient@example.org'] })
  t.strictSame([...plain.content], [0x61, 0xff, 0x0a], 'octets stay as they are')
})

t.test('failures are failures of the test', async (t) => {
  const rows: { name: string; filter: TestedModule; options?: RunOptions; want: RegExp }[] = [
    {
      name: 'a throw',
      filter: {
        doFilter: () => {
          throw new Error('in doFilter')
        },
      },
      want: /^in doFilter$/,
    },
    { name: 'a rejection', filter: { doFilter: () => Promise.reject(new Error('later')) }, want: /^later$/ },
    { name: 'what is no reply', filter: { doFilter: () => '300 no' }, want: /^doFilter returned the code 300/ },
    { name: 'another type', filter: { doFilter: () => null }, want: /^doFilter returned null, not a string/ },
    { name: 'a record in an address', filter: { doFilter: pass }, options: { sender: 'a\nb' }, want: /holds CR, LF/ },
    {
      name: 'a throw in initFilter',
      filter: {
        doFilter: pass,
        initFilter: () => {
          throw new Error('in initFilter')
        },
      },
      want: /^in initFilter$/,
    },
  ]
  for (const { name, filter, options, want } of rows) {
    await t.rejects(runFilter(filter, 'x', options), { message: want }, name)
  }
})

t.test('one filter, several messages, and nothing left behind', async (t) => {
  const paths: string[] = []
  let closed = 0
  let state = ''
  const filter: TestedModule = {
    initFilter: (setup: FilterSetup) => {
      state = setup.state
      writeFileSync(`${state}/kept`, '')
    },
    doFilter: (bodyPath, controlPaths, { id }) => {
      paths.push(bodyPath, ...controlPaths)
      return `250 ${id}`
    },
    closeFilter: () => closed++,
  }
  const opened = await openFilter(filter)
  t.equal((await opened.run('a')).reply, '250 test.1')
  t.equal((await opened.run('b')).reply, '250 test.2')
  t.ok(paths.every((path) => existsSync(path)) && existsSync(`${state}/kept`))
  await opened.close()
  t.equal(closed, 1)
  t.notOk(
    [...paths, state].some((path) => existsSync(path)),
    'all files are gone',
  )

  const own = t.testdir()
  await runFilter(filter, 'x', { state: own })
  t.ok(existsSync(`${own}/kept`), "a state folder of one's own stays")
})
