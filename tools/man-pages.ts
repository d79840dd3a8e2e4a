/** The manual pages: made from the help texts of the commands, the declarations of the settings, and docs/. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { commands, overview } from '../host/cli/index.ts'
import { packageVersion } from '../host/cli/version.ts'
import { hostSchemas } from '../host/config/settings.ts'
import { commands as postofficeCommands } from '../filters/postoffice/cli/index.ts'
import { overview as postofficeOverview } from '../filters/postoffice/cli/program.ts'
import { helpPage, markdownPage, settingsPage, type PageFrame } from './man-page.ts'

/** What anybody may want; all other commands are an administrator's. */
const everybodys = ['check', 'filters', 'new', 'test']

const hostIntroduction = [
  'Settings of the mail filter host, in a folder with filters.conf and modules.conf: the one named with -c, else the first that exists of /etc/nodefilter, /usr/local/etc/nodefilter and "nodefilter" in Courier\'s own configuration folder.',
  'Sections in brackets, one "key = value" a line; a comment begins with # or ;. A duration has a unit, as in 500ms, 30s, 5m, 24h, 7d; a size is a number of octets or has one, as in 64KiB, 10MiB; a list is words separated by commas. What is unknown is an error.',
  '"nodefilter config check" says what is wrong, "nodefilter config show" what is in force. The host reads the file again on SIGHUP.',
]

/** All pages: file name -> text. */
export function manualPages(): ReadonlyMap<string, string> {
  const version = packageVersion()
  const listed = [...commands.values()].map(({ name, summary, help }) => ({
    ...{ name: `nodefilter-${name}`, section: everybodys.includes(name) ? 1 : 8, summary, version },
    help,
  }))
  const names = listed.map(({ name, section }) => `${name}(${section})`)
  const files = ['nodefilter.conf(5)', 'nodefilter-filters.conf(5)', 'nodefilter-modules.conf(5)']
  const others = (own: string): string[] => ['nodefilter(8)', ...files].filter((page) => page !== own)
  const file = (name: string, summary: string): PageFrame => {
    return { name, section: 5, summary, version, seeAlso: others(`${name}(5)`) }
  }
  const docs = (page: string): string => readFileSync(join(import.meta.dirname, '../docs', page), 'utf8')
  const ofPostoffice = [...postofficeCommands].map(({ name, summary, help }) => ({
    ...{ name: `postoffice-${name.replaceAll(' ', '-')}`, section: 1, summary, version, help },
  }))
  const postoffice = {
    ...{ name: 'postoffice', section: 1, summary: 'sorts mail into queues, and gives it to applications', version },
    seeAlso: [...ofPostoffice.map(({ name }) => `${name}(1)`), 'nodefilter(8)'],
  }
  const main = { name: 'nodefilter', section: 8, summary: 'mail filter host', version, seeAlso: [...names, ...files] }
  return new Map([
    ['nodefilter.8', helpPage(main, usageFirst(overview()))],
    ['postoffice.1', helpPage(postoffice, usageFirst(postofficeOverview()))],
    ...ofPostoffice.map(({ help, ...frame }): [string, string] => [
      `${frame.name}.1`,
      helpPage({ ...frame, seeAlso: ['postoffice(1)', 'nodefilter(8)'] }, help),
    ]),
    ...listed.map(({ help, ...frame }): [string, string] => [
      `${frame.name}.${frame.section}`,
      helpPage({ ...frame, seeAlso: others('') }, help),
    ]),
    [
      'nodefilter.conf.5',
      settingsPage(file('nodefilter.conf', 'settings of the mail filter host'), hostIntroduction, hostSchemas),
    ],
    [
      'nodefilter-filters.conf.5',
      markdownPage(file('nodefilter-filters.conf', 'filters.conf, the list of mail filters'), docs('filters-conf.md')),
    ],
    [
      'nodefilter-modules.conf.5',
      markdownPage(file('nodefilter-modules.conf', 'modules.conf, the settings of filters'), docs('modules-conf.md')),
    ],
  ])
}

/** An overview in the shape of the other help texts: usage first. */
function usageFirst(text: string): string {
  const [title = '', usage = '', ...rest] = text.split('\n\n')
  return [usage, title.replace(/^\w+ \S+: (.)/, (_, first: string) => first.toUpperCase()), ...rest].join('\n\n')
}
