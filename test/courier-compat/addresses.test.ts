/** Addresses: what is one, what is none, in every form that mail has them. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import {
  addressLimits,
  canonical,
  domainOf,
  envelopeAddress,
  formatAddress,
  fromOf,
  headerAddresses,
  identityOf,
  needsUtf8,
  parseAddress,
  parseAddressList,
  sameAddress,
} from '../../courier-compat/addresses.ts'
import type { RefusalReason, RefusalWeight } from '../../courier-compat/addresses.ts'
import { fieldBytes } from '../../courier-compat/header/value.ts'
import { parseHeaderSection } from '../../courier-compat/header/section.ts'

/** All addresses of a list in their canonical form, or the reason for a refusal. */
function read(input: string | Uint8Array): string {
  const list = parseAddressList(input)
  return list.ok ? list.mailboxes.map(({ address }) => canonical(address)).join(', ') : `refused: ${list.reason}`
}

/** The same for one that stands alone. */
function readOne(input: string | Uint8Array, brackets = false): string {
  const result = parseAddress(input, { brackets })
  return result.ok ? canonical(result.address) : `refused: ${result.reason}`
}

const section = (text: string) => parseHeaderSection(Buffer.from(`${text}\n\n`))

t.test('an address that stands alone', (t) => {
  const x = 'x'.repeat(63)
  const rows: [text: string, canonical: string][] = [
    ['bob@example.org', 'bob@example.org'],
    ['Bob@EXAMPLE.Org', 'Bob@example.org'],
    ['admin@localhost', 'admin@localhost'],
    ['a.b+c@sub.example.org', 'a.b+c@sub.example.org'],
    ["!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"],
    ['a@123.45.67.89', 'a@123.45.67.89'],
    ['a@_dmarc.example.org', 'a@_dmarc.example.org'],
    ['"bob"@example.org', 'bob@example.org'],
    ['"a.b"@example.org', 'a.b@example.org'],
    ['"a b"@example.org', '"a b"@example.org'],
    ['"a..b"@example.org', '"a..b"@example.org'],
    ['"a@b"@example.org', '"a@b"@example.org'],
    ['"a\\"b\\\\c"@example.org', '"a\\"b\\\\c"@example.org'],
    ['"\\b\\o\\b"@example.org', 'bob@example.org'],
    ['" "@example.org', '" "@example.org'],
    ['a@[192.0.2.1]', 'a@[192.0.2.1]'],
    ['a@[IPv6:2001:DB8:0:0::1]', 'a@[IPv6:2001:db8::1]'],
    ['a@[ipv6:::ffff:192.0.2.1]', 'a@[IPv6:::ffff:c000:201]'],
    ['a@b\u00fccher.example', 'a@xn--bcher-kva.example'],
    ['a@B\u00dcCHER.example', 'a@xn--bcher-kva.example'],
    ['a@bu\u0308cher.example', 'a@xn--bcher-kva.example'],
    ['a@XN--BCHER-KVA.example', 'a@xn--bcher-kva.example'],
    ['a@\u4f8b\u5b50.\u5e7f\u544a', 'a@xn--fsqu00a.xn--4rr70v'],
    ['j\u00f6rg@example.org', 'j\u00f6rg@example.org'],
    ['"j\u00f6rg m"@example.org', '"j\u00f6rg m"@example.org'],
    ['\u7528\u6237@\u4f8b\u5b50.\u5e7f\u544a', '\u7528\u6237@xn--fsqu00a.xn--4rr70v'],
    [`a@${x}.example`, `a@${x}.example`],
    [`${'l'.repeat(256)}@example.org`, `${'l'.repeat(256)}@example.org`],

    ['', 'refused: no-address'],
    ['bob', 'refused: no-at'],
    ['@example.org', 'refused: no-local-part'],
    ['bob@', 'refused: no-domain'],
    ['""@example.org', 'refused: local-part'],
    ['"bob@example.org', 'refused: open-quote'],
    ['a@b@example.org', 'refused: several-at'],
    ['.a@example.org', 'refused: local-dots'],
    ['a.@example.org', 'refused: local-dots'],
    ['a..b@example.org', 'refused: local-dots'],
    ['a\\b@example.org', 'refused: local-part'],
    ['a\u0001@example.org', 'refused: local-part'],
    ['"a\tb"@example.org', 'refused: local-part'],
    ['"a"."b"@example.org', 'refused: text-beside'],
    ['"a"b@example.org', 'refused: text-beside'],
    ['a@example.org.', 'refused: domain'],
    ['a@.example.org', 'refused: domain'],
    ['a@example..org', 'refused: domain'],
    ['a@"example.org"', 'refused: domain'],
    ['a@xn--example.org', 'refused: domain'],
    ['a@xn--.org', 'refused: domain'],
    ['a@[192.0.2.256]', 'refused: domain-literal'],
    ['a@[192.0.2.01]', 'refused: domain-literal'],
    ['a@[\\192.0.2.1]', 'refused: domain-literal'],
    ['a@[2001:db8::1]', 'refused: domain-literal'],
    ['a@[IPv6:fe80::1%eth0]', 'refused: domain-literal'],
    ['a@[example.org]', 'refused: domain-literal'],
    ['a@[192.0.2.1', 'refused: domain-literal'],
    ['a@[192.0.2.1]x', 'refused: text-beside'],
    [' bob@example.org', 'refused: comment-or-blank'],
    ['bob@example.org ', 'refused: comment-or-blank'],
    ['bob @example.org', 'refused: comment-or-blank'],
    ['bob(c)@example.org', 'refused: comment-or-blank'],
    ['bob@example.org(c)', 'refused: comment-or-blank'],
    ['(malformed utf8):bob%FF@example.org', 'refused: comment-or-blank'],
    ['<bob@example.org>', 'refused: text-beside'],
    ['a@example.org,b@example.org', 'refused: text-beside'],
    ['g:a@example.org;', 'refused: text-beside'],
    ['a@example.org\r\nRCPT TO:<b@example.org>', 'refused: line-end'],
    ['a@example.org\0.example.net', 'refused: line-end'],
    ['=?utf-8?q?a=40example.net=3e?=@example.org', 'refused: encoded-word'],
    ['"=?utf-8?B?YQ==?="@example.org', 'refused: encoded-word'],
    ['a@=?utf-8?q?example.org?=', 'refused: encoded-word'],
    ['a@e\uff58ample.org', 'refused: domain'],
    ['a@example\uff0eorg', 'refused: domain'],
    ['a@example\u3002org', 'refused: domain'],
    ['a@ex\u00adample.org', 'refused: domain'],
    ['a@ex\u200bample.org', 'refused: domain'],
    ['a@\u212a.example', 'refused: domain'],
    ['a@b\u00fc%41.example', 'refused: domain'],
    ['a\uff20example.net', 'refused: no-at'],
    ['a\uff20example.net@example.org', 'refused: local-part'],
    ['a\ufe52b@example.org', 'refused: local-part'],
    ['a\u00a0b@example.org', 'refused: local-part'],
    ['a\u202eb@example.org', 'refused: local-part'],
    ['a\ufffdb@example.org', 'refused: local-part'],
    ['a\ud800@example.org', 'refused: local-part'],
    ['a@\ud800.example', 'refused: domain'],
    [`${'l'.repeat(257)}@example.org`, 'refused: long-local-part'],
    [`${'\u00f6'.repeat(129)}@example.org`, 'refused: long-local-part'],
    [`a@${x}x.example`, 'refused: long-domain'],
    [`a@${`${x}.`.repeat(3)}${'y'.repeat(61)}`, `a@${`${x}.`.repeat(3)}${'y'.repeat(61)}`],
    [`a@${`${x}.`.repeat(3)}${'y'.repeat(62)}`, 'refused: long-domain'],
    [`a@${'\u00fc'.repeat(60)}.example`, 'refused: long-domain'],
  ]
  for (const [text, want] of rows) {
    t.equal(readOne(text), want, JSON.stringify(text.slice(0, 60)))
    if (!want.startsWith('refused')) t.equal(read(text), want, `in a field: ${JSON.stringify(text.slice(0, 60))}`)
  }
  t.equal(readOne(Buffer.from('bob@example.org')), 'bob@example.org', 'octets')
  t.equal(readOne(Buffer.from('j\u00f6@example.org')), 'j\u00f6@example.org', 'octets that are UTF-8')
  t.equal(
    readOne(Buffer.from('j\u00f6@example.org', 'latin1')),
    'refused: local-octets',
    'octets that are not, before the @',
  )
  t.equal(readOne(Buffer.from('j@\u00f6.org', 'latin1')), 'refused: not-utf8', 'octets that are not, after the @')
  t.equal(readOne('<bob@example.org>', true), 'bob@example.org', 'angle brackets, if wanted')
  t.equal(readOne('bob@example.org', true), 'bob@example.org', 'none where they may be')
  for (const [text, reason] of [
    ['<>', 'no-address'],
    ['<bob@example.org', 'text-beside'],
    ['bob@example.org>', 'text-beside'],
    ['<<bob@example.org>>', 'text-beside'],
    ['Bob <bob@example.org>', 'comment-or-blank'],
    ['<bob@example.org> x', 'comment-or-blank'],
    ['<@relay.example:bob@example.org>', 'text-beside'],
  ] as const) {
    t.equal(readOne(text, true), `refused: ${reason}`, text)
  }
  t.end()
})

