import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { SseParser, type SseEvent } from '../transport/sse-codec.ts'
import type { Wire } from './scripted-server.ts'

/** What a test sends. */
export interface TestRequest {
  port: number
  method?: string
  path?: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
}

export interface TestResponse {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

const agent = new Agent({ keepAlive: true, maxSockets: 200 })

/** One HTTP exchange. */
export async function fetchText(options: TestRequest): Promise<TestResponse> {
  const res = await openResponse(options)
  let text = ''
  res.setEncoding('utf8')
  for await (const piece of res) text += String(piece)
  return { status: res.statusCode ?? 0, headers: res.headers, text }
}

/** An exchange whose answer is read by the test. */
export function openResponse(options: TestRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const req = request(
      {
        host: '127.0.0.1',
        port: options.port,
        method: options.method ?? 'GET',
        path: options.path ?? '/mcp',
        headers: options.headers,
        agent,
      },
      resolve,
    )
    req.on('error', reject)
    req.end(options.body)
  })
}

export const bothTypes = 'application/json, text/event-stream'

/** POSTs one JSON-RPC text to `/mcp`. */
export async function post(
  port: number,
  body: Wire | string | Wire[],
  headers: Record<string, string | string[]> = {},
): Promise<TestResponse & { json: Wire }> {
  const text =
    typeof body === 'string' ? body : JSON.stringify(Array.isArray(body) ? body : { jsonrpc: '2.0', ...body })
  const response = await fetchText({
    port,
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: bothTypes, ...headers },
    body: text,
  })
  return { ...response, json: parseBody(response) }
}

function parseBody(response: TestResponse): Wire {
  const isStream = String(response.headers['content-type']).startsWith('text/event-stream')
  const text = isStream ? (new SseParser(1e8).push(response.text).at(-1)?.data ?? '{}') : response.text
  return /^[{[]/.test(text) ? parseWire(text) : {}
}

function parseWire(text: string): Wire {
  const message: Wire = JSON.parse(text)
  return message
}

/** Initialises a session and returns its id. */
export async function initialize(port: number, protocolVersion = '2025-11-25'): Promise<string> {
  const response = await post(port, { id: 0, method: 'initialize', params: { protocolVersion, capabilities: {} } })
  return String(response.headers['mcp-session-id'])
}

/** An event stream read one event at a time. */
export class EventReader {
  readonly response: IncomingMessage
  readonly #events: SseEvent[] = []
  #wake: (() => void) | undefined
  ended = false
  /** Id of the newest event that arrived, read or not; empty before the first. */
  lastId = ''

  constructor(response: IncomingMessage) {
    this.response = response
    const parser = new SseParser(1e8)
    response.setEncoding('utf8')
    response.on('data', (piece: string) => {
      for (const event of parser.push(piece)) {
        this.lastId = event.id ?? this.lastId
        // Those without data only carry an id.
        if (event.data !== '') this.#events.push(event)
      }
      this.#wake?.()
    })
    response.on('error', () => undefined)
    response.on('close', () => {
      this.ended = true
      this.#wake?.()
    })
  }

  /** The next event that has data; undefined at the end. */
  async next(): Promise<SseEvent | undefined> {
    while (this.#events.length === 0 && !this.ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#events.shift()
  }

  /** The message in the next event. */
  async message(): Promise<Wire> {
    const event = await this.next()
    if (event === undefined) throw new Error('the stream ended')
    return parseWire(event.data)
  }

  close(): void {
    this.response.destroy()
  }
}

/** Opens an event stream with GET. */
export async function openEvents(
  port: number,
  path: string,
  headers: Record<string, string> = {},
): Promise<EventReader> {
  return new EventReader(await openResponse({ port, path, headers: { accept: 'text/event-stream', ...headers } }))
}
