import fc from 'fast-check'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { canonicalAlias } from '../../courier-compat/config/aliases.ts'
import { openCourierConfig, type CourierConfigOptions } from '../../courier-compat/config/courier-config.ts'
import { asciiDomain, canonicalDomain } from '../../courier-compat/config/domain.ts'
import { hostedDomainKeys } from '../../courier-compat/config/hosteddomains.ts'
import { findCourierFolders } from '../../courier-compat/config/layout.ts'
import { isListed, parseDomainList } from '../../courier-compat/config/locals.ts'
import { parseSmtpaccess, smtpaccessKeys } from '../../courier-compat/config/smtpaccess.ts'
import { isAtLeast, parseCourierVersion } from '../../courier-compat/config/version.ts'
import * as library from '../../courier-compat/index.ts'
import { makeCourierFolder, writeCourierFiles, type CourierFiles } from '../helpers/courier-folder.ts'

const corpus = join(import.meta.dirname, '../../../shared/corpus/courier/dat')
const noCorpus = existsSync(corpus) ? false : 'there is no corpus beside the repository'

const hostName = 'host.example.net'
const open = (dir: string, files: CourierFiles, options: CourierConfigOptions = {}) => {
  const sysconfdir = makeCourierFolder(dir, files)
  return {
    sysconfdir,
    config: openCourierConfig({ sysconfdir, hostName, env: {}, runProgram: () => null, ...options }),
  }
}

t.test("U01 to U13: upstream's own tests, with the seed's names", (t) => {
  const home = 'home.example.org'
  const { config } = open(t.testdir(), {
    me: `${home}\n`,
    defaultdomain: 'example.org\n',
    locals: `${home}\nprivate.example.org\n`,
    locallowercase: '',
    'hosteddomains.dat': { 'virtual.example.org': '1' },
    'aliases.dat': {
      'alias1@example.org': `gordon@${home}\n`,
      'alias2@example.org': `root@${home}\ngordon@${home}\n`,
      'alias3@virtual.example.org': `root@${home}\n`,
    },
    'smtpaccess.dat': {
      '127.0.0.1': 'allow,RELAYCLIENT',
      '192.168.1': 'allow,BLOCK',
      '192.168.2': 'allow,BLOCK=shoo',
    },
  })
  const rows: [name: string, got: unknown, want: unknown][] = [
    ['U01 me', config.me(), home],
    ['U02 defaultdomain', config.defaultdomain(), 'example.org'],
    ['U03 dsnfrom without a file', config.dsnfrom(), `Courier mail server at ${home} <@>`],
    ['U04 locallowercase', config.locallowercase(), true],
    ['U05 isLocal of me', config.isLocal(home), true],
    ['U05 isLocal of another line', config.isLocal('private.example.org'), true],
    ['U05 isLocal of what is below it', config.isLocal('herald.private.example.org'), false],
    ['U06 isHosteddomain', config.isHosteddomain('virtual.example.org'), true],
    ['U06 isHosteddomain of me', config.isHosteddomain(home), false],
    ['U07 getAlias of a local part', config.getAlias('alias1'), [`gordon@${home}`]],
    ['U07 getAlias of the same in a local domain', config.getAlias(`alias1@${home}`), [`gordon@${home}`]],
    ['U08 getAlias with two members', config.getAlias('alias2'), [`root@${home}`, `gordon@${home}`]],
    ['U08 getAlias in a hosted domain', config.getAlias('alias3@virtual.example.org'), [`root@${home}`]],
    ['U09 smtpaccess of an address', config.smtpaccess('127.0.0.1'), 'allow,RELAYCLIENT'],
    ['U09 smtpaccess of a network', config.smtpaccess('192.168.1.1'), 'allow,BLOCK'],
    ['U09 smtpaccess with a value', config.smtpaccess('192.168.2.1'), 'allow,BLOCK=shoo'],
    ['U09 smtpaccess of a stranger', config.smtpaccess('192.168.3.1'), null],
    ['U10 getSmtpaccessVal without value', config.getSmtpaccessVal('RELAYCLIENT', '127.0.0.1'), ''],
    ['U10 getSmtpaccessVal of another name', config.getSmtpaccessVal('BLOCK', '127.0.0.1'), null],
    ['U10 getSmtpaccessVal of a stranger', config.getSmtpaccessVal('RELAYCLIENT', '192.168.3.1'), null],
    ['U10 getSmtpaccessVal with a value', config.getSmtpaccessVal('BLOCK', '192.168.2.1'), 'shoo'],
    ['U11 isRelayed', config.isRelayed('127.0.0.1'), true],
    ['U11 isRelayed without the item', config.isRelayed('192.168.1.1'), false],
    ['U11 isRelayed of a stranger', config.isRelayed('192.168.3.1'), false],
    ['U12 isWhiteblocked without the item', config.isWhiteblocked('127.0.0.1'), false],
    ['U12 isWhiteblocked', config.isWhiteblocked('192.168.1.1'), true],
    ['U12 isWhiteblocked of a stranger', config.isWhiteblocked('192.168.3.1'), false],
    ['U13 getBlockVal without the item', config.getBlockVal('127.0.0.1'), null],
    ['U13 getBlockVal, empty', config.getBlockVal('192.168.1.1'), ''],
    ['U13 getBlockVal', config.getBlockVal('192.168.2.1'), 'shoo'],
    ['U13 getBlockVal of a stranger', config.getBlockVal('192.168.3.1'), null],
  ]
  for (const [name, got, want] of rows) t.strictSame(got, want, name)
  t.end()
})

