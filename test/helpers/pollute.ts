/** Messages that bring code for the fixture filter `pollute`. */
import type { HostProcess } from './host-process.ts'

/** Asks about a message for which the filter runs these bodies of functions, one after the other. */
export function runCode(host: HostProcess, id: string, ...bodies: readonly string[]): Promise<string> {
  const code = bodies.map((body) => `X-Code-pollute: ${body.replaceAll(/\s*\n\s*/g, ' ')}`)
  return host.ask(host.place.pair({ id, content: [...code, 'Subject: x', '', 'text', ''].join('\n') }))
}
