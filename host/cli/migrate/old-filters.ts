/**
 * pythonfilter's own filters, as `nodefilter migrate` and docs/from-pythonfilter.md must know them.
 *
 * Which of them nodefilter has is not written here: that is looked up in its folder of filters.
 * Pure data. Source: spec pythonfilter 2 (filters and options of 3.x), 4.5 (names of 1.x).
 */

/** One of pythonfilter's filters. */
export interface OldFilter {
  readonly name: string
  /** Name of an option in pythonfilter 3 -> its name in 1.x, or `null` where it was always called so. */
  readonly options: Readonly<Record<string, string | null>>
  /** Whether it keeps tokens in the store that `[ttldb]` names, or messages in the quarantine. */
  readonly store: 'ttldb' | 'quarantine' | null
  /** What happens to a message that two hosts filter while both are active; `null`: nothing. */
  readonly twice: string | null
  /** What nodefilter's filter of this name does otherwise; `null`: nothing that an administrator would notice. */
  readonly changed: string | null
}

const plain = { options: {}, store: null, twice: null, changed: null } as const
const purge = { senders_purge_interval: 'sendersPurgeInterval' } as const
const ipAccess =
  'an unreadable smtpaccess.dat counted as "no entry"; it is an error, and an error of a whitelist grants nothing'

/** All 26, in the order of their names. */
export const oldFilters: readonly OldFilter[] = [
  {
    ...{ ...plain, name: 'add_signature', options: { domains: null } },
    twice: 'the signature is added twice',
  },
  { ...plain, name: 'attachments', options: { blocked_pattern: 'blockedPattern' } },
  {
    ...{ ...plain, name: 'auto_whitelist', store: 'ttldb' },
    options: { whitelist_ttl: 'whitelistTTL', whitelist_purge_interval: 'whitelistPurgeInterval' },
  },
  {
    ...{ ...plain, name: 'clamav', store: 'quarantine' },
    options: { local_socket: 'localSocket', action: null },
  },
  {
    ...{ ...plain, name: 'comeagain', store: 'ttldb', options: { senders_ttl: 'sendersTTL', ...purge } },
    twice: 'the second host takes the first one for the first attempt, where both keep the same store',
  },
  {
    ...{ ...plain, name: 'debug' },
    changed: 'the lines look otherwise, tell the envelope too, and have settings (fields, redact, ...)',
  },
  {
    ...{ ...plain, name: 'deliveredto' },
    changed:
      'it looks at every Delivered-To field, not at the first one alone; forwards and delivery notices are spared',
  },
  {
    ...{ ...plain, name: 'dialback', store: 'ttldb' },
    options: {
      ...{ senders_ttl: 'sendersTTL', ...purge },
      ...{ smtp_timeout: 'smtpTimeout', postmaster_addr: 'postmasterAddr' },
    },
  },
  {
    ...{ ...plain, name: 'greylist', store: 'ttldb' },
    options: {
      ...{ greylist_time: 'greylistTime', ...purge },
      ...{ senders_not_passed_ttl: 'sendersNotPassedTTL', senders_passed_ttl: 'sendersPassedTTL' },
    },
    twice: 'without a store in common each host makes the message wait on its own',
  },
  { ...plain, name: 'localsenders', options: { require_auth: 'requireAuth' } },
  { ...plain, name: 'log_aliases', changed: 'the line names the message id and the sender as well' },
  {
    ...{ ...plain, name: 'noduplicates' },
    changed: 'the case of a domain does not count, and the wishes for delivery notices of both are kept',
  },
  {
    ...plain,
    name: 'noreceivedheaders',
    changed: 'only the Received field that Courier has just added goes; "with redact=all" every one does, as before',
  },
  {
    ...{ ...plain, name: 'nosuccessdsn' },
    changed: 'the wish for notices of failure and of delay stays; a recipient that is not UTF-8 is not lost',
  },
  { ...plain, name: 'privateaddr', options: { private_rcpts: null } },
  { ...plain, name: 'quota' },
  {
    ...{ ...plain, name: 'ratelimit', twice: 'each host counts for itself' },
    options: { max_connections: 'maxConnections', interval: null, ...purge, limit_network: 'limitNetwork' },
  },
  {
    ...{ ...plain, name: 'ratelimitauth', twice: 'each host counts for itself' },
    options: { max_connections: 'maxConnections', interval: null, ...purge },
  },
  { ...plain, name: 'sentfolder', options: { siteid: null }, twice: 'the copy is sent twice' },
  {
    ...{ ...plain, name: 'spamassassin', twice: 'the message is scanned twice' },
    options: {
      ...{ spamc_path: 'spamcPath', max_msg_size: 'maxMsgSize' },
      ...{ username: null, reject_score: 'rejectScore' },
    },
  },
  { ...plain, name: 'spfcheck' },
  { ...plain, name: 'whitelist_auth' },
  { ...plain, name: 'whitelist_block', changed: ipAccess },
  { ...plain, name: 'whitelist_dnswl', options: { dnswl_zone: 'dnswlZone' } },
  { ...plain, name: 'whitelist_relayclients', changed: ipAccess },
  { ...plain, name: 'whitelist_spf' },
]

/** One of them by its name. */
export function oldFilter(name: string): OldFilter | null {
  return oldFilters.find((filter) => filter.name === name) ?? null
}