t.test('files of one line', async (t) => {
  const dir = t.testdir()
  const me: [name: string, content: string | Buffer | null, want: string][] = [
    ['a missing file is the host name', null, hostName],
    ['an empty file is an empty value', '', ''],
    ['the first line alone', 'a.example.org\nb.example.org\n', 'a.example.org'],
    ['without its LF', 'a.example.org', 'a.example.org'],
    ['blanks and CR belong to it', ' a.example.org \r\n', ' a.example.org \r'],
    ['an empty first line', '\na.example.org\n', ''],
    ['255 octets of it', `${'x'.repeat(300)}\n`, 'x'.repeat(255)],
    ['*. stands for the host name', '*.rest.example.org\n', `${hostName}.rest.example.org`],
    ['* alone stands for itself', '*\n', '*'],
    ['UTF-8', 'exämple.org\n', 'exämple.org'],
  ]
  for (const [name, content, want] of me) {
    t.equal(open(dir, content === null ? {} : { me: content }).config.me(), want, `me: ${name}`)
  }

  const bare = open(dir, {}).config
  t.equal(bare.defaultdomain(), hostName, 'defaultdomain: a missing file is me')
  t.equal(
    open(dir, { defaultdomain: '', me: 'x\n' }).config.defaultdomain(),
    '',
    'defaultdomain: an empty file, as Debian has it, is empty',
  )
  t.equal(bare.dsnfrom(), `Courier mail server at ${hostName} <@>`, 'dsnfrom: a missing file names the host')
  t.equal(open(dir, { dsnfrom: '"M" <m@example.org>\n' }).config.dsnfrom(), '"M" <m@example.org>', 'dsnfrom: the file')
  t.equal(bare.locallowercase(), false, 'locallowercase: a missing file')
  t.equal(
    open(dir, {}, { hostName: 'HOST.Example.XN--EXMPLE-CUA' }).config.me(),
    'host.example.exämple',
    'the host name in lower case, decoded',
  )

  const vhosts = open(dir, {
    me: 'a\n',
    'me.v.example': 'b\n',
    defaultdomain: 'd\n',
    'dsnfrom.v.example': 'f\n',
  }).config
  t.equal(vhosts.me('v.example'), 'b', 'a virtual host has its own file')
  t.equal(vhosts.defaultdomain('v.example'), 'd', 'or, without one, the file of all')
  t.equal(vhosts.dsnfrom('v.example'), 'f', 'dsnfrom too')
  t.equal(vhosts.me('other.example'), 'a', 'another virtual host has the file of all')
  for (const name of ['', '../x', 'a/b', 'a\0b'])
    t.equal(vhosts.me(name), 'a', `${JSON.stringify(name)} is no virtual host`)

  const asked: string[] = []
  const reverse = (ip: string) => {
    asked.push(ip)
    return ip === '192.0.2.1'
      ? Promise.resolve(['One.example.net', 'two.example.net'])
      : Promise.reject(new Error('none'))
  }
  const star = open(dir, { me: 'me.example.org\n', esmtphelo: '*\n' }, { reverse }).config
  t.equal(await bare.esmtphelo(), hostName, 'esmtphelo: a missing file is me')
  t.equal(
    await open(dir, { esmtphelo: 'exämple.org\n' }, { reverse }).config.esmtphelo({ localAddress: '192.0.2.1' }),
    'xn--exmple-cua.org',
    'esmtphelo: the file, in ASCII',
  )
  t.strictSame(asked, [], 'which asks nobody')
  t.equal(
    await star.esmtphelo({ localAddress: '192.0.2.1' }),
    'one.example.net',
    "esmtphelo: * is the connection's name",
  )
  t.equal(await star.esmtphelo({ localAddress: '192.0.2.2' }), 'me.example.org', 'esmtphelo: * without a name is me')
  t.equal(await star.esmtphelo(), 'me.example.org', 'esmtphelo: * without a connection is me')
  t.equal(
    await star.esmtphelo({ localAddress: undefined }),
    'me.example.org',
    'esmtphelo: * of a closed connection is me',
  )
})

