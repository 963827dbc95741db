import type { Pool } from 'undici'
import type { ProxyLimits } from '../limits.ts'
import type { FrontMode } from '../proxy-config.ts'

/**
 * One HTTP server in use. A restarted server is another object, which is how
 * sessions know that the server they lived in is gone.
 */
export interface HttpBackend {
  readonly origin: string
  /** Value of the `Host` header. */
  readonly host: string
  readonly transport: FrontMode
  /** Connections for calls. */
  readonly calls: Pool
  /** Connections for event streams, so that idle streams never keep a call waiting. */
  readonly streams: Pool
}

/** Prepares connections to a server; none is opened before the first request. */
export async function openBackend(origin: string, transport: FrontMode, limits: ProxyLimits): Promise<HttpBackend> {
  // Loaded here, so that the process in front of a stdio server never pays for it.
  const { Pool } = await import('undici')
  const options = {
    connections: limits.backendConnections,
    pipelining: 1,
    // A quiet call or stream is no fault: a half-open connection is found by TCP keep-alive instead.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: limits.headerBytes,
    connect: { timeout: limits.connectTimeoutMs, keepAliveInitialDelay: limits.tcpKeepAliveMs },
  }
  return {
    origin,
    host: new URL(origin).host,
    transport,
    calls: new Pool(origin, options),
    streams: new Pool(origin, options),
  }
}

/** Cuts every connection; what is under way fails with the reason. */
export function closeBackend(backend: HttpBackend, reason: Error): void {
  void backend.calls.destroy(reason)
  void backend.streams.destroy(reason)
}
