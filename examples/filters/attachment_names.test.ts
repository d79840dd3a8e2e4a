/** Run it with: nodefilter test attachment_names.test.ts */
import assert from 'node:assert/strict'
import test from 'node:test'
import { openFilter } from 'nodefilter/testing'
import * as filter from './attachment_names.ts'

/** A message with one file; `fields` are those of its part. */
function withFile(...fields: string[]): string {
  return `From: a@example.com
Content-Type: multipart/mixed; boundary=b

--b

text
--b
${fields.join('\n')}

content
--b--
`
}

const rows = [
  { name: 'no file', message: 'Subject: x\n\ntext\n', want: '' },
  { name: 'a harmless one', message: withFile('Content-Disposition: attachment; filename=a.txt'), want: '' },
  {
    name: 'one that is refused, in any letter case',
    message: withFile('Content-Disposition: attachment; filename="Invoice.pdf.EXE"'),
    want: '550 5.7.1',
  },
  {
    name: 'its name as an encoded word',
    message: withFile('Content-Disposition: attachment; filename="=?utf-8?B?YS5leGU=?="'),
    want: '550 5.7.1',
  },
  {
    name: 'its name in pieces',
    message: withFile("Content-Disposition: attachment; filename*0*=utf-8''a.%65; filename*1=xe"),
    want: '550 5.7.1',
  },
  {
    name: 'its name in the content type alone',
    message: withFile('Content-Type: application/octet-stream; name=a.scr'),
    want: '550 5.7.1',
  },
  {
    name: 'two names, of which the second is refused',
    message: withFile('Content-Type: text/plain; name=a.js', 'Content-Disposition: attachment; filename=a.txt'),
    want: '550 5.7.1',
  },
  {
    name: 'a name that another system cuts',
    message: withFile('Content-Disposition: attachment; filename="a.exe:b.txt"'),
    want: '550 5.7.1',
  },
  {
    name: 'a boundary that is missing',
    message: 'Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n',
    want: '550 5.6.0',
  },
]

test('messages', async () => {
  const opened = await openFilter(filter)
  for (const { name, message, want } of rows) {
    const { reply } = await opened.run(message)
    assert.equal(reply.slice(0, 9), want, name)
  }
  await opened.close()
})

test('an unclear message passes where the administrator says so, and the log has it', async () => {
  const opened = await openFilter(filter, { settings: { unclear: 'pass' } })
  const { verdict, log } = await opened.run(rows.at(-1)?.message ?? '')
  assert.equal(verdict.kind, 'pass')
  assert.match(log.join(), /no boundary/)
  await opened.close()
})
