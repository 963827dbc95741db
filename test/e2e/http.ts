import { request, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'

/** One answer over HTTP. */
export interface Answer {
  status: number
  headers: IncomingMessage['headers']
  text: string
}

/** One request of a client that is no SDK; headers as given, Host included. */
export interface RawRequest {
  method?: string
  headers?: Record<string, string>
  body?: unknown
}

/** Headers of a POST that reads both kinds of answers. */
export const postHeaders = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }

/** Sends one request and reads the whole answer. */
export async function exchange(url: string, options: RawRequest = {}): Promise<Answer> {
  const response = await openAnswer(url, options)
  return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) }
}

/** Sends one request and resolves to the answer while its body is still coming. */
export async function openAnswer(url: string, options: RawRequest = {}): Promise<IncomingMessage> {
  const { method = 'POST', headers = postHeaders, body } = options
  return await new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, resolve)
    sent.once('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

/** Opens a session by hand and resolves to the headers that name it. */
export async function openSession(url: string, capabilities: object = {}): Promise<Record<string, string>> {
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'raw', version: '1' } }
  const { status, headers } = await exchange(url, { body: { jsonrpc: '2.0', id: 0, method: 'initialize', params } })
  const session = headers['mcp-session-id']
  if (status !== 200 || typeof session !== 'string') throw new Error(`initialize was answered with ${status}`)
  return { ...postHeaders, 'mcp-session-id': session }
}

/** The JSON-RPC messages of an answer, be it JSON or an event stream. */
export function messagesOf<T = { id?: unknown; method?: string; params?: unknown; result?: unknown }>(
  answer: Answer,
): T[] {
  if (answer.headers['content-type'] === 'application/json') return [parse<T>(answer.text)]
  // The first event of a stream may carry an id and no data.
  return [...answer.text.matchAll(/^data: (.+)$/gm)].map((match) => parse<T>(match[1] ?? ''))
}

function parse<T>(json: string): T {
  const value: T = JSON.parse(json)
  return value
}
