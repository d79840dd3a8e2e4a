/** `nodefilter courier`, on a machine made of a folder and a stand-in for Courier's programs. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { createCourierCommand } from '../../host/cli/courier.ts'
import { applyStep } from '../../host/cli/courier/apply.ts'
import { firstFiles } from '../../host/cli/courier/first-files.ts'
import { isLauncher } from '../../host/cli/courier/launcher.ts'
import { parseCourierConfig } from '../../courier-compat/config/layout.ts'
import { parseCourierVersion } from '../../courier-compat/config/version.ts'
import { findCourier, guessLayout } from '../../host/cli/courier/layout.ts'
import { nameProblem } from '../../host/cli/courier/plan.ts'
import { findObstacle, type Modes } from '../../host/cli/courier/reach.ts'
import { runCommand, type CommandResult, type CommandRunner } from '../../host/cli/courier/run-command.ts'
import { readConfiguration } from '../../host/config/read.ts'

const ok = (stdout = ''): CommandResult => ({ status: 0, stdout, stderr: '' })
const failed = (stderr: string): CommandResult => ({ status: 1, stdout: '', stderr })
const missing: CommandResult = { status: null, stdout: '', stderr: 'spawn ENOENT' }

const debianConfig = `prefix=/usr
exec_prefix=/usr
bindir=/usr/bin
sbindir=/usr/sbin
libexecdir=/usr/lib/courier
sysconfdir=/etc/courier
datadir=/usr/lib/courier
localstatedir=/var/lib/courier
mailuser=courier
mailgroup=courier
mailuid=0
mailgid=0
configure_args="'--prefix=/usr' '--with-piddir=/run/courier' 'CFLAGS=-g -O2' '--with-mailuid=0'"
`

void t.test('what courier-config prints is read line by line', (t) => {
  const values = parseCourierConfig(`${debianConfig}no separator\n=no key\nempty=\n`)
  t.equal(values.get('sbindir'), '/usr/sbin')
  t.equal(values.get('configure_args')?.startsWith("'--prefix=/usr' '--with-piddir"), true, 'split at the first =')
  t.equal(values.get('configure_args')?.includes('"'), false, 'without the double quotes')
  t.equal(values.get('empty'), '')
  t.equal(values.size, 14)
  t.end()
})

void t.test('where Courier is', async (t) => {
  const version = 'Courier 1.0.16 Copyright 1999-2018\n'
  const answer = (config: CommandResult): CommandRunner => {
    return (file) => Promise.resolve(basename(file) === 'courier' ? ok(version) : config)
  }
  const debian = await findCourier({ env: { sysconfdir: '/ignored' }, run: answer(ok(debianConfig)) })
  t.strictSame(debian, {
    prefix: '/usr',
    sbindir: '/usr/sbin',
    libexecdir: '/usr/lib/courier',
    sysconfdir: '/etc/courier',
    localstatedir: '/var/lib/courier',
    piddir: '/run/courier',
    mailUser: 'courier',
    mailGroup: 'courier',
    version: '1.0.16',
    found: true,
  })
  const source = await findCourier({ env: {}, run: answer(ok('localstatedir=/opt/courier/var\nmailuser=daemon\n')) })
  t.match(source, { piddir: '/opt/courier/var/tmp', mailUser: 'daemon', sysconfdir: '/etc/courier', found: true })
  const odd = await findCourier({ env: {}, run: answer(ok('localstatedir=relative\n')) })
  t.equal(odd.localstatedir, '/var/lib/courier', 'a relative folder is none')

  const none = await findCourier({ env: { prefix: '/usr', sysconfdir: '/srv/courier' }, run: answer(missing) })
  t.match(none, { sysconfdir: '/srv/courier', libexecdir: '/usr/lib/courier', version: null, found: false })
  const own = guessLayout({ prefix: '/usr/lib/courier' })
  t.match(own, { sysconfdir: '/usr/lib/courier/etc', libexecdir: '/usr/lib/courier/libexec', sbindir: /sbin$/ })
  t.match(guessLayout({ prefix: 'x', sysconfdir: 'y' }), { prefix: '/usr', sysconfdir: '/etc/courier' })

  let asked: readonly string[] = []
  await findCourier({
    configProgram: '/opt/bin/courier-config',
    env: { PATH: '/here:relative', prefix: '/opt', LD_PRELOAD: '/x.so' },
    run: (file, _args, { env }) => {
      asked = [file, ...Object.keys(env), env['PATH'] ?? '']
      return Promise.resolve(missing)
    },
  })
  const path = '/opt/bin:/here:/usr/bin:/bin:/usr/local/bin:/usr/lib/courier/bin'
  t.strictSame(asked, ['/opt/bin/courier-config', 'PATH', path], 'nothing of the environment but a clean PATH goes on')
  const real = await findCourier({ configProgram: '/nonexistent/courier-config', env: {}, run: runCommand })
  t.equal(real.found, false, 'a missing program is an answer, not an error')
})

void t.test('versions', (t) => {
  for (const [text, want] of [
    ['Courier 1.0.16 Copyright 1999-2018 Double Precision, Inc.\n', '1.0.16'],
    ['Courier 2.0 Copyright\n', '2.0'],
    ['Courier unknown Copyright\n', null],
    ['', null],
  ] as const) {
    t.equal(parseCourierVersion(text), want, JSON.stringify(text))
  }
  t.end()
})

void t.test('names', (t) => {
  const layout = guessLayout({})
  for (const name of ['nodefilter', 'a', 'A-1_b.c', 'x'.repeat(64)]) t.equal(nameProblem(name, layout), null, name)
  for (const name of ['', '.hidden', 'a/b', '-n', 'a b', 'x'.repeat(65), 'é']) {
    t.match(nameProblem(name, layout), /cannot name a filter/, JSON.stringify(name))
  }
  const deep = { ...layout, localstatedir: `/${'d'.repeat(90)}` }
  t.match(nameProblem('nodefilter', deep), /more than 107 octets/)
  t.end()
})

void t.test('what keeps a user from a file', (t) => {
  const who = { user: 'courier', uid: 102, gid: 105 }
  const root = (mode: number): Modes => ({ uid: 0, gid: 0, mode })
  const cases: [string, Record<string, Modes>, ReturnType<typeof findObstacle>][] = [
    ['nothing', {}, null],
    ['a parent that only root may enter', { '/a': root(0o700) }, { path: '/a', missing: 'search' }],
    ['a parent that can be read but not entered', { '/a': root(0o744) }, { path: '/a', missing: 'search' }],
    ['a file that others may not read', { '/a/b/c': root(0o750) }, { path: '/a/b/c', missing: 'read' }],
    ['a file that cannot be run', { '/a/b/c': root(0o644) }, { path: '/a/b/c', missing: 'execute' }],
    ['nothing, through the group', { '/a': { uid: 0, gid: 105, mode: 0o710 } }, null],
    [
      'the owner bits, which count for the owner',
      { '/a': { uid: 102, gid: 0, mode: 0o077 } },
      { path: '/a', missing: 'search' },
    ],
    ['the file is missing', { '/a/b/c': null }, { path: '/a/b/c', missing: 'presence' }],
    ['a parent is missing', { '/a/b': null }, { path: '/a/b', missing: 'presence' }],
  ]
  for (const [name, modes, want] of cases) {
    const modesOf = (path: string): Modes => (path in modes ? (modes[path] ?? null) : root(0o755))
    t.strictSame(findObstacle('/a/b/c', ['read', 'execute'], who, modesOf), want, name)
  }
  t.end()
})

void t.test('the files of a first configuration are sound and say no more than comments', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nodefilter-first-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  for (const { name, text } of firstFiles) writeFileSync(join(folder, name), text)
  const { problems, warnings, list } = readConfiguration({ directory: folder, sets: [] })
  t.strictSame([problems, warnings, list.entries], [[], [], []])
  for (const { name, text } of firstFiles) {
    writeFileSync(join(folder, name), text.replaceAll(/^#([a-z_]+ = )/gm, '$1'))
  }
  t.strictSame(readConfiguration({ directory: folder, sets: [] }).problems, [], 'every setting in it exists')
  t.end()
})

interface FakeMachine {
  readonly top: string
  readonly paths: Record<'launcher' | 'link' | 'socket' | 'config' | 'state' | 'enablefiltering' | 'pidFile', string>
  readonly calls: string[]
  /** Runs the command; the text of both outputs, and the exit code. */
  run(words: string, more?: { uid?: number; mailUid?: number }): Promise<{ code: number; out: string; err: string }>
  /** Every path below the top, with the contents of files. */
  tree(): string[]
}

