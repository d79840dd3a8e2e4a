/** The message reader over a corpus of real, purpose-made and hostile messages, against labels that others made. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fromOf } from '../../courier-compat/addresses.ts'
import { fieldsNamed } from '../../courier-compat/header/section.ts'
import { countEncodedWords, decodedValue } from '../../courier-compat/message/encoded-words.ts'
import type { FindingKind } from '../../courier-compat/message/findings.ts'
import { repeatedSingletons } from '../../courier-compat/message/header-checks.ts'
import { readMessage, readMessageBytes } from '../../courier-compat/message/reader.ts'
import type { MessageReading } from '../../courier-compat/message/reading.ts'

const corpus = join(import.meta.dirname, '../../../shared/corpus/mime/train')
const skip = existsSync(corpus) ? false : `no mail corpus in ${corpus}`

interface Label {
  readonly props: {
    readonly crlf: number
    readonly bare_lf: number
    readonly bare_cr: number
    readonly nul: number
    readonly eight_bit: boolean
    readonly eight_bit_header: boolean
    readonly valid_utf8: boolean
    readonly longest_line: number
    readonly header_bytes: number
    readonly header_fields: number
    readonly duplicate_singletons: readonly string[]
    readonly encoded_words: number
  }
  /** A value is missing, or no value, where the parsers did not agree. */
  readonly ref: {
    readonly leaf_parts?: { readonly value?: unknown }
    readonly attachment_names?: { readonly value?: unknown }
    readonly subject?: { readonly value?: unknown }
    readonly from_domain?: { readonly value?: unknown }
    readonly max_depth?: unknown
  }
  readonly category: string
  readonly parsers_disagree: boolean
  readonly own?: { readonly ambiguous?: boolean }
}

const labels: [string, Label][] = skip
  ? []
  : Object.entries(JSON.parse(readFileSync(join(corpus, 'labels.json'), 'utf8')) as Record<string, Label>)

const readings = new Map<string, MessageReading>()
const reading = (file: string): MessageReading => {
  const found = readings.get(file)
  if (found === undefined) throw new Error(`${file} was not read`)
  return found
}

const namesOf = ({ leaves }: MessageReading): string[] =>
  leaves.flatMap(({ fileName }) => (fileName === null ? [] : [fileName])).sort()

const subjectOf = ({ header }: MessageReading): string | null => {
  const [field] = fieldsNamed(header, 'subject')
  return field === undefined ? null : decodedValue(field).text
}

const fromDomainOf = ({ header }: MessageReading): string | null => {
  const author = fromOf(header)
  return author.ok ? author.mailbox.address.domain : null
}

const depthOf = ({ parts }: MessageReading): number =>
  parts.reduce((deepest, { path }) => Math.max(deepest, path === '' ? 0 : path.split('.').length), 0)

const kindsOf = ({ findings }: MessageReading, weight: 'ambiguous' | null = null): Set<FindingKind> =>
  new Set(findings.filter((found) => weight === null || found.weight === weight).map(({ kind }) => kind))

t.test('every message is read, and fast', { skip }, async (t) => {
  t.ok(labels.length > 600, 'the corpus is there')
  const beforeOctets = process.memoryUsage.rss()
  for (const [file] of labels) {
    const began = performance.now()
    readings.set(file, await readMessage(join(corpus, file)))
    const tookMs = performance.now() - began
    if (tookMs > 2000) t.fail(`${file} took ${tookMs} ms`)
  }
  t.equal(readings.size, labels.length)
  // All readings are kept here, none of the messages.
  const grownMiB = (process.memoryUsage.rss() - beforeOctets) / 1024 ** 2
  t.ok(grownMiB < 150, `memory grew by ${grownMiB.toFixed(0)} MiB`)
})

t.test('facts are exact', { skip }, async (t) => {
  for (const [file, { props }] of labels) {
    const read = reading(file)
    const facts = await read.facts()
    const { header } = read
    const octets = Buffer.concat(header.lines.map(({ raw }) => raw))
    t.strictSame(
      {
        crlf: facts.crlf,
        bare_lf: facts.bareLf,
        bare_cr: facts.bareCr,
        nul: facts.nul,
        eight_bit: facts.hasEightBit,
        eight_bit_header: facts.hasEightBitHeader,
        valid_utf8: facts.isUtf8,
        longest_line: facts.longestLine,
        header_bytes: facts.firstEmptyLine ?? facts.octets,
        header_fields: header.fields.length,
        duplicate_singletons: repeatedSingletons(header),
        encoded_words: countEncodedWords(octets),
      },
      { ...props, duplicate_singletons: [...props.duplicate_singletons].sort() },
      file,
    )
  }
})

