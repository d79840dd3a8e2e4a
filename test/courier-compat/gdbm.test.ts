import fc from 'fast-check'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFileCache } from '../../courier-compat/file-cache.ts'
import { DatabaseError } from '../../courier-compat/gdbm/database-error.ts'
import { openDatabases } from '../../courier-compat/gdbm/databases.ts'
import { gdbmHash } from '../../courier-compat/gdbm/hash.ts'
import { openGdbm, type GdbmImage } from '../../courier-compat/gdbm/image.ts'
import { gdbmBytes, writeGdbm, type GdbmShape } from '../helpers/gdbm-writer.ts'

const corpus = join(import.meta.dirname, '../../../shared/corpus/courier/dat')
const noCorpus = existsSync(corpus) ? false : 'there is no corpus beside the repository'

const textsOf = (image: GdbmImage) =>
  Object.fromEntries([...image.entries()].map(([key, value]) => [key.toString(), value.toString()]))

t.test('the hash', (t) => {
  const rows: [key: string, signed: boolean, want: string][] = [
    ['10', true, '7718ccfe'],
    ['127.0.0.1', true, '6ee13335'],
    ['*', true, '67af99ec'],
    ['hosted.example.org', true, '176b8067'],
    ['exämple', true, '794d6938'],
    ['127.0.0.1', false, '6ee13335'],
  ]
  for (const [key, signed, want] of rows) {
    t.equal(gdbmHash(Buffer.from(key), signed).toString(16).padStart(8, '0'), want, `of "${key}" is ${want}`)
  }
  t.not(gdbmHash(Buffer.from('exämple'), false), gdbmHash(Buffer.from('exämple'), true), 'unsigned bytes differ')
  t.end()
})

t.test('files that real tools made', { skip: noCorpus }, (t) => {
  for (const name of ['smtpaccess', 'hosteddomains', 'aliases', 'numsync', 'block512', 'empty']) {
    const want = JSON.parse(readFileSync(join(corpus, `${name}.expected.json`), 'utf8')) as Record<string, string>
    const image = openGdbm(readFileSync(join(corpus, `${name}.dat`)))
    t.strictSame(textsOf(image), want, `${name}.dat has exactly the entries expected`)
    const wrong = Object.entries(want).filter(([key, value]) => image.lookup(key)?.toString() !== value)
    t.strictSame(wrong, [], `${name}.dat: each is found by its key`)
    const invented = Object.keys(want).filter((key) => image.lookup(`${key}.not`) !== null)
    t.strictSame(invented, [], `${name}.dat: a longer key is not found`)
  }
  const worked = openGdbm(readFileSync(join(corpus, 'smtpaccess.dat')))
  t.equal(worked.lookup('10')?.toString(), 'allow,RELAYCLIENT', 'the worked example of the specification')
  t.end()
})

const pairs = (count: number): [string, string][] =>
  Array.from({ length: count }, (_, index) => [
    `key ${index}${index % 7 === 0 ? ' ü' : ''}`,
    `v${'x'.repeat(index % 40)}`,
  ])

const shapes: [name: string, shape: GdbmShape][] = [
  ['64-bit offsets', {}],
  ['64-bit offsets, numsync', { magic: 0x13579ad1 }],
  ['64-bit offsets, old magic', { magic: 0x13579ace }],
  ['64-bit offsets without padding', { variant: 'unpadded' }],
  ['64-bit offsets without padding, old magic', { variant: 'unpadded', magic: 0x13579ace }],
  ['32-bit offsets', { magic: 0x13579acd, variant: 'narrow' }],
  ['32-bit offsets, numsync', { magic: 0x13579ad0, variant: 'narrow' }],
  ['32-bit offsets, old magic', { magic: 0x13579ace, variant: 'narrow' }],
]

