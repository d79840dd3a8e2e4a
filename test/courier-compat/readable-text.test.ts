/** The text that a person reads in a message. */
import t from 'tap'
import { readMessageBytes } from '../../courier-compat/message/reader.ts'
import { htmlText, readableText } from '../../courier-compat/message/readable-text.ts'

const multipart = (type: string, ...parts: readonly string[]): string =>
  `Content-Type: multipart/${type}; boundary=b${type}\n\n${parts.map((part) => `--b${type}\n${part}\n`).join('')}--b${type}--\n`
const plain = 'Content-Type: text/plain\n\nin plain words\n'
const html = 'Content-Type: text/html\n\n<p>in <b>HTML</b> &amp; more</p><script>let x</script>\n'

t.test('which parts, and how', async (t) => {
  const rows: { name: string; message: string; want: string }[] = [
    { name: 'a message without a type', message: 'Subject: x\n\njust text\n', want: 'just text' },
    { name: 'HTML alone', message: html, want: 'in HTML & more' },
    { name: 'alternatives: the plain one', message: multipart('alternative', plain, html), want: 'in plain words' },
    {
      name: 'alternatives of which none is plain',
      message: multipart('alternative', html, 'Content-Type: text/calendar\n\nBEGIN'),
      want: 'in HTML & more',
    },
    {
      name: 'HTML with its pictures, beside plain text',
      message: multipart('alternative', plain, multipart('related', html, 'Content-Type: image/png\n\nx')),
      want: 'in plain words',
    },
    { name: 'several texts', message: multipart('mixed', plain, html), want: 'in plain words\n\nin HTML & more' },
    {
      name: 'an attached text is none',
      message: multipart('mixed', plain, `Content-Disposition: attachment\n${plain}`),
      want: 'in plain words',
    },
    {
      name: 'base64 and a character set',
      message: 'Content-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\nPHA+R3L832U8L3A+\n',
      want: 'Gr\u00fc\u00dfe',
    },
    { name: 'nothing at all', message: '', want: '' },
    { name: 'a picture alone', message: 'Content-Type: image/png\n\nx', want: '' },
  ]
  for (const { name, message, want } of rows) {
    const text = await readableText(await readMessageBytes(Buffer.from(message)))
    t.equal(text.trim(), want, name)
  }
  const long = await readMessageBytes(Buffer.from(multipart('mixed', plain, plain)))
  t.equal(await readableText(long, { maxCharacters: 20 }), 'in plain words\n\nin p', 'cut to a length')
})

t.test('hostile HTML', async (t) => {
  const rows: { name: string; html: string; want: RegExp }[] = [
    { name: 'thousands of elements in each other', html: `${'<div>'.repeat(50_000)}the end`, want: /^/ },
    { name: 'lists in lists', html: `${'<ul><li>'.repeat(10_000)}the end`, want: /the end/ },
    { name: 'nothing but brackets', html: '<'.repeat(1_000_000), want: /^</ },
    { name: 'tags that never end', html: '<a '.repeat(100_000), want: /^/ },
    { name: 'a line end and a field that is none', html: '\r\n\r\nBcc: x\r\n\r\n', want: /Bcc: x/ },
    { name: 'NUL', html: 'a\0b', want: /^a/ },
  ]
  for (const { name, html: text, want } of rows) t.match(await htmlText(text), want, name)
})
