/** A group of the machine by its name. */
import { readFileSync } from 'node:fs'

/** The number of a group, given by name or number; `null` where there is none of that name in /etc/group. */
export function groupNumber(group: string, path = '/etc/group'): number | null {
  if (/^[0-9]{1,9}$/.test(group)) return Number(group)
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [name, , number = ''] = line.split(':')
    if (name === group && /^[0-9]+$/.test(number)) return Number(number)
  }
  return null
}
