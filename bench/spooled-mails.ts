/** The mails of the benchmarks, in the spool of a host. */
import { spoolMessage, type SpooledPair } from '../examples/lib/spool-files.ts'

/** Their sizes in octets, by name. */
export const mails: Readonly<Record<string, number>> = { '1 KB': 1000, '600 KB': 600_000 }

/** More than are ever under way at once, so that no message is asked about twice at the same time. */
export const pairsPerMail = 64

/** Puts `pairsPerMail` of them there. Errors: Error for a name that there is not. */
export function makePairs(spoolDirectory: string, mail: string): SpooledPair[] {
  const octets = mails[mail]
  if (octets === undefined) throw new Error(`there is no mail "${mail}"`)
  const head = [
    ...['Received: from client.example.com', 'Delivered-To: user@elsewhere.example', 'From: <sender@example.com>'],
    ...['To: <user@example.org>', 'Subject: benchmark', '', ''],
  ].join('\n')
  const line = 'All work and no play makes this a dull message, seventy octets a line.\n'
  const message = Buffer.from((head + line.repeat(Math.ceil(octets / line.length))).slice(0, octets))
  const now = new Date()
  return Array.from({ length: pairsPerMail }, (_, index) =>
    spoolMessage(
      spoolDirectory,
      {
        ...{ message, sender: 'sender@example.com', recipients: ['user@example.org'] },
        ...{ clientIp: '203.0.113.9', helo: 'client.example.com', authUser: null },
      },
      octets + index,
      now,
    ),
  )
}
