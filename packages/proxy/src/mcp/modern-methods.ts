import type { WireError } from '../errors.ts'

/** The member of `params` that the `Mcp-Name` header of a method repeats, undefined for the others. */
export function nameSourceOf(method: string): string | undefined {
  return nameSources.get(method)
}

/**
 * Why a Modern client may not ask for a method, undefined when it may: what the era has taken
 * away, and what goes from servers to clients. Methods that nobody knows are the server's to refuse.
 */
export function modernMethodProblem(method: string): WireError | undefined {
  return removed.has(method) ? unknownMethod(method) : undefined
}

/** The refusal of a method that does not exist here. */
export function unknownMethod(method: string): WireError {
  return { name: 'method-unknown', message: `Method not found: ${method.slice(0, 100)}` }
}

const nameSources: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
])

const removed: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
  'roots/list',
  'sampling/createMessage',
  'elicitation/create',
  'tasks/list',
  'tasks/result',
])
