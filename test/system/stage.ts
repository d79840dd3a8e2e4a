/** Courier with the package beside it, ready to be started: what every test and measurement on a real Courier begins with. */
import {
  cleanSpool,
  configureCourier,
  courier,
  installCourier,
  setFiltered,
  startCourier,
  stopCourier,
} from './courier-server.ts'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installPackage, type Installation } from './install.ts'
import { openMaildir, type Maildir } from './maildir.ts'

/** What the host is told. */
export interface StageConfiguration {
  /** Lines of `filters.conf`. */
  readonly list: readonly string[]
  /** Further lines of `nodefilter.conf`, sections and all. */
  readonly settings?: readonly string[]
}

/** The stage. */
export interface CourierStage {
  readonly nodefilter: Installation
  readonly maildir: Maildir
  /** Starts Courier and takes the host into it; mail is filtered when it resolves. */
  serve(configuration: StageConfiguration): Promise<void>
  /** Takes all of it down again. */
  close(): Promise<void>
}

/** Installs what is missing, and takes away what an earlier run left. */
export async function openCourierStage(): Promise<CourierStage> {
  await installCourier()
  await stopCourier()
  await configureCourier()
  const nodefilter = await installPackage()
  await nodefilter.run(['courier', 'disable'])
  cleanSpool()
  const maildir = openMaildir(courier.maildir)
  maildir.empty()
  return {
    ...{ nodefilter, maildir },
    serve: async ({ list, settings = [] }) => {
      const write = (name: string, lines: readonly string[]): void =>
        writeFileSync(join(nodefilter.configDirectory, name), lines.map((line) => `${line}\n`).join(''))
      write('filters.conf', list)
      const filterPath = ['[chain]', `filter_path = ${nodefilter.filterDirectory}`]
      write('nodefilter.conf', ['[host]', `state_dir = ${nodefilter.stateDirectory}`, ...filterPath, ...settings])
      await startCourier()
      const { status, output } = await nodefilter.run(['courier', 'enable', '-c', nodefilter.configDirectory])
      if (status !== 0) throw new Error(`nodefilter could not be enabled: ${output}`)
    },
    close: async () => {
      setFiltered('esmtp')
      await nodefilter.run(['courier', 'disable'])
      await stopCourier()
      cleanSpool()
      maildir.empty()
    },
  }
}
