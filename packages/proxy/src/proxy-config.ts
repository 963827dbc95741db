import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { ProxyLimits } from './limits.ts'
import type { Era } from './mcp/revision.ts'
import type { ProxyMetrics } from './metrics/proxy-metrics.ts'
import type { Middleware } from './middleware.ts'

/** The protocol spoken to clients in front of a stdio server. */
export type FrontMode = 'streamable-http' | 'sse'

/** Receiver of the proxy's own log records. Must not throw. */
export type ProxyLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
) => void

/**
 * Everything a proxy needs to know.
 *
 * `allowedOrigins` defaults to the proxy's own loopback origins when it listens
 * on loopback; on any other address without a list the Origin header is not
 * checked, which one warning says. `trustProxyHeaders` (default false) believes
 * `X-Forwarded-*` of a proxy in front; set it only where clients cannot reach this
 * one directly. `endpointPrefix` is a path, `/…`, in front of the endpoints told to
 * SSE clients. `limits` overrides single entries of {@link ProxyLimits}: what is not
 * above zero is ignored, what no timer could wait for (2^31 - 1 ms) is lowered to that.
 * `middleware` is the chain, outermost first; default none. With `metrics`, `/metrics`
 * shows them; default off. `stateless` (default false): no client gets a session, and
 * GET, HEAD and DELETE are answered 405; only for Streamable HTTP. `strictProtocolValidation`
 * (default false) refuses every request whose version header is not in `listedRevisions`.
 */
export interface ProxyConfig {
  name: string
  /** Port 0 lets the system choose. */
  listen: { host: string; port: number }
  /** What stands behind: a stdio server, or an HTTP server everything is forwarded to. */
  backend: 'stdio' | 'http'
  /** Front door in front of a stdio server. Ignored for an HTTP backend. */
  mode: FrontMode
  allowedOrigins?: readonly string[]
  trustProxyHeaders?: boolean
  endpointPrefix?: string
  stateless?: boolean
  strictProtocolValidation?: boolean
  limits?: Partial<ProxyLimits>
  middleware?: readonly Middleware[]
  metrics?: ProxyMetrics
  log: ProxyLog
  /**
   * The era a server is spoken to in. `auto` (the default) finds out: an HTTP server is asked for both;
   * with `openLane` a second process is asked whether a stdio server speaks both.
   */
  era?: Era | 'auto'
  /**
   * Starts one more process of the same stdio server, for one client that
   * declares elicitation, sampling or roots. Without it such clients share the
   * attached server, whose requests to clients are refused.
   */
  openLane?: (signal: AbortSignal) => Promise<ServerLane>
  /** Where sessions are written down, so that the next proxy of this workload knows them. Without it they end with this one. */
  journal?: SessionJournal
}

/** What is written down of one session: texts by name. */
export type SessionRecord = Readonly<Record<string, string>>

/**
 * The sessions of one workload, kept across its proxies. What is written must survive
 * the end of this process, however it ends, when the call returns. No method throws.
 */
export interface SessionJournal {
  /** What was written before, by the key it was written under. Each owner of records calls it before it writes any. */
  load(): ReadonlyMap<string, SessionRecord>
  /** Adds to a record, or begins it; null takes a text away. */
  write(key: string, changes: Readonly<Record<string, string | null>>): void
  /** Ends a record. */
  delete(key: string): void
}

/** A server process for one client. */
export interface ServerLane {
  input: Writable
  output: Readable
  /** Resolves with the reason when the process has ended. Never rejects. */
  ended: Promise<string>
  /** Ends the process. Idempotent, bounded in time; resolves when nothing of it lives. */
  close(): Promise<void>
}

/** A living server: its standard streams, or where it is reached over HTTP. */
export type BackendConnection = { kind: 'stdio'; input: Writable; output: Readable } | HttpConnection

/**
 * A server that is reached over HTTP or HTTPS. With `path` it is a configured URL, most likely
 * on another machine: requests to the endpoint go to that path (`/…`), `query` (without the question
 * mark, default none) is put before the client's in every request, the server is not told by
 * which name clients reach the proxy, and no other path of a Streamable HTTP server can be reached.
 */
export interface HttpConnection {
  kind: 'http'
  /** Scheme, host and port. */
  origin: string
  transport: FrontMode
  path?: string
  query?: string
  /** Certificates (PEM) that are trusted instead of Node's own list. */
  ca?: string
}

/** A server at a configured URL that is asked for its health, and that may be down. */
export interface RemoteConnection extends Omit<HttpConnection, 'transport' | 'path'> {
  /** `auto` finds out. */
  transport: FrontMode | 'auto'
  path: string
  /** Added to every request, in the place of headers of the same name; asked for each, so that they may change. */
  headers?: () => Readonly<Record<string, string>>
  /** Default: clients log in by themselves, or need not. */
  login?: RemoteLogin
  /** Opens the connections that an https server is spoken to over, in bounded time; default: directly. */
  dial?: (target: { host: string; port: number }) => Promise<Socket>
}

/**
 * The login at a remote server, where it is ours: no credentials of clients reach the server then, and no demand of the
 * server reaches clients.
 */
