/** Writes messages of a size and shape that no test should keep as a file, in pieces: the giants of the mail corpus. */
import { closeSync, openSync, writeSync } from 'node:fs'

type Write = (text: string) => void

const header = (subject: string): string =>
  `From: a@sender.example\r\nTo: b@rcpt.example\r\nSubject: ${subject}\r\nMessage-ID: <big@sender.example>\r\nMIME-Version: 1.0\r\n`

const repeat = (write: Write, count: number, make: (index: number) => string): void => {
  for (let index = 0; index < count; index++) write(make(index))
}

/** `count` lines of base64 in one attachment. */
function attachment(write: Write, lineEnd: string, count: number): void {
  const fields = `${header('attachment')}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/octet-stream; name=big.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n`
  write(fields.replaceAll('\r\n', lineEnd))
  const lines = ('QUJD'.repeat(19) + lineEnd).repeat(1000)
  repeat(write, Math.floor(count / 1000), () => lines)
  write(`--b--${lineEnd}`)
}

const makers = {
  body500: (write: Write) => {
    write(`${header('500 MB body')}\r\n`)
    const lines = ('x'.repeat(76) + '\r\n').repeat(1000)
    repeat(write, 6720, () => lines)
  },
  att500: (write: Write) => attachment(write, '\r\n', 6_720_000),
  att50: (write: Write) => attachment(write, '\r\n', 640_000),
  att50lf: (write: Write) => attachment(write, '\n', 640_000),
  headers1m: (write: Write) => {
    write(header('x'))
    repeat(write, 1_000_000, (index) => `X-${index}: y\r\n`)
    write('\r\nbody\r\n')
  },
  header100m: (write: Write) => {
    write(`${header('x')}X-Long: `)
    repeat(write, 100, () => 'a'.repeat(1_000_000))
    write('\r\n\r\nbody\r\n')
  },
  fold1m: (write: Write) => {
    write(`${header('x')}X-Fold: a`)
    repeat(write, 1_000_000, () => '\r\n b')
    write('\r\n\r\nbody\r\n')
  },
  line100m: (write: Write) => {
    write(`${header('x')}\r\n`)
    repeat(write, 100, () => 'a'.repeat(1_000_000))
  },
  parts1m: (write: Write) => {
    write(`${header('x')}Content-Type: multipart/mixed; boundary=0\r\n\r\n`)
    repeat(write, 1_000_000, () => '--0\r\n\r\n')
    write('--0--\r\n')
  },
  nest10k: (write: Write) => {
    write(header('x'))
    repeat(write, 10_000, (index) => `Content-Type: multipart/mixed; boundary=n${index}\r\n\r\n--n${index}\r\n`)
    write('\r\ncore\r\n')
  },
  rfc8225k: (write: Write) => {
    write(header('x'))
    repeat(write, 5000, (index) => `Content-Type: message/rfc822\r\n\r\nSubject: l${index}\r\nMIME-Version: 1.0\r\n`)
    write('\r\ncore\r\n')
  },
  /** Lines that all begin as a delimiter does. */
  hyphens2m: (write: Write) => {
    write(`${header('x')}Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\n`)
    const lines = '--abc\n--a\n--\n'.repeat(10_000)
    repeat(write, 154, () => lines)
  },
  lineFeeds20m: (write: Write) => {
    write(`${header('x')}Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\n`)
    repeat(write, 20, () => '\n'.repeat(1_000_000))
  },
} as const satisfies Readonly<Record<string, (write: Write) => void>>

export type BigMessage = keyof typeof makers

/** Writes one of them to a new file. */
export function writeBigMessage(name: BigMessage, path: string): void {
  const fd = openSync(path, 'wx')
  let pending: string[] = []
  let length = 0
  const flush = (): void => {
    writeSync(fd, pending.join(''), null, 'latin1')
    pending = []
    length = 0
  }
  try {
    makers[name]((text) => {
      pending.push(text)
      length += text.length
      if (length > 1024 * 1024) flush()
    })
    flush()
  } finally {
    closeSync(fd)
  }
}
