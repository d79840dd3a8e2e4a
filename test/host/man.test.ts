/** The manual pages that are made from help texts, declarations and docs/. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { SettingSchema } from '../../courier-compat/setting.ts'
import { commands } from '../../host/cli/index.ts'
import { commands as postofficeCommands } from '../../filters/postoffice/cli/index.ts'
import { hostSchemas } from '../../host/config/settings.ts'
import { escapeText, helpPage, markdownPage, parseHelp, settingsPage, type PageFrame } from '../../tools/man-page.ts'
import { manualPages } from '../../tools/man-pages.ts'

const frame: PageFrame = { name: 'nodefilter-x', section: 8, summary: 'a-b', version: '1.2', seeAlso: ['a(1)', 'b(5)'] }
const pages = manualPages()

/** What a reader sees: requests gone, escapes read. */
function shown(page: string): string {
  return page
    .split('\n')
    .filter((line) => !/^\.(?:TP|PP|nf|fi|RS|RE|IP)\b/.test(line))
    .join(' ')
    .replace(/\\f[BIR]|\\&/g, '')
    .replace(
      /\\\((?:aq|ga|ha|ti|dq)/g,
      (escape) => ({ aq: "'", ga: '`', ha: '^', ti: '~', dq: '"' })[escape.slice(2)] ?? '',
    )
    .replaceAll('\\-', '-')
    .replaceAll('\\e', '\\')
    .replace(/ +/g, ' ')
}

void t.test('every command has a page that says what its help says', (t) => {
  const of = (program: string) => (command: { name: string; summary: string; help: string }) => ({
    ...command,
    program,
  })
  const all = [...[...commands.values()].map(of('nodefilter')), ...postofficeCommands.map(of('postoffice'))]
  for (const { name, summary, help, program } of all) {
    const file = [...pages.keys()].find((file) => file.replace(/\.[18]$/, '') === `${program}-${name}`)
    const page = shown(pages.get(file ?? '') ?? '')
    t.match(page, `${program}-${name} - ${summary}`, `${name}: ${file ?? 'no page'}`)
    const { synopsis, blocks } = parseHelp(help)
    for (const line of synopsis) t.match(page, line.replace(/ +/g, ' '), name)
    for (const option of help.match(/(?<![A-Za-z-])--[a-z][a-z-]+/g) ?? []) t.match(page, option, `${name} ${option}`)
    // Every word of the help, in its order, but the words that became headings.
    for (const { term, text } of blocks) {
      const words = text.replace(/^Exit status: /, '').split(/; (?=[0-9])|\. /)
      for (const part of [term, ...words]) {
        const plain = part
          .replace(/\s+/g, ' ')
          .replace(/^([0-9]+) |\.$/g, '')
          .trim()
        t.ok(page.includes(plain), `${name}: ${plain}`)
      }
    }
    const optionLines = help.split('\n').filter((line) => /^\s+(?:-[A-Za-z], )?--/.test(line))
    const terms = blocks.filter(({ kind, term }) => kind === 'term' && term.startsWith('-'))
    t.equal(terms.length, optionLines.length, `${name}: each option is an entry of its own`)
    t.strictSame(
      blocks.filter(({ text, term }) => text === '' || /\s{2}/.test(term)),
      [],
      `${name}: well taken apart`,
    )
  }
  t.end()
})

void t.test('the other pages', (t) => {
  const overview = shown(pages.get('nodefilter.8') ?? '')
  for (const { name, summary } of commands.values()) t.match(overview, `${name} ${summary}`)
  const conf = shown(pages.get('nodefilter.conf.5') ?? '')
  for (const [section, schemas] of Object.entries(hostSchemas)) {
    t.match(conf, `[${section}]`)
    for (const [key, schema] of Object.entries<SettingSchema>(schemas)) t.match(conf, `${key} ${schema.text}`)
  }
  for (const [file, words] of [
    [
      'nodefilter-filters.conf.5',
      ['NAME [as ALIAS] [for OTHER ...] [with key=value ...]', 'on_error Values: defer, pass'],
    ],
    ['nodefilter-modules.conf.5', ['[DEFAULT] has options for every filter', 'greylist_time = 5 * 60']],
  ] as const) {
    for (const text of words) t.match(shown(pages.get(file) ?? ''), text)
  }
  t.end()
})

void t.test('package.json names every page, so that npm installs them', (t) => {
  const { man, files } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    man: string[]
    files: string[]
  }
  t.strictSame(
    man,
    [...pages.keys()].sort().map((file) => `./dist/man/${file}`),
  )
  t.ok(files.includes('dist'))
  t.end()
})

