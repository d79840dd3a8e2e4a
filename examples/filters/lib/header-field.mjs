/**
 * One field of a message's header section, for the filters beside this folder: a filter may import files of its own.
 */
import { closeSync, openSync, readSync } from 'node:fs'

/** No more than this is read: a header section may be as long as its sender likes. */
const maxOctets = 64 * 1024

/**
 * The first field of this name: unfolded, encoded words decoded (RFC 2047); `null` if there is none.
 *
 * @param {string} bodyPath
 * @param {string} name in any mix of upper and lower case
 * @returns {string | null}
 */
export function headerField(bodyPath, name) {
  const prefix = `${name.toLowerCase()}:`
  for (const field of headerFields(bodyPath)) {
    if (field.toLowerCase().startsWith(prefix)) return decodeWords(field.slice(prefix.length).trim())
  }
  return null
}

/** All fields, each on one line. What is no field is kept: mail servers let it pass, and so must whoever reads it. */
function headerFields(bodyPath) {
  const buffer = Buffer.alloc(maxOctets)
  const descriptor = openSync(bodyPath, 'r')
  try {
    const text = buffer.toString('utf8', 0, readSync(descriptor, buffer))
    // A message may consist of its header section alone.
    const [section = ''] = text.split('\n\n', 1)
    return section.replace(/\n[ \t]+/g, ' ').split('\n')
  } finally {
    closeSync(descriptor)
  }
}

/** Decodes `=?charset?B?...?=` and `=?charset?Q?...?=`; what cannot be decoded stays as it is. */
function decodeWords(text) {
  const joined = text.replace(/\?=\s+=\?/g, '?==?')
  return joined.replace(/=\?([^?*]+)[^?]*\?([bq])\?([^?]*)\?=/gi, (word, charset, encoding, content) => {
    const octets = encoding.toLowerCase() === 'b' ? Buffer.from(content, 'base64') : unquoted(content)
    try {
      return new TextDecoder(charset).decode(octets)
    } catch {
      return word
    }
  })
}

function unquoted(content) {
  const text = content.replaceAll('_', ' ')
  const octets = text.replace(/=([0-9a-f]{2})/gi, (_, code) => String.fromCharCode(parseInt(code, 16)))
  return Buffer.from(octets, 'latin1')
}
