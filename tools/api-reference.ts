/** The pages of docs/api/: what a program may import, as its doc comments say. */
import { readApi, type Api, type ApiItem } from './api-items.ts'
import { apiPages, isOf, pageFor, type ApiPage } from './api-pages.ts'
import { commentMarkdown } from './doc-comment.ts'

export interface ApiReference {
  /** File name below docs/api/ -> content. */
  readonly pages: ReadonlyMap<string, string>
  /** Exported names without a doc comment. */
  readonly undocumented: readonly string[]
  /** Where in docs/api/ an exported name is told of, or a member of one (`XFilter.submit`); `null` for what there is not. */
  linkTo(name: string): string | null
}

const made = '<!-- Made from the doc comments of the sources by "npm run docs". -->\n'
const titles = { class: 'Classes', function: 'Functions', value: 'Values', type: 'Types' } as const

/** Makes all pages. Errors: Error for a name that has no page. */
export function apiReference(root: string): ApiReference {
  const api = readApi(root)
  const byPage = new Map<ApiPage, ApiItem[]>()
  for (const page of apiPages) byPage.set(page, [])
  for (const item of api.items) byPage.get(pageFor(item.file))?.push(item)
  for (const [page, items] of byPage) {
    if (items.length === 0) byPage.delete(page)
    else items.sort((one, other) => compare(page, one, other))
  }
  const places = new Map<string, string>()
  for (const [page, items] of byPage) {
    const taken = new Set<string>()
    for (const { name } of items) {
      const slug = taken.has(name.toLowerCase()) ? `${name.toLowerCase()}-1` : name.toLowerCase()
      taken.add(slug)
      const place = `${page.name}.md#${slug}`
      // Two entry points may have a name each that is spelled the same: on its own page a name means its own.
      places.set(`${page.name} ${name}`, place)
      if (!places.has(name)) places.set(name, place)
    }
  }
  const pages = new Map([['README.md', indexPage(byPage, api, places)]])
  for (const [page, items] of byPage) pages.set(`${page.name}.md`, pageText(page, items, api, places))
  const undocumented = api.items.filter(({ text }) => text === null).map(({ name, file }) => `${name} (${file})`)
  const linkTo = (name: string): string | null => {
    const [owner = '', member] = name.split('.')
    const code = api.items.find((item) => item.name === owner)?.code ?? ''
    const isThere = member === undefined || new RegExp(`^ *(?:readonly |get )?${member}\\b`, 'm').test(code)
    return isThere ? (places.get(owner) ?? null) : null
  }
  return { pages, undocumented, linkTo }
}

/** What one uses before what one catches, reads or names; otherwise as in the sources. */
function compare(page: ApiPage, one: ApiItem, other: ApiItem): number {
  const place = ({ file }: ApiItem): number => page.files.findIndex((entry) => isOf(file, entry))
  const byFile = one.file < other.file ? -1 : one.file > other.file ? 1 : 0
  return rank(one) - rank(other) || place(one) - place(other) || byFile || one.position - other.position
}

function rank({ kind, code }: ApiItem): number {
  return kind === 'class' && code.includes(' extends Error ') ? 2 : { class: 0, function: 1, value: 3, type: 4 }[kind]
}

function indexPage(
  byPage: ReadonlyMap<ApiPage, readonly ApiItem[]>,
  { items }: Api,
  places: ReadonlyMap<string, string>,
): string {
  const entries = [...new Set(items.flatMap(({ entries }) => entries))].sort().map((entry) => `\`${entry}\``)
  const rows = [...byPage].map(([page, items]) => {
    const names = items.filter(({ kind }) => kind !== 'type').map(({ name }) => link(name, places))
    const types = items.length - names.length
    const told = [...names, ...(types === 0 ? [] : [`${types} ${types === 1 ? 'type' : 'types'}`])]
    return `| [${page.name}](${page.name}.md) | ${page.about} | ${told.join(', ')} |\n`
  })
  return `# Reference

${made}
Everything that a program can import from ${entries.join(', ')}, with its types and
what its comment in the sources says. The manuals explain how it is used: [for authors of filters](../authors/README.md), [for applications](../applications/README.md).

| page | what | names |
|---|---|---|
${rows.join('')}`
}

function pageText(page: ApiPage, items: readonly ApiItem[], api: Api, places: ReadonlyMap<string, string>): string {
  const intro = page.files.map((file) => api.fileText(file)).find((text) => text !== null) ?? null
  const contents = Object.entries(titles).flatMap(([kind, title]) => {
    const names = items.filter((item) => item.kind === kind).map(({ name }) => link(name, places, page))
    return names.length === 0 ? [] : [`${title}: ${names.join(', ')}\n`]
  })
  const blocks = [
    `# ${page.name}\n\n${made}`,
    intro === null ? '' : commentMarkdown(intro),
    `The manual: [${page.manual}](../${page.manual}). ${importLine(items)}\n`,
    ...contents,
    ...items.map((item) => itemText(item, items, places, page)),
  ]
  return blocks.filter((block) => block !== '').join('\n')
}

/** Where the names of the page come from, and which of them do not come from there. */
function importLine(items: readonly ApiItem[]): string {
  const entries = [...new Set(items.flatMap(({ entries }) => entries))].sort()
  const told = entries.map((entry) => {
    const missing = items.filter((item) => !item.entries.includes(entry))
    if (missing.length === 0) return `\`${entry}\``
    const some = missing.length > items.length / 2
    const named = (some ? items.filter((item) => item.entries.includes(entry)) : missing).map(
      ({ name }) => `\`${name}\``,
    )
    return `\`${entry}\` (${some ? 'only' : 'all but'} ${named.join(', ')})`
  })
  return `Imported from ${told.join(' or ')}.`
}

function itemText(
  { name, text, code, mentions }: ApiItem,
  onPage: readonly ApiItem[],
  places: ReadonlyMap<string, string>,
  page: ApiPage,
): string {
  const elsewhere = mentions.filter((other) => !onPage.some((item) => item.name === other))
  const told = [
    `## ${name}\n`,
    code,
    text === null ? '' : commentMarkdown(text),
    elsewhere.length === 0 ? '' : `See ${elsewhere.map((other) => link(other, places, page)).join(', ')}.\n`,
  ]
  return told.filter((block) => block !== '').join('\n')
}

function link(name: string, places: ReadonlyMap<string, string>, from?: ApiPage): string {
  const place = places.get(`${from?.name ?? ''} ${name}`) ?? places.get(name) ?? ''
  return `[\`${name}\`](${from !== undefined && place.startsWith(`${from.name}.md#`) ? place.slice(from.name.length + 3) : place})`
}
