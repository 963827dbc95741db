/**
 * Why the proxy itself could not do what its owner asked: the three listen
 * problems are the operator's to solve, `handshake-failed`, `attach-timeout`
 * and `server-gone` are the server's, `cancelled` and `closed` the owner's own.
 * `limit-invalid` is an override of a limit that cannot be one.
 */
export type ProxyErrorCode =
  | 'port-in-use'
  | 'port-not-permitted'
  | 'host-invalid'
  | 'listen-failed'
  | 'attach-timeout'
  | 'handshake-failed'
  | 'server-gone'
  | 'limit-invalid'
  | 'cancelled'
  | 'closed'

/** The error class of this package's API. Match on `code`. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError'
  readonly code: ProxyErrorCode

  constructor(code: ProxyErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

/**
 * What a client of the proxy can be refused with: HTTP status and JSON-RPC
 * number. Peer faults and our faults never share a name.
 */
export const wireErrors = {
  /** In-band: the call is answered, with an error. */
  'tool-unknown': { status: 200, code: -32602 },
  'parse-error': { status: 400, code: -32700 },
  'invalid-request': { status: 400, code: -32600 },
  'batch-refused': { status: 400, code: -32600 },
  'version-unsupported': { status: 400, code: -32000 },
  'header-mismatch': { status: 400, code: -32020 },
  'version-not-served': { status: 400, code: -32022 },
  'envelope-invalid': { status: 400, code: -32602 },
  'params-invalid': { status: 200, code: -32602 },
  'input-not-bridged': { status: 200, code: -32603 },
  'session-required': { status: 400, code: -32000 },
  'scope-missing': { status: 403, code: -32603 },
  'host-denied': { status: 403, code: -32600 },
  'origin-denied': { status: 403, code: -32600 },
  'session-unknown': { status: 404, code: -32001 },
  'method-unknown': { status: 404, code: -32601 },
  'method-not-allowed': { status: 405, code: -32000 },
  'not-acceptable': { status: 406, code: -32000 },
  'stream-replaced': { status: 409, code: -32000 },
  'body-too-large': { status: 413, code: -32000 },
  'media-type-unsupported': { status: 415, code: -32000 },
  internal: { status: 500, code: -32603 },
  'transfer-encoding-unsupported': { status: 501, code: -32000 },
  'server-stopped': { status: 502, code: -32603 },
  'result-invalid': { status: 502, code: -32603 },
  'answer-too-large': { status: 502, code: -32603 },
  'backend-unreachable': { status: 502, code: -32603 },
  'backend-refused': { status: 502, code: -32603 },
  'server-absent': { status: 503, code: -32603 },
  'server-busy': { status: 503, code: -32603 },
  'too-many-sessions': { status: 503, code: -32603 },
  'too-many-listens': { status: 503, code: -32603 },
  'too-many-lanes': { status: 503, code: -32603 },
  closing: { status: 503, code: -32603 },
  timeout: { status: 504, code: -32000 },
} as const satisfies Record<string, { status: number; code: number }>

/** A name in {@link wireErrors}. */
export type WireErrorName = keyof typeof wireErrors

/** One refusal of one call, ready to be worded for HTTP or for an event stream. */
export interface WireError {
  readonly name: WireErrorName
  readonly message: string
  readonly data?: Record<string, unknown>
  /** Seconds; told as `Retry-After`. */
  readonly retryAfterS?: number
}

/**
 * The JSON-RPC error object of a refusal. `idText` is the JSON text of the
 * request's id; empty when it is not known, then the member is absent, because
 * SDK clients reject `"id": null`.
 */
export function buildErrorText(error: WireError, idText: string): string {
  const { code } = wireErrors[error.name]
  const body =
    error.data === undefined ? { code, message: error.message } : { code, message: error.message, data: error.data }
  const id = idText === '' ? '' : `,"id":${idText}`
  return `{"error":${JSON.stringify(body)},"jsonrpc":"2.0"${id}}`
}
