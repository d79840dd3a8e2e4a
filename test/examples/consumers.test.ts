/** The consumers in examples/, and those in the manual for application developers, run upon a real depot. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { serveDepot } from '../../queue-store/http/index.ts'
import { openDepot, type NewEntry, type QueueSettings } from '../../queue-store/index.ts'
import { docBlocks } from '../helpers/doc-blocks.ts'
import { until } from '../helpers/until.ts'

const root = join(import.meta.dirname, '../..')
const examples = join(root, 'examples/consumers')
const preload = pathToFileURL(join(root, 'test/helpers/queue-modules.ts')).href
const main = join(root, 'filters/postoffice/cli/main.ts')
const pages = readdirSync(join(root, 'docs/applications')).map((name) => `docs/applications/${name}`)

interface Running {
  readonly child: ChildProcess
  readonly said: () => string
  readonly ended: Promise<number | string | null>
}

/** Starts a program; what it says on both streams is kept. */
function start(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd = root): Running {
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  }
  const ended = new Promise<number | string | null>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  return { child, said: () => said, ended }
}

function startNode(t: Test, ...args: readonly string[]): Running {
  const running = start(process.execPath, ['--import', preload, ...args])
  t.teardown(() => running.child.kill('SIGKILL'))
  return running
}

async function stage(t: Test, entries: readonly NewEntry[], settings: Partial<QueueSettings> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'nodefilter-consumers-'))
  const store = join(folder, 'depot')
  const depot = await openDepot(store)
  t.teardown(async () => {
    await depot.close()
    rmSync(folder, { recursive: true })
  })
  const queue = await depot.makeQueue('projects', { firstRetrySeconds: 0, ...settings })
  for (const entry of entries) await queue.add(entry)
  const isDone = async (): Promise<boolean> => {
    const { ready, delayed, leased } = await queue.counts()
    return ready + delayed + leased === 0
  }
  return { folder, store, depot, queue, isDone }
}

const message = (text: string, more: Partial<NewEntry> = {}): NewEntry => ({ message: Buffer.from(text), ...more })

t.test('the examples agree with the types', (t) => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => readFileSync(path, 'utf8')) as {
    config: { readonly compilerOptions: object }
  }
  const paths = { 'nodefilter/queue-store': ['./queue-store/index.ts'] }
  const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, paths }, root)
  const file = join(examples, 'file-messages.ts')
  const program = ts.createProgram([file], options)
  const source = program.getSourceFile(file)
  const problems = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
  t.same(
    problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
    [],
  )
  t.end()
})

t.test('file-messages.ts files each message once, and ends in order', async (t) => {
  const { folder, store, depot, queue, isDone } = await stage(t, [
    message('Subject: one\n\n'),
    message('Subject: answer\n\n', { facts: { marks: ['Auto-response'] } }),
    message(`Subject: large\n\n${'x'.repeat(200_000)}`, { facts: { marks: [] } }),
    { message: Buffer.alloc(10_000_001, 'x') },
  ])
  const { child, said, ended } = startNode(t, join(examples, 'file-messages.ts'), store, 'projects', folder)
  await until('all are done', isDone, 30_000)
  await queue.add(message('Subject: later\n\n'))
  await until('the last is done', isDone, 30_000)
  child.kill('SIGTERM')
  t.equal(await ended, 0, said())
  t.same(readdirSync(folder).sort(), ['1.eml', '3.eml', '5.eml', 'depot'])
  t.equal(readFileSync(join(folder, '3.eml')).length, 200_016)
  t.match(await queue.peek({ what: 'buried' }), [{ id: '4', reason: 'larger than 10 MB' }])

  // Where it cannot write, it tries until the queue's deliveries are used up.
  await depot.makeQueue('projects', { maxDeliveries: 2 })
  const failing = startNode(t, join(examples, 'file-messages.ts'), store, 'projects', join(folder, 'no folder'))
  await queue.add(message('Subject: x\n\n'))
  await until('it is a dead letter', async () => (await queue.counts()).dead === 1, 30_000)
  failing.child.kill('SIGTERM')
  t.equal(await failing.ended, 0)
  t.match(failing.said(), /^6: Error: ENOENT.*\n6: Error: ENOENT.*\n$/)
  t.match(await queue.peek({ what: 'dead' }), [{ id: '6', deliveries: 2, reason: /ENOENT/ }])
})

t.test('print-subjects.mjs prints, and puts aside what it cannot read', async (t) => {
  const { store, queue, isDone } = await stage(t, [
    message('Subject: one\r\nTo: a@example.com\r\n\r\nSubject: not this\r\n'),
    message('To: a@example.com\n\nSubject: in the body\n'),
    message('subject: three\n'),
  ])
  const { child, said, ended } = startNode(t, join(examples, 'print-subjects.mjs'), store, 'projects')
  await until('all are done', isDone, 30_000)
  child.kill('SIGTERM')
  t.equal(await ended, 0)
  t.equal(said(), '1: one\n3: three\n')
  t.match(await queue.peek({ what: 'buried' }), [{ id: '2', reason: 'there is no Subject' }])
})

