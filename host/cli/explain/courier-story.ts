/** What Courier's own log lines about a message mean. Pure. */
import type { CourierEntry } from './entry.ts'

/**
 * One line as a sentence; `null` for one that only says what a later one says better.
 * Shape: a line of a form that is not known is quoted as it is.
 */
export function courierSentence({ program, text }: CourierEntry): string | null {
  if (text.startsWith('newmsg,')) {
    const auth = /(?:,| )auth=([^:,\s]+)/.exec(text)?.[1]
    const from = /: (.*)$/.exec(text)?.[1]
    return `Courier took the message into its queue${from === undefined ? '' : ` (from ${from})`}${
      auth === undefined ? '' : `; the client had logged in as ${auth}`
    }.`
  }
  if (text.startsWith('started,')) return null
  if (text.startsWith('completed,')) return 'Courier is done with the message.'
  const address = /,addr=<([^>]*)>/.exec(text)?.[1]
  const [, status, told = ''] =
    /,(?:status: *)?(success|deferred|failure|failed|relayed|delayed)\b:? ?(.*)$/.exec(text) ?? []
  const to = address === undefined ? '' : ` to ${address}`
  const more = told === '' ? '' : `: ${told}`
  if (status === undefined) return `${program} said: ${text}`
  if (status === 'success' || status === 'relayed') return `Courier delivered it${to}${more}.`.replace(/\.\.$/, '.')
  if (status === 'deferred' || status === 'delayed') {
    return `Courier could not deliver it${to} yet, and tries again${more}.`
  }
  return `Courier could not deliver it${to}, and gave up${more}.`
}
