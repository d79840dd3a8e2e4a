/** `nodefilter quarantine`: what it prints, what it asks of the mail server, and how it ends. */
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { openQuarantine } from '../../courier-compat/quarantine.ts'
import { SendmailError, type Submission } from '../../courier-compat/sendmail.ts'
import { createQuarantineCommand } from '../../host/cli/quarantine.ts'
import { nodefilter } from '../helpers/command.ts'
import { makePair } from '../helpers/pair.ts'
import { makeQuarantineStage, me, noonMs, type QuarantineStage } from '../helpers/quarantine-stage.ts'

const two = ['amy@example.org', 'bob@example.org']

interface Said {
  readonly status: number
  readonly out: string
  readonly err: string
}

interface Stage extends QuarantineStage {
  readonly config: string
  keep(content?: string, reason?: string): Promise<string>
  run(args: readonly string[], env?: NodeJS.ProcessEnv, stdin?: string): Promise<Said>
}

async function open(t: Test, settings = ''): Promise<Stage> {
  const top = t.testdir({ etc: { 'filters.conf': '' } })
  const stage = makeQuarantineStage(top)
  const config = join(top, 'etc')
  writeFileSync(join(config, 'modules.conf'), `[quarantine]\nsiteid = 'local'\ndir = '${stage.dir}'\n${settings}`)
  const quarantine = await stage.open()
  return Object.assign(stage, {
    config,
    keep: async (content = 'Subject: hello\nFrom: eve@example.com\n\nbody\n', reason = 'harmful') => {
      const { id } = await quarantine.keep({ ...makePair(top, { recipients: two, content }), reason })
      return id ?? ''
    },
    run: async (args: readonly string[], env: NodeJS.ProcessEnv = {}, stdin = '') => {
      let [out, err] = ['', '']
      const command = createQuarantineCommand({
        open: (options) => openQuarantine({ ...options, ...mail }),
        stdin: () => Readable.from([Buffer.from(stdin)]),
        nowMs: () => stage.nowMs,
        become: () => undefined,
        who: () => 'a test',
        write: async (message) => {
          for await (const piece of message) out += Buffer.from(piece as Uint8Array).toString('latin1')
        },
      })
      const mail = {
        me: () => me,
        submit: async ({ message, ...rest }: Submission) => {
          if (stage.fault instanceof Error) throw stage.fault
          let text = ''
          for await (const piece of message as AsyncIterable<Uint8Array>) text += Buffer.from(piece).toString('latin1')
          stage.sent.push({ ...rest, text })
        },
      }
      const io = {
        out: (text: string) => (out += text),
        err: (text: string) => (err += text),
        env: { PATH: '', ...env },
      }
      const status = await command.run(
        [args[0] ?? '', ...(args.length === 0 ? [] : ['-c', config]), ...args.slice(1)],
        io,
      )
      return { status, out, err }
    },
  })
}

void t.test('arguments', async (t) => {
  const stage = await open(t)
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /say which: list, show, release, purge, rebuild/],
    [['frob'], /"frob" is none of/],
    [['list', 'x'], /unexpected argument "x"/],
    [['list', '--raw'], /Unknown option '--raw'/],
    [['show'], /name a message/],
    [['show', 'a', 'b'], /name one message/],
    [['show', '--raw', '--json', 'a'], /in one way/],
    [['release', 'a'], /or all of them with --all/],
    [['release', '--all', 'a', 'amy@example.org'], /or all of them with --all/],
    [['release', '--mail', 'a'], /unexpected argument/],
    [['release', '--mail', '--all'], /neither --all nor --again/],
    [['release', '--old-addresses', '--all', 'a'], /goes with --mail/],
    [['purge', '--older-than', '1d'], /a number of days/],
    [['show', '../../etc/passwd'], /no id of a message/],
  ]
  for (const [args, expected] of cases) {
    const { status, err, out } = await stage.run(args)
    t.strictSame([status, out], [64, ''], args.join(' '))
    t.match(err, expected)
  }
})