void t.test('a help text is taken apart', (t) => {
  const { synopsis, blocks } = parseHelp(`Usage: nodefilter x enable  [-c DIR]
       nodefilter x disable

enable   Does it, and
         more.
disable  Undoes it.

  -c, --config DIR the folder; its name may be
                   long
      --set A.B=C   one
      --door word  a word
      --inspect[=[HOST:]PORT]  under it
  -h, --help       this text

Two lines
of a paragraph.

    pkill -HUP x
    second

Needs root.
Exit status: 0 done; 64 wrong, usage; 78 broken. It is
so.
`)
  t.strictSame(synopsis, ['nodefilter x enable  [-c DIR]', 'nodefilter x disable'])
  t.strictSame(
    blocks.map(({ kind, term, text }) => [kind, term, text]),
    [
      ['term', 'enable', 'Does it, and more.'],
      ['term', 'disable', 'Undoes it.'],
      ['term', '-c, --config DIR', 'the folder; its name may be long'],
      ['term', '--set A.B=C', 'one'],
      ['term', '--door word', 'a word'],
      ['term', '--inspect[=[HOST:]PORT]', 'under it'],
      ['term', '-h, --help', 'this text'],
      ['text', '', 'Two lines of a paragraph.'],
      ['literal', '', '    pkill -HUP x\n    second'],
      ['text', '', 'Needs root.'],
      ['text', '', 'Exit status: 0 done; 64 wrong, usage; 78 broken. It is so.'],
    ],
  )
  const page = helpPage(frame, 'usage: nodefilter x\n\nText.\n\nExit status: 0 done; 64 wrong. It is so.\n')
  t.equal(
    page,
    `.TH NODEFILTER\\-X 8 "" "nodefilter 1.2" "nodefilter"
.SH NAME
nodefilter\\-x \\- a\\-b
.SH SYNOPSIS
.nf
\\fBnodefilter x\\fR
.fi
.SH DESCRIPTION
.PP
Text.
.SH "EXIT STATUS"
.TP
\\fB0\\fR
done
.TP
\\fB64\\fR
wrong
.PP
It is so.
.SH "SEE ALSO"
.BR a (1),
.BR b (5)
`,
  )
  t.end()
})

void t.test('text is never read as a request', (t) => {
  for (const [text, want] of [
    ['.SH x', '\\&.SH x'],
    ["'br", '\\(aqbr'],
    ['a\\fBb', 'a\\efBb'],
    ['--x-y', '\\-\\-x\\-y'],
    ['"`^~', '\\(dq\\(ga\\(ha\\(ti'],
    ['± −', '\\[u00B1] \\[u2212]'],
    ['plain', 'plain'],
  ] as const) {
    t.equal(escapeText(text), want, text)
  }
  const nasty = ['.SH no', "'br no", '\\fBno', '"no']
  const long = 'word '.repeat(20)
  const all = [
    helpPage(frame, `usage: x\n\n${nasty.map((text) => `${long}${text}`).join('\n\n')}\n\n    .nf\n    'x\n`),
    settingsPage(frame, nasty, { s: { k: { type: 'text', default: '.x', text: '.SH no' } } }),
    markdownPage(
      frame,
      `# t\n\n.SH no\n\n## .SH\n\n- .x\n\n\`\`\`\n.SH no\n\n\`\`\`\n\n| a | b |\n|---|---|\n| \`.c\` | .d |\n| x \\| y | |\n`,
    ),
  ]
  const known = /^\.(?:TH|SH|SS|PP|TP|IP|RS|RE|nf|fi|BR)(?: |$)/
  for (const page of all) {
    const requests = page.split('\n').filter((line) => /^[.']/.test(line) && !known.test(line))
    t.strictSame(requests, [])
    t.notMatch(page, /^\.SH "?no/m)
    t.notMatch(page, /\\(?![-e&(f[])/, 'no backslash but in an escape')
  }
  t.match(all[2], '.TP\n\\fB\\&.c\\fR\n\\&.d\n.TP\n\\fBx | y\\fR\n\\&\n')
  t.end()
})

const groff = spawnSync('groff', ['--version']).status === 0
void t.test('groff has no complaint', { skip: groff ? false : 'there is no groff here' }, (t) => {
  for (const [file, text] of pages) {
    const { status, stdout, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-rLL=100n'], {
      input: text,
      encoding: 'utf8',
    })
    t.strictSame([status, stderr], [0, ''], file)
    t.match(stdout.replace(/.\u0008/g, ''), /NAME/, file)
  }
  t.end()
})