t.test('the addresses of a field', (t) => {
  const rows: [text: string, addresses: string][] = [
    ['', ''],
    [' \t', ''],
    ['bob@example.org', 'bob@example.org'],
    ['  bob@example.org\t', 'bob@example.org'],
    ['Bob <bob@example.org>', 'bob@example.org'],
    ['<bob@example.org>', 'bob@example.org'],
    ['< bob@example.org >', 'bob@example.org'],
    ['"Doe, J." <j@example.org>', 'j@example.org'],
    ['John Q. Public <j@example.org>', 'j@example.org'],
    ['[List] Bob <bob@example.org>', 'bob@example.org'],
    ['"a@example.net" <b@example.org>', 'b@example.org'],
    ['=?utf-8?Q?a=40example.net?= <b@example.org>', 'b@example.org'],
    ['b@example.org (a@example.net)', 'b@example.org'],
    ['(a@example.net) b@example.org', 'b@example.org'],
    ['bob (c) @ (d (e) \\) f) example.org', 'bob@example.org'],
    ['a@example.org, b@example.net', 'a@example.org, b@example.net'],
    ['a@example.org,,b@example.net,', 'a@example.org, b@example.net'],
    ['Team: a@example.org, B <b@example.net>;', 'a@example.org, b@example.net'],
    ['Team: a@example.org;, b@example.net', 'a@example.org, b@example.net'],
    ['A: a@example.org;, B: b@example.net;', 'a@example.org, b@example.net'],
    ['undisclosed-recipients:;', ''],
    ['bob@example.org <bob@example.org>', 'bob@example.org'],
    ['bob@EXAMPLE.org <bob@example.org>', 'bob@example.org'],

    ['<ceo@example.org> <mallory@example.net>', 'refused: text-beside'],
    ['<a@example.org>b@example.net', 'refused: text-beside'],
    ['<a@example.org> b', 'refused: text-beside'],
    ['a@example.org <b@example.net>', 'refused: name-with-at'],
    ['bob@example.org <BOB@example.org>', 'refused: name-with-at'],
    ['a@example.org <>', 'refused: name-with-at'],
    ['a @ b <c@example.org>', 'refused: name-with-at'],
    ['Ima Fool@example.org', 'refused: text-beside'],
    ['fool@example.org Ima', 'refused: text-beside'],
    ['first(middle)last@example.org', 'refused: text-beside'],
    ['a@good.example(c).evil.example', 'refused: text-beside'],
    ['a@good.example .evil.example', 'refused: text-beside'],
    ['a@example.org b@example.net', 'refused: several-at'],
    ['<a@example.org', 'refused: open-bracket'],
    ['a@example.org>', 'refused: stray'],
    ['<<a@example.org>>', 'refused: stray'],
    ['<a@example.org, b@example.net>', 'refused: stray'],
    ['<a@example.org;', 'refused: stray'],
    ['<@relay.example,@b.example:a@example.org>', 'refused: route'],
    ['<@relay.example:a@example.org>', 'refused: route'],
    ['a@example.org; b@example.net', 'refused: stray'],
    ['Team: a@example.org', 'refused: open-group'],
    ['A: B: a@example.org;', 'refused: nested-group'],
    [': a@example.org;', 'refused: stray'],
    ['a@example.org: b@example.net;', 'refused: stray'],
    ['<a@example.org>: b@example.net;', 'refused: stray'],
    ['A: a@example.org; b@example.net', 'refused: text-beside'],
    ['A: a@example.org; <b@example.net>', 'refused: text-beside'],
    ['A: a@example.org; B: b@example.net;', 'refused: text-beside'],
    ['A:;;', 'refused: stray'],
    ['"Bob <bob@example.org>', 'refused: open-quote'],
    ['Bob (bob <bob@example.org>', 'refused: open-comment'],
    ['Bob <bob>', 'refused: no-at'],
    ['MAILER-DAEMON <>', 'refused: no-address'],
    ['bob@example.org, postmaster', 'refused: no-at'],
    ['Doe, John <j@example.org>', 'refused: no-at'],
    ['x, <a@example.org> <b@example.net>', 'refused: text-beside'],
    ['a@example.org\r\n b@example.net', 'refused: line-end'],
    ['a@example.org\nBcc: v@example.net', 'refused: line-end'],
  ]
  for (const [text, want] of rows) {
    t.equal(read(text), want, JSON.stringify(text))
    t.equal(read(Buffer.from(text)), read(text), `as octets: ${JSON.stringify(text)}`)
  }
  t.end()
})