void t.test('list and show', async (t) => {
  const stage = await open(t)
  t.match(await stage.run(['list']), { status: 0, out: 'The quarantine is empty.\n' })
  const content = 'Subject: =?utf-8?Q?evil=1B[31m=E2=80=AE?= \x1b]0;x\x07\nX-Raw: \x1b[2J\n\nbody \x1b[2J\n'
  const id = await stage.keep(content, 'found\x1b[1m it')
  const table = await stage.run(['list'])
  t.match(
    table.out,
    new RegExp(`^id .*reason\n-[- ]+\n${id} +2026-11-21 12:00 +held +sender@example.net +amy@example.org \\+1`),
  )
  t.match(table.out, 'evil [31m ]0;x')
  const { out: json } = await stage.run(['list', '--json'])
  t.match(JSON.parse(json), {
    id,
    kept: new Date(noonMs).toISOString(),
    recipients: [{ address: two[0], state: 'held' }],
  })
  const { out: text } = await stage.run(['show', id])
  t.match(text, `until      2026-12-05 12:00 UTC\n`)
  t.match(text, 'recipient  bob@example.org held\n')
  t.match(JSON.parse((await stage.run(['show', '--json', id])).out), { id })
  const { out: headers } = await stage.run(['show', '--headers', id])
  t.match(headers, /^Subject: =\?utf-8.*\nX-Raw: \?\[2J\n$/)
  t.equal((await stage.run(['show', '--raw', id])).out, content)
  for (const shown of [table.out, json, text, headers]) t.notMatch(shown, /[\x1b\x07\u202e]/)
  t.match(await stage.run(['show', 'a'.repeat(26)]), { status: 66, err: /there is no message/ })

  writeFileSync(join(stage.dir, `${id}.json`), '{}')
  writeFileSync(join(stage.dir, 'index.jsonl'), '')
  t.match(await stage.run(['list']), { status: 65, err: /another format/ })
  t.match(await stage.run(['show', id]), { status: 65, err: /another format/ })
  writeFileSync(join(stage.dir, `${id}.json`), '\n\x1b[2J\u2028\u202e')
  t.match((await stage.run(['list'])).err, /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*\n$/u, 'a line for a record that is none')
})

void t.test('release', async (t) => {
  const stage = await open(t)
  const id = await stage.keep()
  const fault = (exitCode: number): Error =>
    new SendmailError('sendmail failed', { exitCode, signal: null, reply: '', stderr: '' })
  t.match(await stage.run(['release', 'b'.repeat(26), '--all']), { status: 66 })
  t.match(await stage.run(['release', id, 'eve@example.com']), { status: 64, err: /not kept from that recipient/ })
  for (const [exitCode, status] of [
    [75, 75],
    [67, 69],
  ] as const) {
    stage.fault = fault(exitCode)
    t.match(await stage.run(['release', id, 'amy@example.org']), {
      status,
      out: 'amy@example.org: not released: sendmail failed',
    })
  }
  stage.fault = null
  t.match(await stage.run(['release', id, 'amy@example.org']), { status: 0, out: 'amy@example.org: released\n' })
  t.match(await stage.run(['release', '--all', id]), {
    status: 0,
    out: /^amy@example.org: was released before.*\nbob@example.org: released\n$/,
  })
  t.match(await stage.run(['list']), { out: / released / })
  t.match(await stage.run(['release', '--again', id, 'amy@example.org']), {
    status: 0,
    out: 'amy@example.org: released\n',
  })
  t.match(readFileSync(join(stage.dir, 'history.jsonl'), 'utf8'), /"event":"released".*"by":"a test"/)
})

void t.test('release --mail, as Courier runs it', async (t) => {
  const stage = await open(t)
  await stage.keep()
  const [word = ''] = stage.wordsFor('amy@example.org')
  const [other = ''] = stage.wordsFor('bob@example.org')
  stage.sent.length = 0
  const env = { DEFAULT: word, SENDER: 'amy@example.org' }
  const mail = ['release', '--mail']
  t.match(await stage.run(mail, { DEFAULT: word }), { status: 78, err: /DEFAULT and SENDER/ })
  t.match(await stage.run(mail, { SENDER: 'x' }), { status: 78 })
  const refused: readonly (readonly [NodeJS.ProcessEnv, string?])[] = [
    [{ ...env, SENDER: '' }],
    [{ ...env, DEFAULT: '' }],
    [{ ...env, DEFAULT: `${word}x` }],
    [{ ...env, DEFAULT: '4711' }],
    [env, 'From: amy@example.org\nAUTO-Submitted: auto-replied (vacation)\n\nI am away.\n'],
  ]
  for (const [wrong, stdin] of refused) {
    const { status, err } = await stage.run(mail, wrong, stdin)
    t.equal(status, 0)
    t.match(err, /^nodefilter quarantine: nothing was released: [^\n]*\n$/, 'one line')
  }
  t.strictSame(stage.sent, [], 'nobody is answered')
  stage.fault = new SendmailError('busy', { exitCode: 75, signal: null, reply: '', stderr: '' })
  t.match(await stage.run(mail, env), { status: 75 }, 'Courier tries again')
  stage.fault = new SendmailError('no', { exitCode: 67, signal: null, reply: '', stderr: '' })
  t.match(await stage.run(mail, env), { status: 69 }, 'Courier tells who asked')
  stage.fault = null
  t.match(await stage.run(mail, env, `Auto-Submitted: no\n\n${'x'.repeat(200_000)}`), { status: 0, err: '' })
  t.match(stage.sent, [{ sender: 'sender@example.net', recipients: ['amy@example.org'] }])
  t.match(await stage.run(mail, env), { status: 0, err: /was used/ })
  t.match(await stage.run(mail, { ...env, DEFAULT: other }), { status: 0, err: '' })
  t.equal(stage.sent.length, 2)
  const hostile = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet)).join('')
  await stage.keep('Subject: another\n\n')
  stage.fault = new Error(`${hostile}\u2028\u202e`)
  const unknown = await stage.run(mail, { ...env, DEFAULT: stage.wordsFor('amy@example.org').at(-1) ?? '' })
  t.match(unknown.err, /^nodefilter quarantine: an administrator has to look at this: [^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*\n$/u)
  writeFileSync(join(stage.config, 'modules.conf'), '[quarantine]\ndays = x\n')
  t.match(await stage.run(mail, env), { status: 75 }, 'a mistake that is mended soon costs nobody his request')
})

