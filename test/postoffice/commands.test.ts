/** The program `postoffice`: the old call, its commands that sort or look, what they say, and with what they end. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { takeImportLock } from '../../filters/postoffice/import/lock.ts'
import { iniPlaces } from '../../filters/postoffice/cli/setup.ts'
import { memoryFolder } from '../helpers/memory-folder.ts'
import { nodeOptions } from '../helpers/node-options.ts'
import { until } from '../helpers/until.ts'
import { importClockMs, messageText } from './cases-import.ts'
import { makeStage, program, queueA, run, type Said } from './maildir-stage.ts'

const ini = '[post office]\nstore = depot\nmaildir = Maildir\n[queue:A]\nfilters = to_hostname: example.com\n'

t.test('M08: usage of the old call, and what -v shows', async (t) => {
  const stage = makeStage(t)
  t.match(await stage.spawn(['extra']), { code: 2, err: /"extra" is too much/ }, 'postoffice extra')
  const folder = memoryFolder(t)
  const lost = await run([], { currentDirectory: folder })
  t.match(lost, { code: 2, out: '', err: /unable to find configuration/ }, 'no ini file anywhere')
  stage.putBase('1')
  t.match(await stage.spawn(['-v']), {
    code: 0,
    out: '',
    err: /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO postoffice Created queue A\n.* INFO postoffice Message added to queue A: From: Ann <ann@sender\.example> To: box@example\.com Subject: Hello Message-Id: <1@sender\.example>\n.* INFO postoffice Processed one message\.\n$/,
  })
  stage.putBase('2')
  t.same(await stage.spawn([]), { code: 0, out: '', err: '' }, 'without -v it says nothing')
})

t.test('M09: where the ini file is looked for', async (t) => {
  const folder = memoryFolder(t)
  const work = join(folder, 'work')
  t.same(iniPlaces({ currentDirectory: work, program: join(folder, 'bin/postoffice') }), [
    join(work, 'postoffice.ini'),
    join(work, 'etc/postoffice.ini'),
    join(folder, 'etc/postoffice.ini'),
    '/etc/postoffice.ini',
  ])
  for (const path of ['work/etc', 'etc', 'bin']) mkdirSync(join(folder, path), { recursive: true })
  symlinkSync(program, join(folder, 'bin/postoffice'))
  const found = async (): Promise<string> => {
    const child = spawn(process.execPath, [...nodeOptions(), join(folder, 'bin/postoffice'), 'check', '--json'], {
      cwd: work,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    for await (const piece of child.stdout) text += String(piece)
    return (JSON.parse(text) as { file: string }).file
  }
  for (const path of ['etc/postoffice.ini', 'work/etc/postoffice.ini', 'work/postoffice.ini']) {
    writeFileSync(join(folder, path), ini)
    t.equal(await found(), join(folder, path), `${path} comes before those so far`)
  }
})

t.test('arguments', async (t) => {
  const folder = memoryFolder(t)
  writeFileSync(join(folder, 'postoffice.ini'), ini)
  const rows: [args: string[], expected: Partial<Record<keyof Said, unknown>>, about: string][] = [
    [['--help'], { code: 0, out: /usage: postoffice \[COMMAND\]/ }, 'the overview'],
    [['-h'], { code: 0, out: /\n {2}import +sort the mail/ }, 'the same'],
    [['--version'], { code: 0, out: /^postoffice \d+\.\d+\.\d+\n$/ }, 'the version'],
    [['import', '--help'], { code: 0, out: /^usage: postoffice \[import\]/ }, 'of a command'],
    [['help', 'explain'], { code: 0, out: /^usage: postoffice explain/ }, 'the same'],
    [['help', 'nothing'], { code: 64, err: /there is no command "nothing"/ }, 'of no command'],
    [['import', 'extra'], { code: 64, err: /"extra" is too much/ }, 'too much'],
    [['check', 'extra'], { code: 64, err: /"extra" is too much/ }, 'too much for check'],
    [['import', '--bogus'], { code: 64, err: /unknown option '--bogus'/ }, 'an option that there is not'],
    [['--bogus'], { code: 2, err: /unknown option '--bogus'/ }, 'the same for the old call'],
    [['-C'], { code: 2, err: /-C.*argument missing/ }, 'a value is missing'],
    [['import', '--poll', '5'], { code: 64, err: /--poll is for --watch/ }, 'an option without the one it belongs to'],
    [['import', '--watch', '--poll', 'soon'], { code: 64, err: /--poll soon: a whole number/ }, 'no number'],
    [['import', '--watch', '--dry-run'], { code: 64, err: /exclude each other/ }, 'two that do not go together'],
    [['explain'], { code: 64, err: /which message\?/ }, 'no message'],
    [['explain', 'a', 'b'], { code: 64, err: /"b" is too much/ }, 'two messages'],
    [['explain', 'missing.eml'], { code: 66, err: /ENOENT/ }, 'a message that is not there'],
    [
      ['check', '-C', 'missing.ini'],
      { code: 78, err: /missing\.ini: cannot be read/ },
      'an ini file that is not there',
    ],
    [['-C', 'postoffice.ini', 'check'], { code: 0, out: /Queues, in the order/ }, 'an option before the command'],
    [['--config=postoffice.ini', 'check'], { code: 0 }, 'the same, in one word'],
  ]
  for (const [args, expected, about] of rows) {
    t.match(await run(args, { currentDirectory: folder }), expected, `${args.join(' ')}: ${about}`)
  }
})

t.test('check: every fault with its line, or what the file says', async (t) => {
  const stage = makeStage(t)
  writeFileSync(join(stage.folder, 'rules'), 'Subject: a\nSubject: (b\n')
  stage.configure(
    `ooo_loop_frequency = often\nreject_filters = header_regexp_file: %(here)s/rules\n[queue:A]\nfilters =\n  to_hostname: example.com\n  foo: bar\n`,
  )
  const { code, err, out } = await stage.run(['check'])
  t.same({ code, out }, { code: 78, out: '' })
  const told = err.trim().split('\n')
  t.match(told[0], `${stage.ini}:4:`)
  t.match(told[1], /postoffice\.ini:9:3: \[queue:A\] filters: there is no filter "foo"/)
  t.match(told[2], /rules:2:/)
  t.equal(told.length, 3)

  writeFileSync(join(stage.folder, 'rules'), 'Subject: a\nSubject: b\n')
  stage.configure(
    `zodb_uri = x\nmax_message_size = 1k\nreject_filters = header_regexp_file: %(here)s/rules\n${queueA}[queue:B]\n`,
  )
  const right = await stage.run(['check'])
  t.match(right, { code: 0, err: /^warning: .*postoffice\.ini:4:1: \[post office\] zodb_uri: there is no ZODB/ })
  t.match(right.out, /Any of these rejects:\n {4}header_regexp_file: 2 expressions\n/)
  t.match(right.out, / {2}A \(line 7\)\n {4}to_hostname: example\.com in to, cc, x-original-to\n {2}B \(line 10\)\n/)
  const data = JSON.parse((await stage.run(['check', '--json'])).out) as unknown
  t.match(data, {
    problems: [],
    warnings: [{ line: 4 }],
    files: [stage.ini, join(stage.folder, 'rules')],
    configuration: { sorting: { maxMessageOctets: 1024 }, queues: [{ name: 'A' }, { name: 'B', filters: [] }] },
  })
  t.notOk(existsSync(join(stage.folder, 'depot')), 'no depot was made')
})

t.test('explain: step by step, and nothing is remembered', async (t) => {
  const stage = makeStage(t)
  stage.configure(`max_message_size = 1k\n[queue:B]\nfilters = header_regexp: Subject: zzz\n${queueA}`)
  const path = join(stage.folder, 'message.eml')
  const explain = async (text: string, ...args: string[]): Promise<Said> => {
    writeFileSync(path, text, 'latin1')
    return stage.run(['explain', ...args, path])
  }
  const first = await explain(
    messageText({ fields: ['Precedence: bulk', 'X-Postoffice-Date: 1'], body: 'x'.repeat(2000) }),
  )
  t.equal(
    first.out,
    ` 1. Message exceeds size limit: 2175 octets, 1024 are allowed
 2. Queue B does not match
 3. Queue A matches: to_hostname: box@example.com matches example.com
 4. Message is an automatic answer: precedence

It would be put into the queue A, marked Maximum Message Size Exceeded, Auto-response.
It came with 1 X-Postoffice-* fields, which count for nothing.
`,
  )
  t.match(first.err, /There is no depot .* yet/)
  t.notOk(existsSync(join(stage.folder, 'depot')), 'no depot was made')

  stage.putBase('m1')
  await stage.import()
  const known = await explain(messageText({ fields: ['Message-Id: <m1@sender.example>'] }))
  t.match(known, { code: 0, err: '', out: /it was put into the queue A at 2015-06-01T10:00:00\.000Z/ })
  const other = messageText({ fields: ['Message-Id: <m2@sender.example>'] })
  t.match(await explain(other), { out: /It would be put into the queue A\./ })
  t.match(await explain(other), { out: /It would be put into the queue A\./ }, 'as often as it is asked')
  t.match(await explain(messageText({ without: ['From'] })), { out: /dropped: Message has no From header\./ })
  t.equal((await stage.entries('A')).length, 1)

  stage.configure('[queue:A]\nfilters = to_hostname: example.net ;headers=envelope\n')
  t.match(await explain(other), { out: /Message matches no queue/ })
  const enveloped = await explain(other, '--envelope-to', 'x@example.net', '--envelope-from', '', '--json')
  t.match(JSON.parse(enveloped.out), {
    outcome: 'queued',
    queue: 'A',
    facts: { recipients: ['x@example.net'], autoResponse: ['null_sender'] },
  })
})

t.test('import --dry-run says what would become of each message, and changes nothing', async (t) => {
  const stage = makeStage(t)
  stage.putBase('1')
  stage.put('2:2,S', messageText({ fields: ['To: x@q.org'] }), { place: 'cur' })
  symlinkSync('nowhere', join(stage.maildir, 'new/3'))
  const before = stage.files()
  const { code, out } = await stage.run(['import', '--dry-run'])
  t.equal(code, 65)
  const lines = out.split('\n')
  t.equal(lines[0], 'new/1: It would be put into the queue A.')
  t.equal(lines[1], 'cur/2:2,S: It would be dropped: Message matches no queue.')
  t.match(lines[2], /^new\/3: It cannot be processed: .*not a regular file$/)
  t.same(stage.files(), before)
  t.notOk(existsSync(join(stage.folder, 'depot')))
  const json = await stage.run(['import', '--dry-run', '--json'])
  const data = json.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object)
  t.match(data, [
    { file: 'new/1', outcome: 'queued', queue: 'A' },
    { outcome: 'dropped', reason: 'no-queue' },
    { outcome: 'failed' },
  ])
})

t.test('log lines are one line each, whatever a message contains', async (t) => {
  const stage = makeStage(t)
  const subject = 'Subject: a\x1b[2J\n b\xe9\r\n Processed 7 messages.'
  stage.put('1', messageText({ fields: [subject] }))
  const plain = await stage.run(['-v'])
  t.match(plain.err, /Subject: a\?\[2J.* b\?.*Processed 7 messages\. Message-Id: <m1@sender\.example>\n/)
  t.equal(plain.err.split('\n').length, 4)
  stage.put('2', messageText({ fields: [subject, 'Message-Id: <2@s>'] }))
  const json = await stage.run(['-v', '--json'])
  t.notMatch(json.err, /[^ -~\n]/)
  const events = json.err
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; file?: string })
  t.match(events, [
    { event: 'queued', file: '2', level: 'info', messageId: '<2@s>' },
    { event: 'processed', processed: 1 },
  ])
  t.match(JSON.parse(json.out), { processed: 1, queued: { A: 1 } })
})

t.test('progress: a line each second, on long imports only', async (t) => {
  const stage = makeStage(t)
  for (let index = 0; index < 350; index++) stage.putBase(String(1000 + index))
  let nowMs = importClockMs
  // Each message takes 5 ms of this clock.
  const { err } = await stage.run(['import', '--progress'], { now: () => (nowMs += 2.5) })
  const lines = err.trim().split('\n')
  t.ok(lines.length >= 1 && lines.length < 10, `${lines.length} lines`)
  t.same(
    lines.filter((line) => !/^\d+ of 350 messages, \d+\/s$/.test(line)),
    [],
  )
  stage.putBase('one')
  t.equal((await stage.run(['import', '--progress'])).err, '')
})

t.test('while another import works on the Maildir, nothing is done', async (t) => {
  const stage = makeStage(t)
  stage.putBase('1')
  const lock = takeImportLock(stage.maildir)
  t.match(await stage.run(), { code: 0, err: `Another import (process ${process.pid}) works on` })
  if ('release' in lock) lock.release()
  t.same(stage.files(), ['new/1'])
  t.match(await stage.import(), { processed: 1 })
})

t.test('import --watch: mail as it comes, until it is asked to end', async (t) => {
  const stage = makeStage(t)
  stage.putBase('1')
  // Only the system's word can be what makes it look again.
  const args = ['-C', stage.ini, '-v', '--json', '--watch', '--poll', '3600']
  const child = spawn(process.execPath, [...nodeOptions(), program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  let [out, err] = ['', '']
  child.stdout.on('data', (piece: Buffer) => (out += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => (err += piece.toString()))
  for (const name of ['1', '2', '3']) {
    if (name !== '1') stage.putBase(name)
    await until(`message ${name}`, () => err.includes(`<${name}@sender.example>`))
  }
  const isGone = once(child, 'close')
  child.kill('SIGTERM')
  await isGone
  t.equal(child.exitCode, 0)
  t.match(JSON.parse(out), { processed: 3, queued: { A: 3 } })
  t.equal((await stage.entries('A')).length, 3)
  t.ok(
    stage.files().every((path) => path.startsWith('.')),
    'all are in the archive, and the lock is gone',
  )
})

t.test('import --watch: what is refused for now is tried again', async (t) => {
  const stage = makeStage(t)
  await stage.import()
  rmSync(join(stage.folder, 'depot/messages'), { recursive: true })
  writeFileSync(join(stage.folder, 'depot/messages'), 'in the way')
  stage.put('1', messageText({ body: 'y'.repeat(70_000) }))
  const ending = new AbortController()
  let heard = ''
  const onErr = (text: string): void => void (heard += text)
  const running = stage.run(['import', '--watch', '--poll', '1'], { signal: ending.signal, onErr })
  await until('the refusal', () => heard.includes('ERROR postoffice Tried again later: the disk did not take a write'))
  rmSync(join(stage.folder, 'depot/messages'))
  mkdirSync(join(stage.folder, 'depot/messages'))
  await until('the message in the archive', () => stage.files().some((path) => path.startsWith('.2015')))
  ending.abort()
  t.match(await running, { code: 0 })
  t.equal((await stage.entries('A')).length, 1)
})
