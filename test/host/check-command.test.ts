/** `nodefilter` on the command line: help, usage errors, and `check` over message files. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { until } from '../helpers/until.ts'
import { nodeOptions } from '../helpers/node-options.ts'

const program = fileURLToPath(new URL('../../host/main.ts', import.meta.url))

/** Filters that say what they were given, so that the options can be seen to arrive. */
const filters: Readonly<Record<string, string>> = {
  'tells.mjs': `import { readFileSync } from 'node:fs'
import { getAuthUser, getRecipients, getSender, getSendersIp } from 'nodefilter/courier-compat'
export function doFilter(bodyPath, controlPaths, context) {
  const envelope = [getSender(controlPaths), getSendersIp(controlPaths), getAuthUser(controlPaths), ...getRecipients(controlPaths)]
  context.notes.set('envelope', envelope.join(' '))
  context.notes.set('message', JSON.stringify(readFileSync(bodyPath, 'latin1')))
  return ''
}`,
  'refuses.mjs': `export const doFilter = (bodyPath) => '554-5.7.1 not this\\n554 5.7.1 nor that'`,
  'throws.mjs': `export const doFilter = () => { throw new Error('as expected') }`,
  'edits.mjs': `import { appendFileSync } from 'node:fs'
export const doFilter = (bodyPath) => { appendFileSync(bodyPath, 'changed\\n'); return '' }`,
}

function setUp(dir: string, list: string, settings = ''): void {
  mkdirSync(join(dir, 'filters'))
  for (const [name, text] of Object.entries(filters)) writeFileSync(join(dir, 'filters', name), text)
  writeFileSync(join(dir, 'filters.conf'), list)
  writeFileSync(join(dir, 'nodefilter.conf'), `[chain]\nfilter_path = ${join(dir, 'filters')}\n${settings}`)
  writeFileSync(join(dir, 'crlf.eml'), 'Subject: x\r\n\r\nbare\rreturn\r\nno last line end')
}

function nodefilter(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeOptions(), program, ...args], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

t.test('help and usage', (t) => {
  const cases: { name: string; args: string[]; status: number; out?: RegExp; err?: RegExp }[] = [
    { name: '--help lists the commands', args: ['--help'], status: 0, out: /run .*\n.*check .*\n.*courier / },
    { name: 'help COMMAND is COMMAND --help', args: ['help', 'check'], status: 0, out: /usage: nodefilter check/ },
    { name: 'help of an unknown command is told', args: ['help', 'chekc'], status: 64, err: /no command "chekc"/ },
    { name: 'check --help', args: ['check', '--help'], status: 0, out: /--auth NAME/ },
    { name: 'run --help names the signals', args: ['run', '--help'], status: 0, out: /HUP reads the configuration/ },
    { name: '--version', args: ['--version'], status: 0, out: /^nodefilter [0-9]+\.[0-9]+\.[0-9]+\n$/ },
    { name: 'an unknown command is told', args: ['chekc'], status: 64, err: /no command "chekc"/ },
    { name: 'an unknown option is told', args: ['check', '--nope', 'x'], status: 64, err: /--nope/ },
    { name: 'check needs a message', args: ['check'], status: 64, err: /at least one message/ },
    { name: 'check needs an address as --ip', args: ['check', '--ip', '010.0.0.1', 'x'], status: 64, err: /not an IP/ },
    {
      name: 'check --inspect needs a port',
      args: ['check', '--inspect=here', 'x'],
      status: 64,
      err: /not \[HOST:\]PORT/,
    },
    { name: 'check takes no folder for a message', args: ['check', '/proc'], status: 66, err: /\/proc is a folder/ },
    { name: 'check needs an address in one line', args: ['check', '--from', 'a\nb', 'x'], status: 64, err: /one line/ },
    { name: 'check needs readable messages', args: ['check', '/nonexistent.eml'], status: 66, err: /nonexistent/ },
    { name: 'run knows one door', args: ['run', '--door', 'front'], status: 64, err: /no door "front"/ },
    { name: 'run refuses a name that would hide the socket', args: ['run', '--name', '.x'], status: 64, err: /name/ },
    {
      name: 'check needs a configuration folder',
      args: ['check', '-c', '/nonexistent', program],
      status: 78,
      err: /nonexistent/,
    },
  ]
  for (const { name, args, status, out = /^/, err = /^/ } of cases) {
    const result = nodefilter(...args)
    t.equal(result.status, status, name)
    t.match(result.stdout, out, `${name}: standard output`)
    t.match(result.stderr, err, `${name}: standard error`)
  }
  t.end()
})

