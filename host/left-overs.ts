/**
 * Removes what a host that died left beside messages: kept originals, and versions that were being written.
 *
 * The mail server makes the names of its files of inode numbers, so a message may come whose data file has the name of an
 * old one. What lies beside it would then be taken for its original. (It could not be delivered all the same: `undoEdits`
 * compares, and the message would be deferred.)
 */
import { keptPrefix } from '../courier-compat/kept-original.ts'
import { describeThrown } from './chain/failure.ts'
import type { Spool } from './pair.ts'
import type { Files } from './platform/files.ts'

/** What was found. */
export interface LeftOvers {
  readonly removed: number
  /** Why one could not be removed, or a folder not be looked at; the first ones. */
  readonly failures: readonly string[]
}

const maxFailures = 5

/** To be called before the first message comes in. Never throws. */
export function removeLeftOvers(spool: Pick<Spool, 'path'>, files: Files): LeftOvers {
  let removed = 0
  const failures: string[] = []
  const attempt = (step: () => void): void => {
    try {
      step()
    } catch (thrown) {
      if (failures.length < maxFailures) failures.push(describeThrown(thrown))
    }
  }
  attempt(() => {
    for (const folder of files.readdirSync(spool.path)) {
      const path = `${spool.path}/${folder}`
      attempt(() => {
        if (files.lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return
        for (const name of files.readdirSync(path)) {
          if (!name.startsWith(keptPrefix)) continue
          attempt(() => {
            files.unlinkSync(`${path}/${name}`)
            removed++
          })
        }
      })
    }
  })
  return { removed, failures }
}