t.test('files are looked at again', async (t) => {
  const { config, sysconfdir } = open(t.testdir(), { me: 'a.example.org\n' })
  t.equal(config.me(), 'a.example.org', 'me')
  t.equal(config.isLocal('a.example.org'), true, 'me is local without locals')
  writeCourierFiles(sysconfdir, { me: 'b.example.org\n', locals: 'c.example.org\n', locallowercase: '' })
  t.equal(config.me(), 'b.example.org', 'a change of the same length acts at once')
  t.equal(config.isLocal('b.example.org'), false, 'a file that appears acts at once')
  t.equal(config.isLocal('c.example.org'), true, 'with its content')
  t.equal(config.locallowercase(), true, 'so does a mark')
  t.equal(config.isRelayed('192.0.2.1'), false, 'a missing database has no entries')
  writeCourierFiles(sysconfdir, { 'smtpaccess.dat': { '192.0.2': 'allow,RELAYCLIENT' } })
  t.equal(config.isRelayed('192.0.2.1'), true, 'a database that appears acts at once')
  rmSync(join(sysconfdir, 'smtpaccess.dat'))
  t.equal(config.isRelayed('192.0.2.1'), false, 'and one that goes')
  for (const name of ['me', 'locals', 'defaultdomain', 'dsnfrom', 'esmtphelo']) {
    rmSync(join(sysconfdir, name), { force: true })
    mkdirSync(join(sysconfdir, name))
  }
  t.throws(() => config.me(), /regular file/, 'a folder in place of me is an error')
  t.throws(() => config.defaultdomain(), /regular file/, 'of defaultdomain')
  t.throws(() => config.dsnfrom(), /regular file/, 'of dsnfrom')
  t.throws(() => config.isLocal('example.org'), /regular file/, 'of locals')
  await t.rejects(config.esmtphelo(), /regular file/, 'of esmtphelo')
})

t.test('domains in one form', (t) => {
  const rows: [domain: string, unicode: string, ascii: string][] = [
    ['EXAMPLE.Org', 'example.org', 'example.org'],
    ['xn--exmple-cua.XN--EXMPLE-CUA', 'exämple.exämple', 'xn--exmple-cua.xn--exmple-cua'],
    ['EXÄMPLE.org', 'exämple.org', 'xn--exmple-cua.org'],
    ['exa\u0308mple.org', 'exämple.org', 'xn--exmple-cua.org'],
    ['.ä.org', '.ä.org', '.xn--4ca.org'],
    ['127.1', '127.1', '127.1'],
    ['１.ä', '１.ä', '１.xn--4ca'],
    ['%41.ä#b c', '%41.ä#b c', '%41.ä#b c'],
    ['xn--zzzz', 'xn--zzzz', 'xn--zzzz'],
    ['xn--', 'xn--', 'xn--'],
    ['xn--a#b.xn--4ca', 'xn--a#b.ä', 'xn--a#b.xn--4ca'],
    ['_dmarc.*.ä', '_dmarc.*.ä', '_dmarc.*.xn--4ca'],
    ['', '', ''],
    ['example.org ', 'example.org ', 'example.org '],
  ]
  for (const [domain, unicode, ascii] of rows) {
    t.equal(canonicalDomain(domain), unicode, `"${domain}" is "${unicode}"`)
    t.equal(asciiDomain(domain), ascii, `"${domain}" is "${ascii}" in ASCII`)
  }
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom(
          'a',
          'Ä',
          'ß',
          '.',
          '-',
          '_',
          'x',
          'n',
          '*',
          '1',
          '%',
          '#',
          ' ',
          '\u0308',
          '\u{1f4e7}',
          'xn--',
        ),
      }),
      (domain) => {
        const once = canonicalDomain(domain)
        return canonicalDomain(once) === once && once.split('.').length === domain.split('.').length
      },
    ),
  )
  t.pass('what is in that form stays, and no label is lost or won')
  t.end()
})

