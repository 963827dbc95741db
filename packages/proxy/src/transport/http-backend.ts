import type { Dispatcher } from 'undici'
import type { ProxyLimits } from '../limits.ts'
import type { FrontMode, HttpConnection, RemoteConnection, RemoteLogin } from '../proxy-config.ts'
import { createDialledConnector } from './dialled-connector.ts'
import { endpointTarget, type RemoteTarget } from './backend-target.ts'
import { logIn } from './login-interceptor.ts'
import { mergeHeaders } from './merge-headers.ts'

/**
 * One HTTP server in use. A restarted server is another object, which is how
 * sessions know that the server they lived in is gone.
 */
export interface HttpBackend {
  readonly origin: string
  /** Value of the `Host` header. */
  readonly host: string
  readonly scheme: 'http' | 'https'
  readonly transport: FrontMode
  /** Request target of the endpoint. */
  readonly endpoint: string
  /** Set for a configured URL, which may be on another machine. */
  readonly remote: RemoteTarget | undefined
  /**
   * Connections for calls and event streams. They share them, so that a stream takes the warm connection and the
   * call behind it a new one: some servers ask their clients on a stream that must be there before the call.
   */
  readonly pool: Dispatcher
  /** The same connections for what nothing depends on: it is logged in, and a refusal of it changes nothing. */
  readonly aside: Dispatcher
}

/** Prepares connections to a server; none is opened before the first request. */
export async function openBackend(
  connection: HttpConnection & Pick<RemoteConnection, 'headers' | 'login' | 'dial'>,
  limits: ProxyLimits,
): Promise<HttpBackend> {
  const { transport, path, query = '', ca, dial, headers, login } = connection
  // Loaded here, so that the process in front of a stdio server never pays for it.
  const { buildConnector, DecoratorHandler, Pool } = await import('undici')
  const { origin, host, protocol } = new URL(connection.origin)
  const connect = {
    timeout: limits.connectTimeoutMs,
    keepAliveInitialDelay: limits.tcpKeepAliveMs,
    ...(ca === undefined ? {} : { ca }),
  }
  const options = {
    // Event streams take at most half, so that idle ones never keep a call waiting.
    connections: limits.backendConnections * 2,
    pipelining: 1,
    // A quiet call or stream is no fault: a half-open connection is found by TCP keep-alive instead.
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: limits.headerBytes,
    // Without TLS only this machine and private networks are spoken to.
    connect:
      dial === undefined || protocol !== 'https:' ? connect : createDialledConnector(dial, buildConnector(connect)),
  }
  const remote = path === undefined ? undefined : { path: path === '' ? '/' : path, query }
  const pool = new Pool(origin, options)
  const ours = headers === undefined ? [] : [addHeaders(headers)]
  const composed = (steps: Dispatcher.DispatcherComposeInterceptor[]): Dispatcher =>
    steps.length === 0 ? pool : pool.compose(steps)
  return {
    origin,
    host,
    scheme: protocol === 'https:' ? 'https' : 'http',
    transport,
    endpoint: endpointTarget(transport, remote),
    remote,
    pool: composed(login === undefined ? ours : [logIn(login, DecoratorHandler), ...ours]),
    aside: composed(login === undefined ? ours : [addHeaders(() => loginHeaders(login)), ...ours]),
  }
}

function loginHeaders(login: RemoteLogin): Readonly<Record<string, string>> {
  const authorization = login.isOurs() ? login.authorization() : undefined
  return authorization === undefined ? {} : { authorization }
}

/** What is added wins over what a client says. The pool has one origin, so nothing is ever told to another. */
function addHeaders(headers: () => Readonly<Record<string, string>>): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    const added = headers()
    if (Object.keys(added).length === 0) return dispatch(options, handler)
    return dispatch({ ...options, headers: mergeHeaders(options.headers, added) }, handler)
  }
}

/** Cuts every connection; what is under way fails with the reason. */
export function closeBackend(backend: HttpBackend, reason: Error): void {
  void backend.pool.destroy(reason)
}
