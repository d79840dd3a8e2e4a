/**
 * A setting, declared once as plain data: its type, default, bounds and text. From this one value come the check, the
 * TypeScript type, the documentation and `nodefilter check`'s messages, for the host's settings and for every filter's.
 *
 * Pure: no clock, socket, file or logger.
 */

/** A value after the check: durations in ms, sizes in octets, lists as arrays of words, tables as plain objects. */
export type SettingValue = string | number | boolean | readonly string[] | SettingTable | null

/** What a `table` holds: keys as an administrator chose them, the empty one included. It has no prototype. */
export type SettingTable = Readonly<Record<string, string | readonly string[]>>

interface Declared<Type extends string, Value> {
  readonly type: Type
  /** Written as an administrator would write it, so that documentation and check use one form; `null`: not set. */
  readonly default: Value
  /** One sentence for the manual. */
  readonly text: string
  /** Names that it had in earlier releases, of pythonfilter too: still read, with a warning. */
  readonly was?: readonly string[]
}

/** The declaration of one setting. */
export type SettingSchema =
  /**
   * `500ms`, `30s`, `5m`, `24h`, `7d`; the value is in milliseconds. `unit` says what a bare number means in modules.conf,
   * where pythonfilter's settings have one; without it a bare number is refused there as everywhere else.
   */
  | (Declared<'duration', string | null> & {
      readonly min?: string
      readonly max?: string
      readonly unit?: 's' | 'm' | 'h' | 'd'
    })
  /** `512`, `64KiB`, `10MiB`, `2GiB`; the value is in octets. */
  | (Declared<'size', string | null> & { readonly min?: string; readonly max?: string })
  /** A whole number. */
  | (Declared<'count', number | null> & { readonly min: number; readonly max: number })
  /** A number that need not be whole, `7.5`. */
  | (Declared<'number', number | null> & { readonly min: number; readonly max: number })
  /** `yes` or `no`. */
  | Declared<'switch', boolean>
  | (Declared<'choice', string> & { readonly choices: readonly string[] })
  /** `secret`: a password or the like, which is told as `(set)` and never shown; it has no default. */
  | (Declared<'text', string | null> & { readonly secret?: boolean })
  /** An absolute path. */
  | Declared<'path', string | null>
  /** Words separated by commas. */
  | Declared<'list', readonly string[]>
  /** Keys with a text, or a list of texts, each; can be written in modules.conf alone. */
  | (Declared<'table', SettingTable> & { readonly values: 'text' | 'list' })

/** The settings of one filter, or of one section of the host's configuration: name in snake_case -> declaration. */
export type SettingSchemas = Readonly<Record<string, SettingSchema>>
