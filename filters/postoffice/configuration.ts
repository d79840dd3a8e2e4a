/**
 * The post office's ini file, read whole and checked: what `types.ts` describes, or every fault with its line.
 *
 * Source: spec postoffice 2 and 4.
 */
import { dirname, isAbsolute, resolve } from 'node:path'
import { didYouMean } from '../../courier-compat/near-match.ts'
import { quoted } from '../../courier-compat/quoted.ts'
import { readTextFile } from '../../courier-compat/text-file.ts'
import { expressionFileLimits, parseExpressionFile } from './expression-file.ts'
import type { ReadExpressions } from './expression-file.ts'
import { readFilterList } from './filter-list.ts'
import type { FilterSources } from './filter-list.ts'
import { scanPostOfficeIni, variablesSection } from './ini.ts'
import type { IniSection } from './ini.ts'
import type { Variables } from './interpolation.ts'
import { Options, variablesOf } from './options.ts'
import { byPlace, Remarks } from './problem.ts'
import type { Place, PostofficeProblem } from './problem.ts'
import { pythonSyntaxes } from './python-syntax.ts'
import { readSorting, sortingOptions } from './sorting-options.ts'
import type { PostofficeConfiguration, QueueRules } from './types.ts'

/** A longer file is a mistake, not a configuration. */
export const maxIniOctets = 2 ** 20

const deliverChoices = ['auto', 'queue', 'both'] as const
const orders = ['strict', 'key', 'none'] as const

/** `auto`: as `queue` for recipients whose envelope address is at the queue's hosts, else as `both`. */
export type Deliver = (typeof deliverChoices)[number]

/** A queue with what its consumers and the mail server need to know. */
export interface ConfiguredQueue extends QueueRules {
  readonly deliver: Deliver
  /** `null`: as the depot has it. */
  readonly order: (typeof orders)[number] | null
  readonly maxDeliveries: number | null
}

/** The configuration, with what the filter needs beyond sorting. */
export interface PostofficeSettings extends PostofficeConfiguration {
  /** `%(here)s`, absolute. */
  readonly directory: string
  /** What a message hears that a reject filter matches. */
  readonly reject: 'refuse' | 'drop'
  readonly queues: readonly ConfiguredQueue[]
}

/** What was read. */
export interface ReadPostOffice {
  /** `null` where there is any problem. */
  readonly configuration: PostofficeSettings | null
  readonly problems: readonly PostofficeProblem[]
  readonly warnings: readonly PostofficeProblem[]
  /** The ini file and the files of expressions, those that could not be read included: what to watch for changes. */
  readonly files: readonly string[]
}

/** What the reading depends on besides the file. */
export interface ReadOptions {
  /** The text of a file. Errors: as `readTextFile`. */
  readonly readFile?: (path: string, maxOctets: number) => string
  /** Where old installations were started: a relative path that meant another file there is warned of. */
  readonly currentDirectory?: string
}

/**
 * Reads a post office's ini file.
 *
 * Shape:  relative paths are taken from the folder of the file. Files of expressions are read and compiled.
 * Errors: `problems`, all of them, in the order of files and lines. None are thrown.
 */
export function readPostOffice(path: string, options: ReadOptions = {}): ReadPostOffice {
  const file = resolve(path)
  let text
  try {
    text = (options.readFile ?? readTextFile)(file, maxIniOctets)
  } catch (error) {
    const problem = { file, line: null, column: null, text: `cannot be read: ${told(error)}`, cure: null }
    return { configuration: null, problems: [problem], warnings: [], files: [file] }
  }
  return parsePostOffice(text, file, options)
}

/** As `readPostOffice`, of text that stands, or would stand, in `file`, an absolute path. */
export function parsePostOffice(text: string, file: string, options: ReadOptions = {}): ReadPostOffice {
  return new Reading(file, options).read(text)
}

const queuePrefix = 'queue:'
const mainSection = 'post office'
const queueOptions = ['filters', 'deliver', 'order', 'max_deliveries']
const mainOptions = [
  'store',
  'store_prefix',
  'zodb_uri',
  'zodb_path',
  'maildir',
  'reject_filters',
  'reject',
  'deliver',
  'prune_queues',
  'regex_engine',
  'regex_syntax',
  'strict',
  ...sortingOptions,
]

