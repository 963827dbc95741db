import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { HeldBytes } from '../held-bytes.ts'
import { buildLimits, type ProxyLimits } from '../limits.ts'
import { isRecord, parseText } from '../mcp/message.ts'
import { prepareRequest } from '../mcp/readdress.ts'
import { Call, type CallSink } from '../transport/call.ts'
import { closeBackend, openBackend } from '../transport/http-backend.ts'
import type { HttpPeerOptions } from '../transport/http-channel.ts'
import type { ServerPeer, ServerPeerDeps } from '../transport/server-peer.ts'

/** One HTTP request, and the means to answer it. */
export interface Asked {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly method: string
  /** HTTP method for GET and DELETE, JSON-RPC method for POST; `response` for a response. */
  readonly name: string
  readonly body: Readonly<Record<string, unknown>>
  readonly headers: IncomingMessage['headers']
  /** Answers with a JSON-RPC result as one JSON body. */
  result(value: unknown, headers?: Record<string, string>): void
  /** Begins or continues an event stream. */
  event(value: unknown, id?: string): void
}

/** What a peer reported, and the peer. */
export interface PeerFixture {
  readonly peer: ServerPeer
  readonly asked: Asked[]
  readonly notified: string[]
  readonly lost: string[]
  readonly origin: string
  /** What a request is answered with; the default answers the handshake. */
  answer: (asked: Asked) => void
  /** Resolves with the nth request of this name, past or future. */
  askedFor(name: string, nth?: number): Promise<Asked>
  /** Sends a call and tells how it ended. */
  call(method: string, params?: object, id?: unknown): Outgoing
  close(): Promise<void>
}

/** One call and what its client would see. */
export interface Outgoing {
  readonly call: Call
  readonly progress: string[]
  readonly related: string[]
  /** The response as parsed, or the refusal. */
  readonly ended: Promise<Record<string, unknown>>
}

/** A peer in front of a raw HTTP server. The caller closes it. */
export async function startPeer(
  create: (options: HttpPeerOptions, deps: ServerPeerDeps) => ServerPeer,
  limits: Partial<ProxyLimits> = {},
): Promise<PeerFixture> {
  const waiting = new Set<() => void>()
  const asked: Asked[] = []
  const server = createServer((req, res) => {
    let text = ''
    req.setEncoding('utf8')
    req.on('data', (piece: string) => (text += piece))
    req.on('end', () => {
      const one = buildAsked(req, res, text)
      asked.push(one)
      fixture.answer(one)
      for (const wake of waiting) wake()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const origin = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  const all = buildLimits({ redialMs: 5, ...limits })
  const backend = await openBackend({ kind: 'http', origin, transport: 'streamable-http' }, all)
  const notified: string[] = []
  const lost: string[] = []
  const peer = create(
    { backend, held: new HeldBytes(all.heldBytes) },
    {
      name: 'demo',
      limits: all,
      log: () => undefined,
      notified: (message) => notified.push(message.text),
      lost: (reason) => lost.push(reason),
    },
  )
  peer.open()
  const fixture: PeerFixture = {
    peer,
    asked,
    notified,
    lost,
    origin,
    answer: answerHandshake,
    askedFor: async (name, nth = 1) => {
      for (;;) {
        const found = asked.filter((one) => one.name === name)[nth - 1]
        if (found !== undefined) return found
        await new Promise<void>((resolve) => waiting.add(resolve))
      }
    },
    call: (method, params, id = 1) => send(peer, { jsonrpc: '2.0', id, method, ...(params && { params }) }),
    close: async () => {
      peer.close('the test is over')
      server.closeAllConnections()
      closeBackend(backend, new Error('the test is over'))
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return fixture
}

/** Answers `initialize` with a session, takes notifications and offers no stream. */
export function answerHandshake(asked: Asked): void {
  if (asked.name === 'initialize') {
    return asked.result({ protocolVersion: '2025-11-25', capabilities: {} }, { 'mcp-session-id': 'session-1' })
  }
  if (asked.method === 'POST' && asked.body['id'] !== undefined) return asked.result({ echo: asked.name })
  asked.res.writeHead(asked.method === 'GET' ? 405 : 202).end()
}

function buildAsked(req: IncomingMessage, res: ServerResponse, text: string): Asked {
  const parsed = parseText(text)
  const body = parsed.kind === 'message' ? parsed.message.value : {}
  const { method = '', headers } = req
  const name = method !== 'POST' ? method : parsed.kind === 'message' ? parsed.message.method || 'response' : text
  return {
    req,
    res,
    method,
    name,
    body,
    headers,
    result: (result, extra) =>
      void res
        .writeHead(200, { 'content-type': 'application/json', ...extra })
        .end(JSON.stringify({ jsonrpc: '2.0', id: body['id'], result })),
    event: (value, id) => {
      if (!res.headersSent) res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write(`${id === undefined ? '' : `id: ${id}\n`}data: ${value === '' ? '' : JSON.stringify(value)}\n\n`)
    },
  }
}

function send(peer: ServerPeer, value: object): Outgoing {
  const parsed = parseText(JSON.stringify(value))
  const request = parsed.kind === 'message' ? prepareRequest(parsed.message) : undefined
  if (request === undefined) throw new TypeError('not a request')
  const progress: string[] = []
  const related: string[] = []
  let call: Call | undefined
  const ended = new Promise<Record<string, unknown>>((resolve) => {
    const sink: CallSink = {
      progress: (text) => void progress.push(text),
      related: (text) => related.push(text) > 0,
      response: (text) => {
        const response: unknown = JSON.parse(text)
        resolve(isRecord(response) ? response : {})
      },
      refused: (error) => resolve({ refused: error.name, ...error.data }),
      cancelled: () => resolve({ cancelled: true }),
    }
    call = new Call(request, sink)
    peer.send(call)
  })
  if (call === undefined) throw new TypeError('no call')
  return { call, progress, related, ended }
}