t.test('every variant of the format', (t) => {
  for (const [name, shape] of shapes) {
    for (const bigEndian of [false, true]) {
      for (const signedBytes of [true, false]) {
        for (const count of [0, 1, 200]) {
          const image = openGdbm(gdbmBytes(pairs(count), { ...shape, bigEndian, signedBytes }))
          const label = `${name}, ${bigEndian ? 'big' : 'little'}-endian, ${signedBytes ? '' : 'un'}signed, ${count} entries`
          t.strictSame(textsOf(image), Object.fromEntries(pairs(count)), `${label}: scan`)
          const wrong = pairs(count).filter(([key, value]) => image.lookup(key)?.toString() !== value)
          t.strictSame(wrong, [], `${label}: lookups`)
          t.equal(image.lookup('key 0 û'), null, `${label}: a key that is not there`)
        }
      }
    }
  }
  const image = openGdbm(
    gdbmBytes(
      [
        ['', 'for the empty key'],
        [Buffer.of(0, 255), ''],
        ['4096', 'x'],
      ],
      { blockOctets: 4096 },
    ),
  )
  t.equal(image.lookup('')?.toString(), 'for the empty key', 'an empty key')
  t.equal(image.lookup(Buffer.of(0, 255))?.length, 0, 'an empty value, which is not the same as none')
  t.equal(image.lookup(Uint8Array.of(0, 255).subarray(1)), null, 'a view of other bytes is another key')
  t.end()
})

t.test('files that cannot be used', (t) => {
  const berkeley = (at: number, magic: number, bigEndian: boolean) => {
    const file = Buffer.alloc(4096)
    if (bigEndian) file.writeUInt32BE(magic, at)
    else file.writeUInt32LE(magic, at)
    return file
  }
  const edited = (change: (file: Buffer) => unknown, shape: GdbmShape = {}) => {
    const file = gdbmBytes(pairs(3), { dirBits: 0, ...shape })
    change(file)
    return file
  }
  const rows: [name: string, file: Buffer, code: string, text: RegExp][] = [
    [
      'Berkeley DB hash',
      berkeley(12, 0x00061561, false),
      'DATABASE_BERKELEY',
      /Berkeley DB file \(hash\).*--with-db=gdbm/,
    ],
    ['Berkeley DB hash, big-endian', berkeley(12, 0x00061561, true), 'DATABASE_BERKELEY', /Berkeley DB file \(hash\)/],
    ['Berkeley DB btree', berkeley(12, 0x00053162, false), 'DATABASE_BERKELEY', /btree/],
    ['the magic of Berkeley DB elsewhere', berkeley(16, 0x00061561, false), 'DATABASE_UNKNOWN', /neither a GDBM file/],
    ['text', Buffer.from('127.0.0.1\tallow,RELAYCLIENT\n'), 'DATABASE_UNKNOWN', /neither a GDBM file/],
    ['three octets', Buffer.from('abc'), 'DATABASE_UNKNOWN', /neither a GDBM file/],
    ['an empty file', Buffer.alloc(0), 'DATABASE_BROKEN', /empty/],
    ['a magic alone', gdbmBytes([]).subarray(0, 4), 'DATABASE_BROKEN', /header is incomplete/],
    ['a header alone', gdbmBytes([]).subarray(0, 512), 'DATABASE_BROKEN', /directory lies beyond/],
    [
      'a directory of another size than its bits',
      edited((file) => file.writeUInt32LE(9, 20)),
      'DATABASE_BROKEN',
      /header/,
    ],
    ['2^40 directory entries', edited((file) => file.writeUInt32LE(40, 20)), 'DATABASE_BROKEN', /header/],
    ['no room for an element', edited((file) => file.writeUInt32LE(100, 24)), 'DATABASE_BROKEN', /header/],
    [
      'buckets larger than the file',
      edited((file) => {
        file.writeUInt32LE(112 + 24 * 10_000_000, 24)
        file.writeUInt32LE(10_000_000, 28)
      }),
      'DATABASE_BROKEN',
      /larger than it/,
    ],
    ['a directory beyond 2^53', edited((file) => file.writeBigUInt64LE(2n ** 63n, 8)), 'DATABASE_BROKEN', /directory/],
  ]
  for (const [name, file, code, text] of rows) {
    t.throws(() => openGdbm(file), { code, message: text, name: 'DatabaseError' }, name)
  }

  // Four blocks: header, directory of one entry, data, bucket.
  const [dirAt, dataAt, bucketAt] = [512, 1024, 1536]
  const tableAt = bucketAt + 112
  const firstUsed = (file: Buffer) => {
    let at = tableAt
    while (file.readUInt32LE(at) === 0xffffffff) at += 24
    return at
  }
  const damages: [name: string, change: (file: Buffer) => unknown][] = [
    ['a bucket beyond the end', (file) => file.writeBigUInt64LE(1n << 40n, dirAt)],
    ['a bucket at zero', (file) => file.writeBigUInt64LE(0n, dirAt)],
    ['a bucket that is a hole', (file) => file.fill(0, bucketAt, bucketAt + 512)],
    ['a bucket with a wrong count', (file) => file.writeUInt32LE(2, tableAt - 4)],
    ['a negative count', (file) => file.writeInt32LE(-1, tableAt - 4)],
  ]
  for (const [name, change] of damages) {
    const image = openGdbm(edited(change))
    t.throws(() => image.lookup('key 1'), { code: 'DATABASE_BROKEN' }, `${name}: lookup`)
    t.throws(() => image.lookup('none'), { code: 'DATABASE_BROKEN' }, `${name}: lookup of what is not there`)
    t.throws(() => [...image.entries()], { code: 'DATABASE_BROKEN' }, `${name}: scan`)
  }
  const inElement: [name: string, change: (file: Buffer, at: number) => unknown][] = [
    ['data beyond the end', (file, at) => file.writeBigUInt64LE(5000n, at + 8)],
    ['data beyond 2^53', (file, at) => file.writeBigUInt64LE(2n ** 64n - 1n, at + 8)],
    ['a negative value size', (file, at) => file.writeInt32LE(-1, at + 20)],
    ['the data of another key', (file, at) => file.writeBigUInt64LE(BigInt(dataAt + 1), at + 8)],
  ]
  for (const [name, change] of inElement) {
    const image = openGdbm(edited((file) => change(file, firstUsed(file))))
    t.throws(() => [...image.entries()], { code: 'DATABASE_BROKEN' }, `${name}: scan`)
    t.throws(() => pairs(3).map(([key]) => image.lookup(key)), { code: 'DATABASE_BROKEN' }, `${name}: lookup`)
  }
  t.throws(
    () => {
      // 4 directory entries, buckets of the size of nearly the whole file, each a little further on.
      const file = gdbmBytes(pairs(1), { dirBits: 2, blockOctets: 4096 })
      const bucketOctets = 112 + 24 * 600
      file.writeUInt32LE(bucketOctets, 24)
      file.writeUInt32LE(600, 28)
      // Each bucket is checked against its count first: make all of it "used", and count so.
      file.fill(0, 48)
      for (let at = 8; at < 40; at += 8) {
        file.writeBigUInt64LE(BigInt(at), 4096 - 8 + at)
        file.writeUInt32LE(600, 108 + at)
      }
      return [...openGdbm(file).entries()]
    },
    { message: /buckets overlap/ },
    'overlapping buckets',
  )
  t.throws(
    () => {
      const file = gdbmBytes(
        [
          ['a', 'x'.repeat(3000)],
          ['a', ''],
          ['a', ''],
        ],
        { dirBits: 0 },
      )
      const bucket = Number(file.readBigUInt64LE(dirAt))
      // All three have the one long value.
      for (let at = bucket + 112; at < bucket + 496; at += 24) {
        if (file.readUInt32LE(at) === 0xffffffff) continue
        file.writeBigUInt64LE(BigInt(dataAt), at + 8)
        file.writeUInt32LE(3000, at + 20)
      }
      return [...openGdbm(file).entries()]
    },
    { message: /entries overlap/ },
    'overlapping entries',
  )
  t.end()
})

