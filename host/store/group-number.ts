/** The number of a group of the machine, by its name or number. */
import { readFileSync } from 'node:fs'

/** Errors: Error where there is no such group. */
export function groupNumber(group: string, path = '/etc/group'): number {
  if (/^[0-9]{1,10}$/.test(group)) return Number(group)
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [name, , number = ''] = line.split(':')
    if (name === group && /^[0-9]{1,10}$/.test(number)) return Number(number)
  }
  throw new Error(`there is no group "${group}" in ${path}`)
}
