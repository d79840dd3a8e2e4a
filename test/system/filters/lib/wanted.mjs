/** Which filter of this folder a message is for: one host configuration serves all system tests. */
import { readFileSync } from 'node:fs'

/** The words after `name` in the message's `X-Case` field; `null` where the field begins otherwise. */
export function wanted(bodyPath, name) {
  const head = readFileSync(bodyPath, 'utf8').split('\n\n', 1)[0] ?? ''
  const [first, ...words] = (/^X-Case: (.*)$/m.exec(head)?.[1] ?? '').split(' ')
  return first === name ? words : null
}
