/** waits: keeps each message until a file is there, so that messages pile up before it. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export const settings = { until: { type: 'path', default: null, text: 'The file; messages pass once it is there.' } }

const againMs = 200
let path = ''

export const initFilter = ({ settings: values }) => {
  path = values.until ?? ''
}

export const doFilter = async () => {
  while (!existsSync(path)) await sleep(againMs)
  return ''
}