t.test('what independent parsers agree on', { skip }, (t) => {
  const measures: { name: string; of: (read: MessageReading) => unknown; ref: (ref: Label['ref']) => unknown }[] = [
    { name: 'leaf_parts', of: (read) => read.leaves.length, ref: (ref) => ref.leaf_parts?.value },
    {
      name: 'attachment_names',
      of: namesOf,
      ref: ({ attachment_names: names }) =>
        Array.isArray(names?.value) ? (names.value as string[]).toSorted() : undefined,
    },
    { name: 'subject', of: subjectOf, ref: (ref) => ref.subject?.value },
    { name: 'from_domain', of: fromDomainOf, ref: (ref) => ref.from_domain?.value },
  ]
  for (const { name, of, ref } of measures) {
    const wanted = labels.filter(([, label]) => isValue(ref(label.ref)))
    const missed = wanted.filter(
      ([file, label]) => JSON.stringify(of(reading(file))) !== JSON.stringify(ref(label.ref)),
    )
    for (const [file, label] of missed)
      t.comment(`${name} ${file}: ${JSON.stringify([of(reading(file)), ref(label.ref)])}`)
    const percent = (100 * (wanted.length - missed.length)) / wanted.length
    t.ok(percent >= 98, `${name}: ${percent.toFixed(1)} % of ${wanted.length} as the parsers have it`)
  }
  t.end()
})

function isValue(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'string' || Array.isArray(value)
}

t.test('nesting as one of the parsers counts it', { skip }, (t) => {
  // That parser takes messages apart which have a transfer encoding, and references to external bodies: 2 % of the corpus.
  const wanted = labels.filter(([, { ref }]) => typeof ref.max_depth === 'number')
  const missed = wanted.filter(([file, { ref }]) => depthOf(reading(file)) !== ref.max_depth)
  const percent = (100 * (wanted.length - missed.length)) / wanted.length
  t.ok(percent >= 96, `${percent.toFixed(1)} % of ${wanted.length}`)
  t.end()
})

/** Mail as people and mail servers send it. The others were collected, or made, since they are hard to read, or are attacks. */
const plainMail = new Set(['ham', 'bounce', 'bounce-malformed', 'dkim'])

t.test('ambiguity', { skip }, (t) => {
  for (const [file, { own }] of labels)
    if (own?.ambiguous === true) t.ok(reading(file).isAmbiguous, `${file} is flagged`)

  const alike = labels.filter(([, { own, parsers_disagree: isApart }]) => !isApart && own?.ambiguous !== true)
  // Two Content-Types, two From and a bare CR are to be flagged wherever they stand; the labels count them for themselves.
  const isPlain = ({ props }: Label): boolean => props.duplicate_singletons.length + props.bare_cr + props.nul === 0
  const flagged = (messages: typeof labels, name: string): number => {
    const found = messages.filter(([file]) => reading(file).isAmbiguous || reading(file).isOverLimit)
    for (const [file] of found) t.comment(`${name} ${file}: ${[...kindsOf(reading(file), 'ambiguous')].join(' ')}`)
    const percent = (100 * found.length) / messages.length
    t.comment(`${name}: ${percent.toFixed(1)} % of ${messages.length}`)
    return percent
  }
  const plain = alike.filter(([, label]) => plainMail.has(label.category) && isPlain(label))
  t.ok(plain.length > 100 && flagged(plain, 'plain mail') < 1, 'false alarms on plain mail')
  // Of the collections some are odd in what those parsers do not look at: the author, the text, the encoding.
  const collected = alike.filter(([file, label]) => file.startsWith('mail/') && isPlain(label))
  t.ok(flagged(collected, 'collected') < 9, 'alarms on collections')

  // Where parsers differ on the parts or their names, there is something to be told.
  const apart = labels.filter(([, label]) => label.parsers_disagree)
  const silent = apart.filter(([file]) => reading(file).findings.length === 0)
  for (const [file] of silent) t.comment(`nothing is told of ${file}`)
  t.ok(silent.length / apart.length < 0.06, `nothing is told of ${silent.length} of ${apart.length}`)
  t.end()
})

const toLf = (text: string): string => text.replaceAll('\r\n', '\n')
const toCrlf = (text: string): string => toLf(text).replaceAll('\n', '\r\n')

t.test('the same from copies with LF and with CRLF', { skip }, async (t) => {
  // A bare CR would become a line end, or part of one.
  for (const [file] of labels.filter(([, { props }]) => props.bare_cr === 0)) {
    const text = readFileSync(join(corpus, file), 'latin1')
    const summaries: object[] = []
    for (const copy of [toLf(text), toCrlf(text)]) {
      const read = await readMessageBytes(Buffer.from(copy, 'latin1'))
      summaries.push({
        parts: read.parts.map(({ path, kind, contentType, fileNames }) => [path, kind, contentType, ...fileNames]),
        subject: subjectOf(read),
        odd: [...kindsOf(read)].sort(),
      })
    }
    t.strictSame(summaries[0], summaries[1], file)
  }
})

