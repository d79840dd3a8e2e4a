/**
 * Tries filters on a message: all of a queue's must match, one of the reject filters is enough.
 *
 * Nothing that a message contains makes this fail or take long: expressions run in time linear in the text, texts come in
 * windows, and the event loop turns between them.
 * Source: spec postoffice 2.3 and 3.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { openBodyText, type BodyLimits, type BodyText, type TextWindow } from './body-text.ts'
import { fieldTexts } from './header-text.ts'
import type { IncomingMessage } from './incoming.ts'
import { addressesNamed, indexHosts, matchHostname, recipientAddresses, type HostIndex } from './to-hostname.ts'
import type { Expression, ExpressionFilter, PostofficeFilter, QueueRules } from './types.ts'

/** A message while filters are tried on it. */
export interface Candidate {
  readonly message: IncomingMessage
  /** `null` where the message is over the size limit: its body is not looked at. */
  readonly body: BodyText | null
  /** Body filters that found no body. */
  bodyMissed: number
  /** The texts of the header fields, made when first asked for. */
  headerTexts: readonly TextWindow[] | null
  /** The addresses under each name that some filter asked for. */
  readonly hosts: Map<string, HostIndex>
  readonly pace: Pace
}

/** Lets others have their turn. */
export interface Pace {
  readonly signal: AbortSignal | null
  turnedAtMs: number
}

/** A thread that does not turn for a quarter of a second gets no more messages; one window may take some of it. */
const turnMs = 20

/** Makes a candidate. `isOversize`: see `Candidate.body`. Errors: none. */
export function openCandidate(
  message: IncomingMessage,
  { limits, isOversize, signal }: { limits: BodyLimits; isOversize: boolean; signal: AbortSignal | null },
): Candidate {
  return {
    message,
    body: isOversize ? null : openBodyText(message, limits),
    bodyMissed: 0,
    headerTexts: null,
    hosts: new Map(),
    pace: { signal, turnedAtMs: performance.now() },
  }
}

/**
 * What of this message the filter matches, as a text for log lines; `null`: nothing.
 * Errors: those of `IncomingMessage`, and the signal's reason.
 */
export async function matchFilter(filter: PostofficeFilter, candidate: Candidate): Promise<string | null> {
  switch (filter.kind) {
    case 'to_hostname': {
      const found = matchHostname(filter, (header) => hostsUnder(header, candidate))
      return found === null ? null : `${filter.kind}: ${found.address} matches ${found.host.written}`
    }
    case 'header_regexp':
    case 'header_regexp_file': {
      const found = await matchHeader(filter, candidate)
      return found === null ? null : `${filter.kind}: headers match ${JSON.stringify(found.source)}`
    }
    case 'body_regexp':
    case 'body_regexp_file': {
      const found = await matchBody(filter, candidate)
      return found === null ? null : `${filter.kind}: body matches ${JSON.stringify(found.source)}`
    }
  }
}

/** The first filter that matches, and what of the message; `null`: none. Errors: as `matchFilter`. */
export async function matchAny(
  filters: readonly PostofficeFilter[],
  candidate: Candidate,
): Promise<{ readonly filter: PostofficeFilter; readonly text: string } | null> {
  for (const filter of filters) {
    await breathe(candidate.pace)
    const text = await matchFilter(filter, candidate)
    if (text !== null) return { filter, text }
  }
  return null
}

/** What matched, filter by filter; `null` where one does not, or where the queue has none. Errors: as `matchFilter`. */
export async function matchQueue(
  { filters }: Pick<QueueRules, 'filters'>,
  candidate: Candidate,
): Promise<readonly string[] | null> {
  const texts: string[] = []
  for (const filter of filters) {
    await breathe(candidate.pace)
    const text = await matchFilter(filter, candidate)
    if (text === null) return null
    texts.push(text)
  }
  return texts.length === 0 ? null : texts
}

function hostsUnder(header: string, { message, hosts }: Candidate): HostIndex {
  let index = hosts.get(header)
  if (index === undefined) {
    const isEnvelope = header === 'envelope'
    index = indexHosts(
      isEnvelope ? recipientAddresses(message.envelope?.recipients ?? []) : addressesNamed(message.header, header),
    )
    hosts.set(header, index)
  }
  return index
}

async function matchHeader(filter: ExpressionFilter, candidate: Candidate): Promise<Expression | null> {
  candidate.headerTexts ??= candidate.message.header.fields.flatMap(fieldTexts)
  for (const window of candidate.headerTexts) {
    const found = await matchText(filter, window, candidate.pace)
    if (found !== null) return found
  }
  return null
}

async function matchBody(filter: ExpressionFilter, candidate: Candidate): Promise<Expression | null> {
  if (candidate.body === null) {
    candidate.bodyMissed++
    return null
  }
  for await (const window of candidate.body.windows()) {
    const found = await matchText(filter, window, candidate.pace)
    if (found !== null) return found
  }
  return null
}

async function matchText(
  { expressions, candidates }: ExpressionFilter,
  { text, from, goesOn }: TextWindow,
  pace: Pace,
): Promise<Expression | null> {
  for (const expression of candidates === null ? expressions : candidates(text)) {
    if (expression.test(text, from, goesOn)) return expression
    await breathe(pace)
  }
  return null
}

/** Turns the event loop where it is time. Errors: the signal's reason. */
async function breathe(pace: Pace): Promise<void> {
  if (performance.now() - pace.turnedAtMs < turnMs) return
  await turn()
  pace.signal?.throwIfAborted()
  pace.turnedAtMs = performance.now()
}
