// What may import what is docs/design in code: each block below is one line of "Rooms, and who may know whom".
import tseslint from 'typescript-eslint'

/** Forbids imports that match `patterns`, saying why. */
const forbid = (files, ...rules) => ({
  files,
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      { patterns: rules.map(([regex, message]) => ({ regex, message })) },
    ],
  },
})

/** Each third-party package has one importing file or folder, so that it can be replaced there. */
const packageHomes = {
  piscina: 'host/runner/process.ts',
  ini: 'host/config/read.ts',
  'ipaddr.js': 'courier-compat/control/facts.ts',
  'iconv-lite': 'courier-compat/message/charset.ts',
  lmdb: 'queue-store/environment.ts',
  mailparser: 'courier-compat/message/readable-text.ts',
  nodemailer: 'queue-store/transports/nodemailer.ts',
  re2js: 'filters/postoffice/expression.ts',
  'sonic-boom': 'host/observe/log.ts',
}
const elsewhere = (file) =>
  Object.entries(packageHomes)
    .filter(([, home]) => home !== file)
    .map(([name, home]) => [`^${name.replace('.', '\\.')}$`, `${name} is imported by ${home} alone`])

const noHost = ['/host/', 'nothing outside the host imports it']
const noFilters = ['/filters/', 'filters are reached by name, through the loader']
const noChain = ['/chain/', 'a door knows no chain: it hands a pair to intake']
const noRunner = ['/runner/', 'a door knows no runner: it hands a pair to intake']
const noDoors = ['/doors/', 'the chain and the runner know no door']

const noDefaultExport = {
  selector: 'ExportDefaultDeclaration',
  message: 'a name is found by searching, a default export is not',
}

export default tseslint.config(
  {
    ignores: [
      ...['dist/', 'node_modules/', '.tap/', 'test/fixtures/', '.demo/', '.nodes/'],
      ...['examples/filters/', 'examples/consumers/'],
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ['eslint.config.mjs', 'tools/*.mjs'] } },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      'no-restricted-syntax': ['error', noDefaultExport],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'exit', message: 'only host/main.ts ends the process; set process.exitCode' },
      ],
    },
  },
  forbid(['courier-compat/**'], noHost, noFilters, ...elsewhere('courier-compat/control/facts.ts')),
  ...['courier-compat/message/charset.ts', 'courier-compat/message/readable-text.ts'].map((file) =>
    forbid([file], noHost, noFilters, ...elsewhere(file)),
  ),
  forbid(['filters/*/**'], noHost, ['^\\.\\./(?!\\.)', 'filters do not import one another'], ...elsewhere(null)),
  forbid(
    ['filters/postoffice/expression.ts'],
    noHost,
    ['^\\.\\./(?!\\.)', 'filters do not import one another'],
    ...elsewhere('filters/postoffice/expression.ts'),
  ),
  // A filter of several folders reaches its own files one level higher up.
  forbid(
    ['filters/*/*/**'],
    noHost,
    ['^\\.\\./\\.\\./(?!\\.)', 'filters do not import one another'],
    ...elsewhere(null),
  ),
  forbid(
    ['filters/*/*/*/**'],
    noHost,
    ['^\\.\\./\\.\\./\\.\\./(?!\\.)', 'filters do not import one another'],
    ...elsewhere(null),
  ),
  forbid(['filters/*.ts'], noHost, ['^\\./(?!.*/)', 'filters do not import one another'], ...elsewhere(null)),
  forbid(['queue-store/**'], noHost, noFilters, ...elsewhere(null)),
  ...['queue-store/environment.ts', 'queue-store/transports/nodemailer.ts'].map((file) =>
    forbid([file], noHost, noFilters, ...elsewhere(file)),
  ),
  forbid(['host/**'], noFilters, ...elsewhere(null)),
  forbid(['host/doors/**'], noFilters, noChain, noRunner, ...elsewhere(null)),
  forbid(
    ['host/chain/**'],
    noFilters,
    noDoors,
    ['/runner/', 'the runner runs the chain, not the other way'],
    ...elsewhere(null),
  ),
  forbid(['host/runner/**'], noFilters, noDoors, ...elsewhere(null)),
  forbid(['host/runner/process.ts'], noFilters, noDoors, ...elsewhere('host/runner/process.ts')),
  forbid(['host/config/read.ts'], noFilters, ...elsewhere('host/config/read.ts')),
  forbid(['host/observe/log.ts'], noFilters, ...elsewhere('host/observe/log.ts')),
  // The pool's contract is a module with a default export; so are ESLint's and most tools' configurations.
  { files: ['host/runner/worker.ts', '*.config.mjs'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['host/main.ts', 'test/**', 'bench/**', 'tools/**'], rules: { 'no-restricted-properties': 'off' } },
  { files: ['**/*.mjs'], ...tseslint.configs.disableTypeChecked },
  {
    files: ['test/**/*.ts'],
    // tap's assertion methods return booleans nobody reads, and its subtests are awaited by tap itself.
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: '@tapjs/test', name: ['test', 'teardown', 'before', 'after'] },
          ],
        },
      ],
    },
  },
)
