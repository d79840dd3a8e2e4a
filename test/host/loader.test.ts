/** The loader: every way in which a filter module can be wrong, and every form in which it may be right. */
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import type { FilterContext, FilterLog } from '../../courier-compat/filter.ts'
import { pass } from '../../courier-compat/reply.ts'
import { parseList } from '../../host/chain/list.ts'
import { findModule } from '../../host/chain/module-file.ts'
import { noModuleConfig } from '../../courier-compat/module-config/merge.ts'
import { bundledFilters, loadChain, type LoadedChain } from '../../host/chain/loader.ts'
import { availableFilters, moduleExtensions } from '../../host/chain/module-file.ts'
import { registerOwnModules } from '../../host/runner/resolve-hook.ts'

// With another one the modules that are written here would be their group's to change.
process.umask(0o022)

type Files = Readonly<Record<string, string>>

let folders = 0

/** Writes modules into a new folder. */
function makeFolder(t: Test, files: Files): string {
  const folder = join(t.testdirName, `folder-${folders++}`)
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

function load(list: string, filterPath: readonly string[], log: string[] = []) {
  const { entries, problems } = parseList(list, '/conf/filters.conf', 'nodefilter')
  if (problems[0] !== undefined) throw new Error(problems[0].text)
  const put = (alias: string) => (text: string) => void log.push(`${alias}: ${text}`)
  const logFor = (alias: string): FilterLog => ({ info: put(alias), warn: put(alias), error: put(alias) })
  return loadChain(
    {
      entries,
      filterPath,
      modules: noModuleConfig,
      modulePaths: [],
      timeLimitMs: 30_000,
      stateDirectory: t.testdirName,
    },
    logFor,
  )
}

/** What is wrong, as `FILE:LINE: TEXT; CURE`, files without their folder. */
async function problemsOf(list: string, ...filterPath: string[]): Promise<string[]> {
  const loaded = await load(list, filterPath)
  if (!('problems' in loaded)) return []
  return loaded.problems.map(({ file, line, text, cure }) => {
    const told = `${file}${line === null ? '' : `:${line}`}: ${text}; ${cure ?? '-'}`
    return filterPath.reduce((shown, folder, at) => shown.replaceAll(folder, at === 0 ? 'F' : `F${at + 1}`), told)
  })
}

async function loaded(list: string, ...filterPath: string[]): Promise<LoadedChain> {
  const chain = await load(list, filterPath)
  if ('problems' in chain) throw new Error(JSON.stringify(chain.problems))
  return chain
}

/** What each filter of a chain answers. */
async function replies({ filters }: LoadedChain): Promise<unknown[]> {
  const context = {} as FilterContext
  return Promise.all(filters.map(async ({ doFilter }): Promise<unknown> => doFilter('/D1', ['/1'], context)))
}

const good = `export const doFilter = () => ''\n`
const own = `export const settings = { level: { type: 'count', default: 3, min: 1, max: 9, text: 'How much.' } }\n${good}`
const tries = 'correct the module; "nodefilter check" tries it without the mail server'
const erasable = 'use types that can be erased (no enum, namespace or parameter properties; "erasableSyntaxOnly")'
const mends = 'mend what it complains of, or take the filter out of the list'

t.test('modules that are wrong', async (t) => {
  t.testdir()
  const rows: { name: string; files: Files; list?: string; want: (string | RegExp)[] }[] = [
    {
      name: 'a name that is nearly right',
      files: { 'greylist.mjs': good },
      list: '# first\ngreylst',
      want: [`/conf/filters.conf:2: there is no filter "greylst"; did you mean "greylist"?`],
    },
    {
      name: 'a name that is nowhere',
      files: { 'greylist.mjs': good },
      list: 'quota',
      want: [
        `/conf/filters.conf:1: there is no filter "quota"; correct the name, or name its folder in [chain] filter_path, which has F, ${bundledFilters}`,
      ],
    },
    {
      name: 'a file with another ending',
      files: { 'f.txt': good, 'f.d.ts': '', 'f.py': '' },
      want: [/^\/conf\/filters\.conf:1: there is no filter "f"; correct .* has F, /],
    },
    { name: 'a folder with the name of a module', files: { 'f.mjs/x': '' }, want: [/there is no filter "f"/] },
    {
      name: 'twice in one folder',
      files: { 'f.js': good, 'f.ts': good },
      want: ['/conf/filters.conf:1: filter "f" is there twice: F/f.js and F/f.ts; remove one of them'],
    },
    ...['mjs', 'js', 'cjs'].map((ending) => ({
      name: `wrong syntax (${ending})`,
      files: { [`f.${ending}`]: `// one\n\nconst a = )\n` },
      want: [`F/f.${ending}:3: cannot be loaded: SyntaxError: Unexpected token ')'; ${tries}`],
    })),
    {
      name: 'a name declared twice, which is found after the parsing',
      files: { 'f.mjs': `const a = 1\n\nconst a = 2\n` },
      want: [`F/f.mjs:3: cannot be loaded: SyntaxError: Identifier 'a' has already been declared; ${tries}`],
    },
    {
      name: 'wrong syntax (ts)',
      files: { 'f.ts': `// one\nconst a: = 1\n` },
      want: [/^F\/f\.ts:2: cannot be loaded: SyntaxError: .*; correct the module;/],
    },
    {
      name: 'an enum',
      files: { 'f.ts': `// one\nenum A { B }\n${good}` },
      want: [
        `F/f.ts:2: uses TypeScript that Node cannot strip: SyntaxError: TypeScript enum is not supported in strip-only mode; ${erasable}`,
      ],
    },
    {
      name: 'a parameter property',
      files: { 'f.mts': `class A {\n  constructor(private b: number) {}\n}\n${good}` },
      want: [/^F\/f\.mts:2: uses TypeScript .*; use types that can be erased/],
    },
    ...['mjs', 'cjs', 'ts'].map((ending) => ({
      name: `a throw at import (${ending})`,
      files: { [`f.${ending}`]: `// one\n\nthrow new TypeError('not\\ntoday')\n` },
      want: [`F/f.${ending}:3: cannot be loaded: TypeError: not today; ${tries}`],
    })),
    {
      name: 'a throw in a function called at import',
      files: { 'f.mjs': `const a = () => {\n  throw new Error('x')\n}\na()\n` },
      want: [/^F\/f\.mjs:2: cannot be loaded: Error: x; /],
    },
    {
      name: 'a throw in what it imports',
      files: { 'f.mjs': `import './lib/a.mjs'\n${good}`, 'lib/a.mjs': `throw new Error('x')` },
      want: [`F/lib/a.mjs:1: cannot be loaded: Error: x (imported by F/f.mjs); ${tries}`],
    },
    ...['mjs', 'cjs', 'ts'].map((ending) => ({
      name: `wrong syntax in what it imports (${ending})`,
      files: {
        'f.mjs': `import './lib/b.mjs'\nimport './lib/z.mjs'\n${good}`,
        'lib/b.mjs': `import './a.${ending}'`,
        'lib/z.mjs': '',
        [`lib/a.${ending}`]: ending === 'ts' ? '\n\nenum A { B }\n' : '\n\nconst a = )\n',
      },
      want: [/^F\/lib\/a\.[a-z]+:3: .*SyntaxError: .*\(imported by F\/f\.mjs\); /],
    })),
    {
      name: 'a throw in a package, on behalf of what it imports',
      files: {
        'f.mjs': `import './lib/a.mjs'\n${good}`,
        'lib/a.mjs': `import { no } from 'p'\n\nno()`,
        'node_modules/p/package.json': '{"name":"p","exports":"./p.mjs"}',
        'node_modules/p/p.mjs': `export function no() { throw new Error('x') }`,
      },
      want: [/^F\/lib\/a\.mjs:3: cannot be loaded: Error: x \(imported by F\/f\.mjs\); /],
    },
    {
      name: 'a throw of nothing',
      files: { 'f.mjs': 'throw undefined' },
      want: [`F/f.mjs: cannot be loaded: threw undefined; ${tries}`],
    },
    {
      name: 'a missing package',
      files: { 'f.mjs': `import 'no-such-package'\n${good}` },
      want: [
        "F/f.mjs:1: imports something that is not there: Error: Cannot find package 'no-such-package' imported from F/f.mjs; install the package, or correct the path",
      ],
    },
    {
      // The line is told unless a hook, such as the test runner's, stands between the module and Node.
      name: 'a missing package, required',
      files: { 'f.cjs': `\nrequire('no-such-package')\n` },
      want: [
        /^F\/f\.cjs(?::2)?: imports something that is not there: Error: Cannot find module 'no-such-package' .*; install the package/,
      ],
    },
    {
      name: 'a missing file',
      files: { 'f.mjs': `import './no.mjs'\n${good}` },
      want: [
        /^F\/f\.mjs:1: imports something that is not there: .*F\/no\.mjs.*; install the package, or correct the path$/,
      ],
    },
    {
      name: 'an export that is not there',
      files: { 'f.mjs': `\nimport { no } from 'node:fs'\n${good}` },
      want: [/^F\/f\.mjs:2: cannot be loaded: SyntaxError: .* does not provide an export named 'no'; /],
    },
    {
      name: 'no doFilter',
      files: { 'f.mjs': 'export const filter = () => 0' },
      want: ['F/f.mjs: exports no doFilter; export function doFilter(bodyPath, controlPaths, context)'],
    },
    { name: 'nothing at all', files: { 'f.cjs': '' }, want: [/^F\/f\.cjs: exports no doFilter; /] },
    {
      name: 'the filter as default export',
      files: { 'f.mjs': 'export default function doFilter() {}' },
      want: [/^F\/f\.mjs: exports no doFilter; /],
    },
    {
      name: 'the spelling before the last',
      files: { 'f.mjs': 'export const dofilter = () => 0' },
      want: [/exports no doFilter/],
    },
    {
      name: 'T19: both spellings of doFilter',
      files: { 'f.mjs': `${good}export const do_filter = () => ''` },
      want: [
        'F/f.mjs: exports both doFilter and do_filter; keep doFilter: with both it would be unclear which one runs',
      ],
    },
    {
      name: 'T19: both spellings of initFilter',
      files: { 'f.mjs': `${good}export const initFilter = () => {}, init_filter = () => {}` },
      want: [
        'F/f.mjs: exports both initFilter and init_filter; keep initFilter: with both it would be unclear which one runs',
      ],
    },
    ...[
      ['doFilter', `export const doFilter = '200 Ok'`, 'string'],
      ['initFilter', `${good}export const initFilter = {}`, 'object'],
      ['closeFilter', `${good}export const closeFilter = 7`, 'number'],
    ].map(([what = '', text = '', type = '']) => ({
      name: `${what} is no function`,
      files: { 'f.mjs': text },
      want: [`F/f.mjs: exports ${what} as ${type}; it must be a function`],
    })),
    {
      name: 'an unknown onError',
      files: { 'f.mjs': `${good}export const onError = 'ignore'` },
      want: [`F/f.mjs: exports onError as 'ignore'; use 'defer' or 'pass'`],
    },
    {
      name: 'an onError that is no text',
      files: { 'f.mjs': `${good}export const onError = true` },
      want: [`F/f.mjs: exports onError as boolean; use 'defer' or 'pass'`],
    },
    ...["''", '7', "'two\\nlines'", `'${'x'.repeat(121)}'`].map((about) => ({
      name: `an about that is no line: ${about.slice(0, 9)}`,
      files: { 'f.mjs': `${good}export const about = ${about}` },
      want: [/^F\/f\.mjs: exports about as [^]*; it must be one line of at most 120 characters$/],
    })),
    {
      name: 'settings that are no table',
      files: { 'f.mjs': `${good}export const settings = []` },
      want: [/^F\/f\.mjs: exports settings that are not usable: settings is not an object of declarations/],
    },
    {
      name: 'a setting of unknown type',
      files: { 'f.mjs': `${good}export const settings = { a: { type: 'counter', default: 1, text: 'x' } }` },
      want: [
        /^F\/f\.mjs: exports settings that are not usable: settings, "a": type "counter" .*did you mean "count"\?; see docs/,
      ],
    },
    ...['on_error', 'time_limit', 'dry_run', 'rerun'].map((name) => ({
      name: `a setting with the name of an option, ${name}`,
      files: { 'f.mjs': `${good}export const settings = { ${name}: { type: 'text', default: '', text: 'x' } }` },
      want: [
        `F/f.mjs: exports settings that are not usable: settings, "${name}": the name is kept for an option of the host; see docs/authors on settings`,
      ],
    })),
    {
      name: 'a getter that throws',
      files: { 'f.cjs': `module.exports = { get doFilter() { throw new Error('x') } }` },
      want: [`F/f.cjs:1: cannot be loaded: Error: x; ${tries}`],
    },
    {
      name: 'a value out of bounds',
      files: { 'f.mjs': own },
      list: 'f with level=10',
      want: ['/conf/filters.conf:1: filter "f": level: "10" is above the maximum, 9; -'],
    },
    {
      name: 'a value of another type',
      files: { 'f.mjs': own },
      list: '\nf as g with level=much',
      want: ['/conf/filters.conf:2: filter "g": level: "much" is no whole number; -'],
    },
    {
      name: 'a setting that is nearly one of its own',
      files: { 'f.mjs': own },
      list: 'f with levle=4',
      want: ['/conf/filters.conf:1: filter "f": levle: no such setting; did you mean "level"?; -'],
    },
    {
      name: 'a setting that is nearly an option of the host',
      files: { 'f.mjs': own },
      list: 'f with time_limt=5s',
      want: ['/conf/filters.conf:1: filter "f": time_limt: no such setting; did you mean "time_limit"?'],
    },
    {
      name: 'a setting that is nothing',
      files: { 'f.mjs': good },
      list: 'f with color=red',
      want: ['/conf/filters.conf:1: filter "f": color: no such setting; -'],
    },
    {
      name: 'several wrong settings',
      files: { 'f.mjs': own },
      list: 'f with level=0 color=red',
      want: [/level: "0" is below the minimum, 1/, /color: no such setting/],
    },
    {
      name: 'initFilter throws',
      files: { 'f.mjs': `${good}export function initFilter() {\n  throw new Error('no database')\n}` },
      list: 'f as g',
      want: [`F/f.mjs:3: initFilter of "g" failed: Error: no database; ${mends}`],
    },
    {
      name: 'initFilter throws in what it imports',
      files: {
        'f.mjs': `import { open } from './lib/a.mjs'\n${good}export const initFilter = async () => { await null; open() }`,
        'lib/a.mjs': `export function open() {\n  throw new Error('no database')\n}`,
      },
      want: [`F/lib/a.mjs:2: initFilter of "f" failed: Error: no database; ${mends}`],
    },
    {
      name: 'initFilter rejects',
      files: { 'f.mjs': `${good}export const initFilter = () => Promise.reject(0)` },
      want: [`F/f.mjs: initFilter of "f" failed: threw 0; ${mends}`],
    },
    {
      name: 'everything is told at once, in the order of the list',
      files: {
        'a.mjs': '',
        'b.mjs': own,
        'c.mjs': `${good}export const initFilter = () => { throw 1 }`,
        'd.mjs': good,
      },
      list: 'a\nb with level=0\nc\nd\nnowhere',
      want: [
        /^F\/a\.mjs: exports no doFilter/,
        /^\/conf\/filters\.conf:2: .*below the minimum/,
        /^F\/c\.mjs: initFilter of "c" failed: threw 1/,
        /^\/conf\/filters\.conf:5: there is no filter "nowhere"/,
      ],
    },
  ]
  for (const { name, files, list = 'f', want } of rows) {
    const problems = await problemsOf(list, makeFolder(t, files))
    t.equal(problems.length, want.length, `${name}: so many problems`)
    for (const [index, text] of want.entries()) {
      if (typeof text === 'string') t.equal(problems[index], text, name)
      else t.match(problems[index], text, name)
    }
  }
})

t.test('places that others can write to', async (t) => {
  t.testdir()
  const me = process.getuid?.() ?? 0
  const cure = 'chmod o-w it'
  // If it were run in spite of what is told, that would be told as well.
  const trap = `throw new Error('it ran')`
  const rows: { name: string; files: Files; list?: string; change: (folder: string) => void; want: string[] }[] = [
    {
      name: 'a module',
      files: { 'f.mjs': trap },
      change: (folder) => chmodSync(join(folder, 'f.mjs'), 0o646),
      want: [`F/f.mjs: may be written by everybody; ${cure}`],
    },
    {
      name: 'a folder',
      files: { 'f.mjs': trap },
      change: (folder) => chmodSync(folder, 0o777),
      want: [`F: may be written by everybody; ${cure}`],
    },
    {
      name: 'a folder of a dotted name',
      files: { 'sub/f.mjs': trap },
      list: 'sub.f',
      change: (folder) => chmodSync(join(folder, 'sub'), 0o1777),
      want: [`F/sub: may be written by everybody; ${cure}`],
    },
    {
      name: 'the first of two such folders',
      files: { 'a/b/f.mjs': trap },
      list: 'a/b/f',
      change: (folder) => chmodSync(join(folder, 'a'), 0o777),
      want: [`F/a: may be written by everybody; ${cure}`],
    },
    {
      name: 'a module behind a link',
      files: { 'x/f.mjs': trap },
      change: (folder) => {
        chmodSync(join(folder, 'x/f.mjs'), 0o666)
        symlinkSync('x/f.mjs', join(folder, 'f.mjs'))
      },
      want: [`F/f.mjs: may be written by everybody; ${cure}`],
    },
  ]
  for (const { name, files, list = 'f', change, want } of rows) {
    const folder = makeFolder(t, files)
    change(folder)
    t.strictSame(await problemsOf(list, folder), want, name)
  }

  const missing = join(t.testdirName, 'missing')
  t.strictSame(
    await problemsOf('noduplicates', missing),
    ['F: does not exist or cannot be read; correct [chain] filter_path'],
    'a folder that is missing',
  )
  const circle = makeFolder(t, {})
  symlinkSync('f.mjs', join(circle, 'f.mjs'))
  t.match(await problemsOf('f', circle), [/there is no filter "f"/], 'a link to itself is no module')
  const notRoot = me !== 0 && 'giving files away needs root'
  await t.test('files of others', { skip: notRoot }, async (t) => {
    t.testdir()
    const foreign = makeFolder(t, { 'f.mjs': good })
    chownSync(join(foreign, 'f.mjs'), 54_321, 0)
    t.strictSame(await problemsOf('f', foreign), [
      'F/f.mjs: belongs to user 54321, not to root or user 0; chown it to user 0',
    ])
    const group = makeFolder(t, { 'f.mjs': good })
    chownSync(group, 0, 54_321)
    chmodSync(group, 0o775)
    const { warnings, filters } = await loaded('f', group)
    t.match(warnings, [
      { file: group, text: 'may be written by group 54321', cure: 'chmod g-w it unless that is meant' },
    ])
    t.equal(warnings.length, 1)
    t.equal(filters.length, 1, 'which is a warning alone')
    chownSync(group, 0, 0)
    chmodSync(group, 0o775)
    t.strictSame((await loaded('f', group)).warnings, [], "and none where it is root's own group")
  })
})

t.test('modules that are right', async (t) => {
  t.testdir()
  const esm = (text: string) => `export const doFilter = () => '${text}'`
  const endings: Files = {
    'a.js': esm('js'),
    'b.mjs': esm('mjs'),
    'c.cjs': `exports.doFilter = () => 'cjs'`,
    'd.ts': `const text: string = 'ts'\nexport const doFilter = (): string => text`,
    'e.mts': `import type { Stats } from 'node:fs'\nexport const doFilter = (_: Stats): string => 'mts'`,
  }
  const folder = makeFolder(t, endings)
  const all = await loaded('a\nb\nc\nd\ne', folder)
  t.strictSame(await replies(all), ['js', 'mjs', 'cjs', 'ts', 'mts'], 'each ending is loaded')
  t.strictSame([...moduleExtensions].sort(), ['.cjs', '.js', '.mjs', '.mts', '.ts'], 'and these are all')
  t.strictSame(
    all.described.map(({ file, index, name, alias }) => [file, index, name, alias]),
    Object.keys(endings).map((file, index) => [join(folder, file), index, file.charAt(0), file.charAt(0)]),
  )
  writeFileSync(join(folder, 'f.d.ts'), '')
  t.strictSame(availableFilters([folder, '/nonexistent']).sort(), ['a', 'b', 'c', 'd', 'e'])

  const forms: [name: string, files: Files][] = [
    ['CommonJS, as one object', { 'f.cjs': `module.exports = { doFilter: () => 'yes' }` }],
    [
      'CommonJS, made at run time',
      { 'f.cjs': `const a = { doFilter: () => 'yes' }\nmodule.exports = Object.assign({}, a)` },
    ],
    [
      'CommonJS, by its package',
      { 'f.js': `exports.doFilter = () => 'yes'`, 'package.json': '{ "type": "commonjs" }' },
    ],
    ['a default export that holds all', { 'f.mjs': `export default { doFilter: () => 'yes' }` }],
    ['the old spelling', { 'f.mjs': `export const do_filter = () => 'yes'` }],
    ['a function that is a promise’s', { 'f.mjs': `export async function doFilter() { return 'yes' }` }],
    [
      'an import of its own',
      { 'f.mjs': `export { a as doFilter } from './lib/a.mjs'`, 'lib/a.mjs': `export const a = () => 'yes'` },
    ],
    [
      'an await at import',
      { 'f.mjs': `const text = await Promise.resolve('yes')\nexport const doFilter = () => text` },
    ],
  ]
  for (const [name, files] of forms) t.strictSame(await replies(await loaded('f', makeFolder(t, files))), ['yes'], name)

  registerOwnModules()
  const importing = makeFolder(t, {
    'f.mjs': `import { pass } from 'nodefilter/courier-compat'\nexport const doFilter = () => pass`,
  })
  t.strictSame(
    await replies(await loaded('f', importing)),
    [pass],
    "the running program's own library is given to a filter anywhere",
  )

  const dotted = makeFolder(t, {
    'sub/mod.mjs': esm('sub'),
    'sub/deep/mod.mjs': esm('deep'),
    '@scope/name.mjs': esm('scoped'),
  })
  t.strictSame(
    await replies(await loaded('sub.mod\nsub/mod\nsub.deep.mod\n@scope/name', dotted)),
    ['sub', 'sub', 'deep', 'scoped'],
    'a dotted name is a path',
  )

  const first = makeFolder(t, { 'f.mjs': esm('first') })
  const second = makeFolder(t, { 'f.ts': esm('second'), 'g.mjs': esm('second'), 'noduplicates.mjs': esm('mine') })
  t.strictSame(
    await replies(await loaded('f\ng', first, second)),
    ['first', 'second'],
    'the first folder that has it wins',
  )
  t.equal(
    (await loaded('noduplicates', first)).described[0]?.file,
    join(bundledFilters, 'noduplicates.ts'),
    'the bundled filters come last',
  )
  t.strictSame(await replies(await loaded('noduplicates', first, second)), ['mine'], 'so that one can be replaced')
})

t.test('what a filter is given, and what its line says', async (t) => {
  t.testdir()
  const text = `export const settings = {
  level: { type: 'count', default: 3, min: 1, max: 9, text: 'How much.' },
  wait: { type: 'duration', default: '5m', text: 'How long.' },
  words: { type: 'list', default: [], text: 'Which.' },
}
export const onError = 'pass'
let given
let calls = 0
export async function initFilter(setup) {
  await null
  setup.log.info('begun')
  given = setup
  calls++
}
export const doFilter = () => [given.name, given.alias, given.settings, Object.isFrozen(given.settings), calls]
`
  const folder = makeFolder(t, {
    'f.mjs': text,
    'old.mjs': `let n = 0\nexport const init_filter = () => { n++ }\nexport const do_filter = () => n`,
  })
  const log: string[] = []
  const list = [
    'f',
    'f as g for h with level=4 wait=10s words=a,b on_error=defer time_limit=2s dry_run=yes',
    'old',
    'f as h with level=5',
  ].join('\n')
  const chain = await load(list, [folder], log)
  if ('problems' in chain) throw new Error(JSON.stringify(chain.problems))
  t.strictSame(
    await replies(chain),
    [
      ['f', 'f', { level: 3, wait: 300_000, words: [] }, true, 1],
      ['f', 'g', { level: 4, wait: 10_000, words: ['a', 'b'] }, true, 1],
      1,
      ['f', 'h', { level: 5, wait: 300_000, words: [] }, true, 1],
    ],
    'checked settings with their defaults, and module variables of its own for each alias',
  )
  t.strictSame(log, ['f: begun', 'g: begun', 'h: begun'], 'a logger under its alias, and initFilter awaited in order')
  t.match(chain.filters, [
    { index: 0, name: 'f', alias: 'f', skips: [], onError: 'pass', timeLimitMs: 30_000, dryRun: false },
    { index: 1, name: 'f', alias: 'g', skips: ['h'], onError: 'defer', timeLimitMs: 2000, dryRun: true },
    { index: 2, name: 'old', alias: 'old', onError: 'defer' },
    { index: 3, name: 'f', alias: 'h', onError: 'pass' },
  ])
  t.strictSame(chain.warnings, [])

  for (const ending of ['mjs', 'cjs', 'ts']) {
    const exported = ending === 'cjs' ? 'exports.doFilter' : 'export const doFilter'
    const counter = makeFolder(t, { [`f.${ending}`]: `let calls = 0\n${exported} = () => String(++calls)` })
    const twice = await loaded('f\nf as g\nf as h\nf', counter)
    t.strictSame(
      await replies(twice),
      ['1', '1', '1', '2'],
      `${ending}: aliases have variables of their own, a repetition has not`,
    )
    t.strictSame(await replies(twice), ['3', '2', '2', '4'])
  }
})

t.test('closing', async (t) => {
  t.testdir()
  const closing = (then: string) => `import { order } from './lib/order.mjs'
${good}export const closeFilter = ${then}`
  const folder = makeFolder(t, {
    'lib/order.mjs': 'export const order = []',
    'a.mjs': closing(`() => void order.push('a')`),
    'b.mjs': closing(`() => { order.push('b'); throw new Error('x') }`),
    'c.mjs': closing(`async () => { await null; order.push('c'); throw 0 }`),
    'd.mjs': `import { order } from './lib/order.mjs'\nexport const doFilter = () => order`,
    'e.mjs': closing(`async () => { await null; order.push('e') }`),
  })
  const chain = await loaded('a\nb as bb\nc\nd\ne', folder)
  const reported: string[] = []
  await chain.close((alias, text) => void reported.push(`${alias}: ${text}`))
  t.strictSame((await replies(chain))[3], ['a', 'b', 'c', 'e'], 'each closeFilter is called, one after the other')
  t.strictSame(
    reported,
    ['bb: closeFilter failed: Error: x', 'c: closeFilter failed: threw 0'],
    'and what fails is reported',
  )

  const broken = makeFolder(t, { 'f.mjs': '' })
  t.match(await problemsOf('f\nf', broken), [/exports no doFilter/, /exports no doFilter/])
  t.strictSame(await replies(await loaded('', broken)), [], 'an empty list is a chain of no filters')
})

const isSuperuser = process.getuid?.() === 0
t.test('a folder that may not be entered', { skip: isSuperuser && 'the superuser may enter everything' }, async (t) => {
  const folder = makeFolder(t, { 'f.mjs': good })
  chmodSync(folder, 0o000)
  t.teardown(() => chmodSync(folder, 0o700))
  t.match(await problemsOf('f', folder), [/^F: may not be read or entered by the host's user; let user/])
})

t.test("a filter of pythonfilter's that is not here", (t) => {
  const named = { name: 'greylist', file: '/etc/pythonfilter.conf', line: 3 }
  t.match(
    findModule(named, { folders: [], packageFolders: [] }),
    { file: named.file, line: 3, cure: /^"nodefilter migrate --check" tells / },
    'is told with the way to run it all the same',
  )
  t.end()
})