t.test('names, comments and groups', (t) => {
  const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
  const rows: [input: string | Uint8Array, name: string | null, comment: string | null][] = [
    ['<a@example.org>', null, null],
    ['a@example.org (Ann)', null, 'Ann'],
    ['(x) Ann (y) <a@example.org> (z (z))', 'Ann', 'x y z (z)'],
    ['Ann  B.\tC <a@example.org>', 'Ann B. C', null],
    ['"Ann"B <a@example.org>', 'AnnB', null],
    ['"A \\"n\\\\n" <a@example.org>', 'A "n\\n', null],
    ['" Ann " <a@example.org>', 'Ann', null],
    ['"" <a@example.org>', null, null],
    ['J\u00f6rg <a@example.org>', 'J\u00f6rg', null],
    [Buffer.from('J\u00f6rg <a@example.org>'), 'J\u00f6rg', null],
    [latin1('J\u00f6rg <a@example.org>'), 'J\u00f6rg', null],
    ['=?utf-8?Q?J=C3=B6rg?= <a@example.org>', 'J\u00f6rg', null],
    ['=?utf-8?Q?J=C3=B6?= =?utf-8?Q?rg?= X <a@example.org>', 'J\u00f6rg X', null],
    ['"=?utf-8?Q?J=C3=B6rg?=" <a@example.org>', 'J\u00f6rg', null],
    ['a@example.org (=?utf-8?Q?J=C3=B6rg?=)', null, 'J\u00f6rg'],
    ['=?utf-8?Q?a=0D=0ABcc=3A_b?= <a@example.org>', 'a Bcc: b', null],
    ['bob@example.org <bob@example.org>', 'bob@example.org', null],
  ]
  for (const [input, name, comment] of rows) {
    const list = parseAddressList(input)
    if (!list.ok) t.fail(`refused: ${list.text}`, { input })
    else t.match(list.mailboxes, [{ kind: 'mailbox', name, comment, group: null }], input.toString())
  }
  const list = parseAddressList('"The Team" (x): Ann <a@example.org> (y), b@example.net;, c@example.org (z), Nobody:;')
  const of = (local: string, name: string | null, comment: string | null, group: string | null) => {
    return { kind: 'mailbox', name, comment, address: { local, domain: 'example.org' }, group }
  }
  const ann = of('a', 'Ann', 'y', 'The Team')
  const b = { ...of('b', null, null, 'The Team'), address: { local: 'b', domain: 'example.net' } }
  const c = of('c', null, 'z', null)
  t.same(
    list,
    {
      ok: true,
      entries: [
        { kind: 'group', name: 'The Team', mailboxes: [ann, b] },
        c,
        { kind: 'group', name: 'Nobody', mailboxes: [] },
      ],
      mailboxes: [ann, b, c],
    },
    'groups stand as they are, and their mailboxes in order',
  )
  t.end()
})

