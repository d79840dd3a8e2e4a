/** The tables of names in docs/from-pythonfilter.md: what pythonfilter's library called it, and what ours does. Pure. */
import type { ApiReference } from './api-reference.ts'

/** One name of pythonfilter's library. */
export interface OldName {
  readonly old: string
  /** Its spelling in pythonfilter 1.x, `null` where it was the same. */
  readonly older: string | null
  /**
   * What to write now: names that the library exports, members as `XFilter.submit`, or what is no name of the library, in
   * parentheses. `null`: not taken over.
   */
  readonly now: readonly string[] | null
  /** What is other, or why it is not taken over; `''` where nothing is. */
  readonly note: string
}

/** The names of one Python module, in the order of its documentation. */
export interface OldModule {
  readonly module: string
  readonly names: readonly OldName[]
}

const sync = 'answers at once, from the files as they are'

/** Every name that pythonfilter's documentation tells of. */
export const oldModules: readonly OldModule[] = [
  {
    module: 'the filter',
    names: [
      name(
        'do_filter(body_path, control_paths)',
        'doFilter',
        ['(`doFilter`)', 'DoFilter'],
        'may be asynchronous; a third argument, `context`',
      ),
      name('init_filter()', 'initFilter', ['(`initFilter`)', 'InitFilter'], 'gets `setup`, with the settings'),
      name(
        'sys.stderr.write(text)',
        null,
        ['(`setup.log`)', 'FilterLog'],
        'and `context.log`, whose lines carry the message’s id',
      ),
      name(
        'threading.Lock()',
        null,
        null,
        'module variables belong to one thread, which does one thing at a time up to the next `await`',
      ),
    ],
  },
  {
    module: 'courier.config',
    names: [
      name('me()', null, ['me'], `${sync}; takes a virtual host`),
      name('defaultdomain()', null, ['defaultdomain'], 'an empty file is an empty domain'),
      name('dsnfrom()', null, ['dsnfrom'], ''),
      name('esmtphelo(connection)', null, ['esmtphelo'], 'answers a promise'),
      name('locallowercase()', null, ['locallowercase'], ''),
      name('is_local(domain)', 'isLocal', ['isLocal'], 'letter case and `xn--` do not matter'),
      name('is_hosteddomain(domain)', 'isHosteddomain', ['isHosteddomain'], 'an unreadable database throws'),
      name('get_alias(address)', 'getAlias', ['getAlias'], ''),
      name('smtpaccess(ip)', null, ['smtpaccess'], 'the entry `*` counts; an unreadable database throws'),
      name('get_smtpaccess_val(key, ip)', 'getSmtpaccessVal', ['getSmtpaccessVal'], 'the same'),
      name('is_relayed(ip)', 'isRelayed', ['isRelayed'], 'the same'),
      name('is_whiteblocked(ip)', 'isWhiteblocked', ['isWhiteblocked'], 'the same'),
      name('get_block_val(ip)', 'getBlockVal', ['getBlockVal'], 'the same'),
      name('is_min_version(version)', 'isMinVersion', ['isMinVersion'], 'compares numbers: 0.10 is later than 0.9'),
      name(
        'get_module_config(name)',
        'getModuleConfig',
        ['getModuleConfig'],
        'values are read, never run; a broken file throws',
      ),
      name(
        'apply_module_config(name, namespace)',
        'applyModuleConfig',
        ['applyModuleConfig'],
        'sets the properties of an object; better: declare `settings`',
      ),
      name('sysconfdir', null, ['sysconfdir'], 'a function'),
      name(
        'prefix, exec_prefix, bindir, sbindir, libexecdir, datadir, localstatedir',
        null,
        null,
        'the library finds what it needs itself',
      ),
      name('mailuser, mailgroup, mailuid, mailgid', null, null, 'the host runs as that user; `process.getuid()` tells'),
    ],
  },
  {
    module: 'courier.control',
    names: [
      name(
        'get_lines(control_paths, key, max_lines)',
        'getLines',
        ['getLines'],
        'never more than asked for, over all files',
      ),
      name('get_sender(control_paths)', 'getSender', ['getSender', 'Envelope'], ''),
      name('get_senders_mta(control_paths)', 'getSendersMta', ['getSendersMta'], ''),
      name('get_senders_ip(control_paths)', 'getSendersIP', ['getSendersIp', 'Client'], 'the text of the address'),
      name('get_auth_user(control_paths, body_path)', 'getAuthUser', ['getAuthUser', 'Client'], ''),
      name('get_recipients(control_paths)', 'getRecipients', ['getRecipients', 'Envelope'], ''),
      name('get_recipients_data(control_paths)', 'getRecipientsData', ['getRecipientsData', 'readRecipients'], ''),
      name('get_control_data(control_paths)', 'getControlData', ['getControlData', 'readControl'], ''),
      name('add_recipient(control_paths, recipient)', 'addRecipient', ['addRecipient'], 'refuses line ends'),
      name('add_recipient_data(control_paths, recipient_data)', 'addRecipientData', ['addRecipientData'], 'the same'),
      name(
        'del_recipient(control_paths, recipient)',
        'delRecipient',
        ['delRecipient', 'changeRecipients'],
        'answers whether there was one',
      ),
      name(
        'del_recipient_data(control_paths, recipient_data)',
        'delRecipientData',
        ['delRecipientData', 'changeRecipients'],
        'the same',
      ),
    ],
  },
  {
    module: 'courier.xfilter',
    names: [
      name('XFilter(name, body_path, control_paths)', null, ['XFilter'], 'keeps every octet that is not edited'),
      name('xfilter.get_message()', 'getMessage', ['XFilter.getMessage'], 'a `Message`, see below'),
      name('xfilter.set_message(message)', 'setMessage', ['XFilter.setMessage', 'parseMessage'], ''),
      name('xfilter.get_control_data()', 'getControlData', ['XFilter.getControlData'], 'read anew at each call'),
      name('xfilter.submit()', null, ['XFilter.submit'], "a promise of `''`: `return xfilter.submit()`"),
      name('InitError', null, ['InitError'], ''),
      name('DummyXFilter', null, ['DummyXFilter'], ''),
    ],
  },
  {
    module: 'the message (email.message)',
    names: [
      name("message['Subject']", null, ['HeaderEdit.get'], '`null` without one'),
      name("message.get_all('Received')", null, ['HeaderEdit.getAll'], '`[]` without one'),
      name("message['X-Name'] = value", null, ['HeaderEdit.add'], 'as there: adds, and replaces nothing'),
      name("message.replace_header('Subject', value)", null, ['HeaderEdit.replace'], 'answers `false` without one'),
      name("del message['X-Name']", null, ['HeaderEdit.remove'], 'all of the name, or the n-th'),
      name('email.message_from_file(file)', null, ['readMessage'], 'a promise; for reading alone'),
      name('message.walk()', null, ['MessageReading.parts', 'MessageReading.leaves'], ''),
      name('part.get_content_type()', null, ['Part.contentType'], ''),
      name('part.get_filename()', null, ['Part.fileName', 'Part.fileNames'], 'decoded'),
      name(
        'part.get_payload(decode=True)',
        null,
        ['MessageReading.content', 'MessageReading.text'],
        'a stream of octets, or a text',
      ),
      name(
        'part.set_payload(text)',
        null,
        ['Message.replaceContent', 'Message.appendText'],
        'refuses what is signed, encrypted or broken',
      ),
      name('message.attach(part)', null, ['Message.attach', 'Message.wrap'], ''),
      name('email.header.decode_header(value)', null, ['decodedValue'], ''),
      name(
        'email.utils.parseaddr(value)',
        null,
        ['fromOf', 'headerAddresses', 'parseAddress'],
        'an answer or a refusal, never a guess',
      ),
    ],
  },
  {
    module: 'courier.quarantine',
    names: [
      name(
        'quarantine(body_path, control_paths, reason)',
        null,
        ['openQuarantine', 'Quarantine.keep'],
        'open it in `initFilter`; answers the reply to return',
      ),
      name(
        'release(id, address)',
        null,
        ['Quarantine.release', 'Quarantine.releaseByMail'],
        'keeps the sender of the message',
      ),
      name('purge()', null, ['Quarantine.purge'], ''),
      name(
        'pythonfilter-quarantine -release, -purge',
        null,
        ['(`nodefilter quarantine`)'],
        'a command: list, show, release, purge',
      ),
      name('dropmsg', null, ['(`nodefilter dropmsg`)'], 'a command'),
    ],
  },
  {
    module: 'courier.sendmail',
    names: [
      name(
        'sendmail(sender, recipients, lines)',
        null,
        ['sendmail'],
        "an object: `sendmail({ sender, recipients, message })`; a promise; fails where it failed; `''` is the null sender",
      ),
    ],
  },
  {
    module: 'courier.authdaemon',
    names: [
      name(
        'get_user_info(service, uid)',
        'getUserInfo',
        ['getUserInfo', 'Account'],
        'a promise, `null` for no account; by the daemon’s names in `all`',
      ),
      name(
        'TIMEOUT_SOCK, TIMEOUT_WRITE, TIMEOUT_READ',
        null,
        ['AuthdaemonOptions'],
        'settings of `[authdaemon]`, or options of `openAuthdaemon`',
      ),
    ],
  },
  {
    module: 'courier.ttldb (TtlDb)',
    names: [
      name(
        'TtlDb(name, ttl, purge_interval)',
        null,
        null,
        'the stores of nodefilter are to come; until then keep files in `setup.state`',
      ),
      name('lock(), unlock(), purge(), db[key], key in db', 'has_key', null, 'the same'),
      name('OpenError, LockError', null, null, 'the same'),
    ],
  },
]