class Reading {
  readonly #file: string
  readonly #directory: string
  readonly #currentDirectory: string
  readonly #readFile: (path: string, maxOctets: number) => string
  readonly #remarks: Remarks
  readonly #expressions = new Map<string, ReadExpressions | null>()
  readonly #files: string[]

  constructor(file: string, { readFile = readTextFile, currentDirectory = process.cwd() }: ReadOptions) {
    this.#file = file
    this.#directory = dirname(file)
    this.#currentDirectory = currentDirectory
    this.#readFile = readFile
    this.#remarks = new Remarks(file)
    this.#files = [file]
  }

  read(text: string): ReadPostOffice {
    const { sections, faults } = scanPostOfficeIni(text)
    for (const { section, key, text, cure, ...place } of faults) {
      const about = [section === null ? '' : `[${section}]`, key ?? ''].filter((part) => part !== '').join(' ')
      this.#remarks.fault(place, about === '' ? text : `${about}: ${text}`, cure)
    }
    const configuration = this.#configuration(sections)
    const { problems, warnings } = this.#remarks
    return {
      configuration: problems.length === 0 ? configuration : null,
      problems: problems.sort(byPlace),
      warnings: warnings.sort(byPlace),
      files: this.#files,
    }
  }

  #configuration(sections: readonly IniSection[]): PostofficeSettings | null {
    const defaults = sections.find(({ name }) => name === variablesSection)
    const shared = new Map([...(defaults === undefined ? [] : variablesOf(defaults)), ['here', this.#directory]])
    const main = sections.find(({ name }) => name === mainSection)
    this.#warnOfOthers(sections)
    if (main === undefined) {
      const near = sections.find(({ name }) => name?.toLowerCase().trim() === mainSection)?.name ?? null
      const cure = near === null ? 'write it above its options' : `write it so, not [${near}]`
      this.#remarks.fault({ line: null, column: null }, `there is no section [${mainSection}]`, cure)
      return null
    }
    const options = new Options(main, shared, this.#remarks)
    options.refuseOthers(mainOptions, options.switch('strict', true))
    this.#checkEngine(options)
    const syntax = options.choice('regex_syntax', pythonSyntaxes, 'python2')
    const sources: FilterSources = {
      remarks: this.#remarks,
      syntax,
      readExpressions: (written, place, kind) => this.#readExpressions(written, place, { kind, syntax }),
    }
    const deliver = options.choice('deliver', deliverChoices, 'auto')
    const rejectLines = options.lines('reject_filters')
    const queues = sections.filter(({ name }) => name?.startsWith(queuePrefix) === true)
    return {
      file: this.#file,
      directory: this.#directory,
      store: this.#store(options),
      storePrefix: this.#storePrefix(options),
      maildir: this.#maildir(options),
      pruneQueues: options.switch('prune_queues', false),
      reject: options.choice('reject', ['refuse', 'drop'], 'refuse'),
      sorting: readSorting(options, this.#remarks),
      rejectFilters: rejectLines === null ? [] : readFilterList(options.label('reject_filters'), rejectLines, sources),
      queues: queues.map((section) => this.#queue(section, shared, sources, deliver)),
    }
  }

  #queue(section: IniSection, shared: Variables, sources: FilterSources, deliver: Deliver): ConfiguredQueue {
    const options = new Options(section, shared, this.#remarks)
    const name = (section.name ?? '').slice(queuePrefix.length)
    const line = section.line
    if (name.trim() === '') this.#remarks.fault(options.place, `[${queuePrefix}] has no name`, 'write [queue:NAME]')
    else if (name !== name.trim()) {
      this.#remarks.warn(options.place, `the queue ${quoted(name)} has blanks at an end of its name`, 'take them out')
    }
    if (Buffer.byteLength(name) > 200) {
      this.#remarks.fault(options.place, 'the name of the queue is longer than 200 octets', 'give it a shorter one')
    }
    options.refuseOthers(queueOptions, true)
    const lines = options.lines('filters')
    return {
      name,
      place: { file: this.#file, line },
      filters: lines === null ? [] : readFilterList(options.label('filters'), lines, sources),
      deliver: options.choice('deliver', deliverChoices, deliver),
      order: options.has('order') ? options.choice('order', orders, 'none') : null,
      maxDeliveries: options.has('max_deliveries') ? options.wholeNumber('max_deliveries', 5, 1) : null,
    }
  }

  /** Sections that nothing reads. */
  #warnOfOthers(sections: readonly IniSection[]): void {
    for (const { name, line } of sections) {
      if (name === null || name === mainSection || name === variablesSection || name.startsWith(queuePrefix)) continue
      const cure = /^queue\b/i.test(name) ? `a queue is [${queuePrefix}NAME]` : didYouMean(name, [mainSection])
      this.#remarks.warn({ line, column: 1 }, `[${name}] is no section of a post office, and left out`, cure)
    }
  }

  #checkEngine(options: Options): void {
    if (options.choice('regex_engine', ['linear', 'backtracking'], 'linear') === 'linear') return
    const text = `${options.label('regex_engine')}: backtracking is not offered: one message could stop all others`
    const cure = 'take it out; what the linear engine refuses is told with its line'
    this.#remarks.fault(options.placeOf('regex_engine'), text, cure)
  }

  #store(options: Options): string {
    if (options.has('zodb_uri')) {
      const instead = options.has('store') ? 'take it out' : 'write store = DIRECTORY instead'
      const text = `${options.label('zodb_uri')}: there is no ZODB here, the option is left out`
      this.#remarks.warn(options.placeOf('zodb_uri'), text, instead)
    }
    return this.#path(options, 'store') ?? resolve(this.#directory, 'var/postoffice')
  }

  #storePrefix(options: Options): string {
    const [key, other] = options.has('store_prefix') ? ['store_prefix', 'zodb_path'] : ['zodb_path', 'store_prefix']
    if (options.has(other)) {
      const text = `${options.label(other)}: store_prefix says the same`
      this.#remarks.fault(options.placeOf(other), text, 'take one out')
    }
    return options.text(key)?.text ?? '/postoffice'
  }

  #maildir(options: Options): string {
    if (!options.has('maildir')) {
      const text = `[${mainSection}] has no maildir`
      this.#remarks.fault(
        options.place,
        text,
        'write maildir = DIRECTORY, where incoming mail is; it is made if missing',
      )
    }
    return this.#path(options, 'maildir') ?? this.#directory
  }

