/**
 * The bounds of one reading of a message: what they are where nobody says otherwise, and as settings.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec reliability 2.6; Postfix' header_size_limit, mime_nesting_limit and message_size_limit for what others bound.
 */
import type { HeaderLimits } from '../header/section.ts'
import type { SettingsOf } from '../setting/value.ts'
import type { SettingSchemas } from '../setting.ts'
import type { ReadingLimits } from './reading.ts'

/** Far beyond real mail, and still no burden: a digest has some hundred parts, a forwarded forward some ten levels. */
export const readingLimits: ReadingLimits = {
  octets: 1024 ** 3,
  headerOctets: 1024 ** 2,
  fieldOctets: 256 * 1024,
  fields: 10_000,
  lineOctets: 1024 ** 2,
  depth: 100,
  parts: 1000,
  encodedWords: 5000,
  parameters: 200,
  addresses: 5000,
  decodedOctets: 1024 ** 3,
}

/**
 * The same as settings, for whoever lets an administrator choose: `readingLimitsOf` makes limits of their values.
 * What a message has beyond one of them is not read, and the message is never taken for clean.
 */
export const messageLimitSettings = {
  max_octets: {
    type: 'size',
    default: '1GiB',
    min: '64KiB',
    max: '64GiB',
    text: 'How much of a message is read.',
  },
  max_header_octets: {
    type: 'size',
    default: '1MiB',
    min: '4KiB',
    max: '16MiB',
    text: 'The largest header section of a message or part; all of a message together may have four times as much.',
  },
  max_field_octets: {
    type: 'size',
    default: '256KiB',
    min: '1KiB',
    max: '16MiB',
    text: 'The largest header field, with all lines that continue it.',
  },
  max_fields: {
    type: 'count',
    default: 10_000,
    min: 50,
    max: 100_000,
    text: 'How many fields a header section may have; all of a message together may have four times as many.',
  },
  max_line_octets: {
    type: 'size',
    default: '1MiB',
    min: '998',
    max: '1GiB',
    text: 'The longest line, without its line end.',
  },
  max_depth: {
    type: 'count',
    default: 100,
    min: 5,
    max: 1000,
    text: 'How deep parts may be nested; a message in a message counts as well.',
  },
  max_parts: {
    type: 'count',
    default: 1000,
    min: 10,
    max: 100_000,
    text: 'How many parts a message may have, multiparts and messages in it among them.',
  },
  max_encoded_words: {
    type: 'count',
    default: 5000,
    min: 10,
    max: 100_000,
    text: 'How many encoded words of a header field are decoded.',
  },
  max_parameters: {
    type: 'count',
    default: 200,
    min: 10,
    max: 10_000,
    text: 'How many parameters of a header field are read.',
  },
  max_addresses: {
    type: 'count',
    default: 5000,
    min: 10,
    max: 100_000,
    text: 'How many addresses of a header field are read.',
  },
  max_decoded_octets: {
    type: 'size',
    default: '1GiB',
    min: '64KiB',
    max: '64GiB',
    text: 'How much of the decoded content of a part is read.',
  },
} as const satisfies SettingSchemas

/** The limits that these settings give. */
export function readingLimitsOf(settings: SettingsOf<typeof messageLimitSettings>): ReadingLimits {
  return {
    octets: settings.max_octets,
    headerOctets: settings.max_header_octets,
    fieldOctets: settings.max_field_octets,
    fields: settings.max_fields,
    lineOctets: settings.max_line_octets,
    depth: settings.max_depth,
    parts: settings.max_parts,
    encodedWords: settings.max_encoded_words,
    parameters: settings.max_parameters,
    addresses: settings.max_addresses,
    decodedOctets: settings.max_decoded_octets,
  }
}

/** The limits of one header section. */
export function headerLimitsOf(limits: ReadingLimits): HeaderLimits {
  return { sectionOctets: limits.headerOctets, fieldOctets: limits.fieldOctets, lines: limits.fields }
}
