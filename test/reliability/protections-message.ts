/** The protections whose absence the tests of the message reader and of edits of messages must notice. */

import type { Protection } from './protection.ts'

export const messageProtections: Readonly<Record<string, Protection>> = {
  // R32: nothing grows by the size of a message.
  'a message goes through one buffer': {
    file: 'courier-compat/message/reader.ts',
    find: 'const pieceOctets = 256 * 1024',
    instead: 'const pieceOctets = 1024 ** 3',
  },
  'reading a message takes turns': {
    file: 'courier-compat/message/reader.ts',
    find: 'if (performance.now() - turned < turnMs) continue',
    instead: 'continue',
  },
  'a content is read in pieces': {
    file: 'courier-compat/message/range.ts',
    find: 'const pieceOctets = 128 * 1024',
    instead: 'const pieceOctets = 1024 ** 3',
  },
  'no more of a message is read than allowed': {
    file: 'courier-compat/message/reader.ts',
    find: 'this.end = Math.min(octets, limits.octets)',
    instead: 'this.end = octets',
  },
  'no more of a content is decoded than allowed': {
    file: 'courier-compat/message/decoded.ts',
    find: 'if (decoded.length > left) {',
    instead: 'if (false) {',
  },
  // R33: header sections and lines.
  'a header section has a limit': {
    file: 'courier-compat/message/structure.ts',
    find: 'if (section.octets + at - from > this.#sectionLimits().sectionOctets + 2) {',
    instead: 'if (false) {',
  },
  'a header field has a limit': {
    file: 'courier-compat/header/section.ts',
    find: "else if (next - start > limits.fieldOctets) overLimit = 'fieldOctets'",
    instead: '',
  },
  'the fields of a section have a limit': {
    file: 'courier-compat/header/section.ts',
    find: "else if (lines.length === limits.lines) overLimit = 'lines'",
    instead: '',
  },
  'a long line is told': {
    file: 'courier-compat/message/structure.ts',
    find: "if (longLineAt !== null) this.#findings.add('limit-line', '', longLineAt)",
    instead: '',
  },
  // R34: parts.
  'nesting has a limit': {
    file: 'courier-compat/message/structure.ts',
    find: 'const isTooDeep = container !== null && depth >= this.#limits.depth',
    instead: 'const isTooDeep = false',
  },
  'the parts of a message have a limit': {
    file: 'courier-compat/message/structure.ts',
    find: 'if (this.parts.length >= this.#limits.parts) {',
    instead: 'if (false) {',
  },
  'a multipart without end is told': {
    file: 'courier-compat/message/structure.ts',
    find: "if (frame.left > 0 && !this.#isDone) this.#findings.add('unterminated-multipart', node.path, null, node.start)",
    instead: '',
  },
  'a multipart without boundary is told': {
    file: 'courier-compat/message/content-fields.ts',
    find: "if (boundaries.length === 0) problems.add('no-boundary')",
    instead: '',
  },
  // R36: time.
  'an encoded word ends before the next begins': {
    file: 'courier-compat/message/encoded-words.ts',
    find: 'const textEnd = endOfText(value, opener.textStart, next?.start ?? value.length)',
    instead: 'const textEnd = endOfText(value, opener.textStart, value.length)',
  },
  'comments without end are tried once': {
    file: 'courier-compat/message/parameter-scan.ts',
    find: 'this.#isOutOfComments = true',
    instead: '',
  },
  'the encoded words of a field have a limit': {
    file: 'courier-compat/message/encoded-words.ts',
    find: 'if (words === limits.encodedWords) {',
    instead: 'if (false) {',
  },
  'the parameters of a field have a limit': {
    file: 'courier-compat/message/parameter-scan.ts',
    find: 'if (found.length === maxParameters) {',
    instead: 'if (false) {',
  },
  // R38: octets and character sets.
  'a NUL is told': {
    file: 'courier-compat/message/structure.ts',
    find: "if (nulAt !== null) this.#findings.add('nul', '', nulAt)",
    instead: '',
  },
  'octets that are no UTF-8 are told': {
    file: 'courier-compat/message/header-checks.ts',
    find: "if (odd !== undefined) tell('eight-bit-header', odd.start)",
    instead: '',
  },
  'an unknown character set of a text is told': {
    file: 'courier-compat/message/decoded.ts',
    find: "onProblem('unknown-charset')",
    instead: '',
  },
  'a dangerous character set of a text is told': {
    file: 'courier-compat/message/decoded.ts',
    find: "if (charset.isDangerous) onProblem('dangerous-charset')",
    instead: '',
  },
  'text that is none is told': {
    file: 'courier-compat/message/decoded.ts',
    find: "if (text.includes('\\ufffd')) onProblem('bad-text')",
    instead: '',
  },
  'fields keep their octets': {
    file: 'courier-compat/header/edit.ts',
    find: 'pieces.push(raw)',
    instead: 'pieces.push(Buffer.from(raw.toString()))',
  },
  'a body keeps its octets': {
    file: 'courier-compat/message-file.ts',
    find: 'last = buffer[filled - 1] ?? last',
    instead: "last = buffer[filled - 1] ?? last; buffer.write(buffer.toString('utf8', 0, filled))",
  },
  'nothing is written where nothing was edited': {
    file: 'courier-compat/xfilter.ts',
    find: "if (message === this.#submitted.message && revision === this.#submitted.revision) return ''",
    instead: '',
  },
  // R39: what readers read differently.
  'two boundaries are told': {
    file: 'courier-compat/message/content-fields.ts',
    find: "if (boundaries.length > 1) problems.add('two-boundaries')",
    instead: '',
  },
  'parts are found by every boundary': {
    file: 'courier-compat/message/structure.ts',
    find: "const own = node.kind === 'multipart' ? boundaries : []",
    instead: "const own = node.kind === 'multipart' ? boundaries.slice(0, 1) : []",
  },
  'a boundary with a comment is told': {
    file: 'courier-compat/message/content-fields.ts',
    find: "if (isCommented || written || boundaries.some(isOddBoundary)) problems.add('odd-boundary')",
    instead: '',
  },
  'a multipart acts among several types': {
    file: 'courier-compat/message/part-node.ts',
    find: "type.types.find((each) => each.startsWith('multipart/'))",
    instead: "[type.type ?? ''].find((each) => each.startsWith('multipart/'))",
  },
  'names that differ are told': {
    file: 'courier-compat/message/file-names.ts',
    find: "if (extensions.size > 1) problems.add('two-file-names')",
    instead: 'if (extensions.size < 0) problems.clear()',
  },
  'every name is kept': {
    file: 'courier-compat/message/file-names.ts',
    find: 'const fileNames = [...new Set([...ofDisposition, ...ofType])]',
    instead: 'const fileNames = [...ofDisposition, ...ofType].slice(0, 1)',
  },
  'sections of a parameter that stand twice are told': {
    file: 'courier-compat/message/parameters.ts',
    find: 'if ([...sections.values()].some((same) => same.some(({ value }) => value !== same[0]?.value))) {',
    instead: 'if (false) {',
  },
  'a second encoding is told': {
    file: 'courier-compat/message/content-fields.ts',
    find: "if (encoding === 'unknown' || (hasMore && (encoding !== 'none' || hasWords))) problems.add('unknown-encoding')",
    instead: '',
  },
  'a line that begins as a boundary is told': {
    file: 'courier-compat/message/structure.ts',
    find: 'if (delimiter !== null || this.#boundaries.resembles(bytes, start, end)) {',
    instead: 'if (delimiter !== null) {',
  },
  // R40: one of everything.
  'a field that stands twice is told': {
    file: 'courier-compat/message/header-checks.ts',
    find: "else tell('duplicate-field', field.start)",
    instead: '',
  },
  'a blank before the colon is told': {
    file: 'courier-compat/message/header-checks.ts',
    find: "tell('space-before-colon', line.start)",
    instead: 'void line',
  },
  'names of fields are compared without letter case': {
    file: 'courier-compat/message/header-checks.ts',
    find: '  for (const { name } of section.fields) {\n    const key = name.toLowerCase()',
    instead: '  for (const { name } of section.fields) {\n    const key = name',
  },
  // R41: forged fields of our own.
  'all fields of a name are removed': {
    file: 'courier-compat/header/edit.ts',
    find: 'at === undefined ? found : [found.at(at)]',
    instead: '[found.at(at ?? 0)]',
  },
  'a field is found in any letter case': {
    file: 'courier-compat/header/section.ts',
    find: 'field.name.toLowerCase() === wanted',
    instead: 'field.name === name',
  },
  'a field with a blank before its colon is a field': {
    file: 'courier-compat/header/section.ts',
    find: 'while (isBlank(raw[at])) at++',
    instead: '',
  },
  'a field goes by itself and not by its number': {
    file: 'courier-compat/header/edit.ts',
    find: 'lines = lines.filter((line) => !gone.has(line))',
    instead: 'for (const line of [...gone].map((each) => lines.indexOf(each as HeaderLine))) lines.splice(line, 1)',
  },
  // R47: the message under an edit.
  'the message that is edited is the one that was opened': {
    file: 'courier-compat/message-file.ts',
    find: 'if (!isSameFile(identityOf(stats), from)) throw',
    instead: 'if (false) throw',
  },
  'the message is looked at again before it is replaced': {
    file: 'courier-compat/message-file.ts',
    find: 'if (!isOurs() || !isSameFile(identityOf(files.lstatSync(bodyPath)), from)) {',
    instead: 'if (!isOurs()) {',
  },
  'a content is of the file that was read': {
    file: 'courier-compat/message/range.ts',
    find: 'if (count !== piece.length || !isSameFile(identity, identityOf(fstatSync(fd)))) throw changed(path)',
    instead: 'if (count === 0) throw changed(path)',
  },
  // What XFilter promises beside that.
  'a part is in one hand': {
    file: 'courier-compat/message-edit/part-edits.ts',
    find: "if (claim !== undefined && (kind !== 'text' || claim.kind !== 'text')) throw",
    instead: 'if (false) throw',
  },
  'what holds an edit is not replaced': {
    file: 'courier-compat/message-edit/part-edits.ts',
    find: "for (const part of this.#claims.keys()) if (isBelow(part)) throw new EditRefused('overlap', own.path)",
    instead: '',
  },
  'nothing is edited in what goes': {
    file: 'courier-compat/message-edit/part-edits.ts',
    find: "if (kind === 'removed' || kind === 'whole') throw",
    instead: 'if (false) throw',
  },
  'what is signed is not edited': {
    file: 'courier-compat/message-edit/part-edits.ts',
    find: "if (at.contentType === 'multipart/signed') throw",
    instead: 'if (false) throw',
  },
  'Courier is told of new octets beyond ASCII': {
    file: 'courier-compat/message-file.ts',
    find: 'if (isNewBody && !isAscii(octets)) hasNewEightBit = true',
    instead: '',
  },
  'Courier is told before the octets are there': {
    file: 'courier-compat/message-file.ts',
    find: '    version.beforeRename?.(written)\n    files.renameSync(path, bodyPath)\n',
    instead: '    files.renameSync(path, bodyPath)\n    version.beforeRename?.(written)\n',
  },
}