t.test('cut off anywhere, a file gives the truth or an error', (t) => {
  const whole = gdbmBytes(pairs(60), { dirBits: 0 })
  const want = new Map(pairs(60))
  let errors = 0
  for (let length = 0; length < whole.length; length += 13) {
    try {
      const image = openGdbm(whole.subarray(0, length))
      for (const [key, value] of want) {
        const found = image.lookup(key)?.toString()
        if (found !== value) t.fail(`cut at ${length}, "${key}" was ${String(found)}`)
      }
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      errors += 1
    }
  }
  t.ok(errors > 200, 'most cuts were noticed')
  t.end()
})

t.test('any damage gives an answer or a DatabaseError, in good time', (t) => {
  const whole = gdbmBytes(pairs(40), { dirBits: 3 })
  const damage = fc.array(
    fc.tuple(fc.nat(whole.length - 4), fc.oneof(fc.nat(255), fc.constantFrom(0xffffffff, 0x7fffffff, 0, 1))),
    {
      minLength: 1,
      maxLength: 12,
    },
  )
  const started = process.hrtime.bigint()
  fc.assert(
    fc.property(damage, fc.boolean(), (changes, inHeader) => {
      const file = Buffer.from(whole)
      for (const [at, value] of changes) {
        if (value > 255) file.writeUInt32LE(value, inHeader ? at % 48 : at)
        else file.writeUInt8(value, inHeader ? at % 48 : at)
      }
      try {
        const image = openGdbm(file)
        for (const [key] of pairs(5)) image.lookup(key)
        const all = [...image.entries()]
        return all.length <= file.length
      } catch (error) {
        return error instanceof DatabaseError
      }
    }),
    { numRuns: 500 },
  )
  t.ok(process.hrtime.bigint() - started < 20_000_000_000n, '500 damaged files within 20 s')
  t.end()
})

