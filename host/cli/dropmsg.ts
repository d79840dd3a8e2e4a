/** `nodefilter dropmsg`: takes messages of one sender, user or client out of Courier's queue. */
import { lstatSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { parseControlFacts } from '../../courier-compat/control.ts'
import { sendmail, type Submission } from '../../courier-compat/sendmail.ts'
import { codeOf } from '../../courier-compat/text-file.ts'
import { exitCodes, type Command, type CommandIo } from './command.ts'
import { findCourier } from './courier/layout.ts'
import { runCommand, type CommandRunner } from './courier/run-command.ts'
import { dropMessage, type DropResult } from './dropmsg/drop.ts'
import { isQueueId, keptMessage, openKeep } from './dropmsg/kept.ts'
import { canonicalAddress, canonicalIp, matchReasons, type Criteria } from './dropmsg/match.ts'
import { queuedMessages, withQueuedControl, type QueuedPaths } from './dropmsg/queue.ts'
import { reportText, type Fate, type ReportRow } from './dropmsg/report.ts'
import { restoreMessage } from './dropmsg/restore.ts'
import { usageError } from './usage.ts'
import { asciiJson, visibleLine } from './wrap.ts'

const defaultKeep = '/var/lib/nodefilter-dropped'

const help = `usage: nodefilter dropmsg {-a USER | -i IP | -s SENDER}... [--do] [--bounce TEXT] [--json]
       nodefilter dropmsg --restore ID... [--do] [--keep DIR]

Shows the messages that wait in Courier's queue and were sent by a user, from an address or by a sender, and notices to
that sender; with --do, drops them: Courier delivers no more of them, and tells nobody. Each option may be given more
than once, and a message is meant if any of all matches. A copy of each is kept, and --restore sends it again.

  -a, --user USER      messages whose sender logged in by SMTP AUTH as USER
  -i, --ip IP          messages that a client brought from this address
  -s, --sender SENDER  messages of this envelope sender, and notices (of the null sender) with this recipient; upper and
                       lower case differ before the @ and not after it; <> is the null sender
      --do             act; without it nothing is changed
      --bounce TEXT    let Courier return the messages to their senders, with TEXT, instead of telling nobody
      --restore ID     send the kept copy of a message again, to those whom it had not reached, and remove the copy
      --keep DIR       the folder of the copies (default: ${defaultKeep})
      --no-keep        keep no copies
      --queue DIR      Courier's folder (default: what courier-config calls localstatedir)
      --json           the report as one JSON object

What Courier is delivering at this moment may still arrive. A message that waits goes at once; where Courier cannot be
told, which takes root, it goes at its next attempt.
Exit status: 0 done, or nothing to do; 64 wrong usage; 66 no such queue or copy; 73 copies cannot be kept; 75 not all
was done; 77 permission denied.
`

/** What the command does outside of itself. */
export interface DropmsgMachine {
  readonly run: CommandRunner
  readonly submit: (submission: Submission) => Promise<void>
  readonly nowMs: () => number
}

/** The command on this machine. */
export const dropmsgCommand: Command = createDropmsgCommand({ run: runCommand, submit: sendmail, nowMs: Date.now })

/** The command on any machine. */
export function createDropmsgCommand(machine: DropmsgMachine): Command {
  return {
    name: 'dropmsg',
    summary: "take messages of one sender, user or client out of Courier's queue",
    help,
    run: async (args, io) => {
      const options = parseOptions(args, io)
      if (typeof options === 'number') return options
      try {
        return options.restore.length > 0 ? await restore(options, machine, io) : await drop(options, machine, io)
      } catch (thrown) {
        return failed(thrown, io)
      }
    },
  }
}

interface DropmsgOptions {
  readonly criteria: Criteria
  readonly act: boolean
  readonly bounce: string | null
  readonly restore: readonly string[]
  readonly keep: string | null
  readonly queue: string | null
  readonly json: boolean
}

async function drop(options: DropmsgOptions, machine: DropmsgMachine, io: CommandIo): Promise<number> {
  const layout = await findCourier({ env: io.env, run: machine.run })
  const queue = options.queue ?? layout.localstatedir
  if (options.act && options.keep !== null) {
    try {
      openKeep(options.keep)
    } catch (thrown) {
      io.err(
        `${visibleLine(`nodefilter dropmsg: no copies can be kept: ${textOfError(thrown)}; --keep DIR or --no-keep`)}\n`,
      )
      return exitCodes.cantCreate
    }
  }
  const rows: ReportRow[] = []
  const problems: string[] = []
  for await (const paths of queuedMessages(queue)) {
    try {
      const row = meant(paths, options.criteria)
      if (row === null) continue
      if (!options.act) rows.push({ ...row, fate: 'matched' })
      else rows.push(await dropOne(paths, row, options, machine, join(layout.sbindir, 'courier')))
    } catch (thrown) {
      problems.push(`${paths.controlPath}: ${textOfError(thrown)}`)
    }
  }
  const count = (fate: Fate): number => rows.filter((row) => row.fate === fate).length
  if (options.json) io.out(`${asciiJson({ queue, dryRun: !options.act, messages: rows, problems })}\n`)
  else {
    io.out(reportText(rows))
    for (const problem of problems) io.err(`nodefilter dropmsg: ${visibleLine(problem)}\n`)
    const kept = options.keep === null ? '' : `; copies are in ${options.keep}`
    const [dropped, gone] = [count('dropped'), count('gone')]
    if (!options.act) io.out(`${rows.length} found; nothing was changed: use --do to drop them\n`)
    else io.out(`${dropped} dropped${gone > 0 ? `, ${gone} were gone already` : ''}${dropped > 0 ? kept : ''}\n`)
  }
  return count('failed') + problems.length > 0 ? exitCodes.tempFail : exitCodes.ok
}

/** The row of a message that is meant, but for what becomes of it; `null` for any other. */
function meant({ controlPath, dataPath }: QueuedPaths, criteria: Criteria): Omit<ReportRow, 'fate'> | null {
  return withQueuedControl(controlPath, false, (content) => {
    const facts = parseControlFacts([content])
    const reasons = matchReasons(criteria, facts)
    // Courier is done with a message that has no recipient left.
    if (reasons.length === 0 || facts.recipients.length === 0) return null
    return {
      ...{ id: facts.id, sender: facts.sender, user: facts.authUser, ip: facts.clientIp },
      recipientCount: facts.recipients.length,
      recipients: facts.recipients.slice(0, 10).map(({ address }) => address),
      octets: lstatSync(dataPath, { throwIfNoEntry: false })?.size ?? null,
      ...{ reasons, problem: null },
    }
  })
}

async function dropOne(
  paths: QueuedPaths,
  row: Omit<ReportRow, 'fate'>,
  options: DropmsgOptions,
  machine: DropmsgMachine,
  courierProgram: string,
): Promise<ReportRow> {
  const { keep, bounce } = options
  let result: DropResult
  try {
    result = dropMessage(paths, row.id, { keep, bounce, nowMs: machine.nowMs() })
  } catch (thrown) {
    return { ...row, fate: 'failed', problem: textOfError(thrown) }
  }
  if (result === 'gone' || !isQueueId(row.id)) return { ...row, fate: result }
  const { status, stdout, stderr } = await machine.run(courierProgram, ['flush', row.id], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    limitMs: 10_000,
  })
  const why = status === 0 ? null : `goes at its next attempt, since Courier was not told: ${(stderr || stdout).trim()}`
  return { ...row, fate: 'dropped', problem: why }
}

