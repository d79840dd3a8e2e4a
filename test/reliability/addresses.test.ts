/**
 * R36, R40 and R45 for addresses: an answer or a refusal and never two answers, in time and memory that grow with the text
 * alone; one author or none; and nothing that is written makes another address.
 */
import type * as domainModule from '../../courier-compat/addresses/domain-name.ts'
import type * as formatModule from '../../courier-compat/addresses/format.ts'
import type * as headerModule from '../../courier-compat/addresses/header-addresses.ts'
import { addressLimits } from '../../courier-compat/addresses/limits.ts'
import type * as listModule from '../../courier-compat/addresses/list.ts'
import type * as scannerModule from '../../courier-compat/addresses/scanner.ts'
import type * as sourceModule from '../../courier-compat/addresses/source.ts'
import type * as specModule from '../../courier-compat/addresses/addr-spec.ts'
import { canonical, parseAddress, parseAddressList } from '../../courier-compat/addresses.ts'
import { parseHeaderSection } from '../../courier-compat/header/section.ts'
import { timeOfDoublings } from '../helpers/doubling.ts'
import { importWithout } from '../helpers/without.mjs'
import { createFindings, testPromise, type Check } from './check.ts'

/** Each file of the parser on its own, since what is taken out of one is not taken out of the others. */
async function load(without: readonly string[]) {
  const file = (name: string): Promise<unknown> => importWithout(`courier-compat/addresses/${name}.ts`, without)
  const { canonicalDomainName } = (await file('domain-name')) as typeof domainModule
  const { formatAddress } = (await file('format')) as typeof formatModule
  const { fromOf } = (await file('header-addresses')) as typeof headerModule
  const list = (await file('list')) as typeof listModule
  const { createScanner } = (await file('scanner')) as typeof scannerModule
  const { openSource } = (await file('source')) as typeof sourceModule
  const { readAddrSpec } = (await file('addr-spec')) as typeof specModule
  return { canonicalDomainName, formatAddress, fromOf, list, createScanner, openSource, readAddrSpec }
}

type Parts = Awaited<ReturnType<typeof load>>

/** The words of a text, by the scanner under test. */
function scan(parts: Parts, text: string, limits = addressLimits) {
  const scanner = parts.createScanner(text, limits)
  const words: scannerModule.Token[] = []
  for (;;) {
    const token = scanner.next()
    if ('ok' in token) return token
    if (token.kind === 'end') return words
    words.push(token)
  }
}

/** One addr-spec, by the reader under test. */
function spec(parts: Parts, text: string): string {
  const words = scan(parts, text)
  if (!Array.isArray(words)) return 'refused'
  const address = parts.readAddrSpec(words, { limits: addressLimits, isUtf8: true }, 0)
  return 'ok' in address ? 'refused' : canonical(address)
}

function listed({ list }: Parts, text: string, limits = addressLimits): string {
  const result = list.parseAddressList(text, limits)
  return result.ok ? result.mailboxes.map(({ address }) => canonical(address)).join(', ') : 'refused'
}

const refusedLists = [
  '<a@trusted.example>b@evil.example',
  '<a@trusted.example> <b@evil.example>',
  'a@trusted.example <b@evil.example>',
  'Team: a@trusted.example; b@evil.example',
  'A: B: a@trusted.example;',
  'A: a@trusted.example',
  'a@trusted.example\r\nBcc: b@evil.example',
]

const refusedSpecs = [
  'Ima a@trusted.example',
  'a@trusted.example(c).evil.example',
  'a(c)b@trusted.example',
  'a@b@trusted.example',
  '=?utf-8?q?a=40trusted.example=3e?=@evil.example',
  'a\uff20trusted.example@evil.example',
  'a@trusted\uff0eexample',
  'a@xn--example.example',
]