t.test('a refusal tells what, where and how bad it is', (t) => {
  const rows: [input: string | Uint8Array, reason: RefusalReason, at: number, weight: RefusalWeight][] = [
    ['a@example.org, b@c@example.net', 'several-at', 18, 'ambiguous'],
    ['\u00f6 <a@example.org>, b@c@example.net', 'several-at', 22, 'ambiguous'],
    [Buffer.from('\u00f6 <a@example.org>, b@c@example.net'), 'several-at', 23, 'ambiguous'],
    [Buffer.from('\u00f6 <a@example.org>, b@c@example.net', 'latin1'), 'several-at', 22, 'ambiguous'],
    ['a@example.org, b@', 'no-domain', 17, 'malformed'],
    ['bob', 'no-at', 0, 'malformed'],
    // What is only malformed does not hide what is worse.
    ['bob, a@example.org <b@example.net>', 'name-with-at', 5, 'ambiguous'],
    ['<>, "', 'open-quote', 4, 'malformed'],
    // Without an @ there is no address that programs could differ about, unless it is encoded.
    ['undisclosed-recipients;;', 'stray', 22, 'malformed'],
    ['a:b:c:', 'nested-group', 3, 'malformed'],
    ['=?utf-8?q?a=40example.org?= ;', 'stray', 28, 'ambiguous'],
  ]
  for (const [input, reason, at, weight] of rows) {
    t.match(parseAddressList(input), { ok: false, reason, at, weight, text: /^[ -~]+$/ }, input.toString())
  }
  t.end()
})

