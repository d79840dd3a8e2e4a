/**
 * R67: the package is installed from its tarball and npm's cache, without install scripts and without a network, and runs
 * in a network namespace that has nothing in it.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { converse, requestOf } from '../helpers/converse.ts'
import { makePair } from '../helpers/pair.ts'
import { until } from '../helpers/until.ts'
import { npmEnvironment } from './install.ts'
import { mustRun, plainEnv, runProgram } from './program.ts'

const repository = join(import.meta.dirname, '../..')

/** So many packages of others may come with nodefilter: those it names, and what these need. */
const maxPackages = 50

const npm = { ...plainEnv, ...npmEnvironment(), PATH: `${dirname(process.execPath)}:${plainEnv.PATH}` }
const quiet = ['--ignore-scripts', '--no-audit', '--no-fund']
const limitMs = 180_000

/** In a namespace of its own, in which not even the loopback device is up. */
const alone = (file: string, args: readonly string[]): [string, string[]] => ['unshare', ['--net', '--', file, ...args]]

const canUnshare = process.getuid?.() === 0 && (await runProgram(...alone('/bin/true', []))).status === 0
if (canUnshare) suite()
else t.plan(0, 'network namespaces can be made by root alone')

function suite(): void {
  t.setTimeout(400_000)
  const root = mkdtempSync(join(tmpdir(), 'nf-offline-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const [first, second] = [join(root, 'first'), join(root, 'second')]
  const program = join(second, 'node_modules/nodefilter/dist/host/main.js')

  t.test('R67 in a namespace of its own a process reaches nobody (control)', async (t) => {
    const source =
      "require('net').connect(53, '192.0.2.1').on('error', (e) => { console.log(e.code); process.exit(9) })"
    const { status, output } = await runProgram(...alone(process.execPath, ['-e', source]))
    t.equal(status, 9, output)
    t.match(output, /ENETUNREACH|EHOSTUNREACH/)
  })

  t.test('R67 the package installs offline, from its tarball and the cache, without scripts', async (t) => {
    mkdirSync(first)
    await mustRun('npm', ['pack', '--silent', '--pack-destination', root], { cwd: repository, env: npm, limitMs })
    const tarball = readdirSync(root).find((name) => name.endsWith('.tgz')) ?? 'none'
    writeFileSync(join(first, 'package.json'), '{ "private": true }\n')
    await mustRun('npm', ['install', ...quiet, '--prefer-offline', `../${tarball}`], { cwd: first, env: npm, limitMs })

    for (const [folder, caching, wanted] of [
      ['third', ['--cache', join(root, 'empty')], 'fails'],
      ['second', [], 'works'],
    ] as const) {
      const into = join(root, folder)
      mkdirSync(into)
      for (const name of ['package.json', 'package-lock.json'])
        writeFileSync(join(into, name), readFileSync(join(first, name)))
      const args = ['ci', ...quiet, ...caching, '--offline']
      const { status, output } = await runProgram(...alone('npm', args), { cwd: into, env: npm, limitMs })
      t.equal(status === 0 ? 'works' : 'fails', wanted, `npm ci --offline in ${folder}: ${output.slice(-500)}`)
    }
    t.ok(existsSync(program), 'the program is there')
  })

  t.test(`R67 it brings at most ${maxPackages} packages of others, none that needs an install script`, (t) => {
    const installed = installedPackages(join(second, 'node_modules')).filter(({ name }) => name !== 'nodefilter')
    const names = installed.map(({ name }) => name)
    t.ok(names.length > 0 && names.length <= maxPackages, `${names.length}: ${names.join(' ')}`)
    // These bring ready made what their scripts would build; they were installed without running them.
    const ready = ['lmdb', 'msgpackr-extract']
    for (const { name, scripts, hasBinding } of installed.filter(({ name }) => !ready.includes(name))) {
      const asked = ['preinstall', 'install', 'postinstall'].filter((script) => Object.hasOwn(scripts, script))
      t.same([...asked, ...(hasBinding ? ['binding.gyp'] : [])], [], `${name} wants nothing run`)
    }
    t.end()
  })

  t.test('R67 it filters mail where there is no network', async (t) => {
    const place = makeFolders(root)
    const args = ['run', '-c', place.config, '--state-dir', place.state]
    for (const said of [['--help'], ['filters', '-c', place.config], ['config', 'check', '-c', place.config]])
      await mustRun(...alone(process.execPath, [program, ...said]))
    const [file, words] = alone(process.execPath, [program, ...args])
    const host = spawn(file, words, { cwd: '/', env: plainEnv, stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = new Promise<number | null>((resolve) => host.once('exit', resolve))
    t.teardown(() => host.kill('SIGKILL'))
    let log = ''
    host.stderr.setEncoding('utf8').on('data', (text: string) => (log += text))
    await until('the door to open', () => log.includes(' door-opened ') || host.exitCode !== null, 30_000)
    const ask = (subject: string): Promise<string> => {
      const content = `Received: from a\n  by b\nFrom: a@example.com\nSubject: ${subject}\n\ntext\n`
      return converse(place.socket, requestOf(makePair(place.spool, { content })))
    }
    t.equal(await ask('hello'), '200 Ok\n', log)
    t.equal(await ask('net'), '550 5.7.1 ENETUNREACH\n', 'and its filters are there as well')
    host.kill('SIGTERM')
    t.equal(await ended, 0, log)
  })
}

/** Everything below a `node_modules`, nested ones too. */
function installedPackages(
  folder: string,
): { readonly name: string; readonly scripts: object; readonly hasBinding: boolean }[] {
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    /(?:^|node_modules\/)(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path),
  )
  return found.map((path) => {
    const text = readFileSync(join(folder, path), 'utf8')
    const { name = path, scripts = {} } = JSON.parse(text) as { readonly name?: string; readonly scripts?: object }
    return { name, scripts, hasBinding: existsSync(join(folder, dirname(path), 'binding.gyp')) }
  })
}

interface Folders {
  readonly config: string
  readonly state: string
  readonly spool: string
  readonly socket: string
}

function makeFolders(root: string): Folders {
  const place = mkdtempSync(join(root, 'run-'))
  const at = (name: string): string => join(place, name)
  for (const name of ['c', 'f', 'tmp', 'allfilters', 'filters']) mkdirSync(at(name))
  writeFileSync(
    at('c/nodefilter.conf'),
    `[courierfilter]\ndirectory = ${at('allfilters')}\nspool_dir = ${at('tmp')}\n[chain]\nfilter_path = ${at('f')}\n`,
  )
  writeFileSync(at('c/filters.conf'), 'noduplicates\nwhitelist_auth\ndeliveredto\nnet\n')
  writeFileSync(
    at('f/net.mjs'),
    `import { connect } from 'node:net'
import { readFileSync } from 'node:fs'
export const doFilter = (bodyPath) => new Promise((resolve) => {
  if (!/^Subject: net$/m.test(readFileSync(bodyPath, 'utf8'))) return resolve('')
  connect(53, '192.0.2.1').on('error', ({ code }) => resolve('550 5.7.1 ' + code)).on('connect', () => resolve(''))
})
`,
  )
  return { config: at('c'), state: at('s'), spool: at('tmp'), socket: at('allfilters/nodefilter') }
}