const oneAnswer: Check = async (_t, without) => {
  const { seen, expect } = createFindings()
  const parts = await load(without)
  for (const text of refusedLists) {
    expect(listed(parts, text) === 'refused', `the list ${JSON.stringify(text)} is answered`)
  }
  for (const text of refusedSpecs) {
    expect(spec(parts, text) === 'refused', `the address ${JSON.stringify(text)} is answered`)
    // At every way in, the ones above this one too.
    for (const result of [parseAddress(text), parseAddress(`<${text}>`, { brackets: true }), parseAddressList(text)]) {
      expect(!result.ok, `${JSON.stringify(text)} is answered somewhere`)
    }
  }
  const hidden = parts.list.parseAddressList('x, a@trusted.example <b@evil.example>')
  expect(!hidden.ok && hidden.weight === 'ambiguous', 'an ambiguity is hidden behind what is merely malformed')

  for (const label of [
    'e\uff58ample',
    'tru\u00adsted\u00fc',
    'tru\u1e9bsted',
    'trusted\uff0eexampl\u00e9',
    'xn--example',
  ]) {
    expect(typeof parts.canonicalDomainName(label) !== 'string', `the domain ${JSON.stringify(label)} is answered`)
  }
  for (const text of ['a@trusted.example\0.evil.example', 'a\r@b', 'a\n@b']) {
    expect(!parts.openSource(text, addressLimits).ok, `a line end or NUL is read: ${JSON.stringify(text)}`)
  }
  for (const name of [
    'x" <b@evil.example>, "',
    'a\r\nBcc: b@evil.example',
    'a\\',
    'b@evil.example,',
    '(',
    '=?utf-8?q?x?=',
  ]) {
    const text = parts.formatAddress({ name, address: 'a@trusted.example' })
    const word = /\?B\?(.*)\?=/.exec(text)?.[1] ?? ''
    expect(!/[\r\n]/.test(text + Buffer.from(word, 'base64').toString()), `a name writes a line end: ${text}`)
    const isOne = listed(parts, text) === 'a@trusted.example'
    expect(isOne, `a name makes another address: ${JSON.stringify(text)}`)
  }
  return seen
}

