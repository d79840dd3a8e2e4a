/** Run it with: nodefilter test add_footer.test.ts */
import assert from 'node:assert/strict'
import test from 'node:test'
import { runFilter } from 'nodefilter/testing'
import * as filter from './add_footer.ts'

const options = { settings: { text: 'Grüße' }, authUser: 'amy' }

/** Each row: what stands in the message afterwards. */
const rows = [
  {
    name: 'a text in UTF-8',
    message: 'Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nä\n',
    want: /\n\nä\n\n-- \nGrüße\n$/,
  },
  {
    name: 'a text as quoted-printable stays so',
    message: 'Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nK=F6ln\n',
    want: /\n\nK=F6ln\n\n--=20\nGr=FC=DFe\n$/,
  },
  {
    name: 'plain and HTML, and a file that is left alone',
    message: `Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

plain
--a
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<html><body>html</body></html>
--a--
--m
Content-Disposition: attachment; filename=a.txt

file
--m--
`,
    want: /plain\n\n-- \nGrüße\n[^]*html[^]*Grüße[^]*<\/body>[^]*filename=a\.txt\n\nfile\n--m--\n$/,
  },
]

for (const { name, message, want } of rows) {
  test(name, async () => {
    const { verdict, content } = await runFilter(filter, message, options)
    assert.equal(verdict.kind, 'pass')
    assert.match(content.toString(), want)
  })
}

test('what must not change does not', async () => {
  const signed = `Content-Type: multipart/signed; boundary=s; protocol="application/pgp-signature"

--s
Content-Type: text/plain

text
--s
Content-Type: application/pgp-signature

signature
--s--
`
  const run = await runFilter(filter, signed, options)
  assert.equal(run.content.toString(), signed)
  assert.match(run.log.join(), /no footer: .*signature/)

  const fromOutside = await runFilter(filter, 'Subject: x\n\ntext\n', { ...options, authUser: null })
  assert.equal(fromOutside.content.toString(), 'Subject: x\n\ntext\n')
})
