import { deepStrictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { filterSettings } from '../../courier-compat/module-config/filter-settings.ts'
import { mergeModuleFiles, optionsFor } from '../../courier-compat/module-config/merge.ts'
import { parseModuleConfig } from '../../courier-compat/module-config/parse.ts'
import { readModuleConfig } from '../../courier-compat/module-config/read.ts'
import { evaluatePython } from '../../courier-compat/python-value/evaluate.ts'
import type { PythonReason } from '../../courier-compat/python-value/fault.ts'
import { Allowance, limits } from '../../courier-compat/python-value/limits.ts'
import type { PythonValue } from '../../courier-compat/python-value/value.ts'
import type { SettingSchemas } from '../../courier-compat/setting.ts'
import { cpuTimeOf } from '../helpers/cpu-time.ts'

/** Prints a value as Python would, near enough to read it back. */
function repr(value: PythonValue): string {
  const several = (items: readonly PythonValue[]): string => items.map(repr).join(', ')
  switch (value.kind) {
    case 'none':
      return 'None'
    case 'bool':
      return value.value ? 'True' : 'False'
    case 'int':
      return String(value.value)
    case 'float':
      return /[.e]/.test(String(value.value)) ? String(value.value) : `${value.value}.0`
    case 'str':
      return `'${value.value.replace(/[\\'\n\r\0]/g, (char) => (char < ' ' ? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}` : `\\${char}`))}'`
    case 'list':
      return `[${several(value.items)}]`
    case 'tuple':
      return `(${several(value.items)}${value.items.length === 1 ? ',' : ''})`
    case 'set':
      return `{${several(value.items)}}`
    case 'dict':
      return `{${value.entries.map((entry) => entry.map(repr).join(': ')).join(', ')}}`
  }
}

/** The options of section `[s]` of a file with this body, printed, or the problems. */
function readBody(body: string, head = '[s]\n'): { options?: string; problems?: string[]; warnings: string[] } {
  const parsed = parseModuleConfig(`${head}${body}\n`, 'm.conf')
  const warnings = parsed.warnings.map(({ line, column, text }) => `${line}:${column} ${text}`)
  if (parsed.problems.length > 0) {
    t.equal(parsed.sections.length + parsed.defaults.length, 0, 'nothing is applied from a file with errors')
    return { problems: parsed.problems.map(({ line, column, reason }) => `${line}:${column} ${reason}`), warnings }
  }
  const options = optionsFor(mergeModuleFiles([parsed]), 's')
  return { options: options.map(({ key, value }) => `${key}: ${repr(value)}`).join('; '), warnings }
}