function fakeMachine(test: Test, daemonRuns = true): FakeMachine {
  const top = mkdtempSync(join(tmpdir(), 'nodefilter-courier-'))
  test.teardown(() => rmSync(top, { recursive: true, force: true }))
  chmodSync(top, 0o755)
  const at = (path: string) => join(top, path)
  for (const folder of ['lib/filters', 'etc/filters/active', 'var/allfilters', 'run', 'srv']) {
    mkdirSync(at(folder), { recursive: true })
  }
  writeFileSync(at('etc/enablefiltering'), 'esmtp\n')
  writeFileSync(at('main.js'), '')
  if (daemonRuns) writeFileSync(at('run/courierfilter.pid'), `${process.pid}\n`)
  const paths = {
    launcher: at('lib/filters/nodefilter'),
    link: at('etc/filters/active/nodefilter'),
    socket: at('var/allfilters/nodefilter'),
    config: at('srv/nodefilter'),
    state: at('srv/state'),
    enablefiltering: at('etc/enablefiltering'),
    pidFile: at('run/courierfilter.pid'),
  }
  const calls: string[] = []

  const config = Object.entries({ sbindir: 'sbin', libexecdir: 'lib', sysconfdir: 'etc', localstatedir: 'var' })
    .map(([key, folder]) => `${key}=${at(folder)}\n`)
    .join('')
    .concat(`mailuser=mail\nconfigure_args="'--with-piddir=${at('run')}'"\n`)

  return {
    top,
    paths,
    calls,
    run: async (words, more = {}) => {
      const mailUid = more.mailUid ?? process.getuid?.() ?? 0
      const run: CommandRunner = (file, args) => {
        const name = basename(file)
        if (['filterctl', 'courierfilter'].includes(name)) calls.push([name, ...args].join(' '))
        switch (name) {
          case 'courier-config':
            return Promise.resolve(existsSync(at('no-courier')) ? missing : ok(config))
          case 'id':
            return Promise.resolve(ok(`${args[0] === '-u' ? mailUid : (process.getgid?.() ?? 0)}\n`))
          case 'filterctl':
            if (args[0] === 'start') {
              symlinkSync(at(`lib/filters/${args[1]}`), at(`etc/filters/active/${args[1]}`))
              if (daemonRuns) setTimeout(() => writeFileSync(at(`var/allfilters/${args[1]}`), ''), 20)
            } else {
              rmSync(paths.link, { force: true })
              if (daemonRuns) setTimeout(() => rmSync(paths.socket, { force: true }), 20)
            }
            return Promise.resolve(ok())
          case 'courierfilter':
            rmSync(paths.socket, { force: true })
            return Promise.resolve(ok())
          default:
            return Promise.resolve(failed('not on this machine'))
        }
      }
      const command = createCourierCommand({
        run,
        uid: () => more.uid ?? 0,
        nodePath: () => process.execPath,
        programPath: () => at('main.js'),
        configFolders: (sysconfdir) => [paths.config, join(sysconfdir, 'nodefilter')],
        stateDirectory: paths.state,
      })
      // Without courier-config the folders are guessed: this keeps the guess away from a real Courier.
      const env = { prefix: at('none') }
      let [out, err] = ['', '']
      const io = { out: (text: string) => void (out += text), err: (text: string) => void (err += text), env }
      const code = await command.run(words.split(' '), io)
      return { code, out: out.replaceAll(top, ''), err: err.replaceAll(top, '') }
    },
    tree: () =>
      readdirSync(top, { recursive: true, encoding: 'utf8' })
        .sort()
        .map((path) => (lstatSync(at(path)).isFile() ? `${path}: ${readFileSync(at(path), 'utf8')}` : path)),
  }
}