t.test('limits', (t) => {
  const many = (count: number, text: string): string => Array<string>(count).fill(text).join(',')
  const rows: [name: string, text: string, limits: object, want: string][] = [
    ['octets', 'a@example.org', { octets: 13 }, 'a@example.org'],
    ['too many octets', 'a@example.org', { octets: 12 }, 'refused: too-long 12'],
    ['addresses', many(2, 'a@b'), { addresses: 2 }, 'a@b, a@b'],
    ['too many addresses', many(3, 'a@b'), { addresses: 2 }, 'refused: too-many 11'],
    ['too many addresses in a group', `g:${many(3, 'a@b')};`, { addresses: 2 }, 'refused: too-many 13'],
    ['too many groups', many(3, 'g:;'), { addresses: 2 }, 'refused: too-many 10'],
    ['words of a name', 'a b c <a@b>', { words: 3 }, 'a@b'],
    ['too many words of a name', 'a b c d <a@b>', { words: 3 }, 'refused: too-many 6'],
    ['too many words in angle brackets', '<a b c>', { words: 2 }, 'refused: too-many 5'],
    ['comments', '(((a))) a@b', { commentDepth: 3 }, 'a@b'],
    ['too deep comments', '((((a)))) a@b', { commentDepth: 3 }, 'refused: too-deep 0'],
  ]
  for (const [name, text, limits, want] of rows) {
    const list = parseAddressList(text, { ...addressLimits, ...limits })
    const is = list.ok
      ? list.mailboxes.map(({ address }) => canonical(address)).join(', ')
      : `refused: ${list.reason} ${list.at}`
    t.equal(is, want, name)
    if (!list.ok) t.equal(list.weight, 'limit', `${name}: a limit`)
  }
  t.end()
})

t.test('forms of an address, and which are the same', (t) => {
  const one = (text: string) => {
    const result = parseAddress(text)
    if (!result.ok) throw new Error(result.text)
    return result.address
  }
  t.equal(envelopeAddress(one('"Bob"@B\u00dcCHER.example')), 'Bob@b\u00fccher.example', 'Courier keeps UTF-8')
  t.equal(envelopeAddress(one('"a b"@XN--BCHER-KVA.example')), '"a b"@b\u00fccher.example', 'and decodes xn--')
  t.equal(envelopeAddress(one('a@[IPv6:2001:DB8::1]')), 'a@[IPv6:2001:db8::1]', 'and leaves IP addresses')
  t.equal(needsUtf8(one('a@b\u00fccher.example')), false, 'a domain has an ASCII form')
  t.equal(needsUtf8(one('j\u00f6@example.org')), true, 'a local part has none')

  const domains: [text: string | null, domain: string | null][] = [
    ['a@EXAMPLE.org', 'example.org'],
    ['<a@b\u00fccher.example>', 'xn--bcher-kva.example'],
    ['"a@b"@example.org', 'example.org'],
    ['a@[192.0.2.1]', '[192.0.2.1]'],
    ['a@b@example.org', null],
    ['bob', null],
    ['', null],
    ['<>', null],
    [null, null],
  ]
  for (const [text, domain] of domains) t.equal(domainOf(text), domain, `the domain of ${text}`)

  const pairs: [a: string, b: string, isSame: boolean, isSameLowercase: boolean][] = [
    ['bob@example.org', 'bob@EXAMPLE.org', true, true],
    ['bob@example.org', '"b\\ob"@example.org', true, true],
    ['bob@example.org', '<bob@example.org>', true, true],
    ['a@b\u00fccher.example', 'a@xn--bcher-kva.example', true, true],
    ['a@[IPv6:2001:db8:0::1]', 'a@[IPv6:2001:db8::1]', true, true],
    ['Bob@example.org', 'bob@example.org', false, true],
    ['PostMaster@example.org', 'postmaster@example.org', true, true],
    ['bob@example.org', 'bob@example.net', false, false],
    ['bob@example.org', 'rob@example.org', false, false],
    ['"a b"@example.org', '"a  b"@example.org', false, false],
    ['a@b@example.org', 'a@b@example.org', true, true],
    ['a@b@example.org', 'a@b@EXAMPLE.org', false, false],
    ['bob', 'bob@example.org', false, false],
  ]
  for (const [a, b, isSame, isSameLowercase] of pairs) {
    t.equal(sameAddress(a, b), isSame, `${a} and ${b}`)
    t.equal(sameAddress(b, a, { localLowercase: true }), isSameLowercase, `${b} and ${a}, local parts without case`)
  }
  t.equal(sameAddress(one('a@example.org'), 'a@Example.org'), true, 'one that was read, and a text')
  t.not(identityOf(''), identityOf(' '), 'texts that cannot be read are different')
  t.end()
})

