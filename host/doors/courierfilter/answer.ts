/**
 * A verdict in Courier's tongue: the whole answer as one string for one write. Pure.
 *
 * Courier takes any first digit but 0, 4 and 5 for an acceptance, turns only the first line's leading 0 into 2, and reads
 * a cut line as a whole one. So the code is written from the verdict, `0xx` has one line, and nothing is written before
 * everything is known. Source: spec courier 2.3 and 2.4.
 */
import { replyLines, type Verdict } from '../../../courier-compat/reply.ts'

/** The octets to send, each line ended by LF. */
export function courierAnswer(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'pass':
      return '200 Ok\n'
    case 'accept': {
      const lines = replyLines(verdict.reply)
      const last = lines.at(-1) ?? ''
      return verdict.skipOthers ? `${last}\n` : `${lines.join('\n')}\n`
    }
    case 'defer':
    case 'reject':
      return `${replyLines(verdict.reply).join('\n')}\n`
  }
}
