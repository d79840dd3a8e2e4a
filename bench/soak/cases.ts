/** The messages of the soak: what each says, and which answers it may have. Pure. */
import type { Random } from './random.ts'

/** One message. */
export interface SoakMessage {
  /** The word under which it is counted. */
  readonly kind: string
  readonly number: number
  readonly isGood: boolean
  readonly content: Buffer
  readonly recipients: readonly string[]
  /** The whole answer of a good message, or what each answer of a hostile one is like. */
  readonly answer: RegExp
  /** Accepted, it carries one field and one recipient more. */
  readonly isEdited: boolean
  /** So long its filters take anyway. */
  readonly waitMs: number
}

/** What a hostile message needs of the place where it is sent. */
export interface SoakPlace {
  /** A pipe that nobody writes to. */
  readonly fifo: string
  /** The argument of `sleep` by which the children of filters are known. */
  readonly childSeconds: string
}

/** A message that could not be decided may come again. */
export const isDeferred = /^451 4\.3\.[0-9] [^\n]*\n$/
const passed = /^200 Ok\n$/
const either = /^(200 Ok|451 4\.3\.[0-9] [^\n]*)\n$/

interface Kind {
  readonly kind: string
  readonly weight: number
}

const goodKinds: readonly [Kind, ...Kind[]] = [
  { kind: 'pass', weight: 40 },
  { kind: 'reject', weight: 20 },
  { kind: 'defer', weight: 5 },
  { kind: 'accept', weight: 5 },
  { kind: 'wait', weight: 10 },
  { kind: 'edit', weight: 15 },
  { kind: 'many', weight: 2 },
  { kind: 'big', weight: 1 },
]

/** Makes a message whose answer is known. */
export function goodMessage(random: Random, number: number): SoakMessage {
  const { kind } = random.weighted(goodKinds)
  const reply = (text: string): string => `X-Soak-Reply: ${JSON.stringify(text)}`
  const make = (fields: readonly string[], answer: RegExp, more: Partial<SoakMessage> = {}): SoakMessage => ({
    ...{ kind, number, isGood: true, content: content(number, fields, random.between(20, 2000)) },
    ...{ recipients: ['user@example.org'], answer, isEdited: false, waitMs: 0, ...more },
  })
  switch (kind) {
    case 'reject':
      return random.percent(30)
        ? make(
            [reply(`550-5.7.1 soak\n550 5.7.1 ${number}`)],
            new RegExp(`^550-5\\.7\\.1 soak\n550 5\\.7\\.1 ${number}\n$`),
          )
        : make([reply(`550 5.7.1 soak ${number}`)], new RegExp(`^550 5\\.7\\.1 soak ${number}\n$`))
    case 'defer':
      return make([reply(`450 4.7.1 soak ${number}`)], new RegExp(`^450 4\\.7\\.1 soak ${number}\n$`))
    case 'accept':
      return make([reply(`200 soak ${number}`)], new RegExp(`^200 soak ${number}\n$`))
    case 'wait': {
      const waitMs = random.between(1, 400)
      const fields = [`X-Soak-Wait: ${waitMs}`, reply(`550 5.7.1 soak ${number}`)]
      return make(fields, new RegExp(`^550 5\\.7\\.1 soak ${number}\n$`), { waitMs })
    }
    case 'edit':
      return make([`X-Soak-Edit: ${number}`], passed, { isEdited: true })
    case 'many':
      return make([], passed, {
        recipients: Array.from({ length: random.between(101, 350) }, (_, index) => `user${index}@example.org`),
      })
    case 'big':
      return make([], passed, { content: content(number, [], random.between(1_000_000, 20_000_000)) })
    default:
      return make([], passed)
  }
}

interface HostileKind extends Kind {
  /** Filled in from the place and by chance. */
  readonly argument?: (random: Random, place: SoakPlace) => string
  readonly answer: RegExp
}

const oneOf =
  (...words: readonly [string, ...string[]]) =>
  (random: Random): string =>
    random.pick(words)
const number =
  (least: number, most: number) =>
  (random: Random): string =>
    String(random.between(least, most))
const child = (_: Random, place: SoakPlace): string => place.childSeconds

