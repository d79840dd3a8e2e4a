/** Types of without.mjs, which says what they do. */
export function importWithout(file: string, names: readonly string[]): Promise<unknown>
export function takeOut(file: string, text: string, names: readonly string[]): string
