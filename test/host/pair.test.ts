/** Pairs: real ones opened, edits to them undone, and pairs written for whoever has a message but no Courier. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { addRecipient, getRecipients, readControl, type ControlFacts } from '../../courier-compat/control.ts'
import { createRequestReader } from '../../host/doors/courierfilter/request.ts'
import { identityOf, keptOriginalPath, markEdits, undoEdits, type Pair } from '../../host/edits.ts'
import { openPair, openSpool, PairRefused, type OpenedPair } from '../../host/pair.ts'
import { systemFiles, type Files } from '../../host/platform/files.ts'
import type { SpoolEnvelope } from '../../courier-compat/control/envelope.ts'
import { writePair } from '../../host/spool.ts'
import { makePair } from '../helpers/pair.ts'

const corpus = join(import.meta.dirname, '../../../shared/corpus/courier/spool')
const missing = !existsSync(corpus) && 'the corpus of real Courier queue files is not beside this repository'

/** Where the corpus was taken from. */
const courierTmp = '/var/lib/courier/tmp'

/** What Courier asked for one sample; those from the live queue have no request. */
function requestOf(sample: string): Pair {
  const path = join(corpus, sample, 'request')
  if (!existsSync(path)) return { bodyPath: `${courierTmp}/D1`, controlPaths: [`${courierTmp}/1`] }
  const state = createRequestReader(65_536).push(readFileSync(path))
  if (state === null || 'refused' in state) throw new Error(`${sample}: the request is not one`)
  return state.pair
}

/** Puts the files of a sample where the request says, below `root`. */
function layOut(sample: string, root: string, request: Pair): void {
  const place = (path: string, from: string): void => {
    const to = join(root, path.slice(courierTmp.length))
    mkdirSync(dirname(to), { recursive: true })
    cpSync(join(corpus, sample, from), to)
  }
  place(request.bodyPath, 'data')
  for (const [index, path] of request.controlPaths.entries()) place(path, index === 0 ? 'control' : `control.${index}`)
}

/** The same facts by another way: line by line, each file for itself. */
function countPending(paths: readonly string[]): number {
  return paths
    .map((path) => {
      const lines = readFileSync(path, 'latin1').split('\n')
      const done = new Set(lines.filter((line) => /^[SF][0-9]/.test(line)).map((line) => /[0-9]+/.exec(line)?.[0]))
      return lines.filter((line) => line.startsWith('r')).length - done.size
    })
    .reduce((sum, count) => sum + count, 0)
}