t.test('locals', (t) => {
  const host = 'host.example.net'
  const rows: [name: string, locals: string, local: string[], not: string[]][] = [
    [
      'names, in any case',
      'a.example\nB.Example\n',
      ['a.example', 'A.EXAMPLE', 'b.example'],
      ['x.a.example', 'aa.example', 'example', ''],
    ],
    [
      '.name is below it at any depth, not itself',
      '.a.example\n',
      ['x.a.example', 'x.y.a.example'],
      ['a.example', 'xa.example'],
    ],
    [
      '!name goes before a wildcard',
      '!no.a.example\n.a.example\n',
      ['x.a.example', 'x.no.a.example'],
      ['no.a.example'],
    ],
    ['and is without effect after it', '.a.example\n!no.a.example\n', ['no.a.example'], []],
    ['!.name', '!.no.a.example\n.a.example\n', ['no.a.example', 'y.a.example'], ['x.no.a.example']],
    ['the first line of two that match', 'a.example\n!a.example\n', ['a.example'], []],
    ['a blank before a comment keeps a line from matching', 'a.example # note\n', [], ['a.example']],
    ['a comment at once does not', 'd.example#note\n#c.example\n', ['d.example'], ['c.example']],
    ['a blank in front does', ' b.example\n', [], ['b.example']],
    ['CRLF', 'a.example\r\nb.example\r\n', ['a.example', 'b.example'], []],
    ['no LF at the end', 'a.example\nb.example', ['b.example'], []],
    [
      'UTF-8 and xn-- are equal',
      'exämple.org\nxn--bcher-kva.example\n',
      ['xn--exmple-cua.org', 'EXÄMPLE.org', 'bücher.example', 'BÜCHER.example'],
      [],
    ],
    [
      '* is the host',
      '*\n*.sub.example\n',
      [host, host.toUpperCase(), `${host}.sub.example`],
      ['sub.example', 'x.sub.example', `x.${host}`],
    ],
    ['* after !host is the host again, as Courier reads it', `!${host}\n*\n`, [host], []],
    ['an empty file', '', [], [host, 'me.example', '']],
    ['blank and odd lines', '\n!\n.\n!.\n', [], ['a.example', '', '.']],
  ]
  for (const [name, locals, local, not] of rows) {
    const list = parseDomainList(Buffer.from(locals))
    for (const domain of local) t.equal(isListed(list, domain, host), true, `${name}: "${domain}" is local`)
    for (const domain of not) t.equal(isListed(list, domain, host), false, `${name}: "${domain}" is not`)
  }
  const below = parseDomainList(Buffer.from('.example'))
  t.equal(isListed(below, `${'a.'.repeat(124)}example`, host), true, '255 characters are a domain')
  t.equal(isListed(below, `${'a.'.repeat(125)}example`, host), false, 'more are none')
  const { config } = open(t.testdir(), { me: 'Me.Example\n', 'hosteddomains.dat': { 'h.example': '1' } })
  t.equal(config.isLocal('me.EXAMPLE'), true, 'without a file, me alone is local')
  t.equal(config.isLocal(hostName), false, 'not the host name')
  t.equal(config.isLocal('h.example'), false, 'a hosted domain is not in locals')
  t.end()
})

t.test('hosted domains', (t) => {
  const { config, sysconfdir } = open(t.testdir(), {
    'hosteddomains.dat': {
      'hosted.example.org': '1',
      '.wild.example.org': '1',
      'mail.hosted.example.org': 'hosted.example.org',
      'exämple.org': '1',
      '.top': '1',
    },
  })
  const rows: [domain: string, want: string | null][] = [
    ['hosted.example.org', 'hosted.example.org'],
    ['HOSTED.example.ORG', 'hosted.example.org'],
    ['mail.hosted.example.org', 'hosted.example.org'],
    ['xn--exmple-cua.org', 'exämple.org'],
    ['a.b.wild.example.org', '.wild.example.org'],
    ['wild.example.org', null],
    ['other.hosted.example.org', null],
    ['example.org', null],
    ['a.b.c.d.e.top', '.top'],
    ['a.b.c.d.e.f.top', null],
    ['', null],
    ['top', null],
  ]
  for (const [domain, want] of rows) {
    t.equal(config.hostedDomain(domain), want, `"${domain}" is ${want === null ? 'not hosted' : `hosted as ${want}`}`)
    t.equal(config.isHosteddomain(domain), want !== null, `"${domain}": isHosteddomain agrees`)
  }
  t.strictSame(hostedDomainKeys('A.b.c'), ['a.b.c', '.b.c', '.c'], 'the keys that are looked up')
  writeFileSync(join(sysconfdir, 'hosteddomains.dat'), 'broken')
  t.throws(() => config.isHosteddomain('x.example'), /hosteddomains\.dat: .*neither/, 'a broken database is an error')
  t.end()
})

