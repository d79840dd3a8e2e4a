/** Pairs for tests: a message and its envelope, as the mail server has them when filters run. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { envelopeRecords, type SpoolEnvelope } from '../control/envelope.ts'

/** The envelope of a test's message; everything has a default. */
export type TestEnvelope = Partial<Omit<SpoolEnvelope, 'queueId'>>

/** The two arguments of `doFilter`. */
export interface WrittenPair {
  readonly bodyPath: string
  readonly controlPaths: readonly string[]
}

/** A pair in a temporary folder of its own. */
export interface TestPair extends WrittenPair {
  /** Removes the folder. */
  close(): void
}

const defaultEnvelope = {
  sender: 'sender@example.com',
  recipients: ['recipient@example.org'],
  clientIp: '192.0.2.1',
  helo: 'client.example.com',
  authUser: null,
} as const

/**
 * Writes a pair, for code that takes paths: `XFilter`, or functions of a filter that are tested alone. `runFilter` makes its
 * own.
 *
 * Shape:  as `writePair`; the message's id is `test.1`.
 * Errors: RangeError for an address with a line end.
 */
export function makePair(message: string | Uint8Array, envelope: TestEnvelope = {}): TestPair {
  const top = mkdtempSync(join(tmpdir(), 'nodefilter-pair-'))
  try {
    const pair = writePair(join(top, 'pair'), message, { ...envelope, queueId: 'test.1' })
    return { ...pair, close: () => rmSync(top, { recursive: true, force: true }) }
  } catch (thrown) {
    rmSync(top, { recursive: true, force: true })
    throw thrown
  }
}

/** A pair as `nodefilter check` writes it, in a new folder: LF line ends and a final LF in the data file. */
export function writePair(
  folder: string,
  message: string | Uint8Array,
  envelope: TestEnvelope & { readonly queueId: string },
): WrittenPair {
  mkdirSync(folder)
  const [bodyPath, controlPath] = [join(folder, 'D1'), join(folder, '1')]
  const text = Buffer.from(message).toString('latin1').replaceAll('\r\n', '\n')
  writeFileSync(bodyPath, text === '' || text.endsWith('\n') ? text : `${text}\n`, 'latin1')
  writeFileSync(controlPath, envelopeRecords({ ...defaultEnvelope, ...envelope }, Date.now()))
  return { bodyPath, controlPaths: [controlPath] }
}