void t.test('purge and rebuild', async (t) => {
  const stage = await open(t)
  const id = await stage.keep()
  t.match(await stage.run(['purge']), { status: 0, out: '0 messages, 0 files removed\n' })
  t.match(await stage.run(['rebuild']), { status: 0, out: '1 message in the index\n' })
  t.match(await stage.run(['purge', '--older-than', '0', '--dry-run']), {
    out: `would be removed: ${id}\n1 message, 0 files would be removed\n`,
  })
  stage.nowMs += 14 * 86_400_000
  t.match(await stage.run(['purge', '--orphans']), { status: 0, out: `removed: ${id}\n1 message, 0 files removed\n` })
  t.strictSame(
    readdirSync(stage.dir).filter((name) => name.startsWith(id)),
    [],
  )
})

void t.test('the configuration', async (t) => {
  const stage = await open(t)
  const write = (text: string): void => writeFileSync(join(stage.config, 'modules.conf'), text)
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /there is no dir in \[quarantine\]/],
    ["[quarantine]\ndri = '/x'\n", /modules\.conf:2:1: \[quarantine\] dri: no such setting; did you mean "dir"\?/],
    [`[quarantine]\ndir = '${stage.config}/filters.conf'\n`, /is no folder/],
    [`[quarantine]\ndir = '${stage.dir}'\nsiteid = 'a b'\n`, /siteid is/],
  ]
  for (const [text, expected] of cases) {
    write(text)
    const { status, err } = await stage.run(['list'])
    t.equal(status, 78)
    t.match(err, expected)
  }
})

void t.test(
  'run by root it goes on as the owner',
  { skip: process.geteuid?.() === 0 ? false : 'needs root' },
  async (t) => {
    const stage = await open(t)
    // That user must come to it, which below the test's own folder is not certain.
    const top = mkdtempSync(join(tmpdir(), 'nodefilter-quarantine-'))
    t.teardown(() => rmSync(top, { recursive: true }))
    chmodSync(top, 0o755)
    const other = join(top, 'kept')
    mkdirSync(other, { mode: 0o700 })
    chownSync(other, 12_345, 12_346)
    writeFileSync(join(stage.config, 'modules.conf'), `[quarantine]\ndir = '${other}'\n`)
    t.match(await nodefilter(['quarantine', 'list', '-c', stage.config]), {
      code: 0,
      out: 'The quarantine is empty.\n',
    })
    const { uid, gid } = statSync(join(other, 'release.key'))
    t.strictSame([uid, gid], [12_345, 12_346], 'whose what it makes is')
    t.match(await nodefilter(['quarantine', '--help']), { code: 0, out: /^usage: nodefilter quarantine list/ })
  },
)
