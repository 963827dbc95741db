import { clientHost } from './host.ts'

/** How a server speaks MCP: spec/local 3.4. */
export const transportTypes = ['stdio', 'sse', 'streamable-http'] as const
export type TransportType = (typeof transportTypes)[number]

/** What the proxy in front of a stdio server speaks to clients. */
export const proxyModes = ['streamable-http', 'sse'] as const
export type ProxyMode = (typeof proxyModes)[number]

/** Whether a string names a transport. */
export function isTransportType(value: unknown): value is TransportType {
  return transportTypes.some((transport) => transport === value)
}

/** Whether a string names a proxy mode. */
export function isProxyMode(value: unknown): value is ProxyMode {
  return proxyModes.some((mode) => mode === value)
}

/** What clients really see: the transport itself for HTTP servers, the proxy mode for stdio. */
export function effectiveProxyMode(transport: TransportType, mode: ProxyMode | undefined): ProxyMode {
  if (transport !== 'stdio') return transport
  return mode ?? 'streamable-http'
}

/**
 * The URL handed to clients: spec/local 3.8. `127.0.0.1` unless the proxy listens on
 * another address only; the fragment of an SSE URL names the workload and never reaches
 * the wire.
 */
export function clientUrl(name: string, host: string, port: number, mode: ProxyMode): string {
  const origin = `http://${clientHost(host)}:${port}`
  return mode === 'sse' ? `${origin}/sse#${name}` : `${origin}/mcp`
}
