/** Writes a Courier's folder of configuration for tests. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { writeGdbm } from './gdbm-writer.ts'

/** File name -> content: text as it is, or the entries of a `.dat` file. */
export type CourierFiles = Readonly<Record<string, string | Buffer | Readonly<Record<string, string>>>>

/** Writes the files into a new folder below `dir`, which is handed back. */
export function makeCourierFolder(dir: string, files: CourierFiles): string {
  const folder = mkdtempSync(join(dir, 'courier-'))
  writeCourierFiles(folder, files)
  return folder
}

/** Writes files into such a folder, over what is there. */
export function writeCourierFiles(folder: string, files: CourierFiles): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    if (typeof content === 'string' || Buffer.isBuffer(content)) writeFileSync(path, content)
    else writeGdbm(path, Object.entries(content))
  }
}

/** The setting E0 of the acceptance rows. */
export const settingE0: CourierFiles = {
  me: 'mx.example.org\n',
  locals: 'example.org\nmx.example.org\n.sub.example.org\n',
  'hosteddomains.dat': { 'hosted.example': '1', '.wild.example': '1' },
  'smtpaccess.dat': {
    '127.0.0.1': 'allow,RELAYCLIENT',
    '192.0.2': 'allow,BLOCK',
    '198.51.100': 'allow,BLOCK=go away',
    ':2001:0db8:0000:0001': 'allow,RELAYCLIENT',
    '203.0.113.7': 'allow',
  },
}
