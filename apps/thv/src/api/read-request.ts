import { isThvError, messageOf, ThvError } from '@thv/core'
import type { z } from 'zod'
import type { ApiRoute } from './route.ts'

/** The query of a request, by the schema of its route. Throws `request-invalid`; parameters nobody knows are ignored. */
export function readQuery(route: ApiRoute, queries: Record<string, string[]>): unknown {
  if (route.query === undefined) return {}
  // Of several values the first counts, as in the reference.
  const first = Object.fromEntries(Object.entries(queries).map(([name, values]) => [name, values[0]]))
  return check(route.query, first, 'the query')
}

/** The body of a request, by the schema of its route. Throws `request-invalid`, `request-too-large`. */
export async function readBody(route: ApiRoute, request: Request, maxBytes: number): Promise<unknown> {
  if (route.body === undefined) return undefined
  const text = await readText(request, maxBytes)
  if (text === '' && route.bodyIsOptional === true) return check(route.body, {}, 'the body')
  return check(route.body, parseJson(text), 'the body')
}

/** Throws `request-too-large` for a body above the limit. */
export function assertSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return
  throw new ThvError('request-too-large', `the body has more than ${maxBytes} bytes`, { hint: 'send less' })
}

/** Not `text()`: a body that comes in chunks does not say how long it will be. */
async function readText(request: Request, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of request.body ?? []) {
      length += chunk.length
      assertSize(length, maxBytes)
      chunks.push(chunk)
    }
  } catch (error) {
    if (isThvError(error)) throw error
    // The client has left, or never meant to send it all: no fault of the server.
    throw invalid(`the body broke off: ${messageOf(error)}`, error)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    // To encoders of other languages a member that is null says nothing.
    return JSON.parse(text, (_key, value: unknown) => (value === null ? undefined : value))
  } catch (error) {
    // Not the parser's words: they repeat a piece of the body, which may be a secret.
    throw invalid(error instanceof RangeError ? 'the body is nested too deeply' : 'the body is not JSON', error)
  }
}

function check(schema: z.ZodType, value: unknown, what: string): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const problems = result.error.issues.map(({ path, message }) => [...path.map(String), message].join(': '))
  throw invalid(`${what} is not as it should be: ${problems.join('; ')}`, result.error)
}

function invalid(message: string, cause: unknown): ThvError {
  return new ThvError('request-invalid', message, { hint: "compare it with 'thv serve --openapi' at /api/doc", cause })
}
