import { setTimeout as delay } from 'node:timers/promises'
import { ProxyError } from '../errors.ts'
import type { ProxyLimits } from '../limits.ts'
import type { Era } from '../mcp/revision.ts'
import type { BackendInfo } from '../proxy-config.ts'
import { askDiscover, askInitialize, firstData, HandshakeRefused, type AskOptions } from './http-ask.ts'
import type { HttpBackend } from './http-backend.ts'
import { withTimeLimit } from './with-time-limit.ts'

/** What is probed, and how long. */
export interface ProbeOptions {
  readonly backend: HttpBackend
  readonly era: Era | 'auto'
  readonly limits: ProxyLimits
  readonly signal: AbortSignal
}

/** A server that is ready. */
export interface ProbedBackend {
  readonly info: BackendInfo
  /** Whether it took the handshake of the Legacy era. If not, it is Modern. */
  readonly knowsLegacy: boolean
}

/**
 * Waits until an HTTP server answers as an MCP server: `initialize` or, where that is
 * refused, `server/discover` over Streamable HTTP, or the `endpoint` event of an SSE
 * server. A server that is still starting refuses connections or answers 5xx; both are
 * tried again.
 * @throws ProxyError `attach-timeout` with the last problem as cause, `handshake-failed`, `cancelled`
 */
export async function probeBackend(options: ProbeOptions): Promise<ProbedBackend> {
  const { limits } = options
  const signal = withTimeLimit(options.signal, limits.attachTimeoutMs)
  let waitMs = limits.probeInitialMs
  let problem: unknown
  while (!signal.aborted) {
    try {
      return await (options.backend.transport === 'sse' ? probeSse(options, signal) : probeStreamable(options, signal))
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
    `the server at ${options.backend.origin} was not ready within ${seconds} s${last}`,
    problem,
  )
}

async function probeStreamable({ era, backend, limits }: ProbeOptions, signal: AbortSignal): Promise<ProbedBackend> {
  const ask = { backend, limits, signal }
  if (era === 'modern') return await probeModern(ask)
  try {
    return { info: await askInitialize(ask), knowsLegacy: true }
  } catch (error) {
    if (era === 'legacy' || !(error instanceof HandshakeRefused)) throw error
    // A server that has left the handshake behind refuses it for ever.
    return await probeModern(ask).catch(() => {
      throw error
    })
  }
}

async function probeModern(ask: AskOptions): Promise<ProbedBackend> {
  const { verdict, info } = await askDiscover(ask)
  if (verdict !== 'modern') throw new Error('the server does not answer server/discover as a Modern MCP server')
  return { info, knowsLegacy: false }
}

async function probeSse({ backend, limits }: ProbeOptions, signal: AbortSignal): Promise<ProbedBackend> {
  const headers = { accept: 'text/event-stream' }
  const response = await backend.pool.request({ path: backend.endpoint, method: 'GET', headers, signal })
  if (response.statusCode !== 200) {
    response.body.destroy()
    throw new Error(`the server answered ${response.statusCode}`)
  }
  await firstData(response.body, (event) => event.event === 'endpoint', limits.probeBytes)
  return { info: { serverName: '', serverVersion: '', protocolVersion: '' }, knowsLegacy: true }
}
