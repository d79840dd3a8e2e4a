/**
 * add_footer: add a text at the end of what users send who have logged in.
 *
 * Reads:    the user's name, and the parts of the message.
 * Edits:    its texts, both where it has one in HTML beside the plain one. Files and messages in it stay as they are, and so
 *           does whatever is signed or encrypted.
 * Verdicts: pass.
 *
 * In filters.conf:  add_footer with text="Example Ltd, https://example.org/"
 */
import { EditRefused, pass, XFilter } from 'nodefilter/courier-compat'
import type { Part, SettingSchemas, SettingsOf } from 'nodefilter/courier-compat'
import type { DoFilter, FilterSetup } from 'nodefilter/filter'

export const about = 'adds a text at the end of what users send'
export const edits = 'library'

/** A message without a footer is better than one that is not sent. */
export const onError = 'pass'

export const settings = {
  text: { type: 'text', default: 'Sent by example.org', text: 'What is added.' },
} as const satisfies SettingSchemas

let footer = ''

export function initFilter(setup: FilterSetup<SettingsOf<typeof settings>>): void {
  footer = `\n-- \n${setup.settings.text}\n`
}

export const doFilter: DoFilter = async (bodyPath, controlPaths, { client, log, signal }) => {
  if (client.authUser === null) return pass()
  const xfilter = new XFilter('add_footer', bodyPath, controlPaths)
  const message = xfilter.getMessage()
  try {
    const { root } = await message.read()
    for (const part of textsOf(root)) await message.appendText(part, footer)
  } catch (thrown) {
    if (!(thrown instanceof EditRefused)) throw thrown
    // What was not submitted was not done: the message goes out as it came.
    log.info(`no footer: ${thrown.message}`)
    return pass()
  }
  return xfilter.submit({ signal })
}

/** What a reader sees first: the first part of each multipart, and all forms of it where there are several. */
function textsOf(root: Part): Part[] {
  const texts: Part[] = []
  const open = [root]
  for (let part = open.shift(); part !== undefined; part = open.shift()) {
    if (part.kind === 'multipart') {
      const isChoice = part.contentType === 'multipart/alternative'
      open.unshift(...(isChoice ? part.children : part.children.slice(0, 1)))
    } else if (/^text\/(?:plain|html)$/.test(part.contentType) && part.disposition !== 'attachment') {
      texts.push(part)
    }
  }
  return texts
}
