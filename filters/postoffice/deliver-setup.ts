/** What the filter does before the first message: reads the ini file, and makes the queues. */
import { dirname } from 'node:path'
import type { FilterLog } from '../../courier-compat/index.ts'
import type { SetupStores } from '../../courier-compat/stores.ts'
import { readTextFile } from '../../courier-compat/text-file.ts'
import type { QueueSettings } from '../../queue-store/index.ts'
import { readPostOffice, type ConfiguredQueue, type Deliver, type PostofficeSettings } from './configuration.ts'
import { paceMapMs } from './deliver-pace.ts'
import { scanPostOfficeIni } from './ini.ts'
import type { PostofficeProblem } from './problem.ts'
import { forLog } from './reasons.ts'

/** The filter's own settings, from modules.conf or its line in the list. */
export interface FilterSettings {
  readonly ini: string
  /** `null`: as the ini file has it. */
  readonly deliver: Deliver | null
  readonly reject: 'refuse' | 'drop' | null
  readonly rejectScope: 'queues' | 'all'
  readonly unfit: 'pass' | 'refuse' | 'drop'
  readonly oversizeQueue: string
}

/** A post office, ready to take mail. */
export interface OpenPostOffice {
  readonly rules: Pick<PostofficeSettings, 'sorting' | 'rejectFilters'> & {
    readonly queues: readonly ConfiguredQueue[]
  }
  readonly reject: 'refuse' | 'drop'
  readonly rejectScope: 'queues' | 'all'
  readonly unfit: 'pass' | 'refuse' | 'drop'
  /** Where originals of shortened messages are kept. */
  readonly oversizeQueue: string
  /** Where it is remembered how fast senders are. */
  readonly paceMap: { readonly name: string; readonly ttlMs: number }
}

/** Warnings about an ini file that are logged; `postoffice check` shows them all. */
const mostWarnings = 20

/** Problems that are told in one error; the first has the error's place. */
const mostProblems = 4

/**
 * Opens a post office. `alias`: the filter's name in this chain.
 * Errors: Error whose stack begins with file and line of the first problem of the ini file; those of the stores.
 */
export async function openPostOffice(
  settings: FilterSettings,
  { alias, stores, log }: { readonly alias: string; readonly stores: SetupStores; readonly log: FilterLog },
): Promise<OpenPostOffice> {
  const read = readForFilter(settings)
  for (const { file, line, text } of read.warnings.slice(0, mostWarnings)) log.warn(`${file}:${line ?? 1}: ${text}`)
  if (read.warnings.length > mostWarnings) log.warn(`${read.warnings.length - mostWarnings} more warnings`)
  const { sorting, rejectFilters } = read.configuration
  const queues = read.configuration.queues.map((queue) => ({ ...queue, deliver: settings.deliver ?? queue.deliver }))
  const { oversizeQueue } = settings
  const post: OpenPostOffice = {
    rules: { sorting, rejectFilters, queues },
    reject: settings.reject ?? read.configuration.reject,
    ...{ rejectScope: settings.rejectScope, unfit: settings.unfit, oversizeQueue },
    paceMap: { name: `${alias}-pace`.slice(-60), ttlMs: sorting.loopFrequency > 0 ? paceMapMs(sorting) : 1 },
  }
  await makeQueues(post, stores, log)
  return post
}

/** Without a word of the ini file, a message without an id gets one: what came by SMTP is not lost for that. */
function readForFilter({ ini }: FilterSettings) {
  let text = ''
  const read = readPostOffice(ini, {
    // What a relative path meant where an old installation was started is for `postoffice check` to tell.
    currentDirectory: dirname(ini),
    readFile: (path, maxOctets) => {
      const found = readTextFile(path, maxOctets)
      if (path === ini) text = found
      return found
    },
  })
  if (read.configuration === null) throw iniError(read.problems)
  const main = scanPostOfficeIni(text).sections.find(({ name }) => name === 'post office')
  const isSaid = main?.options.some(({ key }) => key === 'message_id') === true
  const { configuration, warnings } = read
  if (isSaid) return { configuration, warnings }
  const sorting = { ...configuration.sorting, messageId: 'synthesize' as const }
  return { configuration: { ...configuration, sorting }, warnings }
}

function iniError(problems: readonly PostofficeProblem[]): Error {
  const [first, ...others] = problems
  const tell = ({ text, cure }: PostofficeProblem): string => (cure === null ? text : `${text}; ${cure}`)
  const rest = others.slice(0, mostProblems - 1).map((problem) => {
    const place = problem.file === first?.file ? '' : `${problem.file}, `
    return `${place}line ${problem.line ?? 1}: ${tell(problem)}`
  })
  const more = others.length - rest.length
  const texts = [first === undefined ? 'the ini file cannot be read' : tell(first), ...rest]
  const error = new Error([...texts, ...(more > 0 ? [`and ${more} more`] : [])].join('; also '))
  // The host tells a problem of configuration at the place that a stack begins with.
  error.stack = `${first?.file ?? ''}:${first?.line ?? 1}\n${String(error)}`
  return error
}

const longestRememberSeconds = 366 * 86_400

async function makeQueues(
  { rules: { sorting, queues }, oversizeQueue }: OpenPostOffice,
  stores: SetupStores,
  log: FilterLog,
): Promise<void> {
  const { duplicateWindowMs, maxMessageOctets } = sorting
  const windowSeconds = duplicateWindowMs / 1000
  if (windowSeconds > longestRememberSeconds) log.warn('duplicate_window is longer than 366 days, which are kept')
  // Keys of messages are remembered as long as somebody who comes again is a duplicate. Without a window only a second
  // delivery of the same message is known, for a day as anywhere.
  const remember = windowSeconds === 0 ? {} : { rememberSeconds: Math.min(windowSeconds, longestRememberSeconds) }
  const before = new Set(await stores.queues())
  const make = async (name: string, settings: Partial<QueueSettings>): Promise<void> => {
    await stores.makeQueue(name, settings)
    if (!before.has(name)) log.info(`Created queue ${forLog(name)}`)
  }
  for (const { name, order, maxDeliveries } of queues) {
    const rest = { ...remember, ...(maxDeliveries === null ? {} : { maxDeliveries }) }
    try {
      await make(name, order === null ? rest : { ...rest, order })
    } catch (error) {
      if (order === null || !isNotEmpty(error)) throw error
      await make(name, rest)
      log.warn(`Queue ${forLog(name)} keeps its order: it is changed only while the queue is empty`)
    }
  }
  if (maxMessageOctets === null) return
  if (queues.some(({ name }) => name === oversizeQueue)) {
    throw new Error(`oversize_queue: "${oversizeQueue}" is a queue of the ini file; name another one`)
  }
  await make(oversizeQueue, remember)
}

function isNotEmpty(error: unknown): boolean {
  return (error as { readonly code?: unknown } | null)?.code === 'QUEUE_NOT_EMPTY'
}
