import type { IncomingHttpHeaders } from 'node:http'
import { DialFailed } from './dialled-connector.ts'
import { LoginRefused } from './login-interceptor.ts'
import type { RemoteLook, RemoteLookCode } from '../proxy-config.ts'

/** What the status of an answer says about a server, unless it can be used: then undefined. */
export function lookOfStatus(origin: string, status: number, headers: IncomingHttpHeaders): RemoteLook | undefined {
  const code = codeOfStatus(status)
  if (code === undefined) return undefined
  const message = `${origin} answered HTTP ${status}${status < 400 ? `, a redirect ${aimOf(origin, headers)}` : ''}`
  const retryAfterMs = status === 429 || status === 503 ? retryAfterOf(headers['retry-after']) : undefined
  return {
    kind: code === 'unauthorized' || code === 'forbidden' ? 'denied' : 'failing',
    code,
    message,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

/** Why nothing usable came. Messages of TLS and of the parser may quote what the peer sent, so they are cut. */
export function lookOfError(origin: string, error: unknown): RemoteLook {
  if (error instanceof LoginRefused) {
    const code = error.status === 403 ? 'scope-missing' : 'unauthorized'
    return { kind: 'denied', code, message: `${origin} answered HTTP ${error.status}: ${error.message}` }
  }
  const code = codeOfError(error)
  const text = error instanceof Error ? error.message : String(error)
  return { kind: 'failing', code, message: `${origin} ${said[code] ?? 'cannot be used'}: ${text.slice(0, 200)}` }
}

/** The answer was no answer of an MCP server. */
export class NotMcp extends Error {}

function codeOfStatus(status: number): RemoteLookCode | undefined {
  if (status === 401 || status === 407) return 'unauthorized'
  if (status === 403) return 'forbidden'
  if (status === 408) return 'timeout'
  if (status === 429) return 'rate-limited'
  if (status >= 500) return 'server-error'
  return status >= 300 && status < 400 ? 'redirects' : undefined
}

function codeOfError(error: unknown): RemoteLookCode {
  if (error instanceof NotMcp || error instanceof RangeError) return 'not-mcp'
  if (!(error instanceof Error) || error instanceof DialFailed) return 'unreachable'
  if (error.name === 'TimeoutError') return 'timeout'
  const code = 'code' in error ? String(error.code) : ''
  const known = codes[code]
  if (known !== undefined) return known
  // `ERR_TLS_CERT_ALTNAME_INVALID`, `CERT_HAS_EXPIRED`, `ERR_SSL_WRONG_VERSION_NUMBER` and their kin.
  if (/^(?:ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_|INVALID_CA|EPROTO)/.test(code))
    return 'tls'
  // Not every error of the parser has a code.
  if (error.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW') return 'not-mcp'
  return error.cause === undefined ? 'unreachable' : codeOfError(error.cause)
}

const codes: Readonly<Record<string, RemoteLookCode>> = {
  ECONNREFUSED: 'refused',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  EAI_FAIL: 'dns',
  ENODATA: 'dns',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  ECONNRESET: 'cut',
  EPIPE: 'cut',
  UND_ERR_SOCKET: 'cut',
  ENETUNREACH: 'no-route',
  EHOSTUNREACH: 'no-route',
  ENETDOWN: 'no-route',
  EADDRNOTAVAIL: 'no-route',
}

const said: Partial<Record<RemoteLookCode, string>> = {
  refused: 'refuses connections',
  dns: 'has a name that cannot be resolved',
  tls: 'cannot be trusted or speaks no TLS',
  timeout: 'did not answer in time',
  cut: 'cut the connection',
  'no-route': 'cannot be reached from here',
  'not-mcp': 'does not answer as an MCP server',
}

/** Only the origin: what else stands in a location may be secret. */
function aimOf(origin: string, { location }: IncomingHttpHeaders): string {
  if (location === undefined || !URL.canParse(location, origin)) return 'to nowhere'
  const aim = new URL(location, origin).origin
  return aim === new URL(origin).origin ? 'that leads in a circle' : `to ${aim}`
}

/** Seconds, or a date (RFC 9110, section 10.2.3). */
function retryAfterOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000
  const waitMs = Date.parse(value) - Date.now()
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs)
}
