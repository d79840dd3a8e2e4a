/**
 * The soak: good and hostile messages, clients and moments, all mixed, for as long as is asked for.
 *
 *     npm run soak -- --minutes 30
 *     node bench/soak.ts --help
 *
 * docs/benchmarks.md says how to read the result. The exit status is 1 where a check was not met.
 */
import { parseArgs } from 'node:util'
import { formatTable } from '../host/cli/table.ts'
import { hostileWords } from './soak/cases.ts'
import { soak, type SoakResult } from './soak/run.ts'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    good: { type: 'string', default: '4' },
    hostile: { type: 'string', default: '2' },
    without: { type: 'string', multiple: true, default: [] },
    help: { type: 'boolean', default: false },
  },
})

const help = `usage: npm run soak -- [OPTION]...

  --minutes N      for so long (${options.minutes})
  --seed N         the same choices as in the run that had it; the machine's own timing is not in it
  --good N         lanes that send good messages (${options.good})
  --hostile N      lanes that send hostile ones (${options.hostile})
  --without KIND   leave this kind out: ${hostileWords.join(' ')};
                   may be given again
`

if (options.help) process.stdout.write(help)
else await main()

async function main(): Promise<void> {
  const seconds = Number(options.minutes) * 60
  const seed = Number(options.seed ?? Math.floor(Math.random() * 2 ** 31))
  const [goodLanes, hostileLanes] = [Number(options.good), Number(options.hostile)]
  if (!(seconds > 0) || !(seed >= 0) || !(goodLanes > 0) || !(hostileLanes >= 0)) {
    throw new Error('a number among the options cannot be used; see --help')
  }
  const unknown = options.without.find((kind) => !hostileWords.includes(kind))
  if (unknown !== undefined) throw new Error(`there is no hostile kind "${unknown}"; see --help`)
  note(`seed ${seed}, ${seconds} s`)
  const leftOut = options.without
  report(seed, await soak({ seconds, seed, goodLanes, hostileLanes, leftOut, note }))
}

function report(seed: number, { counts, failures, checks }: SoakResult): void {
  const kinds = (of: ReadonlyMap<string, number>): string =>
    [...of]
      .sort(([one], [other]) => one.localeCompare(other))
      .map(([kind, times]) => `${kind} ${times}`)
      .join(', ')
  process.stdout.write(`good messages: ${kinds(counts.good)}\n`)
  process.stdout.write(`hostile messages: ${kinds(counts.hostile)}; ${counts.rude} clients without any\n`)
  process.stdout.write(
    `${counts.runnersKilled} runners killed, ${counts.runnersFrozen} frozen, ${counts.reloads} reloads, ` +
      `${counts.calms} moments of calm\n\n`,
  )
  const rows = checks.map(({ check, figure, bound, isMet }) => [isMet ? 'met' : 'NOT MET', check, figure, bound])
  process.stdout.write(formatTable(['', 'check', 'found', 'wanted'], rows))
  process.stdout.write(`seed ${seed}, ${failures.length} failures\n`)
  if (checks.some(({ isMet }) => !isMet)) process.exitCode = 1
}

function note(text: string): void {
  process.stderr.write(`soak: ${text}\n`)
}