/** Row -> texts of the value of option `a`, and the values, as Python prints them. `\n` in a text is a line end. */
const accepted: Record<string, [string, string][]> = {
  M01: [['1', '1']],
  M02: [['60 * 60 * 24 * 30', '2592000']],
  M03: [['60*60*24*30 # thirty days', '2592000']],
  M04: [['1.5 * 60', '90.0']],
  M05: [
    ['7/2', '3.5'],
    ['7//2', '3'],
    ['-7//2', '-4'],
    ['-7%3', '2'],
  ],
  M06: [['6/2', '3.0']],
  M07: [
    ['2**3**2', '512'],
    ['-2**2', '-4'],
    ['2**-1', '0.5'],
  ],
  M08: [
    ['(1 + 2) * 3', '9'],
    ['10 % 4 * 3', '6'],
  ],
  M09: [
    ['- - 1', '1'],
    ['+-+1', '-1'],
    ['~1', '-2'],
  ],
  M10: [
    ['0x1F', '31'],
    ['0o17', '15'],
    ['0b11', '3'],
    ['1_000_000', '1000000'],
    ['00', '0'],
  ],
  M11: [
    ['1e3', '1000.0'],
    ['.5', '0.5'],
    ['5.', '5.0'],
    ['1E-2', '0.01'],
  ],
  M12: [
    ['True', 'True'],
    ['False', 'False'],
    ['None', 'None'],
    ['not False', 'True'],
  ],
  M13: [['True + 1', '2']],
  M14: [
    ["'x'", "'x'"],
    ['"it\'s"', String.raw`'it\'s'`],
    ["''", "''"],
  ],
  M16: [
    ["'x=y'", "'x=y'"],
    ["'x;y#z'", "'x;y#z'"],
    ["'%d%%'", "'%d%%'"],
    ["'%s'", "'%s'"],
  ],
  M17: [[String.raw`r'^.*\.(scr|exe)$'`, String.raw`'^.*\\.(scr|exe)$'`]],
  M19: [[String.raw`r'\d+\'x'`, String.raw`'\\d+\\\'x'`]],
  M20: [[String.raw`'\n\t\x41\u00e9\101\'\\'`, String.raw`'\x0a` + '\tAéA' + String.raw`\'\\'`]],
  M21: [[String.raw`'a' "b" r'\c'`, String.raw`'ab\\c'`]],
  M23: [
    ["'a' + 'b'", "'ab'"],
    ["'-' * 5", "'-----'"],
    ["'x' 'y' + 'z'", "'xyz'"],
  ],
  M24: [
    ["u'x'", "'x'"],
    [String.raw`R"\."`, String.raw`'\\.'`],
  ],
  M25: [
    ['(1)', '1'],
    ['(1,)', '(1,)'],
    ['()', '()'],
    ['1,', '(1,)'],
    ['1,2', '(1, 2)'],
  ],
  M26: [["'a', 'b'", "('a', 'b')"]],
  M27: [
    ['[1,2,]', '[1, 2]'],
    ['[]', '[]'],
    ['[[1,2],[3]]', '[[1, 2], [3]]'],
  ],
  M28: [
    ['[1] + [2]', '[1, 2]'],
    ['[0]*3', '[0, 0, 0]'],
    ['3*[0]', '[0, 0, 0]'],
    ['[1] * -1', '[]'],
    ['(1,)+(2,)', '(1, 2)'],
  ],
  M30: [["{'x': {'y': [1, (2, 3)]}}", "{'x': {'y': [1, (2, 3)]}}"]],
  M31: [["{(1,2):'t', 3:'i', None:'n'}", "{(1, 2): 't', 3: 'i', None: 'n'}"]],
  M33: [['{1,2}', '{1, 2}']],
  M34: [["{'x': 1,\n     'y': 2}", "{'x': 1, 'y': 2}"]],
  M35: [["{'x': 1,\n\n     'y': 2}", "{'x': 1, 'y': 2}"]],
  M36: [["{'x': 1,\n# note\n     'y': 2}", "{'x': 1, 'y': 2}"]],
  M37: [["{\n    'k#1': 'v;1',   # note\n    'k2': 'v2',\n    }", "{'k#1': 'v;1', 'k2': 'v2'}"]],
  M38: [['[1,\n; note\n  2]', '[1, 2]']],
  M39: [["\n  'x'", "'x'"]],
  M40: [["('a'\n  'b')", "'ab'"]],
  M41: [["'a' \\\n  'b'", "'ab'"]],
  M42: [["'''x\n    y\n  z'''", String.raw`'x\x0ay\x0az'`]],
  M43: [['(60\n  * 60)', '3600']],
  M51: [["'$(uuidgen)'", "'$(uuidgen)'"]],
}

for (const [row, values] of Object.entries(accepted)) {
  void t.test(`${row}: is accepted`, (t) => {
    for (const [text, value] of values) {
      t.strictSame(readBody(`a = ${text}`), { options: `a: ${value}`, warnings: [] }, text)
    }
    t.end()
  })
}

