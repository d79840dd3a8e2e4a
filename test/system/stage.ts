/** Courier, alone or with the package beside it, ready to be started: what tests and measurements on a real Courier begin with. */
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  cleanSpool,
  configureCourier,
  courier,
  installCourier,
  setFiltered,
  startCourier,
  stopCourier,
} from './courier-server.ts'
import { installPackage, type Installation } from './install.ts'
import { openMaildir, type Maildir } from './maildir.ts'

/** What the host is told. */
export interface StageConfiguration {
  /** Lines of `filters.conf`. */
  readonly list: readonly string[]
  /** Further lines of `nodefilter.conf`, sections and all. */
  readonly settings?: readonly string[]
}

/** Courier, stopped, with an empty queue. */
export interface BareStage {
  readonly maildir: Maildir
  /** Stops Courier, and takes away all mail. */
  close(): Promise<void>
}

/** Courier and an installation of the package. */
export interface CourierStage extends BareStage {
  readonly nodefilter: Installation
  /** A file in the folder of the configuration. */
  readonly conf: (name: string) => string
  /** Writes the configuration; the filters of the folder `filters` here are among those that it finds. */
  configure(configuration: StageConfiguration): void
  /** Takes the host into Courier, which runs; mail is filtered when it resolves. */
  enable(): Promise<void>
  /** All three: configures, starts Courier, and enables. */
  serve(configuration: StageConfiguration): Promise<void>
}

/** Installs what is missing, and takes away what an earlier run left. */
export async function openBareStage(): Promise<BareStage> {
  await installCourier()
  await stopCourier()
  await configureCourier()
  cleanSpool()
  const maildir = openMaildir(courier.maildir)
  maildir.empty()
  return {
    maildir,
    close: async () => {
      await stopCourier()
      cleanSpool()
      maildir.empty()
    },
  }
}

/** As `openBareStage`, with the package; a run that was cut short may have left it enabled. */
export async function openCourierStage(): Promise<CourierStage> {
  const bare = await openBareStage()
  const nodefilter = await installPackage()
  await nodefilter.run(['courier', 'disable'])
  cpSync(join(import.meta.dirname, 'filters'), nodefilter.filterDirectory, { recursive: true })
  const conf = (name: string): string => join(nodefilter.configDirectory, name)
  const configure = ({ list, settings = [] }: StageConfiguration): void => {
    const write = (name: string, lines: readonly string[]): void =>
      writeFileSync(conf(name), lines.map((line) => `${line}\n`).join(''))
    write('filters.conf', list)
    const filterPath = ['[chain]', `filter_path = ${nodefilter.filterDirectory}`]
    write('nodefilter.conf', ['[host]', `state_dir = ${nodefilter.stateDirectory}`, ...filterPath, ...settings])
  }
  const enable = async (): Promise<void> => {
    const { status, output } = await nodefilter.run(['courier', 'enable', '-c', nodefilter.configDirectory])
    if (status !== 0) throw new Error(`nodefilter could not be enabled: ${output}`)
  }
  return {
    ...{ nodefilter, conf, configure, enable, maildir: bare.maildir },
    serve: async (configuration) => {
      configure(configuration)
      await startCourier()
      await enable()
    },
    close: async () => {
      setFiltered('esmtp')
      await nodefilter.run(['courier', 'disable'])
      await bare.close()
    },
  }
}
