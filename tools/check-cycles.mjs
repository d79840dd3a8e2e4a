// Fails if files of this repository import one another in a circle. Types count: what depends on what is the question.
import { existsSync, readFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts', '*.mjs'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)))

const imports = new Map(
  files.map((file) => [
    file,
    ts
      .preProcessFile(readFileSync(join(root, file), 'utf8'))
      .importedFiles.map(({ fileName }) => fileName)
      .filter((name) => name.startsWith('.'))
      .map((name) => relative(root, join(root, dirname(file), name))),
  ]),
)

const done = new Set()
const circles = []
function visit(file, path) {
  const start = path.indexOf(file)
  if (start !== -1) return void circles.push([...path.slice(start), file].join(' -> '))
  if (done.has(file)) return
  for (const next of imports.get(file) ?? []) visit(next, [...path, file])
  done.add(file)
}
for (const file of files) visit(file, [])

for (const circle of circles) process.stderr.write(`circle of imports: ${circle}\n`)
process.exitCode = circles.length === 0 ? 0 : 1
