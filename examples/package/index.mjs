/**
 * @example/first-contact: say which messages come from a domain that has never written here before.
 *
 * Reads:    the envelope sender. Never opens the content.
 * Keeps:    one empty file for each domain, in its own state folder.
 * Verdicts: pass.
 *
 * In filters.conf:  @example/first-contact with except="example.com, example.org"
 *
 * An example of a filter that is a package, and of one that remembers. Module variables would not do: each worker thread
 * has its own. A file that is made only if it is not there is a test and a note in one step, for all threads at once.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { pass } from 'nodefilter/courier-compat'

export const about = 'tells which messages come from a domain that has never written here before'

/** It only looks on: no mail is to wait because of it. */
export const onError = 'pass'

export const settings = {
  except: { type: 'list', default: [], text: 'Domains that are known already.' },
}

let folder = ''
let known = new Set()

export function initFilter(setup) {
  folder = setup.state
  known = new Set(setup.settings.except)
}

export function doFilter(bodyPath, controlPaths, { envelope, log, notes }) {
  const domain = envelope.sender?.split('@').at(-1)?.toLowerCase()
  if (domain === undefined || known.has(domain) || !isNew(domain)) return pass()
  log.info(`first message from ${domain}`)
  // Later filters of the list see it, and so does the log.
  notes.set('firstContact', domain)
  return pass()
}

function isNew(domain) {
  try {
    // A name from the network is no name for a file; its hash is.
    closeSync(openSync(join(folder, createHash('sha256').update(domain).digest('hex')), 'wx', 0o600))
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}