/** Row -> body of the section, the options it has, and the warnings. */
const bodies: Record<string, [body: string, options: string, warnings?: string[], head?: string][]> = {
  M15: [["a: 'http://h:80/p'", "a: 'http://h:80/p'"]],
  M18: [
    [
      String.raw`a = '^.*\.(scr|exe)$'`,
      String.raw`a: '^.*\\.(scr|exe)$'`,
      ['2:9 [s] a: the text has a backslash before ".", which stays in it'],
    ],
  ],
  M22: [["a = 'it''s'", "a: 'its'", ['2:9 [s] a: two texts touch here and are joined, without a quote between']]],
  M29: [
    ['a = {}', 'a: {}'],
    [
      "a = {'x':1,'x':2}",
      "a: {'x': 2}",
      [`2:12 [s] a: the key "'x'" stands twice in this dict, and the later value holds`],
    ],
  ],
  M32: [
    [
      "a = {1:'a', True:'b', 1.0:'c'}",
      "a: {1: 'c'}",
      ['True', '1.0'].map(
        (key, index) =>
          `2:${[13, 23][index] ?? 0} [s] a: the key "${key}" stands twice in this dict, and the later value holds`,
      ),
    ],
  ],
  M44: [["a='a'\n\n\nb='c'", "a: 'a'; b: 'c'"]],
  M45: [['  a=1\n  b=2', 'a: 1; b: 2']],
  M46: [['A=1\na=2', 'A: 1; a: 2']],
  M47: [['a=1', 'z: 9; a: 1', [], '[DEFAULT]\nz=9\n[s]\n']],
  M49: [['a=1', 'a: 1', ['1:5 [s]: "junk" after the name of the section is ignored'], '[s] junk\n']],
  M50: [["a=1\r\nb='x'\r", "a: 1; b: 'x'", [], '[s]\r\n']],
}

for (const [row, cases] of Object.entries(bodies)) {
  void t.test(`${row}: is accepted as a file`, (t) => {
    for (const [body, options, warnings = [], head] of cases) {
      t.strictSame(readBody(body, head), { options, warnings }, body)
    }
    t.end()
  })
}

void t.test('M48: of two files the second wins, option by option', (t) => {
  const files = [parseModuleConfig('[s]\na=1\nb=2', '1.conf'), parseModuleConfig('[s]\nb=3\nc=4', '2.conf')]
  const options = optionsFor(mergeModuleFiles(files), 's')
  t.strictSame(
    options.map(({ key, value, file, line }) => `${key}: ${repr(value)} ${file}:${line}`),
    ['a: 1 1.conf:2', 'b: 3 2.conf:2', 'c: 4 2.conf:3'],
  )
  t.end()
})