async function restore({ restore, keep, act, json }: DropmsgOptions, machine: DropmsgMachine, io: CommandIo) {
  const folder = keep ?? defaultKeep
  const results: { readonly id: string; readonly recipients: number | null; readonly problem: string | null }[] = []
  let code: number = exitCodes.ok
  for (const id of restore) {
    try {
      if (!act) lstatSync(keptMessage(folder, id).envelopePath)
      const recipients = act ? await restoreMessage(folder, id, machine.submit) : null
      results.push({ id, recipients, problem: null })
    } catch (thrown) {
      const isAbsent = codeOf(thrown) === 'ENOENT'
      if (!isAbsent) code = exitCodes.tempFail
      else if (code === exitCodes.ok) code = exitCodes.noInput
      results.push({ id, recipients: null, problem: isAbsent ? `no copy in ${folder}` : textOfError(thrown) })
    }
  }
  if (json) io.out(`${asciiJson({ keep: folder, dryRun: !act, messages: results })}\n`)
  else {
    for (const { id, recipients, problem } of results) {
      if (problem !== null) io.err(`nodefilter dropmsg: ${id}: ${visibleLine(problem)}\n`)
      else io.out(recipients === null ? `${id}: would be sent again\n` : `${id}: sent again to ${recipients}\n`)
    }
    if (!act) io.out('nothing was changed: use --do to send\n')
  }
  return code
}