const python = spawnSync('python3', ['--version']).status === 0
t.test('save_attachments.py', { skip: python ? false : 'python3 is not installed' }, async (t) => {
  const part = (name: string, content: string): string =>
    `--b\nContent-Type: application/octet-stream\nContent-Disposition: attachment; filename="${name}"\n` +
    `Content-Transfer-Encoding: base64\n\n${Buffer.from(content).toString('base64')}\n`
  const mixed = `Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n`
  const { folder, store, queue } = await stage(
    t,
    [message(`${mixed}${part('../../evil', 'one')}${part('b', 'two')}--b--\n`), message('Subject: none\n\nx\n')],
    { maxDeliveries: 2 },
  )
  const postoffice = { POSTOFFICE: `${process.execPath} ${main}` }
  const script = join(examples, 'save_attachments.py')
  const { ended, said } = start('python3', ['-B', script, 'projects', folder, '--store', store, '--once'], postoffice)
  t.equal(await ended, 0, said())
  t.same(readdirSync(folder).sort(), ['1-0', '1-1', 'depot'])
  t.equal(readFileSync(join(folder, '1-1'), 'utf8'), 'two')
  t.match(await queue.counts(), { ready: 0, leased: 0, dead: 0, buried: 0 })

  await queue.add(message(`${mixed}${part('a', 'x')}--b--\n`))
  const nowhere = start('python3', ['-B', script, 'projects', `${folder}/no`, '--store', store, '--once'], postoffice)
  t.equal(await nowhere.ended, 0, nowhere.said())
  t.match(await queue.peek({ what: 'dead' }), [{ id: '3', deliveries: 2, reason: /No such file/ }])
  const unknown = start('python3', ['-B', script, 'none', folder, '--store', store, '--once'], postoffice)
  t.equal(await unknown.ended, 66)
})

t.test('the loop of the manual', async (t) => {
  const envelope = { sender: 'bob@example.com', recipients: ['projects@example.org'] }
  const { folder, store, depot, queue, isDone } = await stage(t, [
    message('Subject: good\n\n', { envelope }),
    message('Subject: marked\n\n', { envelope, facts: { marks: ['Maximum Message Size Exceeded'] } }),
    message('To: a@example.com\n\n', { envelope }),
  ])
  await depot.renameQueue('projects', 'my queue')
  const page = 'docs/applications/consuming.md'
  const [loop, example] = docBlocks(root, page)
  if (loop === undefined || example === undefined) throw new Error(`${page} has lost its blocks`)
  t.ok(loop.code.includes("'/var/lib/postoffice'"))
  writeFileSync(join(folder, 'loop.ts'), loop.code.replace("'/var/lib/postoffice'", JSON.stringify(store)))
  writeFileSync(join(folder, example.info), example.code)
  const { child, said } = startNode(t, join(folder, 'loop.ts'))
  await until('all are done', isDone, 30_000)
  child.kill('SIGKILL')
  t.equal(said(), '1: 15 octets\n')
  t.match(await queue.peek({ what: 'buried' }), [{ id: '3', reason: 'Error: there is no Subject' }])
  t.match(await (await depot.queue('.outbox')).peek(), [
    { envelope: { sender: null, recipients: ['bob@example.com'] } },
  ])
})

t.test('a block of the manual with the name of an example is in it', (t) => {
  const blocks = pages.flatMap((page) => docBlocks(root, page))
  const named = blocks.filter(({ info }) => readdirSync(examples).includes(info))
  t.ok(named.length > 0)
  for (const { place, info, code } of named) t.ok(readFileSync(join(examples, info), 'utf8').includes(code), place)
  t.end()
})

/** The blocks of a page that a shell runs, as one script. */
function shellOf(page: string): string {
  const text = readFileSync(join(root, 'docs/applications', page), 'utf8')
  return ['set -e', ...[...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, code = '']) => code)].join('\n')
}

const curl = spawnSync('curl', ['--version']).status === 0
t.test('the shell of http.md', { skip: curl ? false : 'curl is not installed' }, async (t) => {
  const { folder, depot, queue } = await stage(t, [message('Subject: one\n\n')])
  const server = await serveDepot(depot, { socket: join(folder, 's') })
  t.teardown(() => server.close())
  const script = shellOf('http.md')
  t.match(script, '/run/postoffice.sock')
  const shell = script.replace('/run/postoffice.sock', join(folder, 's'))
  const { ended, said } = start('/bin/sh', ['-c', shell], {}, folder)
  t.equal(await ended, 0, said())
  t.equal(readFileSync(join(folder, 'message.eml'), 'utf8'), 'Subject: one\n\n')
  t.match(await queue.peek(), [
    { id: '2', facts: { origin: 'monthly report' }, envelope: { recipients: ['archive@example.org'] } },
  ])
  t.match(said(), /"settled":"done"/)
})

t.test('the shell of commands.md', async (t) => {
  const { folder, store, queue } = await stage(t, [message('Subject: one\n\n'), message('none'), message('three')])
  const command = join(folder, 'postoffice')
  writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`)
  chmodSync(command, 0o755)
  writeFileSync(join(folder, 'postoffice.ini'), `[post office]\nmaildir = m\nstore = ${store}\n`)
  const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}` }
  const { ended, said } = start('/bin/sh', ['-c', shellOf('commands.md')], env, folder)
  t.equal(await ended, 0, said())
  t.match(JSON.parse(readFileSync(join(folder, 'receipt.json'), 'utf8')), { id: '2', token: 2 })
  t.equal(readFileSync(join(folder, 'message.eml'), 'utf8'), 'none')
  t.same(readdirSync(join(folder, 'saved-projects')).sort(), ['2.eml', '2.json', '3.eml', '3.json'])
  t.match(await queue.counts(), { ready: 1, leased: 1 })
})
