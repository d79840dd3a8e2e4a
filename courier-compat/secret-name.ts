/**
 * What may be a secret although no declaration says so: a file is read, and its mistakes are told, before the filter is
 * loaded whose declarations would say which of its settings are secret.
 *
 * Pure: no clock, socket, file or logger.
 */
import { quoted } from './quoted.ts'

const names =
  /passw(?:or)?d|passphrase|secret|token|credential|(?:api|auth|private|_)_?key|(?:^|[^a-z])(?:pass|pwd)(?:$|[^a-z])/i

/** `scheme://user:password@host` */
const addressWithPassword = /\/\/[^\s/@]*:[^\s/@]+@/

/** Whether `text`, a setting's name, a value or a whole line, names a secret or holds an address with a password in it. */
export function mayBeSecret(text: string): boolean {
  return names.test(text) || addressWithPassword.test(text)
}

/** A part of a file as it is told of: quoted, or `otherwise` where it may hold a secret. `around`: what stands before it. */
export function quotedUnlessSecret(text: string, otherwise: string, around = ''): string {
  return mayBeSecret(text) || mayBeSecret(around) ? otherwise : quoted(text)
}