t.test('writing', (t) => {
  const address = 'a@example.org'
  const rows: [name: string | null, written: string][] = [
    [null, 'a@example.org'],
    ['', 'a@example.org'],
    [' \t', 'a@example.org'],
    ['Ann', 'Ann <a@example.org>'],
    ['Ann Other', 'Ann Other <a@example.org>'],
    ['Ann  Other', '"Ann  Other" <a@example.org>'],
    ['Other, Ann', '"Other, Ann" <a@example.org>'],
    ['A. Other', '"A. Other" <a@example.org>'],
    ['b@example.net', '"b@example.net" <a@example.org>'],
    ['x" <b@example.net>, "', '"x\\" <b@example.net>, \\"" <a@example.org>'],
    ['\\', '"\\\\" <a@example.org>'],
    ['a\r\nBcc: b@example.net', '"a  Bcc: b@example.net" <a@example.org>'],
    ['J\u00f6rg', '=?utf-8?B?SsO2cmc=?= <a@example.org>'],
    ['=?utf-8?Q?x?=', '=?utf-8?B?PT91dGYtOD9RP3g/PQ==?= <a@example.org>'],
  ]
  for (const [name, written] of rows) t.equal(formatAddress({ name, address }), written, JSON.stringify(name))
  t.equal(formatAddress({ address: '"a b"@B\u00dcCHER.example' }), '"a b"@xn--bcher-kva.example', 'in canonical form')
  for (const bad of ['', 'bob', '<a@example.org>', 'a@example.org, b@example.org', 'a@b\r\nBcc: c@d']) {
    t.throws(() => formatAddress({ address: bad }), RangeError, `no address: ${JSON.stringify(bad)}`)
  }
  for (const forged of [
    { local: 'a\r\nBcc: b', domain: 'example.org' },
    { local: 'a', domain: 'example.org>, <b@example.net' },
  ]) {
    t.throws(() => formatAddress({ address: forged }), RangeError, `made by hand: ${JSON.stringify(forged)}`)
  }
  const long = 'x'.repeat(3000)
  const bytes = fieldBytes('To', formatAddress({ name: long, address }), '\n')
  t.match(read(parseHeaderSection(bytes).fields[0]?.valueBytes ?? ''), address, 'a long word can be written')
  t.ok(
    bytes
      .toString()
      .split('\n')
      .every((line) => line.length < 100),
    'in short lines',
  )
  t.end()
})

t.test('the author, and the addresses of fields', (t) => {
  const big = { ...section('From: a@example.org'), overLimit: 'lines' as const }
  const rows: [name: string, header: Parameters<typeof fromOf>[0], want: string][] = [
    ['one', section('From: Ann <a@example.org>'), 'a@example.org'],
    ['in any case', section('fRoM: a@example.org'), 'a@example.org'],
    ['in a group of one', section('From: Team: a@example.org;'), 'a@example.org'],
    ['a comment is none', section('From: a@example.org (b@example.net)'), 'a@example.org'],
    ['no field', section('To: a@example.org'), 'none'],
    ['an empty field', section('From:'), 'none'],
    ['an empty group', section('From: Nobody:;'), 'none'],
    ['two fields', section('From: a@example.org\nFrom: b@example.net'), 'several-fields'],
    ['two fields that are the same', section('From: a@example.org\nFrom: a@example.org'), 'several-fields'],
    ['a second one with a blank', section('From: a@example.org\nFrom : b@example.net'), 'several-fields'],
    ['a second one that is empty', section('From: a@example.org\nFrom:'), 'several-fields'],
    ['two addresses', section('From: a@example.org, b@example.org'), 'several-mailboxes'],
    ['what cannot be read', section('From: <a@example.org> <b@example.net>'), 'unreadable text-beside 16'],
    ['no address', section('From: MAILER-DAEMON <>'), 'unreadable no-address 15'],
    ['a section that was not read whole', big, 'over-limit'],
  ]
  for (const [name, header, want] of rows) {
    const author = fromOf(header)
    const refusal = author.ok || author.refusal === null ? '' : ` ${author.refusal.reason} ${author.refusal.at}`
    t.equal(author.ok ? canonical(author.mailbox.address) : author.reason + refusal, want, name)
  }
  const header = section('To: a@example.org\nTO: T: b@example.org;\nCc: a@b@c\nX: 1')
  t.match(headerAddresses(header, 'to'), { ok: true, entries: { length: 2 }, mailboxes: { length: 2 } }, 'all fields')
  t.match(headerAddresses(header, 'Bcc'), { ok: true, entries: [], mailboxes: [] }, 'no such field')
  t.match(headerAddresses(header, 'Cc'), { ok: false, reason: 'several-at', at: 3, field: { name: 'Cc' } }, 'a refusal')
  t.match(headerAddresses(big, 'To'), { ok: false, weight: 'limit', field: null }, 'not read whole')
  const few = { ...addressLimits, addresses: 1 }
  t.match(headerAddresses(header, 'To', few), { reason: 'too-many', field: { name: 'TO' } }, 'limits count all fields')
  t.end()
})

