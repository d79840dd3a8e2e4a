/** Keeps the metrics server where the configuration says. Mail is never disturbed by it: what fails is logged. */
import { listenAddressText, type ListenAddress } from '../config/listen-address.ts'
import type { Platform } from '../platform/platform.ts'
import type { MetricsEvents } from './metrics-events.ts'
import { openMetricsServer, type MetricsServer, type MetricsSource } from './metrics-server.ts'

/** The one server, on one address or none. */
export interface MetricsListener {
  /** Moves it; where it listens there already nothing happens. Never rejects. Must not be called twice at a time. */
  listenOn(address: ListenAddress | null): Promise<void>
  close(): void
}

/** A listener that does not listen yet. */
export function createMetricsListener(
  source: MetricsSource,
  platform: Pick<Platform, 'clock' | 'files'>,
  log: MetricsEvents,
): MetricsListener {
  let current: { readonly name: string; readonly server: MetricsServer } | null = null
  let isClosed = false
  const close = (): void => {
    current?.server.close()
    current = null
  }
  return {
    listenOn: async (address) => {
      const name = address === null ? null : listenAddressText(address)
      if (name === (current?.name ?? null)) return
      close()
      if (address === null || name === null) return
      try {
        const server = await openMetricsServer(address, source, platform, log)
        // The host may have been stopped meanwhile.
        if (isClosed) server.close()
        else current = { name, server }
      } catch (thrown) {
        log.failed(name, thrown instanceof Error ? thrown.message : String(thrown))
      }
    },
    close: () => {
      isClosed = true
      close()
    },
  }
}
