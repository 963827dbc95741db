/** Runs servers that try what a test tells them: `test/fixtures/mcp-servers/hostile-server.mjs`. */
import { expect } from 'vitest'
import type { World } from './harness.ts'

/** What an attempt came to. */
export interface Outcome {
  done?: unknown
  failed?: string
}

export type Attempt = (what: string, how?: Record<string, unknown>) => Promise<Outcome>

/** A service of this machine that a profile names is reached in the three ways there are. */
export async function expectNamedService(attempt: Attempt, port: number): Promise<void> {
  expect(await attempt('talk', { host: 'localhost', port })).toEqual({ done: expect.stringContaining('200') })
  expect(await attempt('get', { url: `http://localhost:${port}/` })).toEqual({ done: `service for localhost:${port}` })
  expect(await attempt('tunnel', { authority: `localhost:${port}` })).toEqual({ done: 'open' })
}

/** Runs a workload with the words of `thv run` and resolves to what lets its server try things. */
export async function runHostile(world: World, name: string, words: string[]): Promise<Attempt> {
  await world.ok('run', '--name', name, ...words)
  const url = (await world.list()).find((workload) => workload.name === name)!.url
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  }
  let id = 0
  const post = async (method: string, params: unknown): Promise<Response> => {
    id += 1
    return await fetch(url, { method: 'POST', headers, body: JSON.stringify({ jsonrpc: '2.0', id, method, params }) })
  }
  const clientInfo = { name: 'escape', version: '1' }
  const opened = await post('initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo })
  headers['mcp-session-id'] = opened.headers.get('mcp-session-id') ?? ''
  headers['mcp-protocol-version'] = '2025-06-18'
  return async (what, how = {}) => {
    const response = await post('tools/call', { name: 'attempt', arguments: { what, ...how } })
    const text = (await response.text()).replace(/^[\s\S]*?data: (?=\{"jsonrpc)/, '')
    const answer: { result: { content: { text: string }[] } } = JSON.parse(text)
    return JSON.parse(answer.result.content[0]!.text) as Outcome
  }
}