/** Markdown: a chapter with a table for each module. Errors: Error for a name that the library does not export. */
export function oldNameTable({ linkTo }: Pick<ApiReference, 'linkTo'>): string {
  const tables = oldModules.map(({ module, names }) => {
    const rows = names.map(({ old, older, now, note }) => {
      const told = now === null ? 'not taken over' : now.map((name) => toldName(name, old, linkTo)).join(', ')
      return `| \`${old}\` | ${older === null ? '' : `\`${older}\``} | ${told} | ${note} |\n`
    })
    return `### ${module}\n\n| pythonfilter | in 1.x | nodefilter | what is other |\n|---|---|---|---|\n${rows.join('')}`
  })
  return `## The names of the library

What is linked comes from \`nodefilter/courier-compat\`; the links lead to [the reference](api/README.md).

${tables.join('\n')}`
}

function toldName(name: string, old: string, linkTo: ApiReference['linkTo']): string {
  if (name.startsWith('(')) return name.slice(1, -1)
  const link = linkTo(name)
  if (link === null)
    throw new Error(`"${old}" of pythonfilter is said to be "${name}" now, which the library does not export`)
  return `[\`${name}\`](api/${link})`
}

function name(old: string, older: string | null, now: readonly string[] | null, note: string): OldName {
  return { old, older, now, note }
}
