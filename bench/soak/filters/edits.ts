/** edits: a header field and a recipient more, for the messages that ask for it. Each must be there once, whatever happens. */
import { addRecipient, readHeaderSection, fieldsNamed, XFilter } from '../../../courier-compat/index.ts'
import type { DoFilter } from '../../../courier-compat/index.ts'

export const doFilter: DoFilter = async (bodyPath, controlPaths, { signal }) => {
  const [wanted] = fieldsNamed(readHeaderSection(bodyPath), 'X-Soak-Edit')
  if (wanted === undefined) return ''
  const number = wanted.value.trim()
  addRecipient(controlPaths, `added-${number}@example.org`)
  const xfilter = new XFilter('edits', bodyPath, controlPaths)
  xfilter.getMessage().header.add('X-Soak-Edited', number)
  await xfilter.submit({ signal })
  return ''
}
