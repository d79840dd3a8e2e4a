/**
 * The types that cross between the host and a runner of one thread, and the checks at the host's end.
 *
 * The line format is that of `frames.ts`, over the pipe that the runner was started with.
 */
import type { LoadPlan } from '../chain/loader.ts'
import type { Described, DescribePlaces } from '../chain/describe.ts'
import { isLine } from '../chain/module-shape.ts'
import type { Named } from '../chain/module-file.ts'
import { lineOptions } from '../chain/with-options.ts'
import { schemaProblems } from '../../courier-compat/setting/declaration.ts'
import type { SettingSchemas } from '../../courier-compat/setting.ts'
import { isRecord, readLoadProblems, type LineUp } from './wire.ts'

/** Host -> runner. */
export type SingleDown =
  /** Describe this module. The next one is asked for when it is done: so it is known which one broke what. */
  | { readonly type: 'describe'; readonly places: DescribePlaces; readonly module: Named }
  /** Wait for a debugger at this address, then load the chain. */
  | { readonly type: 'debug'; readonly plan: LoadPlan; readonly host: string; readonly port: number }
  | {
      readonly type: 'run'
      readonly key: string
      readonly messageId: string
      readonly bodyPath: string
      readonly controlPaths: readonly string[]
    }

/** Runner -> host. */
export type SingleUp =
  | { readonly type: 'described'; readonly module: Described }
  /** No debugger can connect there; Node has said why on standard error. */
  | { readonly type: 'deaf' }
  | Extract<LineUp, { readonly type: 'loaded' | 'broken' | 'done' | 'log' }>

/** What a runner says of a module, taken over only in the expected shape. */
export function readDescribed(value: unknown): Described {
  if (isRecord(value) && 'problems' in value) return { problems: readLoadProblems(value['problems']) }
  const { file, origin, about, onError, settings } = isRecord(value) ? value : {}
  if (typeof file !== 'string' || typeof origin !== 'string' || schemaProblems(settings, ownNames).length > 0) {
    return { problems: [{ file: '', line: null, text: 'was not described as a filter', cure: null }] }
  }
  return {
    ...{ file, origin, settings: settings as SettingSchemas },
    about: isLine(about) ? about : null,
    onError: onError === 'pass' ? 'pass' : 'defer',
  }
}

const ownNames = Object.keys(lineOptions)
