/** Which page of docs/api/ tells of which file of the library. */

export interface ApiPage {
  /** The page's file, without `.md`. */
  readonly name: string
  /** What is on it, for the index. */
  readonly about: string
  /** Files, folders ending in `/`, and beginnings of names ending in `-`. The first file's own comment begins the page. */
  readonly files: readonly string[]
  /** The manual that explains it, below docs/. */
  readonly manual: string
}

/** In the order of the index. */
export const apiPages: readonly ApiPage[] = [
  page('filter', 'what a filter module is, in types', 'first-filter.md', ['filter.ts']),
  page('replies', 'replies and verdicts', 'replies.md', ['reply.ts']),
  page('settings', 'a filter’s settings; the files of settings', 'first-filter.md', [
    ...['setting.ts', 'setting/', 'module-config/'],
  ]),
  page('control', 'control files: the envelope, and changes to recipients', 'control.md', [
    ...['control.ts', 'control/facts.ts', 'control/file.ts', 'control/records.ts', 'control/text.ts'],
  ]),
  page('config', 'Courier’s configuration', 'courier-config.md', ['config.ts', 'config/']),
  page('message', 'reading a message: fields, parts, text', 'message.md', [
    ...[
      'message/reader.ts',
      'message/reading.ts',
      'message/encoded-words.ts',
      'message/',
      'header/section.ts',
      'header/file.ts',
      'shared-reading.ts',
    ],
  ]),
  page('addresses', 'addresses: read or refused', 'addresses.md', ['addresses.ts', 'addresses/']),
  page('xfilter', 'editing a message', 'editing-messages.md', [
    ...['xfilter.ts', 'header/edit.ts', 'header/value.ts', 'message-edit/'],
  ]),
  page('quarantine', 'mail kept aside, and its release', 'quarantine.md', ['quarantine.ts', 'quarantine/']),
  page('sendmail', 'handing in mail', 'sendmail.md', ['sendmail.ts', 'sendmail/']),
  page('authdaemon', 'asking for an account', 'authdaemon.md', ['authdaemon.ts', 'authdaemon/']),
  page('stores', 'queues and TTL maps, as a filter of the host has them', 'stores.md', ['stores.ts']),
  page('ttldb', 'what pythonfilter’s filters remember with', 'ttldb.md', ['ttldb.ts']),
  page('testing', 'the test kit', 'testing.md', ['testing.ts', 'testing/', 'control/envelope.ts']),
  queuePage('queues', 'durable queues of messages', 'consuming.md', [
    ...['open.ts', 'depot.ts', 'depot-types.ts', 'errors.ts', 'core.ts', 'check.ts', 'salvage.ts', ''],
  ]),
  queuePage('ttl-maps', 'what is remembered for a time', 'consuming.md', ['ttl/', 'maps.ts']),
  queuePage('http', 'a depot over HTTP', 'http.md', ['http/']),
  queuePage('notices', 'bounces, notices, and how they are sent', 'notices.md', ['notices/', 'transports/']),
  queuePage('old-queue', 'repoze.postoffice’s method names', 'old-names.md', ['facade/']),
]

/**
 * The page for a file of the repository, by the longest entry that it begins with.
 * Errors: Error where there is none: a new module of the library needs a line above.
 */
export function pageFor(file: string): ApiPage {
  const matches = apiPages.flatMap((page) =>
    page.files.filter((entry) => isOf(file, entry)).map((entry) => ({ page, entry })),
  )
  const [best] = matches.sort((one, other) => other.entry.length - one.entry.length)
  if (best === undefined) throw new Error(`${file} has exported names, and no page: add it to tools/api-pages.ts`)
  return best.page
}

/** Whether an entry of a page's `files` means this file. */
export function isOf(file: string, entry: string): boolean {
  return file === entry || (/[/-]$/.test(entry) && file.startsWith(entry))
}

function page(name: string, about: string, manual: string, files: readonly string[]): ApiPage {
  return { name, about, manual: `authors/${manual}`, files: files.map((file) => `courier-compat/${file}`) }
}

function queuePage(name: string, about: string, manual: string, files: readonly string[]): ApiPage {
  return { name, about, manual: `applications/${manual}`, files: files.map((file) => `queue-store/${file}`) }
}
