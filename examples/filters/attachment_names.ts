/**
 * attachment_names: refuse messages with files of some kinds, by the endings of their names.
 *
 * Reads:    the parts of the message, and what they are called. Never their content.
 * Verdicts: pass; reject 550 5.7.1, 550 5.6.0.
 *
 * In filters.conf:  attachment_names with endings="exe, scr, js" unclear=refuse
 */
import { extensionsOf, pass, reject } from 'nodefilter/courier-compat'
import type { SettingSchemas, SettingsOf } from 'nodefilter/courier-compat'
import type { DoFilter, FilterSetup } from 'nodefilter/filter'

export const about = 'refuses files with some endings'
export const edits = 'library'

export const settings = {
  endings: { type: 'list', default: ['exe', 'scr', 'js', 'vbs'], text: 'Endings of names that are refused.' },
  unclear: {
    type: 'choice',
    choices: ['refuse', 'pass'],
    default: 'refuse',
    text: 'What becomes of a message that programs may read differently, or that is too large to be read.',
  },
} as const satisfies SettingSchemas

let endings: ReadonlySet<string> = new Set()
let isRefusedUnclear = true

export function initFilter(setup: FilterSetup<SettingsOf<typeof settings>>): void {
  endings = new Set(setup.settings.endings.map((ending) => ending.toLowerCase()))
  isRefusedUnclear = setup.settings.unclear === 'refuse'
}

export const doFilter: DoFilter = async (bodyPath, controlPaths, { log, message, notes }) => {
  const { findings, leaves } = await message.read()

  // All names: one program may show the first, another one the second.
  const names = leaves.flatMap(({ fileNames }) => fileNames)
  const refused = names.find((name) => extensionsOf(name).some((ending) => endings.has(ending)))
  if (refused !== undefined) {
    log.info(`a file called "${refused}"`)
    return reject('5.7.1', 'Files of this kind are not accepted here')
  }
  if (names.length > 0) notes.set('files', String(names.length))

  // What another program sees in such a message we cannot know, so "no such name" would say too much.
  const unclear = findings.find(({ weight }) => weight !== 'notice')
  if (unclear !== undefined) {
    log.info(`part ${unclear.part === '' ? '(message)' : unclear.part}: ${unclear.text}`)
    if (isRefusedUnclear) return reject('5.6.0', `This message cannot be read for certain: ${unclear.text}`)
  }
  return pass()
}