t.test('what hostile messages must come to', { skip }, async (t) => {
  const rows: { file: string; name: string; kinds?: FindingKind[]; parts?: number; names?: string[] }[] = [
    { file: 'b64-garbage', name: 'garbage among base64 is told', kinds: ['bad-base64'] },
    { file: 'cte-unknown', name: 'an unknown encoding is told', kinds: ['unknown-encoding'] },
    {
      file: 'dup-content-type',
      name: 'with two types, what the multipart holds is seen',
      kinds: ['duplicate-field'],
      parts: 3,
      names: ['invoice.exe'],
    },
    { file: 'dup-from', name: 'two From are told', kinds: ['duplicate-field'] },
    { file: 'dup-subject-date', name: 'two Subject, two Date are told', kinds: ['duplicate-field'] },
    { file: 'empty', name: 'nothing at all is told', kinds: ['empty'], parts: 1 },
    { file: 'eol-bare-cr-in-body', name: 'a bare CR in the body is told', kinds: ['bare-cr'] },
    { file: 'eol-bare-cr-in-header', name: 'a bare CR in the header section is told', kinds: ['bare-cr'] },
    { file: 'eol-mixed', name: 'mixed line ends are told', kinds: ['mixed-line-ends'] },
    { file: 'ew-crlf-injection', name: 'a hidden line end is told', kinds: ['hidden-line-end'] },
    { file: 'fn-null-ext', name: 'a name with a NUL is told', kinds: ['bad-file-name'] },
    { file: 'fn-rfc2231', name: 'a name in pieces is joined', names: ['invoice.exe'] },
    { file: 'fn-traversal', name: 'a name is kept as written', names: ['../../../../etc/cron.d/owned'] },
    { file: 'leading-space-line', name: 'a blank at the very beginning is told', kinds: ['leading-blank'] },
    { file: 'mp-boundary-prefix', name: 'a line that only begins as a boundary is told', kinds: ['boundary-prefix'] },
    { file: 'mp-no-boundary-param', name: 'no boundary: a leaf, and told', kinds: ['no-boundary'], parts: 1 },
    {
      file: 'mp-no-end',
      name: 'an attachment without an end is found, and told',
      kinds: ['unterminated-multipart'],
      names: ['invoice.exe'],
    },
    {
      file: 'mp-two-boundaries',
      name: 'with two boundaries, the attachments of both are found',
      kinds: ['two-boundaries'],
      names: ['evil.exe'],
    },
    { file: 'mp-zero-length-boundary', name: 'an empty boundary is told', kinds: ['no-boundary'], parts: 1 },
    { file: 'nest-60', name: '60 levels are read', parts: 61 },
    { file: 'nest-rfc822-40', name: '40 messages in messages are read', parts: 41 },
    { file: 'no-headers', name: 'no field is told', kinds: ['no-header'], parts: 1 },
    { file: 'nul-in-body', name: 'a NUL in the body is told', kinds: ['nul'] },
    { file: 'nul-in-header', name: 'a NUL in the header section is told', kinds: ['nul'] },
    { file: 'parts-5k', name: 'more parts than allowed are told', kinds: ['limit-parts'], parts: 1000 },
    {
      file: 'rfc822-in-base64',
      name: 'an encoded message is told, and a leaf',
      kinds: ['encoded-multipart'],
      parts: 1,
    },
    { file: 'smuggle-lf-dot-lf', name: 'a dot ends nothing', parts: 1 },
    { file: 'smuggle-lf-dot-crlf', name: 'a dot before CRLF ends nothing', parts: 1 },
    { file: 'space-before-colon', name: 'a blank before the colon is told', kinds: ['space-before-colon'] },
    { file: 'utf8-bidi', name: 'a name that is turned around is told', kinds: ['bad-file-name'] },
    { file: 'zip-slip', name: 'an archive is an attachment', names: ['a.zip'] },
  ]
  for (const { file, name, kinds, parts, names } of rows) {
    const read = reading(`hostile/${file}.eml`)
    const told = kindsOf(read)
    const found = {
      missing: (kinds ?? []).filter((kind) => !told.has(kind)),
      parts: parts === undefined ? undefined : read.parts.length,
      names: names === undefined ? undefined : namesOf(read),
    }
    t.strictSame(found, { missing: [], parts, names }, name)
  }
  const payload = reading('hostile/mp-preamble-payload.eml').root
  t.ok(payload.preamble !== null && payload.epilogue !== null, 'what stands before and after the parts is reachable')
  const headers = reading('hostile/only-headers-no-eol.eml').header
  t.equal(headers.fields.at(-1)?.value, 'cut', 'a field without a line end has its value')
  t.strictSame(
    fieldsNamed(reading('hostile/eol-bare-cr-in-header.eml').header, 'x-injected'),
    [],
    'a bare CR begins no field',
  )
  const encoded = reading('hostile/rfc822-in-base64.eml')
  const nested: Buffer[] = []
  for await (const piece of encoded.content(encoded.root)) nested.push(piece as Buffer)
  t.match(Buffer.concat(nested).toString(), /^Subject: inner/m, 'what an encoded message says can be read')
})