t.test('databases by path', (t) => {
  const dir = t.testdir()
  const path = join(dir, 'x.dat')
  let nowMs = Date.now() + 60_000
  const databases = openDatabases(undefined, () => nowMs)
  const value = (key = 'k') => databases.open(path)?.lookup(key)?.toString()

  t.equal(databases.open(path), null, 'a missing file is no database')
  t.equal(databases.open(join(dir, 'no folder/x.dat')), null, 'nor is one in a missing folder')
  writeGdbm(path, [['k', 'one']])
  t.equal(value(), 'one', 'a file that appears is read')
  t.equal(databases.open(path), databases.open(path), 'and kept, unchanged')

  writeGdbm(join(dir, 'new'), [['k', 'two']])
  utimesSync(join(dir, 'new'), 1_700_000_000, 1_700_000_000)
  renameSync(join(dir, 'new'), path)
  t.equal(value(), 'two', 'a file renamed over it is read')
  writeGdbm(path, [['k', 'ten']])
  utimesSync(path, 1_700_000_000, 1_700_000_000)
  t.equal(value(), 'ten', 'a file of the same size, rewritten in place and set back to its old date, is read')

  nowMs = Date.now()
  writeGdbm(path, [['k', 'new']])
  const early = databases.open(path)
  t.not(
    databases.open(path),
    early,
    'a database that changed just now is read at each use: the next change could look alike',
  )
  nowMs += 60_000
  t.not(databases.open(path), early, 'and once more when some time has gone by')
  t.equal(databases.open(path), databases.open(path), 'after which it is kept')

  writeFileSync(path, 'nonsense')
  t.throws(() => value(), { message: /x\.dat: this is neither a GDBM file/ }, 'a broken file is an error')
  t.throws(() => value(), { cause: { code: 'DATABASE_UNKNOWN' } }, 'each time')
  rmSync(path)
  t.equal(databases.open(path), null, 'a file that went is no database')
  mkdirSync(path)
  t.throws(() => value(), /regular file/, 'a folder is an error')
  rmSync(path, { recursive: true })
  symlinkSync('x.dat', path)
  t.throws(() => value(), { code: 'ELOOP' }, 'what cannot be reached is an error, not a missing file')
  rmSync(path)
  writeGdbm(path, [['k', 'back']])
  t.equal(value(), 'back', 'and one that comes back is read')
  t.end()
})

t.test('a file that may not be read', { skip: process.getuid?.() === 0 ? 'root may read anything' : false }, (t) => {
  const path = join(t.testdir(), 'x.dat')
  writeGdbm(path, [['k', 'one']])
  chmodSync(path, 0)
  t.throws(() => openDatabases().open(path), { code: 'EACCES' }, 'is an error, not an empty database')
  t.end()
})

t.test('the cache is bounded', (t) => {
  const dir = t.testdir()
  let parsed: string[] = []
  const limits = { fileOctets: 100, totalOctets: 150, files: 3 }
  const cache = openFileCache(
    (bytes) => void parsed.push(bytes.toString().slice(0, 1)),
    limits,
    () => Date.now() + 60_000,
  )
  const put = (name: string, octets: number) => writeFileSync(join(dir, name), name.repeat(octets))
  const read = (names: string) => {
    parsed = []
    for (const name of names) cache.read(join(dir, name))
    return parsed.join('')
  }
  for (const name of 'abcd') put(name, 10)
  t.equal(read('abcabc'), 'abc', 'three files are kept')
  t.equal(read('da'), 'da', 'a fourth drops the one used longest ago')
  t.equal(read('dac'), '', 'and no other')
  put('e', 100)
  put('f', 60)
  t.equal(read('efef'), 'efef', 'over the limit of octets, the older one goes')
  put('g', 101)
  t.throws(() => cache.read(join(dir, 'g')), /101 octets, more than the limit of 100/, 'a larger file is an error')
  t.end()
})
