import { messageOf, ThvError } from '../errors.ts'
import { addressKind } from './address-kind.ts'
import { urlHost } from './host.ts'

/** How a client reaches an API server on this machine. */
export type ApiServerAddress =
  /** `origin` is `http://<loopback address>:<port>`, without a slash at its end. */
  | { kind: 'http'; origin: string }
  | { kind: 'unix'; path: string }
  /** A named pipe of Windows, in lower case and without `\\.\pipe\`. */
  | { kind: 'npipe'; name: string }

// What `sun_path` holds on Linux without its end; Node may cut a longer path and reach another socket.
const socketPathBytes = 107
const pipeNameLength = 247
const reservedNames = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/

/**
 * Reads the URL of a server record: spec/local 1.6. Only what can lead nowhere but to this machine is accepted.
 * Throws `server-record-refused`, whose message is the reason.
 */
export function parseServerUrl(url: string): ApiServerAddress {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url) ?? []
  switch (scheme.toLowerCase()) {
    case 'http':
      return { kind: 'http', origin: parseLoopbackOrigin(rest) }
    case 'unix':
      return { kind: 'unix', path: parseSocketPath(rest) }
    case 'npipe':
      return { kind: 'npipe', name: parsePipeName(rest) }
    default:
      throw refused('unsupported URL scheme; http, unix and npipe are known')
  }
}

/** The URL of a unix socket, as a server record holds it. `path` is absolute. */
export function socketUrl(path: string): string {
  return `unix://${path.split('/').map(encodeURIComponent).join('/')}`
}

/**
 * The URL to publish for a bound TCP address (what the listener says, not what was asked for). An address that stands
 * for all interfaces becomes the loopback address of its family. Undefined for an address of one other interface:
 * no client would follow it, so such a server needs a second listener to be found.
 */
export function publishableUrl(bound: { address: string; port: number }): string | undefined {
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[bound.address] ?? bound.address.replace(/^::ffff:(?=\d)/i, '')
  return isLoopback(host) ? `http://${urlHost(host)}:${bound.port}` : undefined
}

function parseLoopbackOrigin(rest: string): string {
  const [, authority = '', tail = ''] = /^([^/?#]*)(.*)$/s.exec(rest) ?? []
  if (authority.includes('@')) throw refused('the URL has user information')
  if (tail !== '' && tail !== '/') throw refused('the URL has more than a host and a port')
  const [, six, four, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(authority) ?? []
  const host = six ?? four ?? ''
  // A name can be made to point anywhere, so only an address counts.
  if ((six !== undefined) !== host.includes(':') || !isLoopback(host)) {
    throw refused('the host is not a loopback address')
  }
  const number = port === undefined ? 80 : Number(port)
  if (number < 1 || number > 65_535) throw refused('the port is not one')
  return `http://${urlHost(host)}:${number}`
}

/** `127.0.0.0/8` as four plain numbers, `::1`, and the former written as IPv6. */
function isLoopback(host: string): boolean {
  if (!host.includes(':')) return host.startsWith('127.') && addressKind(host) === 'loopback'
  // The parser of URLs writes every address in one way, and takes no zone.
  const url = `http://[${host}]/`
  return URL.canParse(url) && /^\[::(?:1|ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4})\]$/.test(new URL(url).hostname)
}

function parseSocketPath(rest: string): string {
  if (/[?#]/.test(rest)) throw refused('the URL of a socket has a query or a fragment')
  if (rest !== '' && !rest.startsWith('/')) throw refused('the URL of a socket has a host or user information')
  const path = decode(rest)
  if (path === '' || path.endsWith('/')) throw refused('the URL of a socket has no path')
  if (path.split('/').includes('..')) throw refused("the path of the socket has a '..'")
  if (path.includes('\0')) throw refused('the path of the socket has a zero byte')
  if (new TextEncoder().encode(path).length > socketPathBytes) {
    throw refused(`the path of the socket is longer than ${socketPathBytes} bytes`)
  }
  return path
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    throw refused(`the path of the socket cannot be decoded (${messageOf(error)})`)
  }
}

function parsePipeName(rest: string): string {
  const name = rest.toLowerCase()
  if (!/^[a-z0-9._-]+$/.test(name) || name.length > pipeNameLength || reservedNames.test(name)) {
    throw refused('the name of the pipe is not one')
  }
  return name
}

function refused(reason: string): ThvError {
  return new ThvError('server-record-refused', reason)
}
