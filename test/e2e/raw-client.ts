import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { eventually } from './harness.ts'
import { postHeaders } from './http.ts'

/** A client that reads and writes messages as text, so that a test can compare what was sent with what arrived. */
export interface RawClient {
  /** Messages that came on the stream of the session, or of HTTP+SSE, and answer no exchange. */
  readonly unasked: string[]
  /** Sends one message; resolves to what came for it up to its answer, or to nothing for what has none. */
  exchange(text: string, options?: ExchangeOptions): Promise<string[]>
  close(): void
}

/** What goes with one message. */
export interface ExchangeOptions {
  headers?: Record<string, string>
  /** Answers what the server asks meanwhile. */
  answer?: (question: string) => string
}

/** Opens a client of Streamable HTTP, and the stream of its session once it has one. */
export function openStreamable(url: string): RawClient & { openStream(): Promise<void> } {
  const unasked: string[] = []
  const closing = new AbortController()
  let session: Record<string, string> = {}
  const post = async (text: string, headers: Record<string, string> = {}): Promise<IncomingMessage> =>
    await send(url, { text, headers: { ...postHeaders, ...session, ...headers }, signal: closing.signal })
  return {
    unasked,
    exchange: async (text, { headers, answer } = {}) => {
      const response = await post(text, headers)
      const id = response.headers['mcp-session-id']
      if (typeof id === 'string') session = { 'mcp-session-id': id }
      const messages: string[] = []
      for await (const message of messagesIn(response)) {
        messages.push(message)
        if (answer !== undefined && isQuestion(message)) await read(await post(answer(message)))
      }
      return messages
    },
    openStream: async () => {
      const headers = { accept: 'text/event-stream', ...session }
      const response = await send(url, { method: 'GET', headers, signal: closing.signal })
      void collectInto(unasked, response)
    },
    close: () => closing.abort(),
  }
}

/** Opens a client of HTTP+SSE. */
export async function openEvents(url: string): Promise<RawClient> {
  const unasked: string[] = []
  const closing = new AbortController()
  const { signal } = closing
  const stream = await send(url, { method: 'GET', headers: { accept: 'text/event-stream' }, signal })
  const arrived: string[] = []
  void collectInto(arrived, stream)
  const endpoint = await next(arrived, 0, 'the endpoint')
  let from = 1
  const post = async (text: string): Promise<string> =>
    await read(await send(new URL(endpoint, url).href, { text, headers: postHeaders, signal }))
  return {
    unasked,
    exchange: async (text, { answer } = {}) => {
      await post(text)
      const { id, method } = fieldsOf(text)
      if (id === undefined || method === undefined) return []
      const messages: string[] = []
      for (;;) {
        const message = await next(arrived, from, `an answer to ${method}`)
        from += 1
        messages.push(message)
        const fields = fieldsOf(message)
        if (fields.id === id && fields.method === undefined) return messages
        if (answer !== undefined && isQuestion(message)) await post(answer(message))
      }
    },
    close: () => closing.abort(),
  }
}

/** What a test looks at in a message it did not write. */
export function fieldsOf(text: string): {
  id?: string | number
  method?: string
  params?: { progressToken?: string | number }
  result?: { received?: string; answered?: string; told?: string }
} {
  const fields: ReturnType<typeof fieldsOf> = JSON.parse(text)
  return fields
}

function isQuestion(text: string): boolean {
  const { id, method } = fieldsOf(text)
  return id !== undefined && method !== undefined
}

interface RawPost {
  method?: string
  headers: Record<string, string>
  text?: string
  signal: AbortSignal
}

async function send(url: string, { method = 'POST', headers, text, signal }: RawPost): Promise<IncomingMessage> {
  const sent = request(url, { method, headers, signal, agent: false })
  sent.end(text)
  const [response]: IncomingMessage[] = await once(sent, 'response')
  return response!
}

async function read(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8')
  let text = ''
  for await (const chunk of response) text += chunk
  return text
}

/** The texts of the messages of an answer as they come, be it JSON or an event stream. */
async function* messagesIn(response: IncomingMessage): AsyncGenerator<string> {
  if (!(response.headers['content-type'] ?? '').startsWith('text/event-stream')) {
    const text = await read(response)
    if (text !== '') yield text
    return
  }
  response.setEncoding('utf8')
  let rest = ''
  for await (const chunk of response) {
    const events = (rest + chunk).replaceAll('\r\n', '\n').split('\n\n')
    rest = events.pop() ?? ''
    for (const event of events) {
      const data = event.split('\n').flatMap((line) => /^data: ?(.*)$/s.exec(line)?.[1] ?? [])
      // An event without data only says where the stream is.
      if (data.some((line) => line !== '')) yield data.join('\n')
    }
  }
}

/** Reads a stream that ends when the client is closed. */
async function collectInto(messages: string[], response: IncomingMessage): Promise<void> {
  try {
    for await (const message of messagesIn(response)) messages.push(message)
  } catch (error) {
    if (!response.destroyed) throw error
  }
}

async function next(messages: readonly string[], index: number, what: string): Promise<string> {
  return await eventually(what, 10_000, async () => await Promise.resolve(messages[index]))
}