t.test('whatever the text: an answer or a refusal, and never two answers', (t) => {
  const mailLike = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          ...Array.from('<>@,:;"()[]\\. \t'),
          '\u00f6',
          '\uff20',
          '=?utf-8?q?a?=',
          'a@b.c',
          'Bob',
          'xn--',
          '[192.0.2.1]',
        ),
        fc.string({ maxLength: 3 }),
      ),
      { maxLength: 30 },
    )
    .map((pieces) => pieces.join(''))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), mailLike, fc.string({ unit: 'binary' })), (input) => {
      const list = parseAddressList(input)
      const one = parseAddress(input)
      const bracketed = parseAddress(input, { brackets: true })
      if (!list.ok && list.at > input.length) throw new Error('a place beyond the end')
      if (one.ok && !bracketed.ok) throw new Error('brackets take something away')
      const answers = [one, bracketed].flatMap((result) => (result.ok ? [canonical(result.address)] : []))
      if (answers.length > 0 && (!list.ok || list.mailboxes.length !== 1))
        throw new Error('alone it is one, in a list not')
      if (list.ok && list.mailboxes.length === 1)
        answers.push(...list.mailboxes.map(({ address }) => canonical(address)))
      if (new Set(answers).size > 1) throw new Error('two answers')
      for (const answer of answers) {
        const again = parseAddress(answer)
        if (!again.ok || canonical(again.address) !== answer) throw new Error('the canonical form is not canonical')
        if (list.ok && !sameAddress(answer, list.mailboxes[0]?.address ?? '')) throw new Error('not the same as itself')
        if (!sameAddress(envelopeAddress(again.address), answer)) throw new Error('another one in the envelope')
      }
    }),
    { numRuns: 3000 },
  )
  t.end()
})

