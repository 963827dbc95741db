import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { Server as ServerV1 } from '@modelcontextprotocol/sdk/server/index.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import {
  CallToolRequestSchema,
  ListToolsRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { createMcpHandler, Server as ServerV2 } from '@modelcontextprotocol/server'
import { isRecord } from '../mcp/message.ts'

/** What a server of an SDK speaks. */
export type ServedEra = 'legacy' | 'modern' | 'dual'

/** A running HTTP server of an SDK with the tools `echo`, `slow` and `size` and a resource. */
export interface EraServer {
  readonly origin: string
  /** Arguments of every call of a tool that ran. */
  readonly ran: unknown[]
  /** Calls of `slow` that ended before their time. */
  readonly aborted: string[]
  /** Method of every HTTP request and, of a POST, of the message. */
  readonly seen: string[]
  /** Tells everybody that the tools have changed. */
  toolsChanged(): void
  /** Tells who subscribed that a resource has changed. */
  resourceUpdated(uri: string): void
  /** Speaks something else from now on, as after an update in place. */
  become(era: 'legacy' | 'modern'): void
  /** Forgets every session, as after a restart. */
  forget(): void
  close(): Promise<void>
}

/** Starts one on a port of its own. The caller closes it. */
export async function startEraServer(first: ServedEra): Promise<EraServer> {
  let era = first
  const state: State = { ran: [], aborted: [] }
  const seen: string[] = []
  const sessions = new LegacySessions(state)
  const handler = createMcpHandler(() => createModern(state), { legacy: first === 'dual' ? 'stateless' : 'reject' })
  const modern = toNodeHandler(handler)
  const server = createServer((req, res) => {
    void serve(req, res)
  })
  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const body = await readBody(req)
    const { method = '', url = '' } = req
    seen.push(`${method} ${typeof body?.['method'] === 'string' ? body['method'] : ''}`.trim())
    await (era === 'legacy' ? sessions.handle(req, res, body) : modern(Object.assign(req, { method, url }), res, body))
  }
  return {
    origin: await listen(server),
    ...state,
    seen,
    toolsChanged: () => {
      handler.notify.toolsChanged()
      sessions.tell({ method: 'notifications/tools/list_changed' })
    },
    resourceUpdated: (uri) => {
      handler.notify.resourceUpdated(uri)
      sessions.tell({ method: 'notifications/resources/updated', params: { uri } })
    },
    become: (next) => (era = next),
    forget: () => sessions.forget(),
    close: async () => {
      await handler.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface State {
  readonly ran: unknown[]
  readonly aborted: string[]
}

interface Reporter {
  readonly signal: AbortSignal
  progress(count: number): Promise<void>
}

const tools = [
  { name: 'echo', inputSchema: { type: 'object' as const, properties: { text: { type: 'string' } } } },
  {
    name: 'region',
    inputSchema: { type: 'object' as const, properties: { text: { type: 'string', 'x-mcp-header': 'Text' } } },
  },
  { name: 'slow', inputSchema: { type: 'object' as const } },
]
const capabilities = { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true } }

async function run(state: State, params: { name: string; arguments?: unknown }, reporter: Reporter): Promise<string> {
  state.ran.push(params.arguments)
  if (params.name !== 'slow') return JSON.stringify(params.arguments)
  for (let count = 1; !reporter.signal.aborted; count += 1) {
    await reporter.progress(count)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  state.aborted.push(params.name)
  return 'cancelled'
}

function createModern(state: State): ServerV2 {
  const server = new ServerV2({ name: 'era', version: '1' }, { capabilities })
  server.setRequestHandler('tools/list', () => ({ tools }))
  server.setRequestHandler('tools/call', async ({ params }, { mcpReq }) => {
    const progressToken = params._meta?.progressToken
    const text = await run(state, params, {
      signal: mcpReq.signal,
      progress: async (progress) => {
        if (progressToken === undefined) return
        await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress } })
      },
    })
    return { content: [{ type: 'text', text }] }
  })
  return server
}

function createLegacy(state: State): ServerV1 {
  const server = new ServerV1({ name: 'era', version: '1' }, { capabilities })
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }))
  server.setRequestHandler(SubscribeRequestSchema, () => ({}))
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}))
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal, sendNotification }) => {
    const progressToken = params._meta?.progressToken
    const text = await run(state, params, {
      signal,
      progress: async (progress) => {
        if (progressToken === undefined) return
        await sendNotification({ method: 'notifications/progress', params: { progressToken, progress } })
      },
    })
    return { content: [{ type: 'text', text }] }
  })
  return server
}

/** The sessions of a stateful server, as the SDK's own examples keep them. */
class LegacySessions {
  readonly #state: State
  readonly #transports = new Map<string, { transport: StreamableHTTPServerTransport; server: ServerV1 }>()

  constructor(state: State) {
    this.#state = state
  }

  async handle(req: IncomingMessage, res: ServerResponse, body: unknown): Promise<void> {
    const id = req.headers['mcp-session-id']
    const known = typeof id === 'string' ? this.#transports.get(id) : undefined
    if (known !== undefined) return await known.transport.handleRequest(req, res, body)
    if (id !== undefined) return void res.writeHead(404).end('{"error":"no such session"}')
    const server = createLegacy(this.#state)
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (session) => void this.#transports.set(session, { transport, server }),
    })
    await server.connect(transport)
    await transport.handleRequest(req, res, body)
  }

  tell(notification: Parameters<ServerV1['notification']>[0]): void {
    // The session of the proxy's first question has ended by now.
    for (const { server } of this.#transports.values()) server.notification(notification).catch(() => undefined)
  }

  forget(): void {
    this.#transports.clear()
  }
}

async function readBody(req: IncomingMessage): Promise<Record<string, unknown> | undefined> {
  if (req.method !== 'POST') return undefined
  const chunks: Buffer[] = []
  for await (const chunk of req) if (Buffer.isBuffer(chunk)) chunks.push(chunk)
  const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  return isRecord(body) ? body : {}
}

async function listen(server: HttpServer): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
}
