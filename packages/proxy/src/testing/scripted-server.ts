import { PassThrough } from 'node:stream'
import type { BackendConnection } from '../proxy-config.ts'

/** A JSON-RPC message in a test. */
export interface Wire {
  jsonrpc?: string
  id?: string | number
  method?: string
  params?: Record<string, unknown>
  result?: Record<string, unknown>
  error?: { code: number; message: string; data?: Record<string, unknown> }
}

/** Answers one request: with a result, by itself later (undefined), or with a raw line. */
export type Script = (request: Wire, server: ScriptedServer) => Record<string, unknown> | undefined

/** An MCP server in this process: it remembers what it was sent, and does what a test tells it. */
export interface ScriptedServer {
  readonly connection: Extract<BackendConnection, { kind: 'stdio' }>
  readonly input: PassThrough
  readonly output: PassThrough
  readonly received: Wire[]
  readonly lines: string[]
  on(method: string, script: Script): ScriptedServer
  /** Writes one line as it is. */
  write(line: string): void
  send(message: Wire): void
  answer(request: Wire, result: Record<string, unknown>): void
  /** The next message, from now on or already there, that fits. */
  seen(fits: (message: Wire) => boolean): Promise<Wire>
  die(): void
}

export function createScriptedServer(protocolVersion = '2025-11-25'): ScriptedServer {
  const input = new PassThrough()
  const output = new PassThrough()
  const scripts = new Map<string, Script>()
  const watchers = new Set<(message: Wire) => void>()
  const server: ScriptedServer = {
    connection: { kind: 'stdio', input, output },
    input,
    output,
    received: [],
    lines: [],
    on(method, script) {
      scripts.set(method, script)
      return server
    },
    write: (line) => void output.write(`${line}\n`),
    send: (message) => server.write(JSON.stringify({ jsonrpc: '2.0', ...message })),
    answer: (request, result) => server.send({ id: request.id ?? -1, result }),
    seen(fits) {
      const known = server.received.find(fits)
      if (known !== undefined) return Promise.resolve(known)
      return new Promise((resolve) => {
        const watcher = (message: Wire): void => {
          if (!fits(message)) return
          watchers.delete(watcher)
          resolve(message)
        }
        watchers.add(watcher)
      })
    },
    die: () => void output.end(),
  }
  server.on('initialize', () => ({
    protocolVersion,
    capabilities: { tools: { listChanged: true }, resources: { subscribe: true }, logging: {} },
    serverInfo: { name: 'scripted', version: '1.2.3', 'x-unknown': true },
    'x-extra': 12345,
  }))
  server.on('tools/call', (request) => ({ content: [], echo: request.params?.['arguments'] }))
  server.on('resources/subscribe', () => ({}))
  server.on('resources/unsubscribe', () => ({}))
  server.on('logging/setLevel', () => ({}))
  let rest = ''
  input.setEncoding('utf8')
  input.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) take(line)
  })
  function take(line: string): void {
    const message: Wire = JSON.parse(line)
    server.lines.push(line)
    server.received.push(message)
    for (const watcher of watchers) watcher(message)
    if (message.method === undefined || message.id === undefined) return
    const script = scripts.get(message.method)
    if (script === undefined) {
      return server.send({ id: message.id, error: { code: -32601, message: `no ${message.method}` } })
    }
    const result = script(message, server)
    if (result !== undefined) server.answer(message, result)
  }
  return server
}
