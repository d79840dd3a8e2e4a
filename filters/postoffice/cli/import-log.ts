/** What an import tells on standard error: classic lines or JSON, and how far it is. */
import { asciiJson } from '../../../courier-compat/ascii-json.ts'
import type { ImportLog } from '../import/importer.ts'
import { classicLine, forLog } from '../reasons.ts'
import type { CommandIo } from './command.ts'
import { told } from './exit-code.ts'

/** How it is told. */
export interface ImportLogOptions {
  /** Lines that inform, besides warnings. */
  readonly isVerbose: boolean
  readonly isJson: boolean
  /** A line about progress each second; on a terminal it is written over. */
  readonly hasProgress: boolean
}

/** The log of an import. */
export interface CommandLog extends ImportLog {
  tell(level: 'info' | 'warn' | 'error', event: string, text: string, more?: { readonly [name: string]: unknown }): void
  /** Removes the line about progress. */
  endProgress(): void
}

const progressMs = 1000

/** Opens it. */
export function openImportLog(io: CommandIo, { isVerbose, isJson, hasProgress }: ImportLogOptions): CommandLog {
  const startedMs = io.now()
  let [shownMs, hasLine] = [startedMs, false]
  const endProgress = (): void => {
    if (hasLine) io.err('\r\x1b[K')
    hasLine = false
  }
  const write = (level: string, event: string, text: string, more: { readonly [name: string]: unknown }): void => {
    endProgress()
    const nowMs = io.now()
    if (isJson) io.err(`${asciiJson({ time: new Date(nowMs).toISOString(), level, event, text, ...more })}\n`)
    else io.err(`${classicTime(nowMs)} ${level === 'warn' ? 'WARNING' : level.toUpperCase()} postoffice ${text}\n`)
  }
  const tell: CommandLog['tell'] = (level, event, text, more = {}) => {
    if (level !== 'info' || isVerbose) write(level, event, forLog(text, 2000), more)
  }
  return {
    tell,
    endProgress,
    message: (line, file) => {
      if (line.level === 'info' && !isVerbose) return
      const text = isJson ? line.text : classicLine(line)
      write(line.level, line.event, text, { file: forLog(file), ...line.message })
    },
    failure: (file, error, isPutAway) => {
      const name = forLog(file)
      const what = isPutAway ? 'is put away in the folder .failed' : 'stays for another try'
      tell('error', isPutAway ? 'put-away' : 'failed', `${name} ${what}: ${told(error)}`, { file: name })
    },
    unusable: (count) => {
      tell('error', 'unusable', `Files whose names are not UTF-8 are left where they are: ${count}`)
    },
    progress: (done, total) => {
      const nowMs = io.now()
      if (!hasProgress || nowMs - shownMs < progressMs) return
      const rate = Math.round((done * 1000) / Math.max(nowMs - startedMs, 1))
      const text = `${done} of ${total} messages, ${rate}/s`
      shownMs = nowMs
      if (isJson) write('info', 'progress', text, { done, total })
      else if (io.isErrTty) {
        io.err(`\r${text}\x1b[K`)
        hasLine = true
      } else io.err(`${text}\n`)
    },
  }
}

/** As repoze.postoffice writes it: local time, milliseconds behind a comma. */
function classicTime(ms: number): string {
  const at = new Date(ms)
  const two = (number: number): string => String(number).padStart(2, '0')
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
  return `${day} ${time},${String(at.getMilliseconds()).padStart(3, '0')}`
}