const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8)

void t.test('a dry run prints the steps, asks for no root and leaves everything as it was', async (t) => {
  const m = fakeMachine(t)
  const before = m.tree()
  const enable = await m.run('enable --dry-run', { uid: 1000 })
  t.strictSame(enable, {
    code: 0,
    err: '',
    out: `would create the folder /srv/state (mode 0700, owner mail)
would create the folder /srv/nodefilter (mode 0755)
would write /srv/nodefilter/filters.conf (mode 0644)
would write /srv/nodefilter/nodefilter.conf (mode 0644)
would write the launcher /lib/filters/nodefilter (mode 0755)
would run /sbin/filterctl start nodefilter
would wait until /var/allfilters/nodefilter is there (up to 15 s)
`,
  })
  t.strictSame([m.tree(), m.calls], [before, []])

  await m.run('enable')
  const enabled = m.tree()
  const disable = await m.run('disable --dry-run', { uid: 1000 })
  t.equal(
    disable.out,
    `would run /sbin/filterctl stop nodefilter
would wait until /var/allfilters/nodefilter is gone (up to 15 s)
would remove /lib/filters/nodefilter
`,
  )
  t.strictSame([m.tree(), m.calls], [enabled, ['filterctl start nodefilter']])
})

void t.test('enable, enable again, disable', async (t) => {
  const m = fakeMachine(t)
  const first = await m.run('enable')
  t.strictSame([first.code, first.err], [0, ''])
  t.match(first.out, /nodefilter is enabled and filters mail\.\n$/)
  t.strictSame([mode(m.paths.launcher), mode(m.paths.state), mode(m.paths.config)], ['755', '700', '755'])
  t.equal(readlinkSync(m.paths.link), m.paths.launcher)
  const text = readFileSync(m.paths.launcher, 'utf8')
  t.ok(isLauncher(text))
  t.notMatch(
    text.replace('ulimit -c 0', ''),
    / -c | --state-dir /,
    'folders that were not named are left for the host to find',
  )
  t.strictSame(readdirSync(m.paths.config).sort(), ['filters.conf', 'nodefilter.conf'])
  t.strictSame(readdirSync(join(m.top, 'lib/filters')), ['nodefilter'], 'no temporary file is left')

  writeFileSync(join(m.paths.config, 'filters.conf'), '# mine\n')
  writeFileSync(m.paths.launcher, `${text}# changed\n`)
  const again = await m.run('enable')
  t.equal(again.code, 0)
  t.match(again.out, /was enabled already.*courierfilter stop; courierfilter start/)
  t.equal(readFileSync(m.paths.launcher, 'utf8'), text, 'the launcher is refreshed')
  t.equal(readFileSync(join(m.paths.config, 'filters.conf'), 'utf8'), '# mine\n', 'the configuration is not')
  t.strictSame(m.calls, ['filterctl start nodefilter'], 'no second start, which filterctl would refuse')

  const off = await m.run('disable')
  t.strictSame([off.code, off.err], [0, ''])
  t.notOk([m.paths.launcher, m.paths.link, m.paths.socket].some(existsSync), 'launcher, link and socket are gone')
  t.ok(existsSync(m.paths.state), 'the state stays')
  t.match(await m.run('disable'), { code: 0, out: 'nodefilter is not enabled; nothing to do\n' })
})