export interface RemoteLogin {
  /** Whether it is; that may begin and end while the server is in use. */
  isOurs: () => boolean
  /** Value of the Authorization header; undefined when there is none that could be of use. */
  authorization: () => string | undefined
  /**
   * The server refused this value (401), or there was none. Resolves to undefined once there is another, else to why there
   * is none. Bounded in time; never rejects.
   */
  renew: (refused: string | undefined) => Promise<Refusal | undefined>
  /** The server refused this value too, which had just been renewed. Why there is no other. */
  giveUp: (refused: string) => Refusal
  /** The server wants these scopes for a call (403), as far as it names them. What its client is told. */
  lacks: (scopes: readonly string[]) => Refusal
}

/** Why calls are refused, as clients are told. */
export interface Refusal {
  /** Without the end of the sentence. */
  message: string
  /** Code for programs (`data.reason`). */
  reason?: string
  /** What can be done (`data.todo`). */
  todo?: string
  /** Seconds (`Retry-After`). */
  retryAfterS?: number
}

/** What one look at a remote server found. */
export interface RemoteLook {
  /** `alive`: it can be used; `denied`: it answers and lets us not in; `failing`: anything else. */
  kind: 'alive' | 'denied' | 'failing'
  code: RemoteLookCode
  /** One sentence. */
  message: string
  /** How long the server asks to be left alone. */
  retryAfterMs?: number
  /** What it speaks, once that is known. */
  transport?: FrontMode
}

/** Why a look ended as it did. */
export type RemoteLookCode =
  | 'alive'
  | 'unauthorized'
  | 'forbidden'
  | 'scope-missing'
  | 'refused'
  | 'dns'
  | 'tls'
  | 'timeout'
  | 'cut'
  | 'no-route'
  | 'server-error'
  | 'rate-limited'
  | 'redirects'
  | 'not-mcp'
  | 'unreachable'

/** How `/health` calls a server: `degraded` when it is in doubt. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy'

/** What one question to an attached server of this machine found: whether it lives. */
export interface BackendSign {
  /**
   * `silent`: no answer in time; `refused`: it takes no connection or no more input; `server-error`: it answers with an
   * HTTP status of 500 or more; `absent`: no server is attached.
   */
  code: 'alive' | 'silent' | 'refused' | 'server-error' | 'absent'
  /** One sentence. */
  message: string
  /** Whether calls of clients were under way when it was asked, so that it may be busy with them. */
  isBusy: boolean
}

/** What the server said about itself in the handshake; empty strings when it said nothing. */
export interface BackendInfo {
  serverName: string
  serverVersion: string
  protocolVersion: string
}

/** A server in use. */
export interface Attachment extends BackendInfo {
  /**
   * Resolves with the reason when the streams of the server are gone while it is in
   * use, though its process may live on. Never resolves for an HTTP server, nor
   * after `detach`, `close` or the next `attach`. Never rejects.
   */
  readonly lost: Promise<string>
}

/** One listening address in front of one server that may come and go. */
export interface Proxy {
  /**
   * Opens the listener. An abort, or `close`, while it opens leaves nothing behind.
   * @throws ProxyError `port-in-use`, `port-not-permitted`, `host-invalid`, `listen-failed`, `cancelled`, `closed`
   */
  start(signal: AbortSignal): Promise<void>
  /** Where it listens, with the real port. Before `start` the configured values. */
  readonly address: { host: string; port: number }
  /**
   * Takes a new server into use: handshake, then the calls that waited.
   * Client sessions go on with it. Replaces the server attached before. Watch
   * `lost`: a server that closed its output is detached, whether it lives or not.
   * @throws ProxyError `attach-timeout`, `handshake-failed`, `server-gone`, `cancelled`, `closed`
   */
  attach(backend: BackendConnection, signal: AbortSignal): Promise<Attachment>
  /**
   * Says that the server is gone. Calls in flight get an error that tells they
   * may have run; later ones wait up to `limits.backendWaitMs` for the next attach.
   */
  detach(reason: string): void
  /**
   * Looks once at a remote server, at most `limits.healthTimeoutMs`, and takes it into use as soon as it answers. One
   * that wants a login is used too: clients may have one. The same connection again means the same server, whose
   * sessions go on whatever was found in between. Rejects only when the signal aborts or the proxy is closed.
   */
  look(connection: RemoteConnection, signal: AbortSignal): Promise<RemoteLook>
  /**
   * Reads the server card of the remote server that a look has found alive: a text of at most `limits.cardBytes`, in at most
   * `limits.cardMs`; undefined when there is none. Changes nothing; never rejects.
   */
  card(signal: AbortSignal): Promise<string | undefined>
  /**
   * Asks the attached server whether it lives, at most `limits.healthTimeoutMs`, beside the calls of clients. Rejects only
   * when the signal aborts.
   */
  probe(signal: AbortSignal): Promise<BackendSign>
  /** What `/health` says of the attached server from now on, with the problem; each attach begins `healthy`. Calls go on. */
  noteHealth(status: HealthStatus, problem: string): void
  /** From now on every call is refused at once; undefined ends that. Calls in flight go on. A text is the message. */
  refuse(refusal: Refusal | string | undefined): void
  /**
   * Stops accepting, lets calls in flight finish until the deadline (default
   * `limits.closeMs`), then cuts. Idempotent; never rejects.
   */
  close(deadlineMs?: number): Promise<void>
  /** Numbers of the moment. */
  stats(): { sessions: number; inFlight: number; streams: number }
}
