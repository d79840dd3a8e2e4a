/**
 * An installation of pythonfilter -> what becomes of each of its lines and settings, and the new files' text.
 *
 * Pure: no clock, socket, file or logger.
 */
import type { MigrationFacts } from './facts.ts'
import type { Item } from './item.ts'
import { oldFilter } from './old-filters.ts'
import { planList } from './plan-list.ts'
import { planModules } from './plan-modules.ts'
import type { SwitchFacts } from './steps.ts'

/** The plan. It can be carried out if no item is a problem. */
export interface MigrationPlan {
  readonly items: readonly Item[]
  /** What is other for every filter, a sentence each. */
  readonly general: readonly string[]
  /** The lines of filters.conf and modules.conf. */
  readonly listRows: readonly string[]
  readonly moduleRows: readonly string[]
  readonly forSteps: Pick<SwitchFacts, 'filters' | 'storeKeepers' | 'staying'>
}

const always = [
  'An error of a filter let the message pass. It is answered 451 (try again later) now, unless the filter declares ' +
    '"pass", as observers and whitelists do. "with on_error=pass" in a line keeps the old way for that filter.',
  'A filter may take 30 s over a message, all of them 60 s, and what is not done by then is answered 451: ' +
    '"with time_limit=2m" in a line, [chain] time_limit and [host] deadline set other limits.',
  'What is no reply (a number, a text without a code) is an error now; it was ignored, or sent as it was.',
]
const withPython = [
  'Python filters read pythonfilter-modules.conf themselves, so changes of their settings belong there. They may take ' +
    'as long as any other filter.',
]

/** Plans the whole. */
export function planMigration(facts: MigrationFacts): MigrationPlan {
  const { list, modules, python, own } = facts
  const planned = planList(list, new Set(own.keys()), python)
  const { filters } = planned
  const settings = planModules(modules, filters, own)
  const inPython = filters.filter(({ runs }) => runs === 'python')
  const keepsStore = (name: string): boolean =>
    oldFilter(name)?.store === 'ttldb' || python?.modules.get(name)?.usesTtlDb === true
  const staying = inPython.length === 0 || python === null ? [] : [python.folder, ...modules.map(({ file }) => file)]
  return {
    items: [...planned.items, ...settings.items, ...facts.remarks],
    general: inPython.length === 0 ? always : [...always, ...withPython],
    listRows: planned.rows,
    moduleRows: settings.rows,
    forSteps: {
      ...{ filters, staying },
      storeKeepers: settings.storeIsFiles ? [...new Set(inPython.map(({ name }) => name).filter(keepsStore))] : [],
    },
  }
}
