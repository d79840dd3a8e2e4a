/**
 * answers: says what the message asks for, perhaps after a while, unless it finds that some other message's filter has
 * left something behind in this thread.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { readHeaderSection, fieldsNamed } from '../../../courier-compat/index.ts'
import type { DoFilter } from '../../../courier-compat/index.ts'

export const doFilter: DoFilter = async (bodyPath, controlPaths) => {
  const left = leftBehind(controlPaths[0] ?? '')
  if (left !== '') return `554 5.7.1 left behind: ${left}`
  const fields = readHeaderSection(bodyPath)
  const valueOf = (name: string): string => fieldsNamed(fields, name)[0]?.value.trim() ?? ''
  const waitMs = Number(valueOf('X-Soak-Wait'))
  if (waitMs > 0) await sleep(waitMs)
  const reply = valueOf('X-Soak-Reply')
  return reply === '' ? '' : (JSON.parse(reply) as string)
}

/** What messages of the kind `pollute` leave: see hostile.mjs. */
function leftBehind(controlPath: string): string {
  if (Reflect.has({}, 'soaked')) return 'a property of all objects'
  if (Reflect.has(globalThis, 'soaked')) return 'a global variable'
  if (process.env['SOAKED'] !== undefined) return 'a variable of the environment'
  if (!readFileSync(controlPath, 'latin1').startsWith('s')) return 'a patched function'
  return ''
}
