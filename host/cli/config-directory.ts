/** The folder of configuration where the command line names none. */
import { configDirectories, findConfigDirectory } from '../config/read.ts'
import { findCourier } from './courier/layout.ts'

/** The first that exists of the usual folders, Courier's own the last; `null` where there is none. */
export async function usualConfigDirectory(env: NodeJS.ProcessEnv): Promise<string | null> {
  const courier = await findCourier({ env })
  return findConfigDirectory(configDirectories(courier.found ? courier.sysconfdir : null))
}