/** Row -> texts of the value of option `a`, why they are refused, the offset of the fault, and a word of the cure. */
const refused: Record<string, [text: string, reason: PythonReason, offset: number, cure: RegExp | null][]> = {
  M52: [
    ['9007199254740993', 'range', 0, null],
    ['9007199254740991 + 1', 'range', 17, null],
    ['-9007199254740991 - 1', 'range', 18, null],
    ['0x20000000000000', 'range', 0, null],
  ],
  M53: [
    ['9**9**9', 'range', 1, null],
    ['10.0**9**9', 'range', 4, null],
  ],
  M54: [["'a' * 10**9", 'range', 4, null]],
  M55: [
    ['foo', 'name', 0, /'foo'/],
    ['true', 'name', 0, /write True/],
    ['yes', 'name', 0, /write True/],
  ],
  M56: [["int('3')", 'call', 0, /write 3$/]],
  M57: [["__import__('os').getpid() > 0", 'call', 0, /./]],
  M58: [["open('x').read()", 'call', 0, /./]],
  M59: [["print('x')", 'call', 0, /./]],
  M60: [
    ["'x'.upper()", 'attribute', 3, /./],
    ["os.environ['X']", 'attribute', 0, /./],
  ],
  M61: [['[1,2][0]', 'subscript', 5, /./]],
  M62: [
    ['[x for x in (1,2)]', 'comprehension', 1, /./],
    ['[1 for x in (1,2)]', 'comprehension', 3, /./],
    ["{1: 'a' for x in (1,2)}", 'comprehension', 8, /./],
    ['lambda: 1', 'syntax', 0, /./],
    ['(b:=3)', 'syntax', 1, /./],
  ],
  M63: [["f'{1+1}'", 'fstring', 0, /./]],
  M64: [["b'x'", 'bytes', 0, /./]],
  M65: [
    ['1 if True else 2', 'operator', 2, /write the result/],
    ['1 == 1', 'operator', 2, /write the result/],
    ['None or 5', 'operator', 5, /write the result/],
    ['1 << 10', 'operator', 2, /write the result/],
    ["'%s' % 'x'", 'type', 5, /finished text/],
  ],
  M66: [
    ['017', 'syntax', 0, /0o17/],
    ['08', 'syntax', 0, /write 8/],
    ['10L', 'syntax', 0, /write 10/],
    ['0_1', 'syntax', 0, /./],
    ['1__0', 'syntax', 0, /./],
    ['0x', 'syntax', 0, /digits/],
  ],
  M67: [
    ['/run/clamd.ctl', 'syntax', 0, /'\/run\/clamd\.ctl'/],
    ['10 MB', 'syntax', 3, /unit/],
    ['5m', 'syntax', 0, /unit in quotes: '5m'/],
    ['$(uuidgen)', 'syntax', 0, /'\$\(uuidgen\)'/],
  ],
  M68: [
    ["'x", 'syntax', 0, /end it with '/],
    ['[1, 2', 'syntax', 0, /add "\]"/],
    ['1]', 'syntax', 1, /take it out/],
    ['[1 2]', 'syntax', 3, /comma/],
    ["{'a' 1}", 'syntax', 5, /colon/],
    ['(,)', 'syntax', 1, /./],
  ],
  M69: [
    ["'a' + 1", 'type', 4, /quotes/],
    ["'x' - 1", 'type', 4, null],
    ['{[1]: 2}', 'type', 1, /tuple/],
    ['1/0', 'type', 1, null],
  ],
  M70: [['1 ; note', 'syntax', 2, /#/]],
  M77: [
    ['= 1', 'syntax', 0, /one "="/],
    ['b = 1', 'syntax', 0, /one option a line/],
    ['1; b=2', 'syntax', 1, /one option a line/],
  ],
  M78: [
    ['...', 'syntax', 0, /./],
    ['1j', 'syntax', 0, /complex/],
    ['`1`', 'syntax', 0, /./],
    ['[*[1],2]', 'syntax', 1, /./],
    ["{**{'x':1}}", 'syntax', 1, /./],
  ],
}

for (const [row, cases] of Object.entries(refused)) {
  void t.test(`${row}: is refused, with its place and a cure`, (t) => {
    for (const [text, reason, offset, cure] of cases) {
      const result = evaluatePython(text)
      if (!('problem' in result)) t.fail(`${text} is accepted`)
      else {
        const { problem } = result
        t.strictSame(
          [problem.reason, problem.offset, problem.line, problem.column],
          [reason, offset, 1, offset + 1],
          text,
        )
        if (cure === null) t.equal(problem.cure, null, `${text}: no cure`)
        else t.match(problem.cure ?? '', cure, `${text}: the cure`)
        t.ok(problem.text !== '' && text.startsWith(problem.token, offset), `${text}: the token stands there`)
        t.strictSame(readBody(`a = ${text}`).problems, [`2:${5 + offset} ${reason}`], `${text} in a file`)
      }
    }
    t.end()
  })
}

/** Row -> whole files, their problems, and a word of the first one's cure. */
const refusedFiles: Record<string, [file: string, problems: string[], cure: RegExp][]> = {
  M71: [["[s]\na = 'a'\n  'b'", ['3:3 syntax'], /brackets/]],
  M72: [['[s]\na=1\n  b=2', ['3:3 syntax'], /same column/]],
  M73: [["[s]\na = {\n  'x': 1\n}\n[t]\nb = 1", ['4:1 ini'], /indent it deeper than "a" in line 2/]],
  M74: [
    ['[s]\na = 1\na = 2', ['3:1 ini'], /take one out/],
    ['[s]\na = 1\n[t]\nb = 1\n[s]\nc = 1', ['5:1 ini'], /one header/],
  ],
  M75: [
    ['[s]\na', ['2:1 ini'], /key = value/],
    ['a=1\nb=2\n[s]\nc=3', ['1:1 ini'], /\[name\]/],
  ],
  M76: [
    ['[s]\na =', ['2:4 syntax'], /take the line out/],
    ['[s]\na =   \n\n\nb = 1', ['2:4 syntax'], /take the line out/],
  ],
  M77: [
    ['[s]\na == 1', ['2:4 syntax'], /one "="/],
    ['[s]\na = b = 1', ['2:5 syntax'], /one option a line/],
    ['[s]\na=1; b=2', ['2:4 syntax'], /one option a line/],
  ],
}

for (const [row, cases] of Object.entries(refusedFiles)) {
  void t.test(`${row}: as a file is refused, and nothing in it is applied`, (t) => {
    for (const [text, problems, cure] of cases) {
      const parsed = parseModuleConfig(text, 'm.conf')
      t.strictSame(
        parsed.problems.map(({ line, column, reason }) => `${line}:${column} ${reason}`),
        problems,
        text,
      )
      t.match(parsed.problems[0]?.cure ?? '', cure, `${text}: the cure`)
      t.equal(parsed.sections.length, 0, 'nothing is applied')
    }
    t.end()
  })
}

void t.test('M75: a byte-order mark is accepted, invalid UTF-8 is not', (t) => {
  const folder = t.testdir({ 'bom.conf': '\ufeff[s]\na = 1\n' })
  const bom = readModuleConfig([join(folder, 'bom.conf')])
  t.strictSame([bom.problems, optionsFor(bom.config, 's').map(({ value }) => value)], [[], [{ kind: 'int', value: 1 }]])
  t.strictSame(readBody('a = 1', '\ufeff[s]\n'), { options: 'a: 1', warnings: [] })
  const file = join(folder, 'latin1.conf')
  writeFileSync(file, Buffer.from("[s]\na = 'caf\u00e9'\n", 'latin1'))
  const { problems, config } = readModuleConfig([join(folder, 'bom.conf'), file])
  t.strictSame(
    problems.map((problem) => [problem.file, problem.reason, problem.text]),
    [[file, 'ini', 'cannot be read: it is not UTF-8 in line 2']],
  )
  t.equal(optionsFor(config, 's').length, 1, 'the other file is read')
  t.end()
})

/** What a filter with these declarations gets from a file: values, or problems, and warnings. */
function settle(schemas: SettingSchemas, text: string, name: string): [object, string[], string[]] {
  const config = mergeModuleFiles([parseModuleConfig(text, 'm.conf')])
  const owner = { name, alias: name, written: {}, file: 'filters.conf', line: 1 }
  const { values, problems, warnings } = filterSettings(schemas, config, owner)
  return [
    { ...values },
    problems.map(
      (problem) => `${problem.line}:${problem.column} ${problem.reason} ${problem.text}; ${problem.cure ?? ''}`,
    ),
    warnings.map(({ line, column, text }) => `${line}:${column} ${text}`),
  ]
}

void t.test('M06: a whole number with a point counts as whole, with a warning', (t) => {
  const schemas: SettingSchemas = { a: { type: 'count', default: 1, min: 1, max: 9, text: 'A count.' } }
  t.strictSame(settle(schemas, '[s]\na = 6/2', 's'), [
    { a: 3 },
    [],
    ['2:5 [s] a: 3.0 counts as 3; for a whole result divide with //'],
  ])
  t.end()
})

void t.test('M79: a text where a list is wanted is refused', (t) => {
  const schemas: SettingSchemas = { dnswl_zone: { type: 'list', default: ['list.dnswl.org'], text: 'Zones.' } }
  t.strictSame(settle(schemas, "[whitelist_dnswl.py]\ndnswl_zone = 'list.dnswl.org'", 'whitelist_dnswl')[1], [
    `2:14 type [whitelist_dnswl.py] dnswl_zone: "list.dnswl.org" is a text, not a list; write it in square brackets: ['list.dnswl.org']`,
  ])
  t.end()
})

void t.test('M80: a fraction of a minute, or of a count, is refused', (t) => {
  const schemas: SettingSchemas = {
    interval: { type: 'duration', default: '1m', unit: 'm', text: 'Time.' },
    count: { type: 'count', default: 1, min: 1, max: 9, text: 'A count.' },
  }
  t.strictSame(settle(schemas, '[ratelimit.py]\ninterval = 0.5\ncount = 0.5', 'ratelimit')[1], [
    `2:12 type [ratelimit.py] interval: 0.5 is no positive whole number of minutes; write a whole number of minutes, or a smaller unit, in quotes: '30s'`,
    '3:9 type [ratelimit.py] count: 0.5 is no whole number; write a whole number',
  ])
  t.end()
})

void t.test('no row of the table was left out', (t) => {
  const rows = new Set(Object.keys({ ...accepted, ...bodies, ...refused, ...refusedFiles }))
  for (const row of ['M06', 'M48', 'M75', 'M79', 'M80']) rows.add(row)
  const all = Array.from({ length: 80 }, (_, index) => `M${String(index + 1).padStart(2, '0')}`)
  t.strictSame([...rows].sort(), all)
  t.end()
})

void t.test('more of the grammar', (t) => {
  const good: [string, string][] = [
    ['not not 1', 'True'],
    ['not []', 'True'],
    ["not {'a': 1}", 'False'],
    ['-True', '-1'],
    ['~True', '-2'],
    ['0 * -1', '0'],
    ['0.0 * -1', '0.0'],
    ['5.5 // 2', '2.0'],
    ['-5.5 % 2', '0.5'],
    ['7 % -3', '-2'],
    ['-7 // -2', '3'],
    ['9007199254740991 // -3', '-3002399751580331'],
    ['9007199254740991 // 1', '9007199254740991'],
    ['2**52*2 - 1', 'range 5'],
    ['(-1)**1000000001', '-1'],
    ['0**0', '1'],
    ['2**0.5', '1.4142135623730951'],
    ['True * "ab"', "'ab'"],
    ['1_0.0_1e1_0', '100100000000.0'],
    ['017.5', '17.5'],
    ['0x_1F', '31'],
    ['[1,\n2] # x', '[1, 2]'],
    ['((((((1))))))', '1'],
    [`${'('.repeat(32)}1${')'.repeat(32)}`, '1'],
    ['"""a\'b""c"""', String.raw`'a\'b""c'`],
    ["'a\\\nb'", "'ab'"],
    ["'\\400'", "'\u0100'"],
    ["'\\U0001F600'", "'😀'"],
    ["r'''a\\'''b'''", String.raw`'a\\\'\'\'b'`],
    ["{'a', 'a', 1, True}", "{'a', 1}"],
    ["{(1, 'a'): 1, (1.0, 'a'): 2}", "{(1, 'a'): 2}"],
    ['1 # a\n# b\n', '1'],
    ['[1] + [2] * 2', '[1, 2, 2]'],
  ]
  for (const [text, value] of good) {
    const result = evaluatePython(text)
    const printed = 'value' in result ? repr(result.value) : `${result.problem.reason} ${result.problem.offset}`
    t.equal(printed, value, text)
  }
  const bad: [string, PythonReason, number, RegExp][] = [
    [`${'('.repeat(33)}1${')'.repeat(33)}`, 'range', 32, /32 brackets/],
    [`'${'a'.repeat(65_537)}'`, 'range', 0, /65536 characters/],
    [`[${'1,'.repeat(100_001)}]`, 'range', 200_002, /100000 elements/],
    ['[[0]*1000]*1000', 'range', 10, /100000 elements/],
    ["['x'*65536]*17", 'range', 11, /1048576 characters/],
    ["'a' * 65537", 'range', 4, /65536/],
    ['1e400', 'range', 0, /too large/],
    ['1e300 * 1e300', 'range', 6, /too large/],
    ['0 ** -1', 'type', 2, /zero/],
    ['(-8) ** 0.5', 'type', 5, /negative/],
    ['{1} - {1}', 'type', 4, /a set and a set/],
    ['{1: 2}[1]', 'subscript', 6, /item/],
    ["'a'()", 'call', 3, /call/],
    ["'a\\xZZ'", 'syntax', 2, /lacks digits/],
    ["'\\N{DASH}'", 'syntax', 1, /by name/],
    ["'\\ud83d'", 'range', 1, /half a character/],
    ["'\\U00110000'", 'syntax', 1, /no character/],
    ["'a\nb'", 'syntax', 0, /no end/],
    ["x'a'", 'syntax', 0, /before a quote/],
    ['(1]', 'syntax', 2, /closes "\("/],
    ['1 +', 'syntax', 3, /ends too early/],
    ['\\', 'syntax', 0, /no meaning/],
    ['“a”', 'syntax', 0, /no meaning/],
    ["'a\0b'", 'syntax', 2, /NUL/],
    ['constructor', 'name', 0, /no value/],
    ['__proto__', 'name', 0, /no value/],
    ['list.dnswl.org', 'attribute', 0, /looked into/],
    ['192.168.1.1', 'syntax', 0, /no number/],
    ['1 + not 2', 'syntax', 4, /"not"/],
    ['{1: 2, 3}', 'syntax', 8, /a key has no value/],
    ['{1: 2, 3, 4: 5}', 'syntax', 8, /a key has no value/],
    ['{1, 2: 3}', 'syntax', 5, /":"/],
    ['1 2', 'syntax', 2, /after the value/],
    ['yield', 'syntax', 0, /word of Python/],
  ]
  for (const [text, reason, offset, told] of bad) {
    const result = evaluatePython(text)
    const name = text.slice(0, 40)
    if (!('problem' in result)) t.fail(`${name} is accepted`)
    else {
      t.strictSame([result.problem.reason, result.problem.offset], [reason, offset], name)
      t.match(result.problem.text, told, name)
    }
  }
  const neighbours = evaluatePython("['a.example'\n 'b.example']")
  t.match('warnings' in neighbours && neighbours.warnings[0], {
    line: 2,
    column: 2,
    text: /side by side/,
    cure: /comma/,
  })
  t.end()
})

const leaf: fc.Arbitrary<PythonValue> = fc.oneof(
  fc.constant<PythonValue>({ kind: 'none' }),
  fc.boolean().map((value): PythonValue => ({ kind: 'bool', value })),
  fc.maxSafeInteger().map((value): PythonValue => ({ kind: 'int', value: value + 0 })),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value): PythonValue => ({ kind: 'float', value: value + 0 })),
  fc.string({ unit: 'binary' }).map((value): PythonValue => ({ kind: 'str', value })),
)
const { tree } = fc.letrec<{ tree: PythonValue }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('tree'), { maxLength: 4 }).map((items): PythonValue => ({ kind: 'list', items })),
    fc.array(tie('tree'), { maxLength: 4 }).map((items): PythonValue => ({ kind: 'tuple', items })),
    fc.uniqueArray(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 4 }).map((texts): PythonValue => {
      return { kind: 'set', items: texts.map((value) => ({ kind: 'str', value })) }
    }),
    fc.dictionary(fc.string({ unit: 'binary' }), tie('tree'), { maxKeys: 4 }).map((table): PythonValue => {
      return {
        kind: 'dict',
        entries: Object.entries(table).map(([key, value]) => [{ kind: 'str', value: key }, value]),
      }
    }),
  ),
}))

