/** The number of a group of the machine. */
import { readFileSync } from 'node:fs'

const isNumber = (text: string): boolean => /^[0-9]{1,10}$/.test(text)

/** Of a group given by name or number; `null` where there is none of that name in /etc/group. */
export function groupNumber(group: string, path = '/etc/group'): number | null {
  if (isNumber(group)) return Number(group)
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [name, , number = ''] = line.split(':')
    if (name === group && isNumber(number)) return Number(number)
  }
  return null
}
