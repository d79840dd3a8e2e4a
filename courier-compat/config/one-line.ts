/**
 * Courier's files with one value each: `me`, `defaultdomain`, `esmtphelo`, `dsnfrom`.
 *
 * Pure: no clock, socket, file or logger.
 * Source: spec courier 5.2.
 */

/** Courier reads this much of the line. */
const maxOctets = 255

/**
 * The value in such a file: its first line, at most 255 octets, without the LF and with everything else, blanks and CR
 * too. An empty file has the value `''`, which is not the same as no file.
 */
export function oneLineValue(bytes: Buffer): string {
  const end = bytes.indexOf(0x0a)
  return bytes.toString('utf8', 0, Math.min(end === -1 ? bytes.length : end, maxOctets))
}

/** What `me` stands for: a `*` as the first label is the host's name. */
export function meFrom(value: string | null, hostName: string): string {
  if (value === null) return hostName
  return value.startsWith('*.') ? hostName + value.slice(1) : value
}

/** The From of Courier's notices, where no file gives one. */
export function dsnfromFor(me: string): string {
  return `Courier mail server at ${me} <@>`
}

/**
 * The files to look for, in order: those of a virtual host (control record `v`) come first.
 * A name that would lead out of the folder is no virtual host.
 */
export function oneLineFiles(name: string, vhost: string | null): readonly string[] {
  const isName = vhost !== null && vhost !== '' && !/[/\0]/.test(vhost)
  return isName ? [`${name}.${vhost}`, name] : [name]
}
