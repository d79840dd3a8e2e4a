/** XFilter over real and hostile mail: what nobody edited keeps every octet, whatever the message is. */
import { existsSync, globSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseHeaderSection } from '../../courier-compat/header/section.ts'
import { keptOriginalPath } from '../../courier-compat/kept-original.ts'
import { EditRefused } from '../../courier-compat/message-edit/refusal.ts'
import { readMessageBytes } from '../../courier-compat/message/reader.ts'
import type { MessageReading, Part } from '../../courier-compat/message/reading.ts'
import { XFilter, type Message } from '../../courier-compat/xfilter.ts'
import { memoryFolder } from '../helpers/memory-folder.ts'
import { makePair, type Pair } from '../helpers/pair.ts'

const shared = join(import.meta.dirname, '../../../shared/corpus')
const missing = !existsSync(shared) && 'the corpus of mail is not beside this repository'
const lf = Buffer.from('\n')

interface Mail {
  readonly name: string
  readonly content: Buffer
}

/** Each message as it is, and some with the other line ends. */
function* corpus(): Generator<Mail> {
  const paths = [...globSync(join(shared, 'mime/**/*.{eml,msg}')), ...globSync(join(shared, 'courier/spool/*/data'))]
  for (const [index, path] of paths.entries()) {
    const content = readFileSync(path)
    const name = path.slice(shared.length + 1)
    yield { name, content }
    if (index % 4 !== 0) continue
    const text = content.toString('latin1')
    const other = text.includes('\r\n') ? text.replaceAll('\r\n', '\n') : text.replaceAll('\n', '\r\n')
    yield { name: `${name}, other line ends`, content: Buffer.from(other, 'latin1') }
  }
}

/** Puts the message into the spool anew, edits it, and answers what is there then. */
async function edited(
  { bodyPath, controlPaths }: Pair,
  content: Buffer,
  edit: (message: Message) => unknown,
): Promise<Buffer> {
  rmSync(keptOriginalPath(bodyPath), { force: true })
  writeFileSync(bodyPath, content)
  const xfilter = new XFilter('test', bodyPath, controlPaths)
  await edit(xfilter.getMessage())
  await xfilter.submit()
  return readFileSync(bodyPath)
}

/** HTML without its blanks: those before a new line go in quoted-printable, and mean nothing. */
const bare = (html: string): string => html.replaceAll(/\s/g, '')

const whole = (content: Buffer): Buffer =>
  content.at(-1) === 0x0a || content.length === 0 ? content : Buffer.concat([content, lf])

async function rawOf(reading: MessageReading, part: Part): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of reading.raw(part, 'whole') as AsyncIterable<Buffer>) pieces.push(piece)
  return Buffer.concat(pieces).toString('latin1')
}

t.test('real and hostile mail', { skip: missing }, async (t) => {
  const pair = makePair(memoryFolder(t))
  let count = 0
  for (const { name, content } of corpus()) {
    count++
    writeFileSync(pair.bodyPath, content)
    const { ino, mtimeMs } = statSync(pair.bodyPath)
    const idle = await edited(pair, content, (message) => message.read())
    const after = statSync(pair.bodyPath)
    if (!idle.equals(content) || after.ino !== ino) t.fail(`${name}: an XFilter that edits nothing writes`)
    if (after.mtimeMs < mtimeMs || existsSync(keptOriginalPath(pair.bodyPath))) t.fail(`${name}: something was left`)

    const forced = await edited(pair, content, ({ header }) => {
      header.add('X-Test-Of-Corpus', 'v')
      header.remove('X-Test-Of-Corpus')
    })
    if (!forced.equals(whole(content))) t.fail(`${name}: a rewriting without an edit changes octets`)
    if (statSync(pair.bodyPath).ino === ino) t.fail(`${name}: it was not rewritten`)

    const { fields, lineEnd } = parseHeaderSection(content)
    const [first] = fields
    if (first === undefined) continue
    const onTop = await edited(pair, content, ({ header }) => header.insert(0, 'X-Test-Of-Corpus', 'v'))
    const field = Buffer.from(`X-Test-Of-Corpus: v${lineEnd}`)
    const want = Buffer.concat([content.subarray(0, first.start), field, whole(content).subarray(first.start)])
    if (!onTop.equals(want)) t.fail(`${name}: more than the field on top changed`)
    const back = await edited(pair, onTop, ({ header }) => header.remove('X-Test-Of-Corpus'))
    if (!back.equals(whole(content))) t.fail(`${name}: removing it does not bring back what was`)
  }
  t.ok(count > 700, `${count} messages`)
})

t.test('text added to every text part, and a file to the message', { skip: missing }, async (t) => {
  const pair = makePair(memoryFolder(t))
  const text = 'Grüße ☃'
  const refusals = new Map<string, number>()
  let added = 0
  for (const { name, content } of corpus()) {
    const old = await readMessageBytes(content)
    const done = new Set<string>()
    const data = await edited(pair, content, async (message) => {
      const { leaves } = await message.read()
      for (const part of leaves) {
        if (!/^text\/(?:plain|html)$/.test(part.contentType)) continue
        try {
          await message.appendText(part, text)
          done.add(part.path)
        } catch (thrown) {
          if (!(thrown instanceof EditRefused)) throw thrown
          refusals.set(thrown.reason, (refusals.get(thrown.reason) ?? 0) + 1)
        }
      }
      await message.attach({ content: Buffer.from([0, 1, 2]), fileName: 'test of corpus' })
    })
    added += done.size
    const now = await readMessageBytes(data)
    const attached = now.leaves.find(({ fileName }) => fileName === 'test of corpus')
    // Where readers differ on what the parts are, so may this one after an edit.
    if (old.isAmbiguous || old.isOverLimit) continue
    const leaves = now.leaves.filter((part) => part !== attached)
    if (attached === undefined) t.fail(`${name}: nothing is attached`)
    if (leaves.length !== old.leaves.length) t.fail(`${name}: ${old.leaves.length} parts have become ${leaves.length}`)
    for (const [index, part] of old.leaves.entries()) {
      const present = leaves[index]
      if (present === undefined) break
      if (!done.has(part.path)) {
        const before = await rawOf(old, part)
        const body = before.slice(part.bodyStart - part.start)
        const isSame =
          part.parent === null ? (await rawOf(now, present)).endsWith(body) : before === (await rawOf(now, present))
        if (!isSame) t.fail(`${name}, part ${part.path}: octets changed`)
        continue
      }
      const before = await old.text(part)
      const after = await now.text(present)
      if (before.isCut || after.isCut) continue
      const isHtml = part.contentType === 'text/html'
      const end = before.text.endsWith('\n') || before.text === '' ? '' : '\n'
      const isThere = isHtml
        ? bare(after.text.replace(`<div>${text}</div>`, '')) === bare(before.text)
        : after.text.replace(/\n$/, '') === before.text + end + text
      if (!isThere) {
        t.fail(`${name}, part ${part.path}: ${JSON.stringify([before.text.slice(-100), after.text.slice(-100)])}`)
      }
    }
  }
  t.ok(added > 500, `${added} parts; refused: ${JSON.stringify(Object.fromEntries(refusals))}`)
})
