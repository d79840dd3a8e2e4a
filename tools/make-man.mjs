// Writes the manual pages to dist/man: a part of `npm run build`.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { manualPages } from './man-pages.ts'

const folder = join(import.meta.dirname, '../dist/man')
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
for (const [name, text] of manualPages()) writeFileSync(join(folder, name), text)