void t.test('folders that are named go into the launcher', async (t) => {
  const m = fakeMachine(t)
  const command = await m.run(`enable --dry-run -c ${m.top}/nothing`)
  t.match(command, { code: 66, err: /there is no configuration folder \/nothing/ })
  mkdirSync(join(m.top, 'c'))
  writeFileSync(join(m.top, 'c/filters.conf'), '')
  writeFileSync(join(m.top, 'c/nodefilter.conf'), `[host]\nstate_dir = ${m.top}/other\n`)
  t.equal((await m.run(`enable --name spam -c ${m.top}/c`)).code, 0)
  t.match(readFileSync(join(m.top, 'lib/filters/spam'), 'utf8'), ` --name "$name" -c ${m.top}/c <&4`)
  t.ok(existsSync(join(m.top, 'other')), 'the state folder that the configuration names is the one created')
  t.equal((await m.run(`enable --name spam -c ${m.top}/c --state-dir ${m.top}/st`)).code, 0)
  t.match(readFileSync(join(m.top, 'lib/filters/spam'), 'utf8'), ` -c ${m.top}/c --state-dir ${m.top}/st <&4`)
})

void t.test('what is not ours stays', async (t) => {
  const m = fakeMachine(t)
  writeFileSync(m.paths.launcher, '#!/bin/sh\n# somebody else\n')
  for (const words of ['enable', 'disable', 'enable --dry-run']) {
    const before = m.tree()
    t.match(await m.run(words), { code: 73, err: /\/lib\/filters\/nodefilter was not made by nodefilter/ }, words)
    t.strictSame(m.tree(), before)
  }
  rmSync(m.paths.launcher)
  symlinkSync('/bin/true', m.paths.link)
  t.match(await m.run('enable'), { code: 73, err: /\/etc\/filters\/active\/nodefilter was not made/ })
  t.notOk(existsSync(m.paths.launcher))
})

