/**
 * refuse_subject: refuse mail with one of some phrases in its subject.
 *
 * Reads:    the field Subject, encoded words decoded.
 * Verdicts: pass; reject 550 5.7.1.
 *
 * In filters.conf:  refuse_subject with phrases="you have won, work from home"
 *
 * This is TypeScript as Node runs it: types are taken away, nothing is built. The types are optional, but with them an
 * editor knows what a filter is given and what it may answer.
 */
import { pass, reject } from 'nodefilter/courier-compat'
import type { DoFilter, InitFilter, SettingSchemas } from 'nodefilter/courier-compat'
import { headerField } from './lib/header-field.mjs'

/** Checked before the filter is started: a misspelt setting is an error with file and line, not a filter that sleeps. */
export const settings = {
  phrases: {
    type: 'list',
    default: [],
    text: 'Phrases that a subject must not hold, in any mix of upper and lower case.',
  },
  contact: {
    type: 'text',
    default: 'postmaster@example.org',
    text: 'Whom a sender may ask, named in the refusal.',
  },
} as const satisfies SettingSchemas

// Once for each worker thread, so this is the place for what is made once and only read afterwards.
let phrases: readonly string[] = []
let contact = ''

/** Called before the first message. What it throws keeps the whole chain from serving, and is logged with its place. */
export const initFilter: InitFilter = (setup) => {
  phrases = (setup.settings['phrases'] as readonly string[]).map((phrase) => phrase.toLowerCase())
  contact = String(setup.settings['contact'])
}

export const doFilter: DoFilter = (bodyPath, controlPaths, { log }) => {
  const subject = headerField(bodyPath, 'Subject') ?? ''
  const found = phrases.find((phrase) => subject.toLowerCase().includes(phrase))
  if (found === undefined) return pass()

  // The log may know everything. The reply goes to a stranger: it says what to do, not how we came to it.
  log.info(`phrase "${found}" in the subject "${subject}"`)
  return reject('5.7.1', `Mail with this subject is not accepted here, ask ${contact}`)
}
