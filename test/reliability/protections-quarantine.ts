/** The protections whose absence the tests of the quarantine must notice. */

import type { Protection } from './protection.ts'

export const quarantineProtections: Readonly<Record<string, Protection>> = {
  // R04, R58: the order of what is done.
  'a message is kept before its recipients are completed': {
    file: 'courier-compat/quarantine/keep.ts',
    find: 'const { record, isNew } = await store(place, order, wanted, copied, temporary)\n    signal?.throwIfAborted()\n    complete(wanted, record.id)\n',
    instead:
      "complete(wanted, 'x')\n    const { record, isNew } = await store(place, order, wanted, copied, temporary)\n",
  },
  'a release is noted before it goes out': {
    file: 'courier-compat/quarantine/release.ts',
    find: "const state: RecipientState | 'claimed' = await claim(folder, id, index, by)",
    instead:
      "const state: string = await stateOf(folder, id, index)\n  if (state === 'held') {\n    await place.submit(submissionOf(place, entry, index, await openChecked(place, entry), signal))\n    await claim(folder, id, index, by)\n    await settle(folder, id, index)\n    return answer('released', '')\n  }",
  },
  // R48: links and folders of others.
  'a quarantine that everybody may write is refused': {
    file: 'courier-compat/quarantine/folder.ts',
    find: 'if ((stats.mode & 0o002) !== 0) refuse(',
    instead: 'if (false) refuse(',
  },
  "another user's quarantine is refused": {
    file: 'courier-compat/quarantine/folder.ts',
    find: 'if (stats.uid !== uid) refuse(',
    instead: 'if (false) refuse(',
  },
  'a quarantine that is a link is refused': {
    file: 'courier-compat/quarantine/folder.ts',
    find: "(await orNull('ENOENT', () => files.lstat(path))) ??",
    instead: "(await orNull('ENOENT', () => import('node:fs/promises').then(({ stat }) => stat(path)))) ??",
  },
  'a link is not opened as the quarantine': {
    file: 'courier-compat/quarantine/folder.ts',
    find: 'constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW',
    instead: 'constants.O_RDONLY | constants.O_DIRECTORY',
  },
  'links in the quarantine are not followed': {
    file: 'courier-compat/quarantine/folder.ts',
    find: 'const guarded = constants.O_NOFOLLOW | ',
    instead: 'const guarded = ',
  },
  'files in the quarantine have one name': {
    file: 'courier-compat/quarantine/folder.ts',
    find: 'if (stats.nlink > names) throw',
    instead: 'if (false) throw',
  },
  "files in the quarantine are the owner's": {
    file: 'courier-compat/quarantine/folder.ts',
    find: 'if (stats.uid !== uid) throw',
    instead: 'if (false) throw',
  },
  'what is kept is private': {
    file: 'courier-compat/quarantine/folder.ts',
    find: 'const mode = 0o600',
    instead: 'const mode = 0o644',
  },
  // R50: names.
  'an id is an id': {
    file: 'courier-compat/quarantine/place.ts',
    find: 'if (!isEntryId(id)) throw',
    instead: 'if (false) throw',
  },
  'a record names its own message': {
    file: 'courier-compat/quarantine/entry.ts',
    find: 'if (!isMessageFile(file, id)) throw',
    instead: 'if (false) throw',
  },
  // R58: who releases what.
  'a token is looked at': {
    file: 'courier-compat/quarantine/seal.ts',
    find: 'return a.length === b.length && timingSafeEqual(a, b)',
    instead: 'return true',
  },
  'a token is for one recipient': {
    file: 'courier-compat/quarantine/send-notices.ts',
    find: "return [id, nonce, String(index), recipients[index]?.address ?? '']",
    instead: 'return [id, nonce, String(recipients.length)].slice(0, index + 9)',
  },
  'a token is for one entry': {
    file: 'courier-compat/quarantine/send-notices.ts',
    find: 'return [id, nonce, String(index), ',
    instead: 'return [String(id.length + nonce.length), String(index), ',
  },
  'a token is good once': {
    file: 'courier-compat/quarantine/release.ts',
    find: "if (state !== 'held') return refuse(",
    instead:
      "if (state !== 'held') await reopen(place.folder, found.entry.id, found.index)\n  if (false) return refuse(",
  },
  'of two who claim one gets it': {
    file: 'courier-compat/quarantine/claims.ts',
    find: "ours))) return 'releasing'",
    instead: "ours))) return 'claimed'",
  },
  'a token has its time': {
    file: 'courier-compat/quarantine/release.ts',
    find: 'if (found.isExpired) return',
    instead: 'if (false) return',
  },
  'nobody releases nothing': {
    file: 'courier-compat/quarantine/release.ts',
    find: "if (sender === '' || sender === '<>') return",
    instead: 'if (false) return',
  },
  'no machine releases anything': {
    file: 'courier-compat/quarantine/release.ts',
    find: 'if (isAutomatic) return',
    instead: 'if (false) return',
  },
  "pythonfilter's addresses are asked for": {
    file: 'courier-compat/quarantine/release.ts',
    find: 'if (!request.oldAddresses) return',
    instead: 'if (false) return',
  },
  'what goes out is what was kept': {
    file: 'courier-compat/quarantine/release.ts',
    find: "if (hash.digest('hex') !== sha256) throw",
    instead: 'if (false) throw',
  },
  'a mark is ours': {
    file: 'courier-compat/quarantine/mark.ts',
    find: "if (seal.isWord(word, 'mark', [kind, id, recipient])) return",
    instead: 'if (word) return',
  },
  'a mark counts while it is released': {
    file: 'courier-compat/quarantine/keep.ts',
    find: "(await stateOf(folder, mark.id, index)) !== 'releasing') continue",
    instead: 'false) continue',
  },
  'a mark is for one body': {
    file: 'courier-compat/quarantine/keep.ts',
    find: 'if (held?.bodySha256 !== copied.bodySha256) return false',
    instead: 'if (held === null) return false',
  },
}
