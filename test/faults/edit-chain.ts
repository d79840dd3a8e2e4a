/**
 * A chain that edits in every way a chain can, for tests that break it at every step: what it should come to, and what a
 * pair may look like when it was broken off.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { makePlace, type HostProcess, type Place } from '../helpers/host-process.ts'
import type { Pair } from '../helpers/pair.ts'

const edit = `import { appendFileSync } from 'node:fs'
import { addRecipient, getRecipients, XFilter } from 'nodefilter/courier-compat'
const add = (controlPaths, address) => {
  if (!getRecipients(controlPaths).includes(address)) addRecipient(controlPaths, address)
}
const rewrite = async (bodyPath, controlPaths, name, text = null) => {
  const xfilter = new XFilter('test', bodyPath, controlPaths)
  const message = xfilter.getMessage()
  if (message.header.get(name) === null) {
    message.header.add(name, 'yes')
    if (text !== null) await message.appendText((await message.read()).root, text)
  }
  return xfilter.submit()
}
`
const entry = 'export const doFilter = async (bodyPath, controlPaths, context) =>'

/** Each does nothing twice, so that a second run over what a broken run left doubles nothing of what is whole. */
const filters = {
  see: `import { appendFileSync, readFileSync } from 'node:fs'
${entry} {
  const seen = [bodyPath, ...controlPaths].map((path) => readFileSync(path, 'latin1'))
  appendFileSync(JOURNAL, JSON.stringify({ bodyPath, attempt: context.attempt, seen }) + '\\n')
}`,
  own: `${edit}${entry} {
  if (getRecipients(controlPaths).includes('own@example.org')) return
  appendFileSync(controlPaths[0], 'rown@example.org\\nR\\nN\\n')
}`,
  add: `${edit}${entry} add(controlPaths, 'added@example.org')`,
  rewrite: `${edit}${entry} rewrite(bodyPath, controlPaths, 'X-Rewritten', 'foot')`,
  soft: `${edit}${entry} {
  add(controlPaths, 'soft@example.org')
  return rewrite(bodyPath, controlPaths, 'X-Soft')
}`,
  trial: `${edit}${entry} {
  add(controlPaths, 'trial@example.org')
  await rewrite(bodyPath, controlPaths, 'X-Trial')
  return '550 on trial'
}`,
  decide: `import { readFileSync } from 'node:fs'
${entry} (readFileSync(bodyPath, 'latin1').includes('Refuse: yes') ? '550 as told' : '')`,
} as const

/** A place where that chain is in force. */
export function makeEditPlace(t: Test): Place {
  const place = makePlace(t)
  for (const [name, source] of Object.entries(filters)) {
    place.filter(`${name}.mjs`, source.replace('JOURNAL', JSON.stringify(place.at('journal'))))
  }
  place.list('see', 'own', 'add', 'rewrite', 'soft with on_error=pass', 'trial with dry_run=yes', 'decide')
  return place
}

/** A pair for that chain, and what it held when it was made. */
export interface EditPair extends Pair {
  /** Its queue id. */
  readonly id: string
  readonly refuse: boolean
  readonly data: string
  readonly control: string
}

let made = 0

/** Makes one that is like no other: whoever knows a message again by its content must not take two for one. */
export function makeEditPair(place: Place, refuse = false): EditPair {
  const content = `Subject: number ${++made}\n${refuse ? 'Refuse: yes\n' : ''}\nbody ${made}\n`
  const id = `EDIT.${made}`
  const pair = place.pair({ content, id })
  return { ...pair, id, refuse, ...read(pair) }
}

function read({ bodyPath, controlPaths }: Pair): { data: string; control: string } {
  return { data: readFileSync(bodyPath, 'latin1'), control: readFileSync(controlPaths[0] ?? '', 'latin1') }
}

/** Orders a fault for one operation on the pair's files; see test/helpers/file-faults.mjs. */
export function orderFault({ bodyPath }: Pair, side: 'host' | 'runner', at: number, act: string): void {
  writeFileSync(join(dirname(bodyPath), `fault-${side}`), `${at} ${act}`)
}

