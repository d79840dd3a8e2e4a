/**
 * Who a message was released to: a file for each recipient, made so that of two who want the same only one gets it.
 *
 * held -> releasing -> released. A process that dies in between leaves `releasing`: whether the message went out nobody
 * knows then, so only an administrator goes on from there.
 * Source: spec reliability R58; spec pythonfilter 3.2, "Successor".
 */
import type { Folder } from './folder.ts'
import { claimFile, namedFile, type ClaimState } from './names.ts'

/** What became of a message for one recipient. */
export type RecipientState = 'held' | ClaimState

/** The states of all entries of a folder. */
export interface Claims {
  of(id: string, index: number): RecipientState
}

/** Reads the states from the names in the folder. */
export function claimsIn(names: readonly string[]): Claims {
  const states = new Map<string, ClaimState>()
  for (const name of names) {
    const file = namedFile(name)
    if (file.kind !== 'claim') continue
    const key = `${file.id}.${file.index}`
    if (states.get(key) !== 'released') states.set(key, file.state)
  }
  return { of: (id, index) => states.get(`${id}.${index}`) ?? 'held' }
}

/** The state for one recipient, as it is now. */
export async function stateOf(folder: Folder, id: string, index: number): Promise<RecipientState> {
  // In this order: what is renamed from the one to the other in between is still seen.
  if ((await folder.look(claimFile(id, index, 'releasing'))) !== null) return 'releasing'
  return (await folder.look(claimFile(id, index, 'released'))) === null ? 'held' : 'released'
}

/** Takes the right to release to this recipient, on disk when it resolves; else what stands in the way. */
export async function claim(
  folder: Folder,
  id: string,
  index: number,
  who: string,
): Promise<'claimed' | Exclude<RecipientState, 'held'>> {
  const releasing = claimFile(id, index, 'releasing')
  const ours = { isMade: false }
  try {
    if (!(await folder.write(releasing, Buffer.from(`${who}\n`), ours))) return 'releasing'
    // Somebody may have come to the end of it between a look and the file.
    if ((await folder.look(claimFile(id, index, 'released'))) !== null) {
      await folder.remove(releasing)
      return 'released'
    }
    await folder.sync()
    return 'claimed'
  } catch (thrown) {
    // Nothing went out yet.
    if (ours.isMade) await folder.remove(releasing)
    throw thrown
  }
}

/** It went out. */
export async function settle(folder: Folder, id: string, index: number): Promise<void> {
  await folder.rename(claimFile(id, index, 'releasing'), claimFile(id, index, 'released'))
  await folder.sync()
}

/** It did not go out, for certain: it is held again. */
export async function withdraw(folder: Folder, id: string, index: number): Promise<void> {
  await folder.remove(claimFile(id, index, 'releasing'))
  await folder.sync()
}

/** Forgets that it was released, or that nobody knows: an administrator's word. */
export async function reopen(folder: Folder, id: string, index: number): Promise<void> {
  await folder.remove(claimFile(id, index, 'releasing'))
  await folder.remove(claimFile(id, index, 'released'))
  await folder.sync()
}
