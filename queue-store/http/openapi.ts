/**
 * The HTTP interface of a depot, as an OpenAPI document. The server serves what is written here and nothing else: it finds its
 * routes in it, and checks paths, queries and bodies against it.
 *
 * Plain data. Source: OpenAPI 3.1; RFC 9457 (problems), RFC 9530 (Repr-Digest).
 */
import { schemas } from './openapi-schemas.ts'

const ref = <const N extends keyof typeof schemas>(name: N) =>
  ({ $ref: `#/components/schemas/${name}` as const }) as const

const json = <const N extends keyof typeof schemas>(description: string, name: N) =>
  ({ description, content: { 'application/json': { schema: ref(name) } } }) as const

const order = <const N extends keyof typeof schemas>(name: N, required: boolean) =>
  ({ required, content: { 'application/json': { schema: ref(name) } } }) as const

const problem = { $ref: '#/components/responses/Problem' } as const
/** What every call may be answered with. */
const problems = { '4XX': problem, '5XX': problem } as const

const queue = { name: 'queue', in: 'path', required: true, schema: { type: 'string' } } as const
const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } } as const

const message = {
  description: 'The octets of the message.',
  content: { 'message/rfc822': { schema: {} }, 'application/octet-stream': { schema: {} } },
} as const

/** The document. */
export const openApi = {
  openapi: '3.1.0',
  info: {
    title: 'nodefilter depot',
    version: '1',
    description:
      'Durable queues of messages. A consumer receives a message under a lease, works on it, and acknowledges it; what is not acknowledged is delivered again.',
  },
  paths: {
    '/v1/health': {
      get: {
        operationId: 'health',
        summary: 'Whether the depot can be read',
        parameters: [],
        responses: { '200': json('It can.', 'Health'), ...problems },
      },
    },
    '/v1/openapi.json': {
      get: {
        operationId: 'describe',
        summary: 'This document',
        parameters: [],
        responses: {
          '200': { description: 'The document.', content: { 'application/json': { schema: { type: 'object' } } } },
          ...problems,
        },
      },
    },
    '/v1/queues': {
      get: {
        operationId: 'listQueues',
        summary: 'All queues, with how much is in them',
        parameters: [],
        responses: { '200': json('The queues.', 'QueueList'), ...problems },
      },
    },
    '/v1/queues/{queue}': {
      get: {
        operationId: 'showQueue',
        summary: 'One queue: what is in it, and its settings',
        parameters: [queue],
        responses: { '200': json('The queue.', 'Queue'), ...problems },
      },
    },
    '/v1/queues/{queue}/receive': {
      post: {
        operationId: 'receive',
        summary: 'Takes the next messages, each under a lease',
        parameters: [queue],
        requestBody: order('ReceiveOrder', false),
        responses: { '200': json('The messages; none where none came.', 'Deliveries'), ...problems },
      },
    },
    '/v1/queues/{queue}/requeue': {
      post: {
        operationId: 'requeueAll',
        summary: 'Puts all dead letters, or all buried messages, at the end of the queue',
        parameters: [queue],
        requestBody: order('RequeueOrder', true),
        responses: { '200': json('How many.', 'RequeuedAll'), ...problems },
      },
    },
    '/v1/queues/{queue}/messages': {
      get: {
        operationId: 'peek',
        summary: 'Lists messages without taking them',
        parameters: [
          queue,
          {
            name: 'what',
            in: 'query',
            description: 'live: in the order of the queue. buried and dead: by id.',
            schema: { type: 'string', enum: ['live', 'buried', 'dead'], default: 'live' },
          },
          { name: 'max', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 1000, default: 100 } },
          {
            name: 'after',
            in: 'query',
            description: 'Goes on after the message of this id.',
            schema: { type: 'string' },
          },
        ],
        responses: { '200': json('The messages.', 'Listing'), ...problems },
      },
      post: {
        operationId: 'add',
        summary: 'Adds a message; answered when it is on disk',
        parameters: [
          queue,
          {
            name: 'Nodefilter-Envelope',
            in: 'header',
            description: 'The envelope, as JSON: {"sender":"a@example.com","recipients":["b@example.org"]}',
            schema: { type: 'string' },
          },
          {
            name: 'Nodefilter-Facts',
            in: 'header',
            description: 'An object, as JSON; goes with the message unchanged.',
            schema: { type: 'string' },
          },
          {
            name: 'Nodefilter-Key',
            in: 'header',
            description: 'In a queue with order = key: messages of one key are delivered one after the other.',
            schema: { type: 'string' },
          },
          {
            name: 'Idempotency-Key',
            in: 'header',
            description: 'A further message with this key is not added: the answer names the first one.',
            schema: { type: 'string' },
          },
        ],
        requestBody: { required: true, ...message },
        responses: {
          '200': json('It was added before, under the same idempotency key.', 'Added'),
          '201': json('It is in the queue.', 'Added'),
          ...problems,
        },
      },
    },
    '/v1/queues/{queue}/messages/{id}': {
      get: {
        operationId: 'showMessage',
        summary: 'What is known about a message',
        parameters: [queue, id],
        responses: { '200': json('The message, without its octets.', 'Entry'), ...problems },
      },
      delete: {
        operationId: 'removeMessage',
        summary: 'Removes a message for good, whatever its state',
        parameters: [queue, id],
        responses: { '204': { description: 'It is gone.' }, ...problems },
      },
    },
    '/v1/queues/{queue}/messages/{id}/content': {
      get: {
        operationId: 'readContent',
        summary: 'The octets of a message, as they came',
        parameters: [queue, id],
        responses: {
          '200': {
            ...message,
            headers: { 'Repr-Digest': { description: 'SHA-256 of the octets.', schema: { type: 'string' } } },
          },
          ...problems,
        },
      },
    },
    '/v1/queues/{queue}/messages/{id}/ack': {
      post: {
        operationId: 'ack',
        summary: 'The message is done with',
        parameters: [queue, id],
        requestBody: order('AckOrder', true),
        responses: { '200': json('Settled.', 'Settled'), ...problems },
      },
    },
    '/v1/queues/{queue}/messages/{id}/nack': {
      post: {
        operationId: 'nack',
        summary: 'Lets a message go: it is delivered again, later',
        parameters: [queue, id],
        requestBody: order('NackOrder', true),
        responses: { '200': json('Settled.', 'Settled'), ...problems },
      },
    },
    '/v1/queues/{queue}/messages/{id}/extend': {
      post: {
        operationId: 'extend',
        summary: 'Makes the lease end so many seconds from now',
        parameters: [queue, id],
        requestBody: order('ExtendOrder', true),
        responses: { '204': { description: 'The lease goes on.' }, ...problems },
      },
    },
    '/v1/queues/{queue}/messages/{id}/bury': {
      post: {
        operationId: 'bury',
        summary: 'Puts a message aside, for a person to look at',
        parameters: [queue, id],
        requestBody: order('BuryOrder', true),
        responses: { '200': json('Settled.', 'Settled'), ...problems },
      },
    },
    '/v1/queues/{queue}/messages/{id}/requeue': {
      post: {
        operationId: 'requeueMessage',
        summary: 'Puts a buried or dead message at the end of the queue',
        parameters: [queue, id],
        responses: { '200': json('Whether it was.', 'RequeuedOne'), ...problems },
      },
    },
  },
  components: {
    schemas,
    responses: {
      Problem: {
        description: 'What is wrong.',
        content: { 'application/problem+json': { schema: ref('Problem') } },
      },
    },
    securitySchemes: {
      token: { type: 'http', scheme: 'bearer', description: 'On TCP only; a Unix socket is protected by its mode.' },
    },
  },
  security: [{}, { token: [] }],
} as const

type Paths = (typeof openApi)['paths']

/** The names of the calls. */
export type OperationId = {
  [P in keyof Paths]: {
    [M in keyof Paths[P]]: Paths[P][M] extends { readonly operationId: infer I } ? I : never
  }[keyof Paths[P]]
}[keyof Paths]