function parseOptions(args: readonly string[], io: CommandIo): DropmsgOptions | number {
  const list = { type: 'string', multiple: true, default: [] as string[] } as const
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        ...{ user: { ...list, short: 'a' }, ip: { ...list, short: 'i' }, sender: { ...list, short: 's' } },
        ...{ do: { type: 'boolean', default: false }, bounce: { type: 'string' }, restore: list },
        ...{ keep: { type: 'string' }, 'no-keep': { type: 'boolean', default: false }, queue: { type: 'string' } },
        json: { type: 'boolean', default: false },
      },
    })
    const { user, sender, restore, bounce, keep, queue } = values
    const ips = values.ip.map((text) => canonicalIp(text))
    const wrong = wrongUse()
    return wrong === null
      ? {
          criteria: {
            users: new Set(user),
            ips: new Set(ips.filter((ip) => ip !== null)),
            senders: new Set(sender.map((text) => (text === '<>' ? '' : canonicalAddress(text)))),
          },
          ...{ act: values.do, bounce: bounce ?? null, restore, json: values.json },
          keep: values['no-keep'] ? null : resolve(keep ?? defaultKeep),
          queue: queue === undefined ? null : resolve(queue),
        }
      : usageError(io, 'dropmsg', wrong)

    function wrongUse(): string | null {
      const criteria = user.length + values.ip.length + sender.length
      if (criteria === 0 && restore.length === 0) return 'say what to drop: -a USER, -i IP or -s SENDER'
      if (criteria > 0 && restore.length > 0) return '--restore goes with no -a, -i or -s'
      if ([...user, ...sender].includes('')) return 'an empty USER or SENDER; the null sender is <>'
      const badIp = values.ip.find((_, index) => ips[index] === null)
      if (badIp !== undefined) return `"${visibleLine(badIp)}" is no IP address`
      const badId = restore.find((id) => !isQueueId(id))
      if (badId !== undefined) return `"${visibleLine(badId)}" is no id of a message`
      if (bounce !== undefined && !/^[ -~]{1,200}$/.test(bounce)) return '--bounce: one line of printable ASCII'
      return values['no-keep'] && keep !== undefined ? '--keep and --no-keep' : null
    }
  } catch (thrown) {
    return usageError(io, 'dropmsg', thrown instanceof Error ? thrown.message : String(thrown))
  }
}

function failed(thrown: unknown, io: CommandIo): number {
  io.err(`nodefilter dropmsg: ${visibleLine(textOfError(thrown))}\n`)
  const code = codeOf(thrown)
  if (code === 'EACCES' || code === 'EPERM') return exitCodes.noPerm
  return code === 'ENOENT' || code === 'ENOTDIR' ? exitCodes.noInput : exitCodes.tempFail
}

function textOfError(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