t.test('check: envelope and message reach the filters, in the form that Courier gives them', (t) => {
  const dir = t.testdir()
  setUp(dir, 'tells\n')
  const message = join(dir, 'crlf.eml')
  const from = [
    '--from',
    'a@example.com',
    '--to',
    'b@example.org',
    '--to',
    'c@example.org',
    '--ip',
    '2001:db8::1',
    '--auth',
    'amy',
  ]
  const { status, stdout } = nodefilter('check', '-c', dir, '--json', ...from, message)
  t.equal(status, 0)
  const report = JSON.parse(stdout) as { verdict: string; notes: Record<string, string>; trail: { filter: string }[] }
  t.equal(report.notes['envelope'], 'a@example.com 2001:db8::1 amy b@example.org c@example.org')
  t.equal(JSON.parse(report.notes['message'] ?? ''), 'Subject: x\n\nbare\rreturn\nno last line end\n')
  t.equal(report.verdict, 'pass')
  t.match(report.trail, [{ filter: 'tells', outcome: 'pass' }])
  t.end()
})

t.test('check: verdicts, failures, and the exit code', (t) => {
  const cases = [
    {
      name: 'a refusal is a verdict',
      list: 'tells\nrefuses\n',
      status: 0,
      want: /tells refuses:reject +reject .* 554-5\.7\.1 not this \/ 554 5\.7\.1 nor that/,
    },
    {
      name: 'a failure is none',
      list: 'throws\n',
      status: 75,
      want: /throws:failed +failed \(threw\) .*throws: Error: as expected at .*throws\.mjs:1/,
    },
    {
      name: 'a failure that may pass is one',
      list: 'throws with on_error=pass\nrefuses\n',
      status: 0,
      want: /throws:failed refuses:reject/,
    },
    { name: 'a dry run refuses nothing', list: 'refuses with dry_run=yes\n', status: 0, want: /refuses:reject +pass/ },
  ]
  for (const { name, list, status, want } of cases) {
    const dir = t.testdir()
    setUp(dir, list)
    const result = nodefilter('check', '-c', dir, join(dir, 'crlf.eml'))
    t.match(result.stdout, want, name)
    t.equal(result.status, status, `${name}: exit code`)
  }
  t.end()
})

t.test('check: a broken list is told with file, line and cure, and exits 78', (t) => {
  const dir = t.testdir()
  setUp(dir, 'tells\nrefuse\n')
  const { status, stderr } = nodefilter('check', '-c', dir, join(dir, 'crlf.eml'))
  t.equal(status, 78)
  t.match(stderr, /filters\.conf:2: there is no filter "refuse"; did you mean "refuses"\?/)
  t.end()
})

t.test('check: filters work on copies', (t) => {
  const dir = t.testdir()
  setUp(dir, 'edits\ntells\n')
  const message = join(dir, 'crlf.eml')
  const before = readFileSync(message)
  const { stdout } = nodefilter('check', '-c', dir, '--json', message)
  t.match(JSON.parse(stdout), { notes: { message: /changed/ } }, 'the filter did edit')
  t.same(readFileSync(message), before)
  t.end()
})

t.test('an interrupted command leaves no folder, and no copy of a message, behind', async (t) => {
  const dir = t.testdir()
  setUp(dir, 'waits\n')
  const begun = join(dir, 'begun')
  const wait = `writeFileSync(${JSON.stringify(begun)}, ''); return new Promise((done) => setTimeout(done, 60_000))`
  const waits = (hook: string, other: string): void =>
    writeFileSync(
      join(dir, 'filters/waits.mjs'),
      `import { writeFileSync } from 'node:fs'\nexport function ${hook}() { ${wait} }\nexport ${other}\n`,
    )
  // A short one: sockets are made in it.
  const temporary = mkdtempSync(join(tmpdir(), 'nf-'))
  t.teardown(() => rmSync(temporary, { recursive: true, force: true }))
  const interrupt = async (...args: string[]): Promise<unknown> => {
    rmSync(begun, { force: true })
    const child = spawn(process.execPath, [program, ...args], {
      env: { PATH: process.env['PATH'], TMPDIR: temporary },
      stdio: 'ignore',
    })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await until('the filter to wait', () => existsSync(begun))
    t.equal(readdirSync(temporary).length, 1)
    child.kill('SIGINT')
    return ended
  }
  waits('doFilter', 'const closeFilter = () => undefined')
  t.equal(await interrupt('check', '-c', dir, join(dir, 'crlf.eml')), 75)
  waits('initFilter', 'const doFilter = () => undefined')
  t.equal(await interrupt('config', 'check', '-c', dir), 75)
  t.same(readdirSync(temporary), [])

  const env = { PATH: process.env['PATH'], TMPDIR: join(temporary, 'x'.repeat(100)) }
  for (const args of [
    ['check', '-c', dir, join(dir, 'crlf.eml')],
    ['config', 'check', '-c', dir],
  ]) {
    const { status, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', env })
    t.equal(status, 73)
    t.match(stderr, /^nodefilter c[a-z]+: no work folder can be made in .*: the path is too long .* TMPDIR\n$/)
  }
})
