import { setTimeout as delay } from 'node:timers/promises'
import type { Dispatcher, Pool } from 'undici'
import { ProxyError } from '../errors.ts'
import type { ProxyLimits } from '../limits.ts'
import { isRecord, parseText } from '../mcp/message.ts'
import { proxyIdentity } from '../mcp/identity.ts'
import { newestRevision } from '../mcp/revision.ts'
import type { BackendInfo, FrontMode } from '../proxy-config.ts'
import { SseParser, type SseEvent } from './sse-codec.ts'

/** What is probed, and how long. */
export interface ProbeOptions {
  readonly origin: string
  readonly transport: FrontMode
  readonly pool: Pool
  readonly limits: ProxyLimits
  readonly signal: AbortSignal
}

/**
 * Waits until an HTTP server answers as an MCP server: `initialize` over
 * Streamable HTTP, or the `endpoint` event of an SSE server. A server that is
 * still starting refuses connections or answers 5xx; both are tried again.
 * @throws ProxyError `attach-timeout` with the last problem as cause, `cancelled`
 */
export async function probeBackend(options: ProbeOptions): Promise<BackendInfo> {
  const { limits } = options
  const expired = AbortSignal.timeout(limits.attachTimeoutMs)
  const signal = AbortSignal.any([options.signal, expired])
  let waitMs = limits.probeInitialMs
  let problem: unknown
  while (!signal.aborted) {
    try {
      return options.transport === 'sse' ? await probeSse(options, signal) : await probeStreamable(options, signal)
    } catch (error) {
      // Waiting does not turn a refusal into an answer.
      if (error instanceof ProxyError) throw error
      problem = error
    }
    await delay(waitMs, undefined, { signal }).catch(() => undefined)
    waitMs = Math.min(waitMs * 2, limits.probeMaxMs)
  }
  if (options.signal.aborted) throw new ProxyError('cancelled', 'attaching the server was cancelled', problem)
  const seconds = limits.attachTimeoutMs / 1000
  const last = problem instanceof Error ? `: ${problem.message}` : ''
  throw new ProxyError(
    'attach-timeout',
    `the server at ${options.origin} was not ready within ${seconds} s${last}`,
    problem,
  )
}

async function probeStreamable({ pool, limits }: ProbeOptions, signal: AbortSignal): Promise<BackendInfo> {
  const params = { protocolVersion: newestRevision, capabilities: {}, clientInfo: proxyIdentity }
  const response = await pool.request({
    path: '/mcp',
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
    signal,
  })
  const data = await readAnswer(response, limits.probeBytes)
  assertServes(response.statusCode)
  const info = readInfo(data)
  await endProbeSession(pool, response.headers['mcp-session-id'], signal)
  return info
}

/** The JSON-RPC answer in a response, which is its body or an event of its stream. */
export async function readAnswer(response: Dispatcher.ResponseData, limitBytes: number): Promise<string> {
  const type = String(response.headers['content-type'] ?? '')
  return await firstData(response.body, type.startsWith('text/event-stream') ? isAnswer : undefined, limitBytes)
}

async function probeSse({ pool, limits }: ProbeOptions, signal: AbortSignal): Promise<BackendInfo> {
  const response = await pool.request({ path: '/sse', method: 'GET', headers: { accept: 'text/event-stream' }, signal })
  if (response.statusCode !== 200) {
    response.body.destroy()
    throw new Error(`the server answered ${response.statusCode}`)
  }
  await firstData(response.body, (event) => event.event === 'endpoint', limits.probeBytes)
  return { serverName: '', serverVersion: '', protocolVersion: '' }
}

async function firstData(
  body: Dispatcher.ResponseData['body'],
  wanted: ((event: SseEvent) => boolean) | undefined,
  limitBytes: number,
): Promise<string> {
  const parser = new SseParser(limitBytes)
  const decoder = new TextDecoder()
  let whole = ''
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue
    const piece = decoder.decode(chunk, { stream: true })
    if (wanted === undefined) whole += piece
    else {
      const event = parser.push(piece).find(wanted)
      // Leaving the loop destroys the body, and with it the connection.
      if (event !== undefined) return event.data
    }
    if (whole.length > limitBytes) throw new RangeError('the answer of the server is too long')
  }
  if (wanted !== undefined) throw new Error('the event stream ended before its first event')
  return whole
}

async function endProbeSession(pool: Pool, id: string | string[] | undefined, signal: AbortSignal): Promise<void> {
  if (typeof id !== 'string') return
  const headers = { 'mcp-session-id': id }
  // A server may refuse to end sessions (405); it then forgets the probe on its own.
  await pool.request({ path: '/mcp', method: 'DELETE', headers, signal }).then(
    ({ body }) => body.dump(),
    () => undefined,
  )
}

/** 404 and 5xx may be a server that still sets itself up; a demand for credentials does not go away. */
function assertServes(status: number): void {
  if (status === 200) return
  if (status === 401 || status === 403) {
    throw new ProxyError('handshake-failed', `the server demands authentication (HTTP ${status})`)
  }
  throw new Error(`the server answered HTTP ${status} to initialize`)
}

/** What listens there may be anything; only an answer to `initialize` makes it an MCP server. */
function readInfo(text: string): BackendInfo {
  const parsed = parseText(text)
  const result = parsed.kind === 'message' ? parsed.message.value['result'] : undefined
  if (!isRecord(result) || typeof result['protocolVersion'] !== 'string') {
    throw new Error('what listens there does not answer initialize as an MCP server')
  }
  const about = isRecord(result['serverInfo']) ? result['serverInfo'] : {}
  return {
    serverName: textOf(about['name']),
    serverVersion: textOf(about['version']),
    protocolVersion: result['protocolVersion'],
  }
}

/** A server may send notifications before the answer, and an empty event to begin with. */
function isAnswer(event: SseEvent): boolean {
  const parsed = parseText(event.data)
  return parsed.kind === 'message' && parsed.message.kind === 'response'
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