t.test('pairs as Courier hands them over', { skip: missing }, (t) => {
  const root = t.testdir()
  const opened = new Map<string, OpenedPair>()
  const samples = readdirSync(corpus, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  for (const { name } of samples) {
    const folder = join(root, name)
    mkdirSync(folder)
    const request = requestOf(name)
    layOut(name, folder, request)
    // The paths of the request are Courier's own, as where its spool folder is a link.
    const spool = { ...openSpool(folder, systemFiles), given: courierTmp }
    const pair = openPair(request, spool, systemFiles)
    opened.set(name, pair)
    const files = readdirSync(join(corpus, name)).filter((file) => file.startsWith('control'))
    const id = /^M(.*)$/m.exec(readFileSync(pair.controlPaths[0] ?? '', 'latin1'))?.[1]
    t.strictSame(
      {
        files: [pair.bodyPath, ...pair.controlPaths],
        octets: pair.octets,
        mark: pair.mark,
        controls: pair.controlPaths.length,
        id: pair.facts.id,
        pending: pair.facts.recipients.length,
      },
      {
        files: [request.bodyPath, ...request.controlPaths].map((path) => path.replace(courierTmp, spool.path)),
        octets: statSync(join(corpus, name, 'data')).size,
        mark: {
          controlSizes: pair.controlPaths.map((path) => statSync(path).size),
          data: identityOf(statSync(pair.bodyPath)),
          hasVersion: false,
        },
        controls: files.length,
        id,
        pending: countPending(pair.controlPaths),
      },
      `${name}: taken, with its sizes, its id and who is to have it`,
    )
    t.strictSame(pair.facts, readControl(pair.controlPaths), `${name}: the same that a filter is told`)
    t.strictSame(pair.mark, markEdits(pair, systemFiles))
  }
  t.ok(samples.length > 40, `${samples.length} samples`)

  const noted: [sample: string, facts: Partial<Omit<ControlFacts, 'recipients'>> & { to: number | string }][] = [
    [
      'esmtp-plain',
      {
        sender: 'bob@example.com',
        clientIp: '127.0.0.2',
        authUser: null,
        source: 'smtp',
        relayClient: false,
        to: 'alice@vm.test.example',
      },
    ],
    ['esmtp-null-sender', { sender: null, clientIp: '127.0.0.2', to: 1 }],
    ['esmtp-relayclient', { authUser: null, relayClient: true, source: 'authsmtp', to: 1 }],
    ['esmtp-authenticated-system-user', { authUser: 'bob', relayClient: true, to: 1 }],
    ['esmtp-ipv6', { clientIp: '::1', to: 1 }],
    ['esmtp-invalid-utf8-sender', { sender: '(malformed utf8):b%F6b@example.com', to: 1 }],
    ['local-sendmail', { source: 'local', clientIp: '127.0.0.1', to: 1 }],
    ['local-forward', { source: 'local', clientIp: null, to: 'bob@vm.test.example' }],
    ['dsn-bounce', { sender: null, source: 'authsmtp/dsn', clientIp: null, to: 'carol@vm.test.example' }],
    ['uucp-rmail', { source: 'uucp', to: 1 }],
    ['alias-many', { to: 'alice@vm.test.example bob@vm.test.example carol@hosted.example.org' }],
    ['recipients-1200', { to: 1200 }],
    ['queue-second-attempt', { to: 'x@dead.example.org' }],
  ]
  for (const [sample, { to, ...facts }] of noted) {
    const pair = opened.get(sample)
    t.match(pair?.facts, facts, `${sample}: what is noted of it`)
    const addresses = pair?.facts.recipients.map(({ address }) => address) ?? []
    t.equal(typeof to === 'number' ? addresses.length : addresses.join(' '), to, `${sample}: recipients`)
  }
  t.equal(opened.get('recipients-1200')?.controlPaths.length, 12)

  for (const [name, change] of [
    ['a control file that is gone', (pair: Pair) => rmSync(pair.controlPaths[0] ?? '')],
    ['a data file that is gone', (pair: Pair) => rmSync(pair.bodyPath)],
    ['a data file with a second name', (pair: Pair) => linkSync(pair.bodyPath, `${pair.bodyPath}.2`)],
  ] as const) {
    const folder = join(root, name)
    mkdirSync(folder)
    const request = requestOf('esmtp-plain')
    layOut('esmtp-plain', folder, request)
    const spool = { ...openSpool(folder, systemFiles), given: courierTmp }
    change(openPair(request, spool, systemFiles))
    t.throws(() => openPair(request, spool, systemFiles), PairRefused, `${name}: refused`)
  }
  t.end()
})

t.test('edits are undone', (t) => {
  const dir = t.testdir()
  const contents = ({ bodyPath, controlPaths }: Pair): string[] =>
    [bodyPath, ...controlPaths].map((path) => readFileSync(path, 'latin1'))
  const three = { files: [['a@example.org'], ['b@example.org'], ['c@example.org']] }
  const rewrite = ({ bodyPath }: Pair, text: string): void => {
    writeFileSync(`${bodyPath}.new`, text)
    renameSync(`${bodyPath}.new`, bodyPath)
  }
  const keep = ({ bodyPath }: Pair): void => linkSync(bodyPath, keptOriginalPath(bodyPath))
  const add = ({ controlPaths }: Pair, at: number): void =>
    addRecipient(controlPaths.slice(0, at + 1), 'new@example.org')

  t.equal(keptOriginalPath('/spool/tmp/1/D7'), '/spool/tmp/1/nodefilter-D7', 'the original is kept beside the message')
  const rows: [name: string, edit: (pair: Pair) => void][] = [
    ['nothing was done', () => undefined],
    ['a recipient was added', (pair) => add(pair, 2)],
    ['one was added to each file', (pair) => pair.controlPaths.forEach((_, at) => add(pair, at))],
    ['half a record was written', (pair) => appendFileSync(pair.controlPaths[1] ?? '', 'rhalf')],
    ['much was written', (pair) => appendFileSync(pair.controlPaths[1] ?? '', 'x\n'.repeat(1e6))],
    ['the original was kept, and nothing else was done yet', keep],
    [
      'the message was rewritten',
      (pair) => {
        keep(pair)
        rewrite(pair, 'Subject: other\n\n')
      },
    ],
    [
      'it was rewritten twice',
      (pair) => {
        keep(pair)
        rewrite(pair, 'Subject: one\n\n')
        rewrite(pair, 'Subject: two\n\n')
      },
    ],
    [
      'everything was done',
      (pair) => {
        keep(pair)
        rewrite(pair, '')
        pair.controlPaths.forEach((_, at) => add(pair, at))
      },
    ],
  ]
  for (const [name, edit] of rows) {
    const pair = makePair(dir, three)
    const before = contents(pair)
    const inodes = [pair.bodyPath, ...pair.controlPaths].map((path) => statSync(path).ino)
    const names = readdirSync(dirname(pair.bodyPath))
    const mark = markEdits(pair, systemFiles)
    edit(pair)
    for (const again of ['', ', and again']) {
      undoEdits(pair, mark, systemFiles)
      t.strictSame(contents(pair), before, `${name}: as it was${again}`)
    }
    t.strictSame(
      [pair.bodyPath, ...pair.controlPaths].map((path) => statSync(path).ino),
      inodes,
      `${name}: the same files`,
    )
    t.strictSame(readdirSync(dirname(pair.bodyPath)), names, `${name}: and no others`)
    t.equal(statSync(pair.bodyPath).nlink, 1)
  }

  const pair = makePair(dir, three)
  add(pair, 0)
  const mark = markEdits(pair, systemFiles)
  add(pair, 0)
  add(pair, 1)
  undoEdits(pair, mark, systemFiles)
  t.strictSame(
    getRecipients(pair.controlPaths),
    ['a@example.org', 'new@example.org', 'b@example.org', 'c@example.org'],
    'what was done before the mark stays',
  )

  const refusals: [name: string, spoil: (path: string) => void, error: RegExp][] = [
    [
      'a control file that was cut',
      (path) => writeFileSync(path, 's\n'),
      /C[0-9]+\.2 is shorter \(2\) than when the message came in \([0-9]+\)$/,
    ],
    ['a control file that is gone', (path) => rmSync(path), /ENOENT/],
    [
      'a control file that is a link now',
      (path) => {
        renameSync(path, `${path}.x`)
        symlinkSync(`${path}.x`, path)
      },
      /ELOOP/,
    ],
  ]
  for (const [name, spoil, error] of refusals) {
    const spoilt = makePair(dir, three)
    const noted = markEdits(spoilt, systemFiles)
    keep(spoilt)
    rewrite(spoilt, 'Subject: other\n\n')
    spoil(spoilt.controlPaths[1] ?? '')
    t.throws(() => undoEdits(spoilt, noted, systemFiles), { message: error }, `${name} is somebody else's doing`)
    t.equal(readFileSync(spoilt.bodyPath, 'utf8'), 'Subject: other\n\n', `${name}: the message is left alone`)
  }

  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2), fc.uint8Array({ maxLength: 40 })), { maxLength: 6 }), (appended) => {
      const target = makePair(dir, three)
      const before = contents(target)
      const noted = markEdits(target, systemFiles)
      for (const [at, octets] of appended) appendFileSync(target.controlPaths[at] ?? '', octets)
      undoEdits(target, noted, systemFiles)
      return contents(target).join('|') === before.join('|')
    }),
    { numRuns: 40 },
  )
  t.pass('whatever was appended is gone')
  t.end()
})

