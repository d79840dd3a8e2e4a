// Makes a fresh clone usable: installs what package-lock.json names, the pinned Node among it, and prepares the test
// runner. Does nothing where that is done already. Runs on whatever Node the machine has.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
const bin = (name) => join(modules, '.bin', name)

function run(what, command, args) {
  process.stderr.write(`setup: ${what}\n`)
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8' })
  if (result.status === 0) return
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error ? `${result.error.message}\n` : ''}`)
  process.stderr.write(`setup: ${what} failed\n`)
  process.exit(1)
}

function isNewer(file, than) {
  return existsSync(file) && existsSync(than) && statSync(file).mtimeMs >= statSync(than).mtimeMs
}

function npm(...args) {
  // Started by npm, this is the npm that was called, wherever it is installed.
  const program = process.env['npm_execpath']
  return program === undefined ? ['npm', args] : [process.execPath, [program, ...args]]
}

function pinnedNode() {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const wanted = `v${devDependencies['node']}`
  const found = spawnSync(bin('node'), ['--version'], { encoding: 'utf8' })
  return { wanted, found: found.status === 0 ? found.stdout.trim() : 'none' }
}

if (
  !isNewer(join(modules, '.package-lock.json'), join(root, 'package-lock.json')) ||
  pinnedNode().found !== pinnedNode().wanted
) {
  run('installing packages (a minute or so)', ...npm('ci', '--no-audit', '--no-fund'))
}
const { wanted, found } = pinnedNode()
if (found !== wanted) {
  process.stderr.write(
    `setup: Node ${wanted} was to be installed as the package "node", but there is ${found}.\n` +
      'Its install script is allowed in package.json ("allowScripts"); see whether npm was told to ignore scripts.\n',
  )
  process.exit(1)
}

// After each install tap still has its default plugins compiled in, TypeScript's among them.
const stamp = join(modules, '.tap-built')
if (!isNewer(stamp, join(modules, '.package-lock.json')) || !isNewer(stamp, join(root, '.taprc'))) {
  run('preparing the test runner', bin('tap'), ['build'])
  writeFileSync(stamp, '')
}
