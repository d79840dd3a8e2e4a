/** The files that `nodefilter new` writes. Pure. */

/** TypeScript, or plain JavaScript. */
export type Language = 'ts' | 'mjs'

/** A filter that works, to be changed into what its author needs. */
export function filterTemplate(name: string, language: Language): string {
  const isTyped = language === 'ts'
  const typed = (text: string): string => (isTyped ? text : '')
  return `/**
 * ${name}: refuse mail to more recipients at once than a person writes to.
 *
 * Reads:    the envelope. Never opens the content.
 * Verdicts: pass; reject 550 5.7.1.
 *
 * In filters.conf:  ${name} with max_recipients=50
 */
import { pass, reject } from 'nodefilter/courier-compat'
${typed(`import type { SettingSchemas, SettingsOf } from 'nodefilter/courier-compat'
import type { DoFilter, FilterSetup } from 'nodefilter/filter'
`)}
/** What "nodefilter filters" says of it. */
export const about = 'refuses mail to more recipients at once than a person writes to'

/** What a failure means: 'defer' answers 451, so that the sender tries again; 'pass' goes on without this filter. */
export const onError = 'defer'

/** What an administrator may set. It is checked before the filter is started, so nothing here needs checking again. */
export const settings = {
  max_recipients: { type: 'count', default: 100, min: 1, max: 10_000, text: 'More recipients than this are refused.' },
  except: { type: 'list', default: [], text: 'Senders who may write to as many as they like.' },
}${typed(' as const satisfies SettingSchemas')}

// Module variables live once in each worker thread, and a thread may be replaced at any time: right for what is made of
// the settings, wrong for what must be remembered from one message to the next.
let maxRecipients = 0
let except${typed(': ReadonlySet<string>')} = new Set()

/** Called once in each thread, before the first message. What it throws keeps the whole list from serving. */
export function initFilter(setup${typed(': FilterSetup<SettingsOf<typeof settings>>')})${typed(': void')} {
  maxRecipients = setup.settings.max_recipients
  except = new Set(setup.settings.except)
}

/**
 * Called for each message. bodyPath is the file with header section and body, controlPaths are those with the envelope.
 * Answer pass(), or accept(), defer() or reject() of nodefilter/courier-compat. What is thrown here is logged, and the
 * client hears 451.
 */
export ${
    isTyped
      ? 'const doFilter: DoFilter = (bodyPath, controlPaths, context) => {'
      : 'function doFilter(bodyPath, controlPaths, context) {'
  }
  const { sender, recipients } = context.envelope
  if (recipients.length <= maxRecipients || (sender !== null && except.has(sender))) return pass()

  // The log may know everything. The reply goes to a stranger: it says what to do.
  context.log.info(\`\${recipients.length} recipients, \${maxRecipients} are allowed\`)
  return reject('5.7.1', \`Please write to at most \${maxRecipients} recipients at once\`)
}

/** Called when the thread is drained, at a reload or a stop: release here what initFilter opened. */
export function closeFilter()${typed(': void')} {
  except = new Set()
}
`
}

/** Its test. */
export function testTemplate(name: string, language: Language): string {
  return `/** Run it with: nodefilter test ${name}.test.${language} */
import assert from 'node:assert/strict'
import test from 'node:test'
import { openFilter, runFilter } from 'nodefilter/testing'
import * as filter from './${name}.${language}'

const message = \`From: sender@example.com
To: recipient@example.org
Subject: hello

text
\`
const three = ['a@example.org', 'b@example.org', 'c@example.org']

test('a message to few recipients passes', async () => {
  const { verdict, log } = await runFilter(filter, message, { recipients: three })
  assert.equal(verdict.kind, 'pass')
  assert.deepEqual(log, [])
})

test('a message to many is refused, and the log says why', async () => {
  const { reply, log } = await runFilter(filter, message, { settings: { max_recipients: 2 }, recipients: three })
  assert.equal(reply, '550 5.7.1 Please write to at most 2 recipients at once')
  assert.deepEqual(log, ['info: 3 recipients, 2 are allowed'])
})

test('one filter, several messages', async () => {
  const opened = await openFilter(filter, { settings: { max_recipients: 2, except: 'list@example.com' } })
  const rows = [
    { name: 'as many as are allowed', envelope: { recipients: three.slice(1) }, want: 'pass' },
    { name: 'one more', envelope: { recipients: three }, want: 'reject' },
    { name: 'one more, by an exception', envelope: { recipients: three, sender: 'list@example.com' }, want: 'pass' },
    { name: 'one more, in a bounce', envelope: { recipients: three, sender: '' }, want: 'reject' },
  ]
  for (const { name, envelope, want } of rows) {
    const { verdict } = await opened.run(message, envelope)
    assert.equal(verdict.kind, want, name)
  }
  await opened.close()
})

test('a setting that is out of bounds is refused before any message', async () => {
  await assert.rejects(runFilter(filter, message, { settings: { max_recipients: 0 } }), /below the minimum, 1/)
})
`
}
