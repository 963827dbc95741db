import type { Middleware } from '../../middleware.ts'
import { param } from '../../mcp/message.ts'

/** Hears of each call of a tool. */
export interface ToolCallCounter {
  countToolCall(tool: string): void
}

/** Counts calls of tools for the metrics of this proxy. Nothing is sent anywhere. */
export function createUsageMetrics(counter: ToolCallCounter): Middleware {
  return {
    name: 'usagemetrics',
    fromClient(message) {
      if (message.method === 'tools/call') {
        const name = param(message, 'name')
        counter.countToolCall(typeof name === 'string' ? name : '')
      }
      return { message }
    },
  }
}
