/** The live view: asks the host, draws, waits, until somebody leaves. */
import type { Asked } from '../../control/client.ts'
import { statusFormat, type HostStatus } from '../../control/status.ts'
import type { Clock } from '../../platform/clock.ts'
import { silentScreen, topScreen } from './screen.ts'
import type { Screen } from './terminal.ts'

/** Shows a host until the screen is left: one request each `intervalMs`, counted from the last answer. */
export async function watchHost(
  ask: () => Promise<Asked>,
  screen: Screen,
  intervalMs: number,
  clock: Pick<Clock, 'after'>,
): Promise<void> {
  let before: HostStatus | null = null
  let now: HostStatus | null = null
  let trouble: string | null = null
  const draw = (): void => {
    const size = screen.size()
    const above = trouble === null ? [] : silentScreen(trouble, size)
    const below = now === null ? [] : topScreen(now, before, { ...size, rows: size.rows - above.length })
    screen.draw([...above, ...below])
  }
  screen.onResize(draw)
  const isLeft = screen.left.then(() => true as const)
  for (;;) {
    const asked = await Promise.race([ask(), isLeft])
    if (asked === true) return
    const status = statusIn(asked)
    trouble = status === null ? `${troubleText(asked)}; it is asked again, q leaves` : null
    if (status !== null) [before, now] = [now, status]
    draw()
    const { promise: later, resolve } = Promise.withResolvers<false>()
    const timer = clock.after(intervalMs, () => resolve(false))
    const isOver = await Promise.race([later, isLeft])
    timer.cancel()
    if (isOver) return
  }
}

/** The status, if that was the answer, in a form that this release knows. */
export function statusIn(asked: Asked): HostStatus | null {
  if (asked.kind !== 'answer' || asked.answer.type !== 'status') return null
  return asked.answer.status.format === statusFormat ? asked.answer.status : null
}

function troubleText(asked: Asked): string {
  switch (asked.kind) {
    case 'nobody':
      return 'no host runs there now'
    case 'denied':
      return 'the host may not be asked any more'
    case 'silent':
      return `the host gave no answer: ${asked.text}`
    case 'answer':
      return asked.answer.type === 'refused' ? asked.answer.text : 'the host is of another release than this command'
    default:
      return asked satisfies never
  }
}
