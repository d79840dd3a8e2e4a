/** Filters from folders outside the repository and from npm packages, in each form that Node can import. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { noModuleConfig } from '../../courier-compat/module-config/merge.ts'
import { parseList } from '../../host/chain/list.ts'
import { loadChain } from '../../host/chain/loader.ts'
import { packagedFilters } from '../../host/chain/package-file.ts'
import { registerOwnModules } from '../../host/runner/resolve-hook.ts'

process.umask(0o022)
registerOwnModules()

const program = fileURLToPath(new URL('../../host/main.ts', import.meta.url))

type Files = Readonly<Record<string, string>>

/** Writes files into a folder from which no way up leads to the packages of this repository. */
function makeTree(t: Test, files: Files): string {
  const root = mkdtempSync(join(tmpdir(), 'nf-packages-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return root
}

const manifest = (fields: object): string => JSON.stringify({ version: '1.2.3', ...fields })

/** A filter that notes which file it is, and that the library is the running program's. */
const esm = (name: string): string => `import { getSender } from 'nodefilter/courier-compat'
let text = ''
export const settings = { text: { type: 'text', default: 'none', text: 'What is noted.' } }
export function initFilter({ alias, settings }) { text = alias + ' ' + settings.text }
export function doFilter(bodyPath, controlPaths, { notes }) {
  notes.set('${name} ' + text, getSender(controlPaths))
  return ''
}`
const cjs = (name: string): string => `const { getSender } = require('nodefilter/courier-compat')
let text = ''
exports.settings = { text: { type: 'text', default: 'none', text: 'What is noted.' } }
exports.initFilter = ({ alias, settings }) => { text = alias + ' ' + settings.text }
exports.doFilter = (bodyPath, controlPaths, { notes }) => {
  notes.set('${name} ' + text, getSender(controlPaths))
  return ''
}`
const ts = (name: string): string => `import { getSender } from 'nodefilter/courier-compat'
import type { SettingSchemas, SettingsOf } from 'nodefilter/courier-compat'
import type { DoFilter, FilterSetup } from 'nodefilter/filter'
let text: string = ''
export const settings = { text: { type: 'text', default: 'none', text: 'What is noted.' } } as const satisfies SettingSchemas
export function initFilter({ alias, settings: given }: FilterSetup<SettingsOf<typeof settings>>): void { text = alias + ' ' + given.text }
export const doFilter: DoFilter = (bodyPath, controlPaths, { notes }) => {
  notes.set('${name} ' + text, String(getSender([...controlPaths])))
  return ''
}`

t.test('every form, through the real runner', (t) => {
  const root = makeTree(t, {
    'filters/in_ts.ts': ts('in_ts'),
    'filters/in_mts.mts': ts('in_mts'),
    'filters/in_mjs.mjs': esm('in_mjs'),
    'filters/in_js.js': esm('in_js'),
    'filters/in_cjs.cjs': cjs('in_cjs'),
    'filters/node_modules/nf-esm/package.json': manifest({
      name: 'nf-esm',
      type: 'module',
      exports: { '.': { import: './index.js', require: './wrong.cjs' }, './sub': './lib/sub.js' },
    }),
    'filters/node_modules/nf-esm/index.js': `import { word } from 'helper'\n${esm('nf-esm').replace("'nf-esm ", "word + ' nf-esm ")}`,
    'filters/node_modules/nf-esm/wrong.cjs': cjs('the wrong condition'),
    'filters/node_modules/nf-esm/lib/sub.js': esm('nf-esm/sub'),
    'filters/node_modules/helper/package.json': manifest({ name: 'helper', main: 'main.js' }),
    'filters/node_modules/helper/main.js': `exports.word = 'helped'`,
    'filters/node_modules/nf-cjs/package.json': manifest({ name: 'nf-cjs', main: './lib/main.js' }),
    'filters/node_modules/nf-cjs/lib/main.js': cjs('nf-cjs'),
    'config/node_modules/@example/footer/package.json': manifest({ name: '@example/footer', exports: './i.mjs' }),
    'config/node_modules/@example/footer/i.mjs': esm('@example/footer'),
    'work/linked/package.json': manifest({ name: 'nf-linked', type: 'module', exports: './index.ts' }),
    'work/linked/index.ts': ts('nf-linked'),
    // A file wins over a package of its name.
    'filters/node_modules/in_ts/package.json': manifest({ name: 'in_ts', main: 'i.js' }),
    'filters/node_modules/in_ts/i.js': cjs('the package'),
    'config/filters.conf': [
      ...['in_ts', 'in_mts', 'in_mjs', 'in_js', 'in_cjs', 'nf-esm', 'nf-esm/sub', 'nf-cjs', 'nf-linked'],
      ...['@example/footer', '@example/footer as second with text=two', '@example/footer as third with text=three'],
      ...['nf-cjs as fourth with text=four', ''],
    ].join('\n'),
    'm.eml': 'Subject: x\n\ny\n',
  })
  symlinkSync(join(root, 'work/linked'), join(root, 'filters/node_modules/nf-linked'))
  const args = ['check', '-c', join(root, 'config'), '--set', `chain.filter_path=${join(root, 'filters')}`, '--json']
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args, join(root, 'm.eml')], {
    encoding: 'utf8',
    cwd: root,
  })
  t.equal(stderr, '')
  t.equal(status, 0)
  const { notes } = JSON.parse(stdout) as { notes: Record<string, string> }
  t.strictSame(Object.keys(notes), [
    ...['in_ts in_ts none', 'in_mts in_mts none', 'in_mjs in_mjs none', 'in_js in_js none', 'in_cjs in_cjs none'],
    ...['helped nf-esm nf-esm none', 'nf-esm/sub nf-esm/sub none', 'nf-cjs nf-cjs none', 'nf-linked nf-linked none'],
    '@example/footer @example/footer none',
    ...['@example/footer second two', '@example/footer third three', 'nf-cjs fourth four'],
  ])
  t.ok(
    Object.values(notes).every((sender) => sender === 'sender@example.com'),
    'each read the control file with the same library',
  )
  t.end()
})

