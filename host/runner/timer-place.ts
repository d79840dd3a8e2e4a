/** Which package a source file belongs to: pure text. */

/** The path of a module as stack frames name it: a file URL, a path, or `node:` and the name of a built-in one. */
export function plainPath(scriptName: string): string {
  if (!scriptName.startsWith('file://')) return scriptName
  const path = scriptName.slice('file://'.length).replace(/[?#].*$/, '')
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/** The folder of the installed package that a file is part of, with a slash at its end; `null` for a file of no package. */
export function packageFolderOf(path: string): string | null {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//.exec(path)?.[0] ?? null
}
