/** A result object as the server sent it. */
export type McpResult = Record<string, unknown>

/**
 * A Standard Schema that accepts every result, so that fields the SDK does not know
 * survive. The SDK has already checked the JSON-RPC envelope.
 */
export const anyResult: AnyResultSchema = {
  '~standard': {
    version: 1,
    vendor: 'thv',
    validate: (value: unknown): { value: McpResult } => ({ value: isObject(value) ? value : {} }),
  },
}

interface AnyResultSchema {
  '~standard': {
    version: 1
    vendor: string
    validate: (value: unknown) => { value: McpResult }
    types?: { input: McpResult; output: McpResult }
  }
}

function isObject(value: unknown): value is McpResult {
  return typeof value === 'object' && value !== null
}
