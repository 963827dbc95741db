import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { isRecord, parseText } from '../mcp/message.ts'

/** What a scripted HTTP server was asked. */
export interface SeenRequest {
  method: string
  url: string
  headers: IncomingMessage['headers']
  body: string
}

/** Answers one request, or returns false to leave it to the server. */
export type Script = (req: IncomingMessage, res: ServerResponse, body: string) => boolean

/** A Streamable HTTP server with sessions whose behaviour a test can change at any time. */
export interface ScriptedHttpServer {
  readonly origin: string
  readonly port: number
  /** Everything but what the probe and the health check of the proxy sent. */
  readonly seen: SeenRequest[]
  /** Known session ids with their open GET streams. */
  readonly sessions: Map<string, ServerResponse | undefined>
  script: Script
  /** The same for what the proxy sends on its own: probe, health check, ends of sessions. */
  ownScript: Script
  /** The version that `initialize` agrees to; the client's when empty. */
  protocolVersion: string
  newId: () => string
  /** Hears of every request before its body is read. */
  began: (req: IncomingMessage) => void
  /** Ends like a killed process: every connection is cut. */
  kill(): Promise<void>
}

let servers = 0

/** Starts one, with a certificate as an HTTPS server. The caller kills it. */
export async function startHttpServer(port = 0, tls?: { key: string; cert: string }): Promise<ScriptedHttpServer> {
  servers += 1
  const number = servers
  let count = 0
  const take: RequestListener = (req, res) => {
    scripted.began(req)
    let body = ''
    req.setEncoding('utf8')
    req.on('error', () => undefined)
    req.on('data', (piece: string) => (body += piece))
    req.on('end', () => answer(scripted, req, res, body))
  }
  const server = tls === undefined ? createServer(take) : createTlsServer(tls, take)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const bound = portOf(server)
  const scripted: ScriptedHttpServer = {
    origin: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${bound}`,
    port: bound,
    seen: [],
    sessions: new Map(),
    script: () => false,
    ownScript: () => false,
    protocolVersion: '',
    began: () => undefined,
    newId: () => `server${number}-${(count += 1)}`,
    kill: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return scripted
}

function portOf(server: Server | TlsServer): number {
  const bound = server.address()
  return typeof bound === 'object' && bound !== null ? bound.port : 0
}

function answer(server: ScriptedHttpServer, req: IncomingMessage, res: ServerResponse, body: string): void {
  const parsed = parseText(body)
  const message: Readonly<Record<string, unknown>> = parsed.kind === 'message' ? parsed.message.value : {}
  const isOurs = req.headers['x-forwarded-for'] === undefined
  if (!isOurs) server.seen.push({ method: req.method ?? '', url: req.url ?? '', headers: req.headers, body })
  if ((isOurs ? server.ownScript : server.script)(req, res, body)) return
  if (message['method'] === 'initialize') return initialize(server, res, message)
  const id = String(req.headers['mcp-session-id'])
  if (!server.sessions.has(id))
    return void res
      .writeHead(404)
      .end('{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"no such session"}}')
  if (req.method === 'DELETE') {
    server.sessions.delete(id)
    return void res.writeHead(200).end()
  }
  if (req.method === 'GET') {
    res.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': id }).flushHeaders()
    server.sessions.set(id, res)
    return
  }
  if (message['id'] === undefined) return void res.writeHead(202).end()
  const reply = { jsonrpc: '2.0', id: message['id'], result: { session: id, method: message['method'] } }
  res.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': id }).end(JSON.stringify(reply))
}

function initialize(server: ScriptedHttpServer, res: ServerResponse, message: Readonly<Record<string, unknown>>): void {
  const id = server.newId()
  server.sessions.set(id, undefined)
  const asked = isRecord(message['params']) ? message['params']['protocolVersion'] : ''
  const protocolVersion = server.protocolVersion === '' ? asked : server.protocolVersion
  const result = { protocolVersion, capabilities: {}, serverInfo: { name: 'web', version: '9' } }
  res
    .writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': id })
    .end(JSON.stringify({ jsonrpc: '2.0', id: message['id'], result }))
}