testPromise('R45 one parser, one answer', oneAnswer, [
  { without: ['nothing stands after an address'], sees: /the list "<a@trusted.example>b@evil.example" is answered/ },
  { without: ['a name with an @ is no name'], sees: /the list "a@trusted.example <b@evil.example>" is answered/ },
  { without: ['no group in a group'], sees: /the list "A: B: .* is answered/ },
  { without: ['groups end'], sees: /the list "A: a@trusted.example" is answered/ },
  { without: ['what is malformed hides nothing'], sees: /an ambiguity is hidden/ },
  { without: ['words are not glued together'], sees: /the address "a@trusted.example\(c\).evil.example" is answered/ },
  { without: ['an encoded word is no local part'], sees: /the address "=\?utf-8.* is answered/ },
  { without: ['a local part is what it seems'], sees: /the address "a\uff20.* is answered/ },
  {
    without: ['a domain is what it seems'],
    sees: /the domain "tru\u00adsted\u00fc" is answered|the domain "tru\u1e9bsted" is/,
  },
  { without: ['an xn-- label stands for something'], sees: /the domain "xn--example" is answered/ },
  { without: ['no line end and no NUL in addresses'], sees: /a line end or NUL is read/ },
  { without: ['a name ends no quotes'], sees: /a name makes another address/ },
  { without: ['a name ends no line'], sees: /a name writes a line end/ },
])

const oneAuthor: Check = async (_t, without) => {
  const { seen, expect } = createFindings()
  const { fromOf } = await load(without)
  const section = (text: string) => parseHeaderSection(Buffer.from(`${text}\n\n`))
  const rows: [name: string, header: headerModule.AddressFields][] = [
    ['two fields, one of them empty', section('From: a@trusted.example\nFrom:')],
    ['two fields', section('From: a@trusted.example\nFrom: b@evil.example')],
    ['a second field with a blank before its colon', section('From: a@trusted.example\nFrom : b@evil.example')],
    ['two addresses', section('From: a@trusted.example, b@evil.example')],
    ['a section that is over a limit', { ...section('From: a@trusted.example'), overLimit: 'lines' }],
    ['two addresses in one', section('From: <a@trusted.example> <b@evil.example>')],
  ]
  for (const [name, header] of rows) expect(!fromOf(header).ok, `an author is chosen: ${name}`)
  return seen
}

testPromise('R40 one author or none', oneAuthor, [
  { without: ['one From field'], sees: /chosen: two fields, one of them empty/ },
  { without: ['one address in From'], sees: /chosen: two addresses/ },
  {
    without: ['no author from half a header section', 'no addresses from half a header section'],
    sees: /chosen: a section that is over a limit/,
  },
])

const noLimits = { octets: 2 ** 30, addresses: 2 ** 30, words: 2 ** 30, commentDepth: 2 ** 30, localOctets: 2 ** 30 }

/** What is repeated, and what stands before and after it. */
const series: Readonly<Record<string, readonly [before: string, repeated: string, after: string]>> = {
  addresses: ['', 'a@b.c,', ''],
  groups: ['', 'g:a@b;,', ''],
  words: ['', 'a ', '<a@b>'],
  comments: ['', '(a) ', 'a@b'],
  'nested comments': ['', '(', ''],
  quotes: ['', '"a" ', '<a@b>'],
  backslashes: ['"', '\\\\', '"@b'],
  'encoded words': ['', '=?utf-8?q?a?= ', '<a@b>'],
  'encoded words without end': ['', '=?utf-8?b?', '<a@b>'],
  dots: ['a', '.a', '@b'],
  labels: ['a@\u00fc', '.\u00fc', ''],
  '@': ['a@b', '@', ''],
  commas: ['', ',', ''],
}

/** Reads lists of these series, of `count` repetitions and three doublings. */
function linear(names: readonly string[], count: number): Check {
  return async (_t, without) => {
    const { seen, expect } = createFindings()
    const { list } = await load(without)
    for (const name of names) {
      const [before, repeated, after] = series[name] ?? ['', '', '']
      const work = (times: number) => () => list.parseAddressList(before + repeated.repeat(times) + after, noLimits)
      const { isLinear, text } = await timeOfDoublings(work, count)
      expect(isLinear, `${name}: ${text}`)
    }
    return seen
  }
}

testPromise('R36 time grows with the text', linear(Object.keys(series), 512), [
  {
    without: ['a list of addresses is read in one pass'],
    sees: /^addresses: /,
    check: linear(['addresses'], 256),
  },
])

const bounded: Check = async (_t, without) => {
  const { seen, expect } = createFindings()
  const parts = await load(without)
  const limits = { ...addressLimits, octets: noLimits.octets }
  for (const [name, text] of [
    ['addresses', 'a@b,'.repeat(limits.addresses + 1)],
    ['groups', 'g:;,'.repeat(limits.addresses + 1)],
    ['words', `${'a '.repeat(limits.words + 1)}<a@b>`],
  ] as const) {
    const list = parts.list.parseAddressList(text, limits)
    expect(!list.ok && list.weight === 'limit', `too many ${name} are read`)
  }
  const depth = limits.commentDepth + 1
  expect(
    !Array.isArray(scan(parts, `${'('.repeat(depth)}${')'.repeat(depth)} a@b`, limits)),
    'too deep comments are read',
  )
  return seen
}

testPromise('R36 limits', bounded, [
  { without: ['the addresses of a field have a limit'], sees: /too many addresses/ },
  { without: ['the groups of a field have a limit'], sees: /too many groups/ },
  { without: ['the words of a name have a limit'], sees: /too many words/ },
  { without: ['comments have a limit'], sees: /too deep comments/ },
])
