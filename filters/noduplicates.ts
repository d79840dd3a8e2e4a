/**
 * noduplicates: deliver once to an address that is there more than once, for instance through two aliases.
 *
 * Reads:    recipients with their NOTIFY flags, over all control files. Never opens the content.
 * Keeps:    nothing.
 * Verdicts: pass.
 * Source:   spec pythonfilter 2.12, RFC 3461 section 4.1, RFC 5321 sections 2.4, 4.1.2, 4.5.1 (forms of one address).
 *
 * The first one stays, with its original recipient; the others are completed, which reports nothing to anybody. Put it
 * early in the list, so that filters after it see each address once.
 *
 * The wishes for notices are united, so that nobody who asked for one goes without. `''` asks for failure and delay, `N`
 * for none: it is what Courier gives to the members of an alias, so it yields to whatever the other says. A record cannot
 * be rewritten: where the other adds a wish (`*`), the one that stays is completed and a triple with the united flags
 * takes its place.
 *
 *     stays | goes:  ''      N       S       F       D       SF      SD      FD      SFD
 *     ''             ''      ''      SFD *   ''      ''      SFD *   SFD *   ''      SFD *
 *     N              '' *    N       S *     F *     D *     SF *    SD *    FD *    SFD *
 *     S              SFD *   S       S       SF *    SD *    SF *    SD *    SFD *   SFD *
 *     F              '' *    F       SF *    F       FD *    SF *    SFD *   FD *    SFD *
 *     D              '' *    D       SD *    FD *    D       SFD *   SD *    FD *    SFD *
 *     FD             FD      FD      SFD *   FD      FD      SFD *   SFD *   FD      SFD *
 */
import { changeRecipients, identityOf, parseAddress, pass, readRecipients } from '../courier-compat/index.ts'
import type { ControlRecipient, DoFilter, Edits, OnError, RecipientChange } from '../courier-compat/index.ts'

/** Without it a message comes twice, which is better than not at all; the host undoes half-made edits. */
export const onError: OnError = 'pass'

export const edits: Edits = 'library'

export const about = 'delivers once to an address that is there more than once'

export const doFilter: DoFilter = (_bodyPath, controlPaths, { log }) => {
  const pending = readRecipients(controlPaths).filter(({ done }) => !done)
  const lines: string[] = []
  const changes = new Map<string, RecipientChange[]>(controlPaths.map((file) => [file, []]))
  for (const [kept, ...others] of Map.groupBy(pending, deliveryKey).values()) {
    if (kept === undefined || others.length === 0) continue
    const dsn = unitedFlags([kept, ...others].map((recipient) => recipient.dsn))
    if (dsn !== kept.dsn) {
      const replaceBy = { address: kept.addressBytes, original: kept.originalBytes, dsn: Buffer.from(dsn) }
      changes.get(kept.file)?.push({ index: kept.index, why: 'replaced by noduplicates', replaceBy })
      lines.push(`recipient <${kept.address}>: NOTIFY "${kept.dsn}" is now "${dsn}", united with its duplicates`)
    }
    for (const { file, index, address, original } of others) {
      changes.get(file)?.push({ index, why: 'duplicate removed by noduplicates', replaceBy: null })
      lines.push(`recipient <${address}> (originally "${original}") removed: a duplicate of <${kept.address}>`)
    }
  }
  // In the order of the files: the one that stays is never in a later file than its duplicates, so it has their wishes
  // before they go.
  for (const [file, ofFile] of changes) {
    if (ofFile.length > 0) changeRecipients(file, ofFile)
  }
  for (const line of lines) log.info(line)
  return pass()
}

/** What makes two recipients one: the address, however it is written. */
function deliveryKey({ address }: ControlRecipient): string {
  const result = parseAddress(address)
  if (result.ok) return identityOf(result.address)
  const at = address.lastIndexOf('@')
  // Without a domain the address ends in a local part, where an @ can only stand within quotes. A blank in front: no
  // address that can be read begins with one.
  return ` ${at === -1 || address.endsWith('"') ? address : address.slice(0, at) + address.slice(at).toLowerCase()}`
}

/** The flags for all wishes together; the first ones, letter for letter, if the others add nothing to them. */
function unitedFlags(all: readonly string[]): string {
  const [kept = ''] = all
  const united = new Set(all.flatMap(wishes))
  if (united.size === wishes(kept).length) return kept
  if (all.includes('') && !united.has('S')) return ''
  return ['S', 'F', 'D'].filter((wish) => united.has(wish)).join('')
}

function wishes(dsn: string): string[] {
  return dsn === '' ? ['F', 'D'] : [...new Set(dsn)].filter((letter) => 'SFD'.includes(letter))
}
