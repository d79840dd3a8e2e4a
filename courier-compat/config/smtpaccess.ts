/**
 * The SMTP access file: what Courier allows a client, by its address.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 5.6.
 */
import { isIP } from 'node:net'

/**
 * The keys that are looked up for an address, in order; the first one found decides alone.
 *
 * Shape:  IPv4, also where it is mapped into IPv6: the address, then three, two, one of its numbers; IPv6: eight groups of
 *         four digits, each after a colon, then one less at a time. `*` comes last.
 * Errors: RangeError for what is no IP address, one with a zone included.
 */
export function smtpaccessKeys(ip: string): string[] {
  const family = isIP(ip)
  if (family === 0 || ip.includes('%')) throw new RangeError(`"${ip}" is no IP address`)
  if (family === 4) return [...shortened(ip.split('.')).map((numbers) => numbers.join('.')), '*']
  const groups = groupsOf(ip)
  const mapped = /^0000 0000 0000 0000 0000 ffff (....) (....)$/.exec(groups.join(' '))
  if (mapped !== null) return smtpaccessKeys(`${dotted(mapped[1])}.${dotted(mapped[2])}`)
  return [...shortened(groups).map((left) => left.map((group) => `:${group}`).join('')), '*']
}

function shortened(parts: readonly string[]): string[][] {
  return parts.map((_, index) => parts.slice(0, parts.length - index))
}

/** The eight groups of an IPv6 address that was checked, four hexadecimal digits each. */
function groupsOf(ip: string): string[] {
  const inGroups = ip.toLowerCase().replace(/([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+)$/, (_, ...numbers: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = numbers.slice(0, 4).map(Number)
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
  const [head = [], tail = []] = inGroups.split('::').map((half) => (half === '' ? [] : half.split(':')))
  const zeros = inGroups.includes('::') ? new Array<string>(8 - head.length - tail.length).fill('0') : []
  return [...head, ...zeros, ...tail].map((group) => group.padStart(4, '0'))
}

function dotted(group = ''): string {
  return `${Number.parseInt(group.slice(0, 2), 16)}.${Number.parseInt(group.slice(2), 16)}`
}

/**
 * The variables that an entry sets, `BLOCK`, `RELAYCLIENT` and others; a name without a value has `''`. `null` for an
 * entry that denies: Courier ends the connection, and nothing of it applies.
 *
 * Shape: items are separated by commas; blanks around them are cut; double and single quotes protect commas and go. Of a
 *        name that is there twice the first one counts.
 */
export function parseSmtpaccess(value: string): ReadonlyMap<string, string> | null {
  if (value.startsWith('deny')) return null
  const variables = new Map<string, string>()
  for (const item of itemsOf(value.replace(/^allow,?/, ''))) {
    const at = item.indexOf('=')
    const name = at === -1 ? item : item.slice(0, at)
    if (name !== '' && !variables.has(name)) variables.set(name, at === -1 ? '' : item.slice(at + 1))
  }
  return variables
}

function itemsOf(text: string): string[] {
  const items: string[] = []
  let item = ''
  let quote = ''
  for (const char of text) {
    if (quote === '' && char === ',') {
      items.push(item.trim())
      item = ''
    } else if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) quote = char
    else item += char
  }
  return [...items, item.trim()]
}