t.test('what is written is read again', (t) => {
  const name = fc.oneof(fc.string({ maxLength: 80 }), fc.string({ unit: 'binary', maxLength: 40 }))
  const local = fc.oneof(
    fc.constantFrom('a', 'a.b', 'a b', '"', '\\', '@', 'a..b', ' '),
    fc.string({ minLength: 1, maxLength: 20 }),
  )
  const domain = fc.constantFrom('example.org', 'xn--bcher-kva.example', '[192.0.2.1]', '[IPv6:2001:db8::1]')
  fc.assert(
    fc.property(fc.array(fc.record({ name, local, domain }), { minLength: 1, maxLength: 4 }), (all) => {
      const isDecodable = all.every(({ local }) => !local.includes('=?'))
      fc.pre(isDecodable)
      const text = all.map(({ name, ...address }) => formatAddress({ name, address })).join(', ')
      // As a field of a message, folded and unfolded.
      const { fields } = parseHeaderSection(fieldBytes('To', text, '\r\n'))
      if (fields.length !== 1) throw new Error(`${fields.length} fields`)
      for (const value of [text, fields[0]?.valueBytes ?? '']) {
        const list = parseAddressList(value)
        if (!list.ok) throw new Error(`${list.reason} at ${list.at} of ${String(value)}`)
        const want = all.map(({ name, ...address }) => ({ name: shown(name), address }))
        const got = list.mailboxes.map(({ name, address }) => ({ name, address }))
        if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${JSON.stringify(got)} of ${String(value)}`)
      }
    }),
    { numRuns: 1000 },
  )
  t.end()
})

/** A name as it comes back. */
function shown(name: string): string | null {
  const text = name
    .toWellFormed()
    .replace(/[\p{Cc}\u2028\u2029]/gu, ' ')
    .trim()
  return text === '' ? null : text
}

const corpus = join(import.meta.dirname, '../../../shared/corpus/mime/train')
const skip = existsSync(corpus) ? false : 'the corpus is not on this machine'
const linesOf = (name: string): string[] => {
  return readFileSync(join(corpus, 'addresses', name), 'utf8')
    .split('\n')
    .filter(Boolean)
}

t.test('the lists of the corpus', { skip }, (t) => {
  for (const line of linesOf('flanker-mailbox_valid.txt')) {
    // The domain as it stands after the last @, in the canonical form.
    const domain = domainOf(`x@${line.slice(line.lastIndexOf('@') + 1).replace(/>$/, '')}`)
    const list = parseAddressList(line)
    t.match(list, { ok: true, mailboxes: { length: 1 } }, `read: ${line}`)
    t.equal(list.ok && list.mailboxes[0]?.address.domain, domain, `its domain: ${domain}`)
    if (!/[<(]/.test(line)) t.equal(domainOf(line), domain, 'the same alone')
  }
  for (const line of linesOf('flanker-mailbox_invalid.txt')) {
    const text = line.replace(/\s+# .*/, '')
    t.match(read(text), /^refused/, `refused: ${line}`)
    t.match(readOne(text), /^refused/, 'the same alone')
  }
  const tricky = JSON.parse(linesOf('tricky.json').join('\n')) as { input: string; expect_domain: string | null }[]
  for (const { input, expect_domain: expected } of tricky) {
    const list = parseAddressList(input)
    const domains = list.ok ? list.mailboxes.map(({ address }) => address.domain).join(',') : null
    const wanted = (expected ?? 'refuse').replace(/^LIST:/, '').split('|')
    t.ok(
      wanted.includes(domains ?? 'refuse'),
      `${JSON.stringify(input)}: ${domains ?? 'refuse'} of ${wanted.join('|')}`,
    )
    const alone = domainOf(input)
    t.ok(alone === null || alone === domains, 'alone the same, or refused')
  }
  t.end()
})

interface Label {
  readonly parsers_disagree: boolean
  readonly ref: { readonly from_domain?: { readonly value: string } }
  readonly own?: { readonly ambiguous?: boolean }
}

t.test('the authors of the corpus', { skip }, (t) => {
  const labels = JSON.parse(readFileSync(join(corpus, 'labels.json'), 'utf8')) as Record<string, Label>
  const missed = new Map<string, string>()
  let labelled = 0
  let plain = 0
  const alarms: string[] = []
  for (const [file, { parsers_disagree: disagree, ref, own }] of Object.entries(labels)) {
    const header = parseHeaderSection(readFileSync(join(corpus, file)))
    const author = fromOf(header)
    const domain = author.ok ? author.mailbox.address.domain : author.reason
    if (ref.from_domain !== undefined) {
      labelled++
      if (domain !== ref.from_domain.value) missed.set(file, domain)
    }
    if (disagree || own?.ambiguous === true) continue
    plain++
    const lists = ['From', 'Sender', 'Reply-To', 'To', 'Cc'].map((name) => headerAddresses(header, name))
    if (lists.some((list) => !list.ok && list.weight !== 'malformed')) alarms.push(file)
  }
  t.ok(labelled > 400, `${labelled} messages are labelled`)
  t.ok(missed.size <= labelled * 0.02, `${missed.size} of them are missed`, { missed: [...missed] })
  for (const [file, domain] of missed) {
    t.match(domain, /^[a-z-]+$/, `${file} is refused, not answered with another domain`)
  }
  t.ok(alarms.length <= plain * 0.015, `${alarms.length} of ${plain} plain messages have odd addresses`, { alarms })

  // What the hostile messages of the corpus must give, in its own words.
  const hostile: [file: string, field: string, want: string][] = [
    ['addr-comment', 'From', 'mallory@attacker.example'],
    ['addr-group-deep', 'To', 'refused: nested-group'],
    ['addr-quoted-at', 'To', '"bob@rcpt.example x"@internal.example'],
    ['addr-route', 'From', 'refused: route'],
    ['addr-two-angle', 'From', 'refused: text-beside'],
    ['ew-address', 'From', 'mallory@attacker.example'],
    ['ew-as-addr-spec', 'From', 'refused: encoded-word'],
  ]
  for (const [file, name, want] of hostile) {
    const { fields } = parseHeaderSection(readFileSync(join(corpus, `hostile/${file}.eml`)))
    t.equal(read(fields.find((field) => field.name === name)?.valueBytes ?? ''), want, file)
  }
  t.equal(fromOf(parseHeaderSection(readFileSync(join(corpus, 'hostile/dup-from.eml')))).ok, false, 'dup-from')
  t.end()
})