t.test('aliases', (t) => {
  const base: CourierFiles = {
    me: 'me.example.com\n',
    defaultdomain: 'default.example.com\n',
    locals: 'me.example.com\nlocal.example.org\n.wild.example.net\n!no.wild.example.net\n',
    'hosteddomains.dat': { 'hosted.example.org': '1' },
  }
  const aliases = {
    'team@default.example.com': 'a@example.net\n',
    'Upper@default.example.com': 'up@example.net\n',
    'postmaster@default.example.com': 'pm@example.net\n',
    'nobody@default.example.com': '',
    'x@hosted.example.org': 'h1@example.net\n',
    'x@exämple.org': 'u@example.net\n',
    'v@virt.example.com': 'exact@example.net\n',
    '@virt.example.com': 'alice\nbob\n',
    '@uucp.example.com': 'host!\n',
    '@default.example.com': 'catchall\n',
    'prog@default.example.com': '".xalias/prog@default+2eexample+2ecom"@default.example.com\n',
  }
  const { config, sysconfdir } = open(t.testdir(), {
    ...base,
    'aliases.dat': aliases,
    'aliases-esmtp.dat': { 'team@default.example.com': 'esmtp@example.net\n', '@virt.example.com': 'module\n' },
  })
  const virtual = (local: string) => [`alice-${local}@me.example.com`, `bob-${local}@me.example.com`]
  const rows: [name: string, address: string, want: string[] | null][] = [
    ['no domain is defaultdomain, not me', 'team', ['a@example.net']],
    ['so is an empty one', 'team@', ['a@example.net']],
    ['so is a local domain', 'team@local.example.org', ['a@example.net']],
    ['and one below a wildcard', 'team@x.wild.example.net', ['a@example.net']],
    ['the domain in any case', 'team@Default.EXAMPLE.com', ['a@example.net']],
    ['not the local part', 'upper@local.example.org', ['catchall-upper@me.example.com']],
    ['which has the case of the alias', 'Upper', ['up@example.net']],
    ['but for postmaster', 'PostMaster@me.example.com', ['pm@example.net']],
    ['an alias of nobody', 'nobody', []],
    ['a hosted domain stays', 'x@HOSTED.example.org', ['h1@example.net']],
    ['a domain in xn--', 'x@xn--exmple-cua.org', ['u@example.net']],
    ['an address before its domain', 'v@virt.example.com', ['exact@example.net']],
    ['a virtual domain', 'Info@virt.example.com', virtual('Info')],
    ['a virtual domain and a quoted local part', '"a b"@virt.example.com', virtual('"a b"')],
    ['a value that ends in !', 'joe@uucp.example.com', ['host!joe@me.example.com']],
    ['no virtual domain for !', 'a!b@virt.example.com', null],
    ['nor for %', 'a%b@virt.example.com', null],
    ['no alias', 'x@example.net', null],
    ['a program', 'prog', ['".xalias/prog@default+2eexample+2ecom"@default.example.com']],
    ['an @ in quotes and no domain', '"a@b"', ['catchall-"a@b"@me.example.com']],
  ]
  for (const [name, address, want] of rows) t.strictSame(config.getAlias(address), want, `${name}: ${address}`)

  t.strictSame(config.getAlias('team', 'esmtp'), ['esmtp@example.net'], "a module's own aliases come first")
  t.strictSame(config.getAlias('v@virt.example.com', 'esmtp'), ['module-v@me.example.com'], 'its virtual domains too')
  t.strictSame(config.getAlias('Upper', 'esmtp'), ['up@example.net'], 'then those of all')
  t.strictSame(config.getAlias('team', 'local'), ['a@example.net'], 'a module without aliases')
  t.throws(() => config.getAlias('team', '../x'), RangeError, 'a module that is none')

  writeCourierFiles(sysconfdir, {
    locallowercase: '',
    defaultdomain: '',
    'aliases.dat': { 'team@': 'e@example.net\n' },
  })
  t.strictSame(config.getAlias('TEAM'), ['e@example.net'], 'locallowercase, and an empty defaultdomain, act at once')
  const facts = { isLocal: () => false, defaultdomain: 'D.example', me: 'm', locallowercase: false }
  t.strictSame(canonicalAlias('POSTMASTER', facts), { local: 'postmaster', domain: 'd.example' }, 'the form of keys')

  // Records of one member each: 260 of them, so that the number has three digits.
  const many = Object.fromEntries(
    Array.from({ length: 260 }, (_, index) => {
      const digits = index.toString(16).toUpperCase().split('').reverse().join('')
      return [index === 0 ? 'many@d' : `many@d\n${digits}`, `m${index}@example.net\n`]
    }),
  )
  t.ok('many@d\nF' in many && 'many@d\n01' in many && 'many@d\n11' in many, '15, 16 and 17 are F, 01 and 11')
  const long = open(t.testdir(), {
    defaultdomain: 'd\n',
    locals: '',
    'aliases.dat': { ...many, 'gap@d': 'a\nb\n', 'gap@d\n2': 'c\n' },
  }).config
  t.strictSame(
    long.getAlias('many'),
    Array.from({ length: 260 }, (_, index) => `m${index}@example.net`),
    'continuation records',
  )
  t.strictSame(long.getAlias('gap'), ['a', 'b'], 'up to the first that is missing')
  t.end()
})

