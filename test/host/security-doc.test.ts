/** SECURITY.md and the page on isolation against what is there: files, links, tests by their rows, and figures. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { pairLimits } from '../../host/pair.ts'

const repository = join(import.meta.dirname, '../..')
const read = (file: string): string => readFileSync(join(repository, file), 'utf8')
const pages = ['SECURITY.md', 'docs/authors/isolation.md']
const testsHeading = '## The tests of each row'

/** Every match's first group. */
const all = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map((match) => match[1] ?? '')

/** The anchors of a page, as they are made of its headings. */
function anchorsOf(text: string): Set<string> {
  return new Set(
    all(text, /^#+ (.*)$/gm).map((title) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** The rows of tests in a file: `R46` where a test's name begins with it, or with a row before it. */
function rowsTested(file: string): Set<string> {
  const names = all(read(file), /['"`]((?:R[0-9]{2} )+)/g)
  return new Set(names.flatMap((name) => name.trim().split(' ')))
}

for (const page of pages) {
  t.test(`${page}: every link leads somewhere`, (t) => {
    const links = all(read(page), /\]\(([^)\s]+)\)/g)
    t.ok(links.length > 0)
    for (const link of links) {
      const [path = '', anchor] = link.split('#')
      if (/^[a-z]+:/.test(link)) {
        t.fail(`${link} leads out of the repository`)
        continue
      }
      const file = path === '' ? page : join(dirname(page), path)
      if (!existsSync(join(repository, file))) t.fail(`${link}: there is no ${file}`)
      else if (anchor !== undefined) t.ok(anchorsOf(read(file)).has(anchor), `${link}: the heading is there`)
      else t.pass(link)
    }
    t.end()
  })

  t.test(`${page}: every file that is named is there`, (t) => {
    const paths = all(read(page), /`((?:host|courier-compat|filters|queue-store|docs|test|examples|bench)\/[^`\s]*)`/g)
    for (const path of paths) t.ok(existsSync(join(repository, path)), path)
    t.end()
  })
}

t.test('SECURITY.md: every row has tests, and every test that is named is of its row', (t) => {
  const [body = '', table = ''] = read('SECURITY.md').split(testsHeading)
  const mentioned = new Set(all(body, /\b(R[0-9]{2})\b/g))
  const listed = all(table, /^\| (R[0-9]{2} \| \[`[^`]+`\])/gm).map((line) => {
    const [, row = '', file = ''] = /^(R[0-9]{2}) \| \[`([^`]+)`\]/.exec(line) ?? []
    return { row, file }
  })
  t.ok(mentioned.size > 10, 'rows are named')
  t.same(
    [...mentioned].filter((row) => !listed.some((entry) => entry.row === row)),
    [],
    'rows without a test',
  )
  t.same(
    listed.filter(({ row }) => !mentioned.has(row)).map(({ row }) => row),
    [],
    'tests of rows that nothing names',
  )
  for (const { row, file } of listed) {
    if (!existsSync(join(repository, file))) t.fail(`there is no ${file}`)
    else t.ok(rowsTested(file).has(row), `${file} has tests of ${row}`)
  }
  t.end()
})

t.test('SECURITY.md: the list of tests is whole', (t) => {
  const text = read('SECURITY.md')
  const [body = ''] = text.split(testsHeading)
  for (const folder of [
    'test/reliability',
    'test/system',
    'test/host',
    'test/faults',
    'test/queue-store',
    'test/postoffice',
  ]) {
    if (!existsSync(join(repository, folder))) continue
    for (const name of readdirSync(join(repository, folder))) {
      const file = `${folder}/${name}`
      if (!file.endsWith('.test.ts')) continue
      for (const row of rowsTested(file))
        if (new RegExp(`\\b${row}\\b`).test(body)) t.ok(text.includes(`| ${row} | [\`${file}\`]`), `${row} in ${file}`)
    }
  }
  t.end()
})

t.test('SECURITY.md: its figures are those of the program', (t) => {
  const text = read('SECURITY.md')
  const mebibytes = (octets: number): string => `${octets / 1024 / 1024} MiB`
  const { controlFiles, controlFileOctets, controlOctets } = pairLimits
  const wanted = `at most ${controlFiles}, ${mebibytes(controlFileOctets)} each, ${mebibytes(controlOctets)} together`
  t.ok(text.includes(wanted), wanted)
  const [, most] = /const maxPackages = ([0-9]+)$/m.exec(read('test/system/offline.test.ts')) ?? []
  t.equal(most, '50')
  t.match(text, /at most fifty packages of others/)
  t.end()
})

/** Their scripts would build what the packages bring ready made; npm is told not to run them. */
const unneededScripts = ['node_modules/lmdb', 'node_modules/msgpackr-extract']

t.test('R67 the lock file: few packages for the program, none that needs an install script', (t) => {
  interface Locked {
    readonly dev?: boolean
    readonly optional?: boolean
    readonly os?: readonly string[]
    readonly hasInstallScript?: boolean
    readonly integrity?: string
  }
  const { packages } = JSON.parse(read('package-lock.json')) as { readonly packages: Readonly<Record<string, Locked>> }
  const ours = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true)
  // Of those made for one platform each at most two fit a machine.
  const counted = ours.filter(([, { os }]) => os === undefined).length + 2
  t.ok(ours.length > 0 && counted <= 50, `${counted} packages`)
  for (const [path, { hasInstallScript, integrity }] of ours) {
    t.ok(hasInstallScript !== true || unneededScripts.includes(path), `${path} needs no install script`)
    t.ok(integrity?.startsWith('sha512-'), `${path} has a digest`)
  }
  t.end()
})