/** The machine's files, giving at most `count` octets a read. */
const slowly = (count: number): Files => ({
  ...systemFiles,
  readSync: ((descriptor: number, buffer: NodeJS.ArrayBufferView, offset: number, length: number, at: null) =>
    systemFiles.readSync(descriptor, buffer, offset, Math.min(length, count), at)) as typeof systemFiles.readSync,
})

const envelope: SpoolEnvelope = {
  queueId: 'TEST.1',
  sender: 'sender@example.net',
  recipients: ['user@example.org'],
  clientIp: '192.0.2.7',
  helo: 'helo.example.net',
  authUser: null,
}

t.test('a pair is written', (t) => {
  const dir = t.testdir()
  let count = 0
  const write = (message: string | Buffer, files = systemFiles, given: Partial<SpoolEnvelope> = {}): Pair => {
    const from = join(dir, 'message')
    writeFileSync(from, message)
    return writePair(dir, `${++count}`, from, { ...envelope, ...given }, files, 1_796_126_400_999)
  }
  const asWritten = (message: string | Buffer, files = systemFiles): string =>
    readFileSync(write(message, files).bodyPath, 'latin1')

  const rows: [name: string, message: string, want: string][] = [
    ['LF stays', 'a\nb\n', 'a\nb\n'],
    ['CRLF becomes LF', 'a\r\nb\r\n', 'a\nb\n'],
    ['both in one message', 'a\r\nb\nc\r\n', 'a\nb\nc\n'],
    ['a bare CR stays', 'a\rb\r\n', 'a\rb\n'],
    ['of two CR before LF one stays', 'a\r\r\nb\n', 'a\r\nb\n'],
    ['several CR stay', '\r\r\rb\n', '\r\r\rb\n'],
    ['LF and CR the other way round', 'a\n\rb\n', 'a\n\rb\n'],
    ['an end without LF gets one', 'a\nb', 'a\nb\n'],
    ['an end with CR too', 'a\r', 'a\r\n'],
    ['an empty message stays empty', '', ''],
    ['a CR alone', '\r', '\r\n'],
    ['a CRLF alone', '\r\n', '\n'],
    ['empty lines at the end stay', 'a\r\n\r\n\r\n', 'a\n\n\n'],
    ['other octets stay', '\0\x80\xff\xe2\x80\xa8\n', '\0\x80\xff\xe2\x80\xa8\n'],
  ]
  for (const [name, message, want] of rows) {
    for (const octets of [65_536, 1, 2, 3]) {
      t.equal(asWritten(Buffer.from(message, 'latin1'), slowly(octets)), want, `${name}, ${octets} octets at a time`)
    }
  }
  for (const at of [-2, -1, 0, 1]) {
    const first = 'x'.repeat(65_536 + at)
    t.ok(
      asWritten(`${first}\r\n${first}\r${first}\r\r\n`) === `${first}\n${first}\r${first}\r\n`,
      `line ends ${at} octets beside a border`,
    )
  }
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('\r', '\n', '\r\n', 'a', 'bc', '\x80'), { maxLength: 30 }),
      fc.integer({ min: 1, max: 5 }),
      (parts, octets) => {
        const message = parts.join('')
        const lines = message.replaceAll('\r\n', '\n')
        const want = lines === '' || lines.endsWith('\n') ? lines : `${lines}\n`
        return asWritten(Buffer.from(message, 'latin1'), slowly(octets)) === want
      },
    ),
  )
  t.pass('whatever the line ends, and wherever it is cut')

  const plain = write('a\n')
  t.strictSame(
    [basename(plain.bodyPath), plain.controlPaths.map((path) => basename(path))],
    [`D${count}`, [`${count}`]],
  )
  t.equal(
    readFileSync(plain.controlPaths[0] ?? '', 'latin1'),
    [
      ...['ssender@example.net', 'fdns; helo.example.net ([192.0.2.7])', 'e', 't', 'MTEST.1'],
      ...['ruser@example.org', 'R', 'N', 'OTCPREMOTEIP=::ffff:192.0.2.7', 'usmtp'],
      ...['E1796731200', 'p1796155200', 'W1796140800', ''],
    ].join('\n'),
    'the control file has its records in the order of Courier',
  )
  const taken = openPair(plain, openSpool(dir, systemFiles), systemFiles)
  t.match(taken.facts, {
    id: 'TEST.1',
    sender: 'sender@example.net',
    clientIp: '192.0.2.7',
    source: 'smtp',
    relayClient: false,
  })

  const facts: [name: string, given: Partial<SpoolEnvelope>, want: Partial<ControlFacts>][] = [
    ['the null sender', { sender: '' }, { sender: null }],
    ['an address of IPv6', { clientIp: '2001:db8::7' }, { clientIp: '2001:db8::7' }],
    ['no client', { clientIp: null }, { clientIp: null, receivedFrom: 'dns; helo.example.net ([127.0.0.1])' }],
    ['an authenticated client', { authUser: 'amy' }, { authUser: 'amy', source: 'authsmtp', relayClient: true }],
    ['no recipients', { recipients: [] }, { recipients: [] }],
    [
      'several recipients, not all of them UTF-8',
      { recipients: ['a@example.org', '(malformed utf8):b%F6b@example.com'] },
      {
        recipients: [
          { address: 'a@example.org', original: '', dsn: '' },
          { address: '(malformed utf8):b%F6b@example.com', original: '', dsn: '' },
        ],
      },
    ],
  ]
  for (const [name, given, want] of facts)
    t.match(readControl(write('a\n', systemFiles, given).controlPaths), want, name)

  const wrong: [name: string, given: Partial<SpoolEnvelope>][] = [
    ['a sender', { sender: 'a@example.org\nrb@example.org' }],
    ['a sender in its coded form', { sender: '(malformed utf8):a%0Arb%FF' }],
    ['a recipient', { recipients: ['a@example.org', 'b@example.org\rc'] }],
    ['a helo name', { helo: 'a\nrb@example.org' }],
    ['an id', { queueId: 'a\0b' }],
    ['a user', { authUser: 'amy\nuauthsmtp' }],
  ]
  for (const [name, given] of wrong) {
    t.throws(() => write('a\n', systemFiles, given), RangeError, `${name} with a line end or NUL is refused`)
  }
  for (const letter of ['D', '']) {
    const there = join(dir, `${letter}${count + 1}`)
    writeFileSync(there, 'here already')
    t.throws(() => write('a\n'), { code: 'EEXIST' }, 'no file is written over')
    t.equal(readFileSync(there, 'utf8'), 'here already')
  }
  t.throws(
    () => writePair(dir, 'x', join(dir, 'none'), envelope, systemFiles, 0),
    { code: 'ENOENT' },
    'without a message there is no pair',
  )
  t.end()
})