t.test('the databases that Courier made', { skip: noCorpus }, (t) => {
  const dats = Object.fromEntries(
    ['aliases', 'hosteddomains', 'smtpaccess'].map((name) => [
      `${name}.dat`,
      readFileSync(join(corpus, `${name}.dat`)),
    ]),
  )
  const { config } = open(t.testdir(), { ...dats, me: 'vm.test.example\n', locals: 'vm.test.example\n' })
  const everyone = config.getAlias('everyone') ?? []
  t.equal(everyone.length, 250, 'an alias over eleven records')
  t.strictSame([everyone[0], everyone.at(-1)], ['member000@example.net', 'member249@example.net'], 'in order')
  t.strictSame(config.getAlias('info@virtual.example.com'), ['alice-info@vm.test.example'], 'a virtual domain')
  const access: [ip: string, name: string, want: string | null][] = [
    ['10.1.2.3', 'RELAYCLIENT', ''],
    ['127.0.0.2', 'BLOCK', '550 Go away, please'],
    ['127.0.0.2', 'FOO', ''],
    ['127.0.0.1', 'BLOCK', null],
    ['127.0.0.3', 'BLOCK', null],
    ['127.0.0.6', 'BLOCK', ''],
    ['127.0.0.7', 'RELAYCLIENT', '.relay.example.net'],
    ['203.0.113.1', 'BOFHCHECKDNS', '0'],
    ['::1', 'RELAYCLIENT', ''],
    ['2001:db8:1::1', 'BLOCK', '550 No, not you'],
    ['2001:db9::1', 'BOFHCHECKDNS', '0'],
    ['::ffff:10.0.0.1', 'RELAYCLIENT', ''],
  ]
  for (const [ip, name, want] of access) t.equal(config.getSmtpaccessVal(name, ip), want, `${name} of ${ip}`)
  t.equal(config.hostedDomain('mail.hosted.example.org'), 'hosted.example.org', 'a domain alias')
  t.end()
})