  #path(options: Options, key: string): string | null {
    const piece = options.text(key)
    return piece === null ? null : this.#resolve(options.label(key), piece.text, piece)
  }

  #resolve(label: string, written: string, place: Place): string {
    const path = resolve(this.#directory, written)
    if (isAbsolute(written)) return path
    const before = resolve(this.#currentDirectory, written)
    if (path !== before) {
      const text = `${label}: ${quoted(written)} is ${quoted(path, 200)}; repoze.postoffice started here takes ${quoted(before, 200)}`
      this.#remarks.warn(place, text, 'write %(here)s/ before it, or the whole path')
    }
    return path
  }

  /** Once for each file, whatever the number of filters that name it. */
  #readExpressions(
    written: string,
    place: Place,
    how: Parameters<typeof parseExpressionFile>[2],
  ): ReadExpressions | null {
    const path = this.#resolve('a file of expressions', written, place)
    const key = `${how.kind} ${path}`
    const earlier = this.#expressions.get(key)
    if (earlier !== undefined) return earlier
    if (!this.#files.includes(path)) this.#files.push(path)
    let read: ReadExpressions | null = null
    try {
      read = parseExpressionFile(this.#readFile(path, expressionFileLimits.octets), path, how)
      this.#remarks.problems.push(...read.problems)
      this.#remarks.warnings.push(...read.warnings)
    } catch (error) {
      this.#remarks.fault(place, `${quoted(path, 200)} cannot be read: ${told(error)}`, null)
    }
    this.#expressions.set(key, read)
    return read
  }
}

function told(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
