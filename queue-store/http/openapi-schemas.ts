/** The values that go over the depot's HTTP interface, as JSON Schemas of the kind that schema.ts checks. Plain data. */

const count = { type: 'integer', minimum: 0 } as const
const milliseconds = {
  type: 'number',
  description: 'Milliseconds since the epoch, by the clock of the depot.',
} as const
const id = { type: 'string', pattern: '^[1-9][0-9]{0,15}$', description: 'Names a message in its queue.' } as const
const token = {
  type: 'integer',
  minimum: 1,
  description: 'Names a lease: with each delivery of a queue it is a higher one.',
} as const
const facts = {
  type: 'object',
  description: 'What is known about the message: whatever the one who added it wrote.',
  additionalProperties: true,
} as const

const entry = {
  id,
  state: { type: 'string', enum: ['ready', 'held', 'delayed', 'leased', 'buried', 'dead'] },
  key: {
    type: ['string', 'null'],
    description: 'In a queue with order = key: those of one key come one after the other.',
  },
  envelope: { anyOf: [{ type: 'null' }, { $ref: '#/components/schemas/Envelope' }] },
  facts,
  octets: count,
  digest: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the octets.' },
  addedMs: milliseconds,
  deliveries: { ...count, description: 'How often it was delivered since it was added, or last requeued.' },
  dueMs: { type: ['number', 'null'], description: 'When its lease or its delay ends.' },
  reason: { type: ['string', 'null'], description: 'What was last said about a failure.' },
} as const

const counts = {
  ready: count,
  held: { ...count, description: 'Waiting for an earlier one of their key.' },
  delayed: count,
  leased: count,
  buried: count,
  dead: count,
  octets: count,
  oldestMs: { type: ['number', 'null'], description: 'Age in milliseconds of the oldest that is not buried or dead.' },
} as const

const settings = {
  order: { type: 'string', enum: ['strict', 'key', 'none'] },
  maxDeliveries: { type: 'integer', minimum: 1 },
  firstRetrySeconds: { type: 'number', minimum: 0 },
  retryFactor: { type: 'number', minimum: 1 },
  maxRetrySeconds: { type: 'number', minimum: 0 },
  rememberSeconds: { type: 'number', minimum: 0 },
} as const

/** An object with all of these properties and no other. */
function exactly<const P extends Readonly<Record<string, unknown>>>(properties: P) {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false } as const
}

/** An object with some of these properties and no other. */
function among<const P extends Readonly<Record<string, unknown>>>(
  properties: P,
  required: readonly (keyof P & string)[],
) {
  return { type: 'object', properties, required, additionalProperties: false } as const
}

const leaseSeconds = { type: 'number', minimum: 0.001, maximum: 2_592_000, default: 60 } as const
const reason = { type: 'string', maxLength: 1000 } as const

/** `#/components/schemas/NAME`. */
export const schemas = {
  Health: exactly({
    status: { type: 'string', enum: ['ok'] },
    waiting: { ...count, description: 'Clients that wait for a message at this moment.' },
  }),
  Envelope: exactly({
    sender: { type: ['string', 'null'], description: 'null is the null sender.' },
    recipients: { type: 'array', items: { type: 'string' } },
  }),
  Facts: facts,
  Entry: exactly(entry),
  Delivery: exactly({ ...entry, queue: { type: 'string' }, token }),
  Counts: exactly(counts),
  Queue: exactly({
    name: { type: 'string' },
    counts: { $ref: '#/components/schemas/Counts' },
    settings: exactly(settings),
  }),
  QueueList: exactly({
    queues: {
      type: 'array',
      items: exactly({ name: { type: 'string' }, counts: { $ref: '#/components/schemas/Counts' } }),
    },
  }),
  ReceiveOrder: among(
    {
      max: { type: 'integer', minimum: 1, maximum: 1000, default: 1 },
      leaseSeconds,
      waitSeconds: {
        ...{ type: 'number', minimum: 0, maximum: 60, default: 0 },
        description: 'So long to wait for the first message. The wait ends when the client goes.',
      },
    },
    [],
  ),
  Deliveries: exactly({ messages: { type: 'array', items: { $ref: '#/components/schemas/Delivery' } } }),
  Listing: exactly({
    messages: { type: 'array', items: { $ref: '#/components/schemas/Entry' } },
    next: { type: ['string', 'null'], description: 'The `after` of the next page; null where this is the last.' },
  }),
  Added: exactly({
    id,
    isNew: {
      type: 'boolean',
      description: 'false where the idempotency key was known: the id is that of the message then added.',
    },
  }),
  AckOrder: among(
    {
      token,
      moveTo: {
        ...among({ queue: { type: 'string' }, facts }, ['queue']),
        description: 'The message goes on into another queue, in the same transaction.',
      },
    },
    ['token'],
  ),
  NackOrder: among(
    {
      token,
      delaySeconds: {
        ...{ type: 'number', minimum: 0, maximum: 31_622_400 },
        description: "Otherwise the queue's growing delay.",
      },
      reason,
    },
    ['token'],
  ),
  ExtendOrder: among({ token, leaseSeconds }, ['token']),
  BuryOrder: among({ token, reason }, ['token', 'reason']),
  Settled: exactly({
    settled: {
      ...{ type: 'string', enum: ['done', 'gone'] },
      description:
        'done: this call, or an earlier one with the same token, did it. gone: the message is no longer there.',
    },
  }),
  RequeueOrder: exactly({ what: { type: 'string', enum: ['buried', 'dead'] } }),
  RequeuedOne: exactly({ requeued: { type: 'boolean', description: 'false where it is neither buried nor dead.' } }),
  RequeuedAll: exactly({ requeued: count }),
  Problem: {
    type: 'object',
    description: 'RFC 9457. `code` is for programs: it never changes its meaning.',
    properties: {
      type: { type: 'string' },
      title: { type: 'string' },
      status: { type: 'integer', minimum: 400, maximum: 599 },
      detail: { type: 'string' },
      code: { type: 'string', pattern: '^[A-Z][A-Z_]*$' },
    },
    required: ['type', 'title', 'status', 'detail', 'code'],
    additionalProperties: false,
  },
} as const
