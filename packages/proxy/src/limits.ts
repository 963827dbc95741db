const mebibyte = 1024 * 1024

/**
 * Every default maximum of the data plane, with its reason.
 * Times are milliseconds, sizes bytes, the rest counts.
 */
export const proxyLimits = {
  /** One request body; spec/local 4.10. */
  bodyBytes: 8 * mebibyte,
  /** One line of a stdio server; the SDKs give up at the same size. */
  lineBytes: 10 * mebibyte,
  /** Bytes on their way into a stdio server that does not read; above it calls are refused. */
  serverQueueBytes: 16 * mebibyte,
  /** Bytes a slow reader of one event stream may leave unread before the stream is closed. */
  streamBufferBytes: 4 * mebibyte,
  /** The first event of an SSE backend is buffered up to this size. */
  firstEventBytes: 64 * 1024,
  /** A backend's answer to the readiness probe that is looked at. */
  probeBytes: mebibyte,
  /** Length of server output quoted in one log record. */
  loggedLineLength: 2_000,
  /** Members of one JSON-RPC batch. */
  batchItems: 100,
  /** Client sessions at a time. */
  sessions: 10_000,
  /** A session without traffic, calls or an open stream; spec/local 4.3. */
  sessionTtlMs: 2 * 60 * 60 * 1000,
  /** Between two looks for idle sessions. */
  sessionSweepMs: 60_000,
  /** Resource subscriptions of one session. */
  subscriptionsPerSession: 1_000,
  /** Calls the server has not answered yet. */
  inFlightCalls: 10_000,
  /** Calls that wait for a server that is being restarted. */
  waitingCalls: 1_000,
  /** Wait of one such call. */
  backendWaitMs: 30_000,
  /** Handshake with a server or readiness of an HTTP backend; a slow npm server needs seconds. */
  attachTimeoutMs: 60_000,
  /** Server processes for clients that a server may ask something, at a time; each is a whole server. */
  lanes: 32,
  /** Start and handshake of one of them; as the handshake of the first. */
  laneOpenMs: 60_000,
  /** One without call, stream or question to answer is ended, and started again for the next call. */
  laneIdleMs: 10 * 60_000,
  /** One that ended by itself this often within the time is not started again until it is over. */
  laneCrashes: 5,
  laneCrashWindowMs: 60_000,
  /** Requests of one server that its client has not answered. */
  openQuestions: 100,
  /** Wait of such a request for a stream to send it on. */
  questionWaitMs: 30_000,
  /** A client without answer and without progress; behind it sits a person who reads. */
  questionMs: 10 * 60_000,
  /** A call without answer and without progress; spec/local 4.4. */
  requestTimeoutMs: 60_000,
  /** A call that takes longer is answered as an event stream, if the client can read one. */
  streamAfterMs: 10_000,
  /** Between two comments on a quiet stream; proxies on the way cut at 30 s and more. */
  keepAliveMs: 15_000,
  /** Request head; spec/local 4.1. */
  headersTimeoutMs: 10_000,
  /** Whole request; spec/local 4.1. */
  receiveTimeoutMs: 30_000,
  /** Between two looks for requests over these two times. */
  connectionCheckMs: 5_000,
  /** Idle connection; spec/local 4.1. */
  idleConnectionMs: 120_000,
  /** TCP connections of clients at a time. */
  connections: 20_000,
  /** Connections to one HTTP backend; each open event stream holds one. */
  backendConnections: 1_024,
  /** Of these, what event streams may hold, so that calls always find room. */
  backendStreams: 768,
  /** First and longest delay between two readiness probes. */
  probeInitialMs: 100,
  probeMaxMs: 2_000,
  /** Work in flight at close. */
  closeMs: 5_000,
} as const

/** The maxima of one proxy; each may be overridden in its config. */
export type ProxyLimits = { readonly [Name in keyof typeof proxyLimits]: number }