void t.test('what is refused, and why', async (t) => {
  const cases: [string, number, RegExp, { uid?: number }?][] = [
    ['enable', 77, /only root/, { uid: 1000 }],
    ['disable', 77, /only root/, { uid: 1000 }],
    ['', 64, /say "enable", "disable" or "doctor", not ""\nUsage: /],
    ['start', 64, /not "start"\nUsage: /],
    ['enable --frobnicate', 64, /--frobnicate.*\nUsage: /s],
    ['enable now', 64, /unexpected argument "now"/],
    ['disable -c /x', 64, /go with "enable" alone/],
    ['enable --name a/b', 64, /cannot name a filter/],
  ]
  const m = fakeMachine(t)
  const before = m.tree()
  for (const [words, code, err, more] of cases) t.match(await m.run(words, more), { code, err }, `courier ${words}`)
  t.strictSame(m.tree(), before)
  t.match(await m.run('--help'), { code: 0, out: /^Usage: .*--dry-run.*Exit status/s, err: '' })
  t.match(await m.run('enable -h'), { code: 0, out: /^Usage: / })

  mkdirSync(m.paths.config)
  chmodSync(m.paths.config, 0o700)
  const shut = await m.run('enable', { mailUid: 65_533 })
  t.match(shut, { code: 78, err: /the user mail, who runs the filters, cannot use the configuration folder/ })
  t.match(shut.err, /Cure: chmod o\+/)

  writeFileSync(join(m.top, 'no-courier'), '')
  const none = { code: 69, err: /no filter folder \/none\/libexec\/filters: no courier-config answered/ }
  t.match(await m.run('enable'), none)
})

void t.test('warnings do not stop it', async (t) => {
  const m = fakeMachine(t)
  writeFileSync(m.paths.enablefiltering, 'local\nesmtp\n')
  t.match(await m.run('enable --dry-run'), { code: 0, err: /enablefiltering says "local"\. Cure: echo esmtp > / })
  rmSync(m.paths.enablefiltering)
  t.match(await m.run('enable --dry-run'), { code: 0, err: /enablefiltering is missing/ })
  writeFileSync(m.paths.enablefiltering, 'local esmtp')
  mkdirSync(m.paths.config)
  writeFileSync(join(m.paths.config, 'filters.conf'), '')
  writeFileSync(join(m.paths.config, 'nodefilter.conf'), '[host]\nstate_dri = /x\n')
  mkdirSync(m.paths.state)
  const { code, err } = await m.run('enable --dry-run', { mailUid: 65_533 })
  t.equal(code, 0)
  t.match(err, /\/srv\/state belongs to another user\. Cure: chown -R mail/)
  t.match(err, /configuration is broken.*\n {2}\/srv\/nodefilter\/nodefilter\.conf:2: /)
  t.notMatch(err, /enablefiltering/)
})

void t.test('without a running courierfilter nobody else clears up', async (t) => {
  const m = fakeMachine(t, false)
  const on = await m.run('enable')
  t.match(on, { code: 0, out: /courierfilter is not running: it starts with "courierfilter start"/ })
  writeFileSync(m.paths.socket, '')
  t.equal((await m.run('disable')).code, 0)
  t.notOk(existsSync(m.paths.socket), 'a socket without a filter would refuse all mail')
  t.notOk(existsSync(m.paths.link))
})

void t.test('a link whose launcher is gone can be disabled', async (t) => {
  const m = fakeMachine(t)
  symlinkSync(m.paths.launcher, m.paths.link)
  writeFileSync(m.paths.socket, '')
  t.equal((await m.run('disable')).code, 0)
  t.strictSame(m.calls, ['courierfilter restart'])
  t.notOk(existsSync(m.paths.link))
})

void t.test('a step that comes too late or fails says so', async (t) => {
  const m = fakeMachine(t)
  const late = { do: 'await', path: m.paths.socket, state: 'there', limitMs: 30, late: 'not yet' } as const
  t.strictSame(await applyStep(late, runCommand, {}), { problem: 'not yet', temporary: true })
  const command = { do: 'command', file: '/bin/sh', args: ['-c', 'echo why >&2; exit 3'] } as const
  const failure = await applyStep(command, runCommand, process.env)
  t.strictSame(failure, { problem: `/bin/sh -c echo why >&2; exit 3 ended with status 3: why`, temporary: false })
})
