/** JSON that a terminal, a log and every reader of lines can be handed. Pure. */

/**
 * JSON in printable ASCII: what a terminal may obey, or take for the end of a line, is escaped, which any reader of JSON
 * undoes. On one line unless indented.
 */
export function asciiJson(value: unknown, indent = 0): string {
  const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(value, null, indent).replace(/[^ -~\n]/g, escape)
}
