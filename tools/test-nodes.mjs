// Runs `npm test` on every release line of Node that package.json allows: `npm run test:nodes [-- 22 26]`. The Nodes come
// from npm, like the pinned one, and are kept in .nodes/.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const root = join(import.meta.dirname, '..')
const lines = process.argv.length > 2 ? process.argv.slice(2) : ['22', '24', '26']
const npm = process.env['npm_execpath']

function run(command, args, options) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options })
  if (error !== undefined) process.stderr.write(`${error.message}\n`)
  return status === 0
}

const failed = lines.filter((line) => {
  const folder = join(root, '.nodes', line)
  mkdirSync(folder, { recursive: true })
  // Without it npm would install into the project above.
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "allowScripts": { "node": true } }\n')
  const install = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--silent', `node@${line}`]
  const [command, args] = npm === undefined ? ['npm', install] : [process.execPath, [npm, ...install]]
  if (!run(command, args, { cwd: folder })) return true

  const bin = join(folder, 'node_modules/.bin')
  const path = [bin, join(root, 'node_modules/.bin'), process.env['PATH']].join(delimiter)
  const env = { ...process.env, PATH: path }
  const { stdout } = spawnSync(join(bin, 'node'), ['--version'], { encoding: 'utf8' })
  process.stderr.write(`\n== Node ${stdout.trim()}\n`)
  return !run(join(bin, 'node'), [join(root, 'node_modules/tap/dist/esm/run.mjs'), '--reporter=terse'], {
    cwd: root,
    env,
  })
})
if (failed.length > 0) process.stderr.write(`failed on Node ${failed.join(', ')}\n`)
process.exitCode = failed.length > 0 ? 1 : 0
