import { z } from 'zod'
import { errorHeaders } from './problem.ts'
import type { AnswerSpec, ApiRoute } from './route.ts'

/** A document of OpenAPI 3.1. */
export type OpenApiDocument = Record<string, unknown>

const componentPath = '#/components/schemas/'

/** Schemas as a client sends them. That a number is one JavaScript can hold goes without saying. */
const drawing: Parameters<typeof z.toJSONSchema>[1] = {
  io: 'input',
  override: ({ jsonSchema }) => {
    if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
    if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
  },
}

/** The document of some routes, made of nothing but what they are served by. */
export function buildOpenApi(routes: readonly ApiRoute[]): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'thv',
      version: 'v1beta',
      description: 'Runs MCP servers behind a supervised proxy. Errors are texts; their codes stand in a header.',
    },
    paths,
    components: { schemas: componentSchemas(), responses: { Problem: problem }, headers: headerComponents },
  }
}

function operationOf(route: ApiRoute): Record<string, unknown> {
  const answers = Object.entries(route.answers).map(([status, answer]) => [status, responseOf(answer)])
  const problems = [...route.errors, 'default'].map((status) => [status, { $ref: '#/components/responses/Problem' }])
  const parameters = [...pathParameters(route), ...queryParameters(route), ...headerParameters(route)]
  return {
    operationId: operationId(route),
    tags: [route.tag],
    summary: route.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined ? {} : { requestBody: requestBody(route, route.body) }),
    responses: Object.fromEntries([...answers, ...problems]),
  }
}

/** `POST /api/v1beta/workloads/{name}/stop` is `postWorkloadsByNameStop`. */
function operationId({ method, path }: ApiRoute): string {
  const words = path
    .replace('/api/v1beta', '')
    .replaceAll('{', 'by-')
    .split(/[^a-zA-Z0-9]+/)
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
}

function pathParameters({ path }: ApiRoute): unknown[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => {
    return { name, in: 'path', required: true, schema: { type: 'string' } }
  })
}

function queryParameters({ query }: ApiRoute): unknown[] {
  return Object.entries(query?.shape ?? {}).map(([name, field]) => {
    const { $schema: _dialect, description, ...schema } = z.toJSONSchema(field, drawing)
    return { name, in: 'query', ...(description === undefined ? {} : { description }), schema }
  })
}

function headerParameters({ headers }: ApiRoute): unknown[] {
  return Object.entries(headers ?? {}).map(([name, description]) => {
    return { name, in: 'header', description, schema: { type: 'string' } }
  })
}

function requestBody(route: ApiRoute, body: z.ZodType): unknown {
  const content = { 'application/json': { schema: schemaOf(body) } }
  return route.bodyIsOptional === true ? { content } : { required: true, content }
}

function responseOf({ description, schema, contentType = 'application/json', ...answer }: AnswerSpec): unknown {
  const headers = [
    ...(answer.isOperation === true ? [[operationHeader, { $ref: '#/components/headers/Operation' }]] : []),
    ...Object.entries(answer.headers ?? {}).map(([name, says]) => [
      name,
      { description: says, schema: { type: 'string' } },
    ]),
  ]
  return {
    description,
    ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) }),
    ...(schema === undefined ? {} : { content: { [contentType]: { schema: schemaOf(schema) } } }),
  }
}

function schemaOf(schema: z.ZodType): unknown {
  const id = z.globalRegistry.get(schema)?.id
  if (id !== undefined) return { $ref: `${componentPath}${id}` }
  const { $schema: _dialect, ...plain } = z.toJSONSchema(schema, drawing)
  return plain
}

function componentSchemas(): Record<string, unknown> {
  const { schemas } = z.toJSONSchema(z.globalRegistry, { ...drawing, uri: (id) => `${componentPath}${id}` })
  const ids = Object.keys(schemas).sort()
  const plain = ids.map((name) => {
    const { $schema: _dialect, $id: _address, id: _own, ...schema } = schemas[name] ?? {}
    return [name, schema]
  })
  return Object.fromEntries(plain)
}

/** Name of the header that tells which operation goes on behind an answer. */
export const operationHeader = 'X-Thv-Operation-Id'

const headerComponents = {
  Operation: { description: 'What goes on behind this answer', schema: { type: 'string' } },
  ErrorCode: { description: 'A code that is never renamed', schema: { type: 'string' } },
  ErrorHint: { description: 'What to do, percent-encoded', schema: { type: 'string' } },
}

const problem = {
  description: 'What went wrong, in one sentence; nothing but a general one for a fault of the server',
  headers: {
    [errorHeaders.code]: { $ref: '#/components/headers/ErrorCode' },
    [errorHeaders.hint]: { $ref: '#/components/headers/ErrorHint' },
  },
  content: { 'text/plain': { schema: { type: 'string' } } },
}
