/**
 * What an administrator's `postoffice.ini` says, as the sorting core takes it: the reader of the file makes it, checked and
 * complete, and nothing after it looks at the file again.
 *
 * Source: spec postoffice 2, 3 and 6 to 9.
 */

/** One regular expression, compiled. It runs in time linear in the text. */
export interface Expression {
  /** As the administrator wrote it. */
  readonly source: string
  /**
   * True if it matches: a header expression from the beginning of the text, a body expression anywhere in it.
   * `from`: a match begins there or after it. What stands before is only context, for `^`, `\b` and `\A`: a window of a
   * longer text brings the character before it along. Default 0.
   * `goesOn`: more text follows, so the end is no end for `$`, `\b` and `\Z`; a match that would need to know what
   * follows is left to the next window. Default false.
   * Errors: none.
   */
  test(text: string, from?: number, goesOn?: boolean): boolean
}

/** Where in a file something stands, for messages: the line counts from 1. */
export interface Place {
  readonly file: string
  readonly line: number
}

/** A host name of `to_hostname`; `domain` in lower case and as A-labels, without dots at its ends. */
export interface HostPattern {
  /** As the administrator wrote it. */
  readonly written: string
  /** `example.com` is `exact`, `.example.com` is `domain` (it and all below), `*.example.com` is `below`. */
  readonly kind: 'exact' | 'domain' | 'below'
  readonly domain: string
}

/** One line of `filters` or `reject_filters`. */
export type PostofficeFilter = HostnameFilter | ExpressionFilter

/** `to_hostname: NAME [NAME...] [;headers=...]` */
export interface HostnameFilter {
  readonly kind: 'to_hostname'
  readonly place: Place
  readonly hosts: readonly HostPattern[]
  /** Field names in lower case; `envelope` stands for the recipients of the envelope. */
  readonly headers: readonly string[]
}

/** The four that hold expressions; any one of them may match. An empty list matches nothing. */
export interface ExpressionFilter {
  readonly kind: 'header_regexp' | 'header_regexp_file' | 'body_regexp' | 'body_regexp_file'
  readonly place: Place
  readonly expressions: readonly Expression[]
  /**
   * For long lists: those of `expressions` that may match somewhere in this text, found in one pass over it; none is left
   * out that `test` finds, with any `from`. `null`: each is tried.
   */
  readonly candidates: ((text: string) => readonly Expression[]) | null
}

/** What `to_hostname` looks at without `;headers=`. */
export const defaultAddressHeaders = ['to', 'cc', 'x-original-to'] as const

/** A queue. */
export interface QueueRules {
  readonly name: string
  readonly place: Place
  /** All of them must match. Empty: nothing is ever sorted into it, programs fill it. */
  readonly filters: readonly PostofficeFilter[]
}

/** What makes a message an automatic answer; each can be left out in `auto_response`. See `auto-response.ts`. */
export const autoResponseSigns = [
  'precedence',
  'auto_submitted',
  'x_auto_response_suppress',
  'x_autoreply',
  'x_autorespond',
  'x_apple_action',
  'null_sender',
  'report',
  'subject',
] as const

export type AutoResponseSign = (typeof autoResponseSigns)[number]

/** How messages are sorted, besides the queues. */
export interface SortingSettings {
  /** `ooo_loop_frequency`: messages a minute; 0 is no check. */
  readonly loopFrequency: number
  /** `ooo_loop_headers`: in lower case, as they were listed. */
  readonly loopHeaders: readonly string[]
  /** `ooo_throttle_period`. */
  readonly throttleMs: number
  /** `max_message_size`; `null` where it is 0 or not there. A message of exactly this size is let through. */
  readonly maxMessageOctets: number | null
  /** `message_id`: a message without a Message-Id is dropped, or gets one that is made of its content. */
  readonly messageId: 'require' | 'synthesize'
  /** `duplicate_window`. 0: nothing is a duplicate. */
  readonly duplicateWindowMs: number
  /** `duplicate_digest`: a Message-Id that was seen with another body is another message. */
  readonly duplicateDigest: boolean
  /** `auto_response`. */
  readonly autoResponse: ReadonlySet<AutoResponseSign>
  /** `compat_precedence`: `Precedence: list` is marked as an automatic answer too, as the original did. */
  readonly compatPrecedence: boolean
  /** `body_scan_limit`: characters of decoded text in one part, and `body_scan_total` in one message. */
  readonly bodyScanCharacters: number
  readonly bodyScanTotalCharacters: number
}

/** What holds where a file says nothing. Sizes and times as spec postoffice 2.2, 9 and 17 have them. */
export const defaultSorting: SortingSettings = {
  loopFrequency: 0,
  loopHeaders: [],
  throttleMs: 300_000,
  maxMessageOctets: null,
  // The acceptance cases D04 and D05; an old file sorts as it always did until somebody writes `message_id = synthesize`.
  messageId: 'require',
  duplicateWindowMs: 86_400_000,
  duplicateDigest: true,
  autoResponse: new Set(autoResponseSigns),
  compatPrecedence: true,
  bodyScanCharacters: 1024 ** 2,
  bodyScanTotalCharacters: 4 * 1024 ** 2,
}

/** A whole `postoffice.ini`. */
export interface PostofficeConfiguration {
  readonly file: string
  /** Absolute: the folder of the depot. */
  readonly store: string
  /** `store_prefix`, or the `zodb_path` of old files. */
  readonly storePrefix: string
  /** Absolute. */
  readonly maildir: string
  /** `prune_queues`: a queue that is no longer configured goes when it is empty. */
  readonly pruneQueues: boolean
  readonly sorting: SortingSettings
  /** One match is enough. */
  readonly rejectFilters: readonly PostofficeFilter[]
  /** In the order of the file, which is the order in which they are tried. */
  readonly queues: readonly QueueRules[]
}