void t.test('what is printed as Python is read back, and survives JSON', (t) => {
  fc.assert(
    fc.property(tree, (value) => {
      const result = evaluatePython(repr(value))
      if ('problem' in result) throw new Error(JSON.stringify(result.problem))
      deepStrictEqual(result.value, value)
      deepStrictEqual(JSON.parse(JSON.stringify(result.value)), value)
    }),
    { numRuns: 300 },
  )
  t.pass('300 values')
  t.end()
})

void t.test('whatever is written, there is an answer, within bounds', (t) => {
  const piece = fc.constantFrom(
    ...[
      '1',
      '9',
      '**',
      '*',
      '-',
      '~',
      '+',
      '/',
      '//',
      '%',
      '(',
      ')',
      '[',
      ']',
      '{',
      '}',
      ',',
      ':',
      "'",
      '"',
      "'''",
      '\\',
      '\n',
      ' ',
    ],
    ...[
      "'a'",
      'r',
      'f',
      'b',
      'u',
      'x',
      'for',
      'in',
      'not',
      'True',
      'None',
      '0x',
      '1e',
      '.',
      '_',
      '#',
      ';',
      '=',
      '$',
      '\ud800',
      'é',
      '\0',
    ],
  )
  const written = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
  )
  fc.assert(
    fc.property(written, (text) => {
      const result = evaluatePython(text)
      if ('problem' in result) {
        const { offset, line, column } = result.problem
        if (offset < 0 || offset > text.length) throw new Error(`offset ${offset}`)
        const lines = text.split('\n')
        if (column < 1 || column > (lines[line - 1]?.length ?? -1) + 1) throw new Error(`place ${line}:${column}`)
      } else if (JSON.stringify(result.value).length > 10_000_000) throw new Error('the value is huge')
    }),
    { numRuns: 3000 },
  )
  t.pass('3000 texts')
  t.end()
})

