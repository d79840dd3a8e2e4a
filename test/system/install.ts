/**
 * Installs the package as an administrator would: packed, installed from the tarball, with a Node that Courier's user may
 * run. What is tested is what is published.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { mustRun, plainEnv, runProgram, type ProgramResult } from './program.ts'

/** The installed program. */
export interface Installation {
  /** Everything of it is below. */
  readonly top: string
  readonly nodePath: string
  readonly configDirectory: string
  readonly filterDirectory: string
  readonly stateDirectory: string
  /** Runs `nodefilter ARGS`. */
  run(args: readonly string[], limitMs?: number): Promise<ProgramResult>
}

const repository = join(import.meta.dirname, '../..')

/**
 * Packs and installs. The folders for configuration and filters are there and empty, the one for the state is not there.
 * Shape: with NODEFILTER_SYSTEM_REUSE=1 in the environment the package of the last run is used again.
 */
export async function installPackage(top = '/opt/nodefilter-test'): Promise<Installation> {
  const app = join(top, 'app')
  const nodePath = join(top, 'bin/node')
  const program = join(app, 'node_modules/nodefilter/dist/host/main.js')
  mkdirSync(dirname(nodePath), { recursive: true })
  if (!sameFile(process.execPath, nodePath)) copyFileSync(process.execPath, nodePath)
  chmodSync(nodePath, 0o755)

  if (process.env['NODEFILTER_SYSTEM_REUSE'] !== '1' || !existsSync(program)) {
    rmSync(app, { recursive: true, force: true })
    mkdirSync(app)
    // npm wants a home for its cache, and runs the build with the Node that runs this.
    const env = { ...plainEnv, ...npmEnvironment(), PATH: `${dirname(process.execPath)}:${plainEnv.PATH}` }
    const limitMs = 120_000
    await mustRun('npm', ['pack', '--silent', '--pack-destination', app], { cwd: repository, env, limitMs })
    const tarball = readdirSync(app).find((name) => name.endsWith('.tgz'))
    if (tarball === undefined) throw new Error('npm pack made no tarball')
    writeFileSync(join(app, 'package.json'), '{ "private": true }\n')
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']
    await mustRun('npm', ['install', ...options, `./${tarball}`], { cwd: app, env, limitMs })
  }

  const folders = { configDirectory: join(top, 'etc'), filterDirectory: join(top, 'filters') }
  for (const folder of Object.values(folders)) {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder)
  }
  const stateDirectory = join(top, 'state')
  rmSync(stateDirectory, { recursive: true, force: true })
  return {
    top,
    nodePath,
    ...folders,
    stateDirectory,
    run: (args, limitMs) => runProgram(nodePath, [program, ...args], limitMs === undefined ? {} : { limitMs }),
  }
}

/** What npm needs to find its registry and its cache. */
export function npmEnvironment(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter(
    (name) => name === 'HOME' || /^(npm_config_|https?_proxy$|no_proxy$)/i.test(name),
  )
  return Object.fromEntries(names.map((name) => [name, process.env[name]]))
}

function sameFile(from: string, to: string): boolean {
  if (!existsSync(to)) return false
  const [source, copy] = [statSync(from), statSync(to)]
  return source.size === copy.size && source.mtimeMs <= copy.mtimeMs
}
