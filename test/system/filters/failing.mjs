/** Every way in which a filter can fail: `X-Case: fail throw | endless | block | exit | kill`. */
import { wanted } from './lib/wanted.mjs'

export async function doFilter(bodyPath) {
  const [how] = wanted(bodyPath, 'fail') ?? []
  switch (how) {
    case 'throw':
      throw new Error('a filter of the system tests throws')
    case 'endless':
      await new Promise(() => undefined)
      break
    case 'block':
      for (;;);
    case 'exit':
      process.exit(0)
      break
    case 'kill':
      process.kill(process.pid, 'SIGKILL')
      await new Promise(() => undefined)
      break
  }
  return ''
}
