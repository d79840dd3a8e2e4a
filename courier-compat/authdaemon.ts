/**
 * Accounts of this machine, asked of Courier's authentication daemon.
 *
 *     const account = await getUserInfo('smtp', 'amy', { signal: context.signal })
 *     if (account === null) return reject('5.1.1', 'No such user')
 *
 * Local domains (`isLocal`) know their accounts by the local part alone, hosted ones by the whole address with the domain in
 * lower case, after `hostedDomain` has named it.
 *
 * Source: seed README.developers; spec courier 6; spec pythonfilter 3.5.
 */
import { isAbsolute } from 'node:path'
import type { Account } from './authdaemon/account.ts'
import { openAnswerCache } from './authdaemon/cache.ts'
import { AuthdaemonError } from './authdaemon/error.ts'
import { exchange } from './authdaemon/exchange.ts'
import { accountQuestion } from './authdaemon/question.ts'
import { filterSettings } from './module-config/filter-settings.ts'
import { librarySections } from './module-config/library-sections.ts'
import { ModuleConfigError } from './module-config/problem.ts'
import { moduleConfigPaths, readModuleConfig } from './module-config/read.ts'
import { quoted } from './quoted.ts'
import type { SettingsOf } from './setting/value.ts'
import { standIns } from './stand-ins.ts'

export { AuthdaemonError } from './authdaemon/error.ts'
export type { Account } from './authdaemon/account.ts'
export type { AuthdaemonPhase } from './authdaemon/error.ts'

/** What `openAuthdaemon` may be told. */
export interface AuthdaemonOptions {
  /** Default of these four: `[authdaemon]` in the settings of filters. */
  readonly socketPath?: string
  readonly connectTimeoutMs?: number
  readonly writeTimeoutMs?: number
  readonly readTimeoutMs?: number
  /** How long an account, and the knowledge that there is none, may be told again. Default 0: each question is asked. */
  readonly keepFoundMs?: number
  readonly keepUnknownMs?: number
  /** How many answers are kept. Default 1000. */
  readonly keepEntries?: number
  /** A clock that never goes back. */
  readonly nowMs?: () => number
}

/** What one question may be told. */
export interface QuestionOptions {
  /** Ends the question and rejects with the signal's reason: `context.signal`. */
  readonly signal?: AbortSignal
}

/** The daemon. It holds no connection: there is one for each question. */
export interface Authdaemon {
  /**
   * The account that a name belongs to; `null` where there is none.
   *
   * Shape:  `service` is a word for the daemon's log, `smtp` for instance.
   * Errors: RangeError for a service or name that cannot be asked for; AuthdaemonError where there is no answer, which must
   *         not be taken for "no account"; the signal's reason.
   */
  getUserInfo(service: string, uid: string, options?: QuestionOptions): Promise<Account | null>
}

/** Debian's, asked where there is no socket in the place of Courier's own default. */
export const debianSocketPath = '/run/courier/authdaemon/socket'

/**
 * Opens the way to a daemon; it need not be there yet.
 * Errors: ModuleConfigError where `[authdaemon]` is asked and its files are broken; RangeError for a time or a path that is none.
 */
export function openAuthdaemon(options: AuthdaemonOptions = {}): Authdaemon {
  const { keepFoundMs = 0, keepUnknownMs = 0, keepEntries = 1000, nowMs = () => performance.now() } = options
  const { paths, ...timeouts } = placeOf(options)
  for (const ms of [...Object.values(timeouts), keepFoundMs, keepUnknownMs, keepEntries]) {
    if (!(ms >= 0 && ms <= 2 ** 31 - 1)) throw new RangeError(`${ms} is no length of time, nor a number of entries`)
  }
  const cache = openAnswerCache<Account>(
    { foundMs: keepFoundMs, unknownMs: keepUnknownMs, entries: keepEntries },
    nowMs,
  )

  const ask = async (question: Buffer, signal: AbortSignal | null): Promise<Account | null> => {
    for (const path of paths.slice(0, -1)) {
      try {
        return await exchange(path, question, timeouts, signal)
      } catch (thrown) {
        if (!(thrown instanceof AuthdaemonError && thrown.code === 'ENOENT')) throw thrown
      }
    }
    return exchange(paths.at(-1) ?? '', question, timeouts, signal)
  }
  return {
    async getUserInfo(service, uid, { signal } = {}) {
      const question = accountQuestion(service, uid)
      signal?.throwIfAborted()
      // The daemon may answer by service, so that is a part of the question.
      const key = question.toString('latin1')
      const kept = cache.get(key)
      if (kept !== null) return kept.value
      const account = await ask(question, signal ?? null)
      cache.put(key, account)
      return account
    },
  }
}

/**
 * `getUserInfo` of this machine's daemon, as the settings of filters have it: read at the first call. Nothing is kept.
 * Errors: as those of `Authdaemon.getUserInfo`, and ModuleConfigError for broken settings.
 */
export const getUserInfo: Authdaemon['getUserInfo'] = async (service, uid, options) =>
  ofMachine().getUserInfo(service, uid, options)

let machine: { readonly of: string; readonly daemon: Authdaemon } | null = null

/** Opened again where the settings are in other files than before. */
function ofMachine(): Authdaemon {
  const of = [standIns().authdaemonSocket ?? '', ...moduleConfigPaths()].join('\0')
  if (machine?.of !== of) machine = { of, daemon: openAuthdaemon() }
  return machine.daemon
}

interface Place {
  /** The first that is there. */
  readonly paths: readonly string[]
  readonly connectMs: number
  readonly writeMs: number
  readonly readMs: number
}

function placeOf(options: AuthdaemonOptions): Place {
  const { authdaemonSocket: standIn } = standIns()
  // A test is not to depend on the machine's settings.
  if (standIn !== undefined) return { paths: [standIn], connectMs: 5000, writeMs: 5000, readMs: 5000 }
  const { socketPath, connectTimeoutMs, writeTimeoutMs, readTimeoutMs } = options
  const isComplete = [socketPath, connectTimeoutMs, writeTimeoutMs, readTimeoutMs].every((value) => value !== undefined)
  const settings = isComplete ? null : authdaemonSettings()
  const path = socketPath ?? settings?.socket_path ?? ''
  if (!isAbsolute(path)) throw new RangeError(`${quoted(path)} is no absolute path of a socket`)
  return {
    paths: path === librarySections.authdaemon.socket_path.default ? [path, debianSocketPath] : [path],
    connectMs: connectTimeoutMs ?? settings?.connect_timeout ?? 0,
    writeMs: writeTimeoutMs ?? settings?.write_timeout ?? 0,
    readMs: readTimeoutMs ?? settings?.read_timeout ?? 0,
  }
}

function authdaemonSettings(): SettingsOf<(typeof librarySections)['authdaemon']> {
  const { config, problems } = readModuleConfig(moduleConfigPaths())
  const owner = { name: 'authdaemon', alias: 'authdaemon', written: {}, file: '', line: null }
  const { values, problems: faults } = filterSettings(librarySections.authdaemon, config, owner)
  if (problems.length + faults.length > 0) throw new ModuleConfigError([...problems, ...faults])
  return values
}