void t.test('a long text takes no long time, and overflows no stack', (t) => {
  const million = limits.maxAllChars
  const texts: [string, string][] = [
    ['digits', '1'.repeat(million)],
    ['minus signs', `${'- '.repeat(million / 2)}1`],
    ['powers', `${'1**'.repeat(million / 3)}1`],
    ['sums', `1${'+1'.repeat(million / 2)}`],
    ['brackets', '['.repeat(million)],
    ['lists put together', `[${'1,'.repeat(50_000)}]${'+[1]'.repeat(200_000)}`],
    ['long keys', `{${"('x'*65536,)*16:1,".repeat(50_000)}}`],
    ['comments', '#\n'.repeat(million / 2)],
    ['texts side by side', "'a'".repeat(million / 4)],
    ['escapes', `'${'\\.'.repeat(million / 2)}'`],
    ['a text without end', `'${'\\a'.repeat(million / 2)}`],
    ['names in a bracket', `[${'x '.repeat(million / 2)}`],
  ]
  for (const [name, text] of texts) {
    // What grows with the square of the length takes minutes.
    const { tookMs } = cpuTimeOf(() => evaluatePython(text))
    t.ok(tookMs < 5000, `${name}: ${Math.round(tookMs)} ms`)
  }
  const allowance = new Allowance()
  const many = [1, 2, 3].map(() => 'value' in evaluatePython('[0] * 40000', allowance))
  t.strictSame(many, [true, true, false], 'the values of one file share what it may hold')
  t.end()
})
