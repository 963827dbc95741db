/** Which hosts and origins a listener answers. */
export interface RequestGuard {
  /** Whether a Host header names this listener. Always true when it does not listen on loopback. */
  allowsHost(host: string | undefined): boolean
  /** Whether an Origin header may use this listener. A request without one is no browser's. */
  allowsOrigin(origin: string | undefined): boolean
  /** False when the Origin header is not looked at. */
  readonly checksOrigin: boolean
}

/**
 * Protects a local server from web pages: a page that had its own name resolve
 * to 127.0.0.1 (DNS rebinding) is told apart by Host, any other page by Origin.
 */
export function createRequestGuard(
  listen: { host: string; port: number },
  allowedOrigins?: readonly string[],
): RequestGuard {
  const isLocal = isLoopbackName(listen.host)
  const origins = originSet(listen.port, isLocal, allowedOrigins)
  let lastAllowedHost: string | undefined
  return {
    checksOrigin: origins !== undefined,
    allowsHost(host) {
      if (!isLocal) return true
      if (host === undefined) return false
      if (host === lastAllowedHost) return true
      const name = hostNameOf(host)
      if (name === undefined || !(isLoopbackName(name) || name === listen.host.toLowerCase())) return false
      lastAllowedHost = host
      return true
    },
    // Node joins several Origin headers with a comma, which no allowed origin contains.
    allowsOrigin: (origin) => origin === undefined || origins === undefined || origins.has(origin.toLowerCase()),
  }
}

/** Whether a host name or address is this machine only. */
export function isLoopbackName(name: string): boolean {
  const host = name.toLowerCase().replace(/^\[(.*)\]$/, '$1')
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

/** The name in a Host header without its port, or undefined when it is malformed. */
export function hostNameOf(host: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host)
  return match?.[1]?.toLowerCase()
}

function originSet(port: number, isLocal: boolean, allowed?: readonly string[]): Set<string> | undefined {
  if (allowed !== undefined) return new Set(allowed.map((origin) => canonicalOrigin(origin)))
  if (!isLocal) return undefined
  return new Set(['localhost', '127.0.0.1', '[::1]'].map((host) => `http://${host}:${port}`))
}

/** An origin as browsers send it: without the port of its scheme, a path or a slash. */
function canonicalOrigin(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : 'null'
  // Schemes that URL does not know, such as those of browser extensions, have the origin "null".
  return origin === 'null' ? text.toLowerCase() : origin
}
