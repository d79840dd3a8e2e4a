/** Logs every message, so that a test can tell that it passed the filters. Written in TypeScript, run as it is. */
import { readFileSync } from 'node:fs'
import type { DoFilter } from '../../../courier-compat/filter.ts'

export const doFilter: DoFilter = (bodyPath, controlPaths, context) => {
  const subject: string = /^Subject: (.*)$/m.exec(readFileSync(bodyPath, 'utf8'))?.[1] ?? ''
  const { envelope, client } = context
  const counts = `${envelope.recipients.length} recipients in ${controlPaths.length} files`
  context.log.info(`saw ${subject}: ${counts}, from <${envelope.sender ?? ''}>, source ${client.source}`)
  return ''
}
