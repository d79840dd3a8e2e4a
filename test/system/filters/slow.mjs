/** Takes its time: `X-Case: slow MILLISECONDS`. */
import { setTimeout } from 'node:timers/promises'
import { wanted } from './lib/wanted.mjs'

export async function doFilter(bodyPath, controlPaths, { log }) {
  const [ms] = wanted(bodyPath, 'slow') ?? []
  if (ms === undefined) return ''
  log.info(`begins to wait ${ms} ms`)
  await setTimeout(Number(ms))
  return ''
}
