/**
 * Which call a request means: found in the document, with the parameters of its path and its query.
 *
 * Pure.
 */
import { openApi, type OperationId } from './openapi.ts'
import { HttpProblem } from './problem.ts'
import { faultOf, resolved, type Named, type Schema } from './schema.ts'

/** The schemas of the document by name. */
export const named: Named = openApi.components.schemas

/** A call that a request means. */
export interface Route {
  readonly operationId: OperationId
  /** Of the path, decoded. */
  readonly path: Readonly<Record<string, string>>
  /** Of the query, checked; with their defaults. */
  readonly query: Readonly<Record<string, string | number>>
  /** What its body has to be; `null` where it has none, or it is a message. */
  readonly body: { readonly schema: Schema; readonly isRequired: boolean } | null
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly schema: Schema
}

interface Operation {
  readonly operationId: OperationId
  readonly parameters: readonly Parameter[]
  readonly requestBody?: {
    readonly required: boolean
    readonly content: Readonly<Record<string, { readonly schema: Schema }>>
  }
}

/** The document's paths, each with its parts, and its calls by method. */
const table = Object.entries(openApi.paths as Readonly<Record<string, Readonly<Record<string, Operation>>>>).map(
  ([path, calls]) => ({
    parts: path.split('/'),
    calls: new Map(Object.entries(calls).map(([method, operation]) => [method.toUpperCase(), operation])),
  }),
)

/** The call of a request. Errors: ROUTE_UNKNOWN, METHOD_WRONG, REQUEST_MALFORMED. */
export function routeOf(method: string, url: string): Route {
  const at = url.indexOf('?')
  const parts = (at < 0 ? url : url.slice(0, at)).split('/')
  for (const { parts: pattern, calls } of table) {
    const path = matched(pattern, parts)
    if (path === null) continue
    const operation = calls.get(method)
    if (operation === undefined) {
      const allow = [...calls.keys()].join(', ')
      throw new HttpProblem('METHOD_WRONG', `here is only ${allow}`, { allow })
    }
    const body = operation.requestBody
    const schema = body?.content['application/json']?.schema
    return {
      operationId: operation.operationId,
      path,
      query: queryOf(operation.parameters, at < 0 ? '' : url.slice(at + 1)),
      body: body === undefined || schema === undefined ? null : { schema, isRequired: body.required },
    }
  }
  throw new HttpProblem('ROUTE_UNKNOWN', 'there is nothing; GET /v1/openapi.json tells what there is')
}

function matched(pattern: readonly string[], parts: readonly string[]): Record<string, string> | null {
  if (pattern.length !== parts.length) return null
  const path: Record<string, string> = {}
  for (const [index, part] of pattern.entries()) {
    const given = parts[index] ?? ''
    if (!part.startsWith('{')) {
      if (part !== given) return null
      continue
    }
    if (given === '') return null
    path[part.slice(1, -1)] = decoded(given)
  }
  return path
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new HttpProblem('REQUEST_MALFORMED', 'the path is not percent-encoded UTF-8')
  }
}

function queryOf(parameters: readonly Parameter[], text: string): Record<string, string | number> {
  const known = new Map(parameters.filter((one) => one.in === 'query').map((one) => [one.name, one]))
  const query: Record<string, string | number> = {}
  for (const { name, schema } of known.values()) {
    const otherwise = schema['default']
    if (typeof otherwise === 'string' || typeof otherwise === 'number') query[name] = otherwise
  }
  const seen = new Set<string>()
  for (const [name, given] of new URLSearchParams(text)) {
    const parameter = known.get(name)
    if (parameter === undefined) throw malformed(`there is no ${JSON.stringify(name.slice(0, 100))} in a query here`)
    if (seen.has(name)) throw malformed(`${name} stands twice in the query`)
    seen.add(name)
    const isNumber = resolved(parameter.schema, named)['type'] === 'integer' && /^-?[0-9]{1,16}$/.test(given)
    const value = isNumber ? Number(given) : given
    const fault = faultOf(parameter.schema, value, named, name)
    if (fault !== null) throw malformed(`in the query, ${fault}`)
    query[name] = value
  }
  return query
}

function malformed(detail: string): HttpProblem {
  return new HttpProblem('REQUEST_MALFORMED', detail)
}