t.test('the SMTP access file', (t) => {
  const v6 = [':2001', ':0db8', ':0000', ':0000', ':0000', ':0000', ':0000', ':0001']
  const keys: [ip: string, want: string[]][] = [
    ['192.0.2.4', ['192.0.2.4', '192.0.2', '192.0', '192', '*']],
    ['::ffff:192.0.2.4', ['192.0.2.4', '192.0.2', '192.0', '192', '*']],
    ['::FFFF:c000:204', ['192.0.2.4', '192.0.2', '192.0', '192', '*']],
    ['0:0:0:0:0:ffff:192.0.2.4', ['192.0.2.4', '192.0.2', '192.0', '192', '*']],
    ['2001:DB8::1', [...v6.map((_, index) => v6.slice(0, 8 - index).join('')), '*']],
  ]
  for (const [ip, want] of keys) t.strictSame(smtpaccessKeys(ip), want, `the keys of ${ip}`)
  const first: [ip: string, want: string][] = [
    ['::', ':0000:0000:0000:0000:0000:0000:0000:0000'],
    ['::1', ':0000:0000:0000:0000:0000:0000:0000:0001'],
    ['1::', ':0001:0000:0000:0000:0000:0000:0000:0000'],
    ['::192.0.2.4', ':0000:0000:0000:0000:0000:0000:c000:0204'],
    ['1:2:3:4:5:6:7:8', ':0001:0002:0003:0004:0005:0006:0007:0008'],
    ['64:ff9b::192.0.2.33', ':0064:ff9b:0000:0000:0000:0000:c000:0221'],
  ]
  for (const [ip, want] of first) t.equal(smtpaccessKeys(ip)[0], want, `${ip} in full`)
  for (const ip of ['', 'x', '192.0.2', '192.0.2.256', '192.0.2.4 ', '01.2.3.4', 'fe80::1%eth0', '::ffff:1.2.3']) {
    t.throws(() => smtpaccessKeys(ip), RangeError, `"${ip}" is no address`)
  }

  const values: [value: string, want: Record<string, string> | null][] = [
    ['allow', {}],
    ['', {}],
    ['allow,', {}],
    ['allow,RELAYCLIENT', { RELAYCLIENT: '' }],
    ['RELAYCLIENT,A=1', { RELAYCLIENT: '', A: '1' }],
    ['allow,BLOCK="550 Go away, please",FOO', { BLOCK: '550 Go away, please', FOO: '' }],
    ['allow,BLOCK=\'550 No, not "you"\'', { BLOCK: '550 No, not "you"' }],
    ['allow, BLOCK=a b , FOO', { BLOCK: 'a b', FOO: '' }],
    ['allow,BLOCK=', { BLOCK: '' }],
    ['allow,BLOCK=""', { BLOCK: '' }],
    ['allow,A=1,A=2', { A: '1' }],
    ['allow,A=b=c', { A: 'b=c' }],
    ['allow,A="open,B', { A: 'open,B' }],
    ['allow,,=x,B', { B: '' }],
    ['deny', null],
    ['deny,RELAYCLIENT', null],
  ]
  for (const [value, want] of values) {
    const got = parseSmtpaccess(value)
    t.strictSame(got === null ? null : Object.fromEntries(got), want, `the variables of '${value}'`)
  }

  const { config, sysconfdir } = open(t.testdir(), {
    'smtpaccess.dat': {
      '192.0': 'allow,BLOCK,RELAYCLIENT',
      '192.0.2': 'allow,BLOCK=no',
      '192.0.2.7': 'allow',
      '192.0.2.8': 'deny,RELAYCLIENT,BLOCK',
      '*': 'allow,BLOCK,BOFHCHECKDNS=0',
    },
  })
  t.equal(config.getBlockVal('192.0.2.1'), 'no', 'the entry that fits best')
  t.equal(config.isRelayed('192.0.2.1'), false, 'decides alone: nothing of the wider one is taken in')
  t.equal(config.getBlockVal('192.0.2.7'), null, 'an entry without variables hides the wider ones')
  t.equal(config.isWhiteblocked('203.0.113.1'), true, '* is for all others')
  t.equal(config.smtpaccess('2001:db8::1'), 'allow,BLOCK,BOFHCHECKDNS=0', '* is for IPv6 too')
  t.strictSame(
    [config.isRelayed('192.0.2.8'), config.getBlockVal('192.0.2.8'), config.smtpaccess('192.0.2.8')],
    [false, null, 'deny,RELAYCLIENT,BLOCK'],
    'an entry that denies grants nothing',
  )
  t.throws(() => config.isRelayed('x'), RangeError, 'what is no address is an error')
  writeFileSync(join(sysconfdir, 'smtpaccess.dat'), '')
  t.throws(
    () => config.isRelayed('192.0.2.1'),
    { message: /smtpaccess\.dat: .*empty/ },
    'an empty database file is an error, not "no"',
  )
  t.end()
})

