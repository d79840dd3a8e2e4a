/**
 * How a promise of the host is tested: by a check that tells what it saw go wrong, run against the host, where it must
 * see nothing, and against hosts from which a protection was taken out, where it must see exactly that.
 */
import t, { type Test } from 'tap'

/** What was seen to go wrong, a sentence each; none where the promise is kept. `without` names protections. */
export type Check = (t: Test, without: readonly string[]) => Promise<readonly string[]>

/** A negative control. */
export interface Control {
  readonly without: readonly string[]
  /** What the check must then see. */
  readonly sees: RegExp
  /** A narrower check, where the whole one would take long. */
  readonly check?: Check
}

/** Tests one promise, named after its row in the plan of reliability tests, with its negative controls. */
export function testPromise(name: string, check: Check, controls: readonly Control[]): void {
  t.test(name, async (t) => {
    t.same(await check(t, []), [], 'nothing goes wrong')
  })
  for (const control of controls) testControl(name, control.check ?? check, control)
}

/** Tests one negative control. */
export function testControl(name: string, check: Check, { without, sees }: Control): void {
  t.test(`${name} (control: without "${without.join('", "')}")`, async (t) => {
    const seen = await check(t, without)
    t.ok(
      seen.some((sentence) => sees.test(sentence)),
      `the check sees ${String(sees)}`,
      { seen },
    )
  })
}

/** Collects sentences. */
export function createFindings(): {
  readonly seen: string[]
  readonly expect: (isSo: boolean, otherwise: string) => void
} {
  const seen: string[] = []
  return {
    seen,
    expect: (isSo, otherwise) => {
      if (!isSo) seen.push(otherwise)
    },
  }
}

/** The value, or `null` if it takes longer: for what a protection's absence may keep from ever coming. */
export async function within<T>(limitMs: number, promise: Promise<T>): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), Math.max(1, limitMs))))
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
