/** Has filter modules described in a process of their own, however badly they behave there. */
import type { Described, DescribePlaces } from '../chain/describe.ts'
import type { Named } from '../chain/module-file.ts'
import type { Timer } from '../platform/clock.ts'
import type { Platform } from '../platform/platform.ts'
import { startSingle } from './single-process.ts'
import { readDescribed } from './single-wire.ts'

/** How long one module may take to be imported; a package with many files on a slow disk stays below it. */
const moduleLimitMs = 10_000

/**
 * Describes each module, in order. Never rejects.
 *
 * Shape:  as many answers as modules. One that ends its process, or keeps it for `limitMs`, is told of as a problem, and
 *         the others are described in another process.
 */
export async function describeModules(
  modules: readonly Named[],
  places: DescribePlaces,
  platform: Platform,
  limitMs: number = moduleLimitMs,
): Promise<readonly Described[]> {
  const answers: Described[] = []
  while (answers.length < modules.length) {
    const fate = await describeSome(modules.slice(answers.length), places, platform, limitMs, answers)
    const culprit = modules[answers.length]
    if (fate === null || culprit === undefined) continue
    const { name, file, line } = culprit
    answers.push({ problems: [{ file, line, text: `filter "${name}" cannot be described: it ${fate}`, cure: null }] })
  }
  return answers
}

/** Collects answers until there are no more to come (`null`), or tells what a module did to its process. */
function describeSome(
  modules: readonly Named[],
  places: DescribePlaces,
  platform: Platform,
  limitMs: number,
  answers: Described[],
): Promise<string | null> {
  return new Promise((resolve) => {
    const left = [...modules]
    let timer: Timer | null = null
    const end = (fate: string | null): void => {
      timer?.cancel()
      single.kill()
      resolve(fate)
    }
    const next = (): void => {
      timer?.cancel()
      const module = left.shift()
      if (module === undefined) {
        end(null)
        return
      }
      timer = platform.clock.after(limitMs, () => end(`was not loaded within ${limitMs / 1000} s`))
      single.send({ type: 'describe', places, module })
    }
    const single = startSingle([], platform, {
      frame: (frame) => {
        if (frame['type'] !== 'described') return
        answers.push(readDescribed(frame['module']))
        next()
      },
      // What modules print at import is not asked for.
      output: () => undefined,
      ended: (cause) => end(cause.startsWith('ended') ? `took its process along, which ${cause}` : cause),
    })
    next()
  })
}