t.test('packages that cannot be used', async (t) => {
  const good = `export const doFilter = () => ''\n`
  const rows: {
    name: string
    list: string
    files: Files
    change?: (root: string) => void
    want: (string | RegExp)[]
  }[] = [
    {
      name: 'TypeScript below node_modules',
      list: 'p',
      files: { 'f/node_modules/p/package.json': manifest({ exports: './i.ts' }), 'f/node_modules/p/i.ts': good },
      want: [
        'R/f/node_modules/p/i.ts: is TypeScript below node_modules, which Node does not run; publish the filter as JavaScript',
      ],
    },
    {
      name: 'a subpath that it does not export',
      list: 'p/no',
      files: { 'f/node_modules/p/package.json': manifest({ exports: './i.mjs' }), 'f/node_modules/p/i.mjs': good },
      want: [
        /^R\/f\/node_modules\/p: is a package, but not one that gives "p\/no": .*; correct the name, or "exports"/,
      ],
    },
    {
      name: 'a package without its file',
      list: 'p',
      files: { 'f/node_modules/p/package.json': manifest({ exports: './i.mjs' }) },
      want: [/^R\/f\/node_modules\/p: is a package, but not one that gives "p": /],
    },
    {
      name: 'a package that is no filter',
      list: 'p',
      files: { 'f/node_modules/p/package.json': manifest({ main: 'i.js' }), 'f/node_modules/p/i.js': 'exports.a = 1' },
      want: ['R/f/node_modules/p/i.js: exports no doFilter; export function doFilter(bodyPath, controlPaths, context)'],
    },
    {
      name: "a name of Node's own, though something is installed under it",
      list: 'path',
      files: { 'f/node_modules/path/package.json': manifest({ main: 'i.js' }), 'f/node_modules/path/i.js': good },
      want: [/^\/conf\/filters\.conf:1: there is no filter "path"; /],
    },
    {
      name: 'a scoped package that is not installed',
      list: '@example/no',
      files: { 'f/x.mjs': good },
      want: [
        '/conf/filters.conf:1: there is no filter "@example/no"; install the package there: npm install --prefix R/f @example/no',
      ],
    },
    {
      name: 'a name that is nearly that of a package which says that it is a filter',
      list: '@example/fotter',
      files: {
        'f/node_modules/@example/footer/package.json': manifest({ keywords: ['nodefilter-filter'], main: 'i.js' }),
      },
      want: ['/conf/filters.conf:1: there is no filter "@example/fotter"; did you mean "@example/footer"?'],
    },
    {
      name: 'a throw in its initFilter, by another package',
      list: 'p',
      files: {
        'f/node_modules/p/package.json': manifest({ exports: './i.mjs' }),
        'f/node_modules/p/i.mjs': `import { no } from 'q'\n${good}export function initFilter() {\n  no()\n}`,
        'f/node_modules/q/package.json': manifest({ exports: './i.mjs' }),
        'f/node_modules/q/i.mjs': `export function no() { throw new Error('not me') }`,
      },
      want: [/^R\/f\/node_modules\/p\/i\.mjs:4: initFilter of "p" failed: Error: not me; /],
    },
    {
      name: 'wrong syntax in what it imports',
      list: 'p',
      files: {
        'f/node_modules/p/package.json': manifest({ exports: './i.mjs' }),
        'f/node_modules/p/i.mjs': `import './lib/a.mjs'\n${good}`,
        'f/node_modules/p/lib/a.mjs': `\nconst a = )`,
      },
      want: [
        /^R\/f\/node_modules\/p\/lib\/a\.mjs:2: cannot be loaded: SyntaxError: .* \(imported by R\/f\/node_modules\/p\/i\.mjs\); /,
      ],
    },
    {
      name: "the configuration's folder may be written by everybody",
      list: 'p\np as q',
      files: {
        'f/x.mjs': '',
        'conf/node_modules/p/package.json': manifest({ main: 'i.js' }),
        'conf/node_modules/p/i.js': `throw new Error('it ran')`,
      },
      change: (root: string) => chmodSync(join(root, 'conf'), 0o777),
      want: ['R/conf: may be written by everybody; chmod o-w it'],
    },
    ...['f/node_modules', 'f/node_modules/@s', 'w/p', 'w/p/lib', 'w/p/lib/i.mjs'].map((place) => ({
      name: `${place} may be written by everybody`,
      list: '@s/p',
      files: {
        'w/p/package.json': manifest({ exports: './lib/i.mjs' }),
        'w/p/lib/i.mjs': `throw new Error('it ran')`,
        'f/node_modules/@s/x': '',
      },
      change: (root: string) => {
        symlinkSync(join(root, 'w/p'), join(root, 'f/node_modules/@s/p'))
        chmodSync(join(root, place), 0o777)
      },
      want: [`R/${place}: may be written by everybody; chmod o-w it`],
    })),
  ]
  for (const { name, list, files, change, want } of rows) {
    const root = makeTree(t, files)
    change?.(root)
    const { entries } = parseList(list, '/conf/filters.conf', 'nodefilter')
    const folders = { filterPath: [join(root, 'f')], packagePath: [join(root, 'conf')], stateDirectory: root }
    const plan = { ...folders, entries, modules: noModuleConfig, modulePaths: [], timeLimitMs: 1000 }
    const say = (): void => undefined
    const loaded = await loadChain(plan, () => ({ info: say, warn: say, error: say }))
    const problems = 'problems' in loaded ? loaded.problems : []
    const told = problems.map(({ file, line, text, cure }) =>
      `${file}${line === null ? '' : `:${line}`}: ${text}; ${cure ?? '-'}`.replaceAll(root, 'R'),
    )
    t.equal(told.length, want.length, `${name}: ${told.join(' | ')}`)
    for (const [index, text] of want.entries()) {
      if (typeof text === 'string') t.equal(told[index], text, name)
      else t.match(told[index], text, name)
    }
  }
})

t.test('packages that say that they are filters are found, others are not', (t) => {
  const root = makeTree(t, {
    'node_modules/a/package.json': manifest({ keywords: ['mail', 'nodefilter-filter'] }),
    'node_modules/@s/b/package.json': manifest({ keywords: ['nodefilter-filter'] }),
    'node_modules/c/package.json': manifest({ keywords: ['nodefilter'] }),
    'node_modules/d/package.json': 'no JSON',
    'node_modules/e/index.js': '',
    'node_modules/.cache/package.json': manifest({ keywords: ['nodefilter-filter'] }),
  })
  // Whoever waits for its writer waits for ever.
  mkdirSync(join(root, 'node_modules/f'))
  spawnSync('mkfifo', [join(root, 'node_modules/f/package.json')])
  t.strictSame(
    packagedFilters([join(root, 'missing'), root]).map(({ name, version }) => `${name} ${version}`),
    ['@s/b 1.2.3', 'a 1.2.3'],
  )
  t.end()
})
