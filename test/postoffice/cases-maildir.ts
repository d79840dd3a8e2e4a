/**
 * The acceptance cases of Maildir and archive that are a Maildir before and a Maildir after (spec postoffice 19.3), as data.
 *
 * Outcomes are the successor's. The import's clock stands at 2015-06-01T10:00:00Z.
 */
import { messageText } from './cases-import.ts'

/** One row. */
export interface MaildirCase {
  readonly id: string
  readonly about: string
  /** What follows the two required lines of the ini file. */
  readonly ini: string
  /** What is in the Maildir, by `new/NAME`: its octets, one character an octet. */
  readonly before: Readonly<Record<string, string>>
  readonly after: readonly string[]
  /** Subjects in queue A, in its order. */
  readonly queued: readonly string[]
  /** The last word of the run. */
  readonly says: string
  readonly code: number
}

const A = '[queue:A]\nfilters =\n  to_hostname: example.com\n'
const message = (subject: string, ...fields: string[]): string =>
  messageText({ fields: [`Subject: ${subject}`, `Message-Id: <${subject}@sender.example>`, ...fields] })
const day = '.2015.06.01'

/** The rows. */
export const maildirCases: readonly MaildirCase[] = [
  {
    id: 'M01',
    about: 'new and cur are imported, tmp is not touched',
    ini: A,
    before: { 'new/1.a': message('one'), 'cur/2.b': message('two'), 'tmp/3.c': message('three') },
    after: [`${day}/cur/2.b`, `${day}/new/1.a`, 'tmp/3.c'],
    queued: ['one', 'two'],
    says: 'Processed 2 messages.',
    code: 0,
  },
  {
    id: 'M02',
    about: 'the order is that of the names as text, not that of numbers or folders',
    ini: A,
    before: {
      'new/100.b': message('b'),
      'cur/100.a': message('a'),
      'new/9.M1': message('nine'),
      'cur/100.a.b:2,S': message('ab'),
    },
    after: [`${day}/cur/100.a`, `${day}/cur/100.a.b:2,S`, `${day}/new/100.b`, `${day}/new/9.M1`],
    queued: ['a', 'ab', 'b', 'nine'],
    says: 'Processed 4 messages.',
    code: 0,
  },
  {
    id: 'M03',
    about: 'queued, dropped and duplicate messages are in the folder of the day',
    ini: A,
    before: {
      'new/1.queued': message('one'),
      'new/2.dropped': message('two', 'To: x@q.org'),
      'new/3.duplicate': message('one'),
    },
    after: [`${day}/new/1.queued`, `${day}/new/2.dropped`, `${day}/new/3.duplicate`],
    queued: ['one'],
    says: 'Processed 3 messages.',
    code: 0,
  },
  {
    id: 'M06',
    about: 'garbage between two messages is dropped, and stops nothing',
    ini: A,
    before: { 'new/1': message('one'), 'new/2': '\0\0garbage\0'.repeat(1000), 'new/3': message('three') },
    after: [`${day}/new/1`, `${day}/new/2`, `${day}/new/3`],
    queued: ['one', 'three'],
    says: 'Processed 3 messages.',
    code: 0,
  },
  {
    id: 'M07',
    about: 'a date that there is not stops nothing, also where frequencies are looked at',
    ini: `ooo_loop_frequency = 60\n${A}`,
    before: {
      'new/1': message('one'),
      'new/2': message('two', 'Date: Mon, 32 Jun 2015 10:00:00 +0000', 'From: bo@sender.example'),
      'new/3': message('three', 'From: cy@sender.example'),
    },
    after: [`${day}/new/1`, `${day}/new/2`, `${day}/new/3`],
    queued: ['one', 'two', 'three'],
    says: 'Processed 3 messages.',
    code: 0,
  },
  {
    id: 'M11',
    about: 'flags are no obstacle, and are kept',
    ini: A,
    before: { 'cur/1.seen:2,S': message('one'), 'cur/2.flagged:2,FRS': message('two'), 'new/3': message('three') },
    after: [`${day}/cur/1.seen:2,S`, `${day}/cur/2.flagged:2,FRS`, `${day}/new/3`],
    queued: ['one', 'two', 'three'],
    says: 'Processed 3 messages.',
    code: 0,
  },
]