/** Which operation failed, or `null` where nobody came to it. */
export function firedFault({ bodyPath }: Pair): string | null {
  const path = join(dirname(bodyPath), 'fired')
  return existsSync(path) ? readFileSync(path, 'latin1') : null
}

/** The operations on a pair's files, where `0 list` was ordered. */
export function listedSteps({ bodyPath }: Pair): string[] {
  return readFileSync(join(dirname(bodyPath), 'steps'), 'latin1')
    .split('\n')
    .slice(0, -1)
}

const fields = { rewrite: 'X-Rewritten: yes\n', soft: 'X-Soft: yes\n', trial: 'X-Trial: yes\n' }
const recipient = (name: string): string => `r${name}@example.org\nR\nN\n`
const first = recipient('own') + recipient('added')

/** The message with these fields; the first filter that adds one puts a line below its text too. */
function withFields({ data }: EditPair, ...names: (keyof typeof fields)[]): string {
  const edited = data.replace('\n\n', `\n${names.map((name) => fields[name]).join('')}\n`)
  return names.includes('rewrite') ? `${edited}foot\n` : edited
}

/** What is wrong with the files of a message that heard `answer`, beside the host's log. */
export async function wrongFiles(host: HostProcess, pair: EditPair, answer: string): Promise<string | null> {
  if (!/^(200|550) /.test(answer)) return wrongHalf(pair)
  const { data, control } = read(pair)
  if (!control.startsWith(pair.control)) return 'the control file was not only appended to'
  const added = control.slice(pair.control.length)
  if (data === withFields(pair, 'rewrite', 'soft') && added === first + recipient('soft')) return null
  // The filter whose failure passes did nothing, then, and the log says why.
  await host.settled(pair.id)
  const told = ` queueId=${pair.id} filter=soft `
  const isTold = host.log.some((line) => line.includes(' filter-failed-passed ') && line.includes(told))
  if (isTold && data === withFields(pair, 'rewrite') && added === first) return null
  return `edits are missing or too many${isTold ? ', and soft failed' : ''}: ${data} | ${added}`
}

/** What is half in the files of a message that was broken off: every version of them is whole. */
export function wrongHalf(pair: EditPair): string | null {
  const { data, control } = read(pair)
  const versions = [[], ['rewrite'], ['rewrite', 'soft'], ['rewrite', 'soft', 'trial'], ['rewrite', 'trial']] as const
  if (!versions.some((names) => data === withFields(pair, ...names))) return `the message is half: ${data}`
  if (!control.startsWith(pair.control)) return 'the control file was not only appended to'
  const added = control.slice(pair.control.length)
  return /^(r[a-z]+@example\.org\nR\nN\n)*$/.test(added) ? null : `a record is half: ${added}`
}

/** What is there twice. */
export function doubled(pair: EditPair): string[] {
  const { data, control } = read(pair)
  const things = [
    ...(data.split('\n\n')[0] ?? '').split('\n'),
    ...control.split('\n').filter((line) => /^r./.test(line)),
  ]
  return things.filter((thing, index) => things.indexOf(thing) !== index)
}

/** What lies beside the data file that no mail server put there. */
export function leftBeside({ bodyPath }: Pair): string[] {
  return readdirSync(dirname(bodyPath)).filter((name) => name.startsWith('nodefilter'))
}

/** The attempts that the chain's first filter saw of a message, each with what is wrong with what it saw. */
export function seenAttempts(place: Place, pair: EditPair): { attempt: number; wrong: string | null }[] {
  const journal = place.at('journal')
  const lines = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n') : []
  return lines
    .filter((line) => line.includes(JSON.stringify(pair.bodyPath)))
    .map((line) => {
      const { attempt, seen } = JSON.parse(line) as { attempt: number; seen: [string, string] }
      const isOriginal = seen[0] === pair.data && seen[1] === pair.control
      return { attempt, wrong: isOriginal ? null : `it saw ${JSON.stringify(seen)}` }
    })
}

/** The open descriptors of a process. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** The runner that serves. */
export function runnerOf(host: HostProcess): number {
  const line = host.log.findLast((text) => / runner-started lane=main /.test(text))
  return Number(/ pid=([0-9]+)/.exec(line ?? '')?.[1])
}