t.test('versions', (t) => {
  const printed: [text: string, want: string | null][] = [
    ['Courier 1.0.16 Copyright 1999-2018 Double Precision, Inc.\n', '1.0.16'],
    ['Courier 2.0\n', '2.0'],
    ['Courier unknown\n', null],
    ['courier: not found\n', null],
    ['', null],
  ]
  for (const [text, want] of printed) t.equal(parseCourierVersion(text), want, `'${text.trim()}' is ${want ?? 'none'}`)
  const rows: [version: string, wanted: string, want: boolean][] = [
    ['1.0.16', '1.0.16', true],
    ['1.0.16', '1.0.2', true],
    ['1.0.9', '1.0.16', false],
    ['0.9', '0.10', false],
    ['1.0', '1.0.0', true],
    ['1.0', '1.0.1', false],
    ['2', '1.99', true],
    ['', '0', false],
  ]
  for (const [version, wanted, want] of rows)
    t.equal(isAtLeast(version, wanted), want, `${version} at least ${wanted}: ${want}`)
  t.throws(() => isAtLeast('1.0', '1.x'), RangeError, 'a wish that is no version')

  const runs: string[] = []
  const runProgram: CourierConfigOptions['runProgram'] = (file, args) => {
    runs.push([file, ...args].join(' '))
    return file.endsWith('/courier') ? 'Courier 1.0.16 Copyright\n' : null
  }
  const { config } = open(t.testdir(), {}, { runProgram })
  t.equal(config.version(), '1.0.16', 'the version of the program')
  t.equal(config.isMinVersion('1.0.16'), true, 'at least this one')
  t.equal(config.isMinVersion('1.1'), false, 'not a later one')
  t.strictSame(runs, ['courier-config', '/usr/sbin/courier --version'], 'each program ran once')
  const unknown = open(t.testdir(), {}).config
  t.equal(unknown.isMinVersion('0.1'), false, 'an unknown version is never late enough')
  t.throws(() => unknown.isMinVersion('x'), RangeError, 'and the wish is checked all the same')
  t.end()
})

t.test('where the configuration is', (t) => {
  const debian = 'prefix=/usr\nsbindir=/usr/sbin\nsysconfdir=/etc/courier\nconfigure_args="\'--sysconfdir=/x\'"\n'
  const rows: [name: string, env: NodeJS.ProcessEnv, printed: string | null, sysconfdir: string, sbindir: string][] = [
    ['what courier-config says', {}, debian.replace('/etc/', '/opt/'), '/opt/courier', '/usr/sbin'],
    [
      'the environment of the Courier that asks comes first',
      { sysconfdir: '/srv/etc' },
      debian,
      '/srv/etc',
      '/usr/sbin',
    ],
    ['a relative one is none', { sysconfdir: 'etc' }, debian, '/etc/courier', '/usr/sbin'],
    ['without both, where packages put it', {}, null, '/etc/courier', '/usr/sbin'],
    ['or below the prefix', { prefix: '/usr/lib/courier' }, null, '/usr/lib/courier/etc', '/usr/lib/courier/sbin'],
    ['nonsense from courier-config', {}, 'sysconfdir=etc\nfoo', '/etc/courier', '/usr/sbin'],
  ]
  for (const [name, env, printed, sysconfdir, sbindir] of rows) {
    const folders = findCourierFolders(env, () => printed)
    t.strictSame([folders.sysconfdir(), folders.sbindir()], [sysconfdir, sbindir], name)
  }
  const never = () => {
    t.fail('a program ran, though the environment names the folder')
    return null
  }
  const paths: string[] = []
  findCourierFolders({ PATH: '/a:b::/c', prefix: '/p' }, (_file, _args, path) => (paths.push(path), null)).sysconfdir()
  t.match(paths[0], /^\/p\/bin:\/a:\/c:\/usr\/bin:/, 'programs are looked for in absolute folders alone')
  findCourierFolders({ sysconfdir: '/x' }, never).sysconfdir()

  const dir = t.testdir()
  const before = process.env['sysconfdir']
  t.teardown(() => {
    if (before === undefined) delete process.env['sysconfdir']
    else process.env['sysconfdir'] = before
  })
  for (const name of ['one.example.org', 'two.example.org']) {
    process.env['sysconfdir'] = makeCourierFolder(dir, { me: `${name}\n`, 'hosteddomains.dat': { [`h.${name}`]: '1' } })
    t.equal(library.me(), name, `the functions of the library ask the Courier of the environment: ${name}`)
    t.equal(library.isLocal(name), true, 'isLocal')
    t.equal(library.hostedDomain(`h.${name}`), `h.${name}`, 'hostedDomain')
    t.equal(library.sysconfdir(), process.env['sysconfdir'], 'sysconfdir')
  }
  t.end()
})
