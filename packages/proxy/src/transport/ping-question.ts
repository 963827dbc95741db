import type { OwnQuestion } from './ask-following.ts'

/** In whose name a server is asked: `nobody` is a session that it cannot know, a `newcomer` has none. */
export type Asker = 'nobody' | 'newcomer'

/**
 * A `ping` that shows whether a Streamable HTTP server lives. A server with sessions is asked as `nobody`: for a
 * `newcomer` some begin a session with each question, and keep it.
 */
export function pingQuestion(asker: Asker): Pick<OwnQuestion, 'method' | 'headers' | 'body'> {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  return {
    method: 'POST',
    headers: asker === 'nobody' ? { ...headers, 'mcp-session-id': 'thv-health-check' } : headers,
    body: '{"jsonrpc":"2.0","id":0,"method":"ping"}',
  }
}
