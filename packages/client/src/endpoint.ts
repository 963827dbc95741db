import { parseServerUrl, ThvError } from '@thv/core'

/** Where requests go, as `node:http` wants it. */
export interface Endpoint {
  /** For messages. */
  url: string
  isSecure: boolean
  /** A name or address without brackets, and a port; or the path of a socket. */
  connection: { host: string; port: number } | { socketPath: string }
  /** In front of every path, without a slash at its end. */
  basePath: string
}

/** The endpoint of a record: this machine only. Throws `server-record-refused`. */
export function recordEndpoint(url: string): Endpoint {
  const address = parseServerUrl(url)
  if (address.kind === 'http') return webEndpoint(url, new URL(address.origin))
  const socketPath = address.kind === 'unix' ? address.path : `\\\\.\\pipe\\${address.name}`
  return { url, isSecure: false, connection: { socketPath }, basePath: '' }
}

/**
 * The endpoint that a user names: any host, also with https and a path, or a socket. Throws `invalid-argument` or, for a
 * socket, `server-record-refused`. The URL is not repeated when it may hold a password.
 */
export function namedEndpoint(url: string): Endpoint {
  if (/^(unix|npipe):/i.test(url)) return recordEndpoint(url)
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !['http:', 'https:'].includes(parsed.protocol)) throw invalid('is no URL of a server')
  if (parsed.username !== '' || parsed.password !== '') throw invalid('has a user name or a password')
  if (parsed.search !== '' || parsed.hash !== '') throw invalid('has a query or a fragment')
  return webEndpoint(url, parsed)
}

function webEndpoint(url: string, parsed: URL): Endpoint {
  const isSecure = parsed.protocol === 'https:'
  const port = parsed.port === '' ? (isSecure ? 443 : 80) : Number(parsed.port)
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1')
  return { url, isSecure, connection: { host, port }, basePath: parsed.pathname.replace(/\/+$/, '') }
}

function invalid(why: string): ThvError {
  return new ThvError('invalid-argument', `the URL of the ToolHive API server ${why}`, {
    hint: 'write http://127.0.0.1:8080 or unix:///path/to/socket, in TOOLHIVE_API_URL for example',
  })
}