/** What takes a thread or a runner along is rarer, so that there are always some that work. */
const hostileKinds: readonly [HostileKind, ...HostileKind[]] = [
  {
    kind: 'throw',
    weight: 8,
    argument: oneOf('error', 'undefined', 'null', 'zero', 'text', 'trap'),
    answer: isDeferred,
  },
  { kind: 'reject', weight: 8, argument: oneOf('error', 'undefined', 'null', 'zero', 'trap'), answer: isDeferred },
  {
    kind: 'garbage',
    weight: 12,
    argument: oneOf(
      ...(['number', 'object', 'text', 'code', 'null', 'true', 'symbol', 'function', 'long', 'trap'] as const),
    ),
    answer: /^(451 4\.3\.[0-9] [^\n]*|550[ -][^]*)\n$/,
  },
  { kind: 'garbage', weight: 1, argument: oneOf('mixed'), answer: isDeferred },
  // CRLF between the lines is as good as LF, or no reply at all.
  { kind: 'garbage', weight: 1, argument: oneOf('lines'), answer: /^(250-Ok\n250 Ok|451 4\.3\.[0-9] [^\n]*)\n$/ },
  { kind: 'never', weight: 2, answer: isDeferred },
  { kind: 'late', weight: 3, argument: number(1100, 2500), answer: isDeferred },
  { kind: 'spin', weight: 4, argument: number(10, 400), answer: either },
  { kind: 'loop', weight: 2, answer: isDeferred },
  { kind: 'redos', weight: 1, answer: isDeferred },
  { kind: 'exit', weight: 3, argument: number(0, 3), answer: isDeferred },
  { kind: 'abort', weight: 1, answer: isDeferred },
  { kind: 'kill', weight: 1, answer: isDeferred },
  { kind: 'heap', weight: 1, answer: isDeferred },
  { kind: 'leak', weight: 8, argument: number(10, 300), answer: either },
  { kind: 'buffers', weight: 4, argument: number(1, 8), answer: either },
  {
    kind: 'pollute',
    weight: 4,
    argument: oneOf('prototype', 'global', 'environment', 'files'),
    // Its own chain may see what it left; the messages after it may not.
    answer: /^(200 Ok|451 4\.3\.[0-9] [^\n]*|554 5\.7\.1 left behind[^\n]*)\n$/,
  },
  { kind: 'timers', weight: 3, answer: either },
  { kind: 'thrower', weight: 2, answer: either },
  { kind: 'stray', weight: 2, answer: either },
  { kind: 'print', weight: 4, argument: number(1, 4), answer: either },
  { kind: 'log', weight: 4, argument: number(100, 20_000), answer: either },
  { kind: 'child', weight: 4, argument: child, answer: either },
  { kind: 'detached', weight: 2, argument: child, answer: either },
  { kind: 'shell', weight: 1, argument: number(1, 5), answer: either },
  { kind: 'fifo', weight: 1, argument: (_, place) => place.fifo, answer: isDeferred },
  { kind: 'close', weight: 1, answer: either },
  { kind: 'edit-throw', weight: 4, answer: isDeferred },
  { kind: 'edit-kill', weight: 1, answer: isDeferred },
  { kind: 'edit-loop', weight: 1, answer: isDeferred },
]

/** The words of all hostile kinds. */
export const hostileWords: readonly string[] = [...new Set(hostileKinds.map(({ kind }) => kind))]

/** Makes a message that a filter misbehaves over; kinds in `leftOut` are not among them. */
export function hostileMessage(
  random: Random,
  number: number,
  place: SoakPlace,
  leftOut: readonly string[],
): SoakMessage {
  const [first, ...others] = hostileKinds.filter(({ kind }) => !leftOut.includes(kind))
  if (first === undefined) throw new RangeError('every hostile kind was left out')
  const { kind, argument = () => '', answer } = random.weighted([first, ...others])
  const field = `X-Soak-Hostile: ${kind} ${argument(random, place)}`.trimEnd()
  return {
    ...{ kind, number, isGood: false, content: content(number, [field], random.between(20, 2000)) },
    ...{ recipients: ['user@example.org'], answer, isEdited: false, waitMs: 0 },
  }
}

function content(number: number, fields: readonly string[], bodyOctets: number): Buffer {
  const head = [
    ...['From: <sender@example.com>', 'To: <user@example.org>', `Message-ID: <soak-${number}@example.com>`],
    ...[`Subject: soak ${number}`, ...fields, '', ''],
  ].join('\n')
  const line = 'A soak is long, wet, and not at all exciting if everything is well.\n'
  return Buffer.from(head + line.repeat(Math.ceil(bodyOctets / line.length)))
}

/** A request that is none, or that names what no mail server hands over: hung up on, or refused for now. */
export function rubbishRequest(random: Random, spool: string): Buffer {
  const noise = (octets: number): Buffer => Buffer.from(Array.from({ length: octets }, () => random.between(0, 255)))
  switch (random.between(0, 7)) {
    case 0:
      return Buffer.concat([noise(random.between(1, 2000)), Buffer.from('\n\n')])
    case 1:
      return Buffer.from('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n')
    case 2:
      return Buffer.from('/etc/passwd\n/etc/passwd\n\n')
    case 3:
      return Buffer.from(`${spool}/../../etc/passwd\n${spool}/no-such-file\n\n`)
    case 4:
      return Buffer.from('\n\n')
    case 5:
      return Buffer.from(`${'x'.repeat(random.between(300_000, 2_000_000))}\n\n`)
    case 6:
      return Buffer.from(`${spool}/D1\n\n`)
    default:
      return Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 10, 10])
  }
}
