/** The filters of a message share what is read of it, until one of them changes it. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readingLimits } from '../../courier-compat/message/limits.ts'
import { noteEdit, readHeaderSection, readMessage, shareReading } from '../../courier-compat/shared-reading.ts'
import { runFilter } from '../../courier-compat/testing.ts'
import { XFilter } from '../../courier-compat/xfilter.ts'

const message = 'Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n'

t.test('one reading for all, until there is an edit', async (t) => {
  const path = join(t.testdir({ D1: message }), 'D1')
  const shared = shareReading(path, [], null)
  const first = await readMessage(path)
  t.equal(first.leaves.length, 2)
  t.equal(await readMessage(path), first, 'the second filter gets the same')
  t.equal(await readMessage(path, { signal: new AbortController().signal }), first, 'with a signal as well')
  t.not(await readMessage(path, { limits: { parts: 2 } }), first, 'other limits are another reading')
  t.equal(await readMessage(path), first, 'which nobody shares')

  writeFileSync(path, `X: y\n${message}`)
  t.equal(await readMessage(path), first, 'who edits through the library tells: nothing is looked at')
  noteEdit(path)
  const second = await readMessage(path)
  t.equal(second.header.fields.length, 3, 'after an edit it is read again')
  t.equal(readHeaderSection(path).fields.length, 3)

  shared.distrust()
  t.equal(await readMessage(path), second, 'a filter with edits of its own: the file is looked at, and is the same')
  writeFileSync(path, `X: y\nY: z\n${message}`)
  t.equal((await readMessage(path)).header.fields.length, 4, 'or is not')

  shared.forget()
  t.not(await readMessage(path), second, 'edits were taken back')
  shared.end()
  t.not(await readMessage(path), await readMessage(path), 'afterwards each reads by itself')
})

t.test('one filter’s signal ends its own waiting', async (t) => {
  const path = join(t.testdir({ D1: message }), 'D1')
  const shared = shareReading(path, [], null)
  const control = new AbortController()
  const [mine, theirs] = [readMessage(path, { signal: control.signal }), readMessage(path)]
  control.abort(new Error('its time is over'))
  await t.rejects(mine, { message: 'its time is over' })
  t.equal((await theirs).leaves.length, 2, 'the other one’s reading goes on')
  await t.rejects(readMessage(path, { signal: control.signal }), { message: 'its time is over' })
  shared.end()
})

t.test('a failure is not kept', async (t) => {
  const path = join(t.testdir({ D1: message }), 'D1')
  const shared = shareReading(path, [], null)
  rmSync(path)
  await t.rejects(async () => readMessage(path), { code: 'ENOENT' })
  writeFileSync(path, message)
  t.equal((await readMessage(path)).leaves.length, 2)
  shared.end()
})

t.test('the limits are those that the reading is shared with', async (t) => {
  const path = join(t.testdir({ D1: message }), 'D1')
  const shared = shareReading(path, [], null, { ...readingLimits, parts: 2 })
  t.ok((await readMessage(path)).isOverLimit)
  shared.end()
  t.notOk((await readMessage(path)).isOverLimit)
})

t.test('in a filter: before and after its own edit', async (t) => {
  const seen: string[] = []
  const filter = {
    doFilter: async (
      bodyPath: string,
      controlPaths: string[],
      { message }: { message: { read(): Promise<unknown> } },
    ) => {
      const before = (await message.read()) as { header: { fields: readonly { name: string }[] } }
      const xfilter = new XFilter('edits', bodyPath, controlPaths)
      xfilter.getMessage().header.add('X-New', 'yes')
      const reply = await xfilter.submit()
      const after = (await message.read()) as typeof before
      seen.push(before.header.fields.map(({ name }) => name).join(), after.header.fields.map(({ name }) => name).join())
      return reply
    },
  }
  const { verdict } = await runFilter(filter, 'Subject: x\n\ntext\n')
  t.equal(verdict.kind, 'pass')
  t.strictSame(seen, ['Subject', 'Subject,X-New'])
})
