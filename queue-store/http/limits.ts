/** What of everything a client may have. Plain data. */

/** Limits of the server; each can be set otherwise. */
export interface HttpLimits {
  /** Connections at the same time. */
  readonly connections: number
  /** Clients that wait for a message at the same time; fewer than connections, so that others are still heard. */
  readonly waiting: number
  /** Requests in hand at the same time on all connections that add a message. */
  readonly uploads: number
  readonly headerOctets: number
  readonly jsonOctets: number
  /** Of a message that is added. */
  readonly messageOctets: number
  /** For the header section of a request. */
  readonly headersMs: number
  /** For a body of JSON, whole. */
  readonly jsonMs: number
  /** For a message that is added, whole. */
  readonly uploadMs: number
  /** A connection on which nothing moves for so long is closed, unless its client waits for a message. */
  readonly idleMs: number
  /** Between two requests of a connection. */
  readonly keepAliveMs: number
  /** What is in hand when the server is closed may take so long. */
  readonly graceMs: number
}

/** What holds where nothing else is said. */
export const httpLimits: HttpLimits = {
  connections: 256,
  waiting: 128,
  uploads: 32,
  headerOctets: 64 * 1024,
  jsonOctets: 1024 * 1024,
  messageOctets: 2 ** 30,
  headersMs: 10_000,
  jsonMs: 10_000,
  uploadMs: 3_600_000,
  idleMs: 30_000,
  keepAliveMs: 15_000,
  graceMs: 5000,
}
