/** The protections whose absence the tests of addresses must notice. */

import type { Protection } from './protection.ts'

export const addressProtections: Readonly<Record<string, Protection>> = {
  // R36: time and memory.
  'a list of addresses is read in one pass': {
    file: 'courier-compat/addresses/list.ts',
    find: 'this.#mailboxes.push(mailbox)',
    instead: 'this.#mailboxes.splice(0, this.#mailboxes.length, ...Array.from(this.#mailboxes), mailbox)',
  },
  'the addresses of a field have a limit': {
    file: 'courier-compat/addresses/list.ts',
    find: "if (this.#mailboxes.length === this.#rules.limits.addresses) return refuse('too-many', start)",
    instead: '',
  },
  'the groups of a field have a limit': {
    file: 'courier-compat/addresses/list.ts',
    find: "if (this.#entries.length === this.#rules.limits.addresses) return refuse('too-many', start)",
    instead: '',
  },
  'the words of a name have a limit': {
    file: 'courier-compat/addresses/list.ts',
    find: "if (this.#words.length === this.#rules.limits.words) return refuse('too-many', token.start)",
    instead: '',
  },
  'comments have a limit': {
    file: 'courier-compat/addresses/scanner.ts',
    find: "if (++depth > maxDepth) return refuse('too-deep', start)",
    instead: '++depth',
  },
  // R40: one author.
  'one From field': {
    file: 'courier-compat/addresses/header-addresses.ts',
    find: "if (fields.length > 1) return noAuthor('several-fields')",
    instead: '',
  },
  'one address in From': {
    file: 'courier-compat/addresses/header-addresses.ts',
    find: "list.mailboxes.length === 1 ? { ok: true, mailbox } : noAuthor('several-mailboxes')",
    instead: '{ ok: true, mailbox }',
  },
  'no author from half a header section': {
    file: 'courier-compat/addresses/header-addresses.ts',
    find: "if (section.overLimit !== null) return noAuthor('over-limit')",
    instead: '',
  },
  'no addresses from half a header section': {
    file: 'courier-compat/addresses/header-addresses.ts',
    find: "if (section.overLimit !== null) return { ...refuse('too-long', 0), field: null }",
    instead: '',
  },
  // R45: an answer or a refusal.
  'nothing stands after an address': {
    file: 'courier-compat/addresses/list.ts',
    find: 'return this.#angle !== null || this.#isAfterGroup',
    instead: 'return false',
  },
  'a name with an @ is no name': {
    file: 'courier-compat/addresses/list.ts',
    find: 'if (!isName(this.#words, angle, this.#rules)) return',
    instead: 'if (false) return',
  },
  'no group in a group': {
    file: 'courier-compat/addresses/list.ts',
    find: "if (this.#group !== null) return refuse('nested-group', start)",
    instead: '',
  },
  'groups end': {
    file: 'courier-compat/addresses/list.ts',
    find: "if (this.#group !== null) return refuse('open-group', this.#group.start)",
    instead: '',
  },
  'what is malformed hides nothing': {
    file: 'courier-compat/addresses/list.ts',
    find: 'this.#malformed ??= address',
    instead: 'return address',
  },
  'words are not glued together': {
    file: 'courier-compat/addresses/addr-spec.ts',
    find: "if (second?.kind !== '@' || third === undefined || fourth !== undefined) {",
    instead: 'if (second === undefined || third === undefined) {',
  },
  'an encoded word is no local part': {
    file: 'courier-compat/addresses/addr-spec.ts',
    find: "if (encodedWord.test(value)) return refuse('encoded-word', start)\n  if (!isUtf8 && !isAscii(value)) return refuse('local-octets', start)",
    instead: '',
  },
  'a local part is what it seems': {
    file: 'courier-compat/addresses/addr-spec.ts',
    find: "return isUnmistakable(value) ? value : refuse('local-part', start)",
    instead: 'return value',
  },
  'a domain is what it seems': {
    file: 'courier-compat/addresses/domain-name.ts',
    find: "return ascii.startsWith('xn--') && domainToUnicode(ascii) === composed.toLowerCase() ? ascii : null",
    instead: "return domainToUnicode(ascii) === '' ? null : ascii",
  },
  'an xn-- label stands for something': {
    file: 'courier-compat/addresses/domain-name.ts',
    find: 'return !asciiLabel.test(meant) && domainToASCII(meant) === lower ? lower : null',
    instead: 'return meant === null ? null : lower',
  },
  'no line end and no NUL in addresses': {
    file: 'courier-compat/addresses/source.ts',
    find: 'const lineEnd = source.text.search(/[\\r\\n\\0]/)',
    instead: 'const lineEnd = -1',
  },
  'a name ends no quotes': {
    file: 'courier-compat/addresses/format.ts',
    find: '`"${text.replace(/["\\\\]/g, \'\\\\$&\')}"`',
    instead: '`"${text}"`',
  },
  'a name ends no line': {
    file: 'courier-compat/addresses/format.ts',
    find: "    .replace(/[\\p{Cc}\\u2028\\u2029]/gu, ' ')\n",
    instead: '',
  },
}
