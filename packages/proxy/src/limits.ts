import { ProxyError } from './errors.ts'

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
  /** A request body up to this size is collected before it is sent on, so that it can be sent once more; above it is streamed. */
  collectBytes: 64 * 1024,
  /** A client's `initialize` that is kept for the day the server has forgotten its session. */
  initBodyBytes: 16 * 1024,
  /** All headers of one message, of clients and of HTTP backends; Node's own default. */
  headerBytes: 16 * 1024,
  /** What a session remembers of its client's capabilities; one that declares more is taken to declare nothing. */
  capabilitiesBytes: 16 * 1024,
  /** One event of an HTTP backend that is held until it is whole; spec/local 4.10. */
  eventBytes: mebibyte,
  /** An answer nobody wants that is read to keep its connection. */
  discardBytes: 64 * 1024,
  /** All that is kept for slow peers: bodies and events on their way, calls that wait, what clients leave unread. Above it calls are refused. */
  heldBytes: 256 * mebibyte,
  /** An answer of which its client reads nothing for this time is cut off, on both planes. */
  answerUnreadMs: 30_000,
  /** An event stream that ended gets this time to be read to its end. */
  streamEndMs: 5_000,
  /** What is read of a body that was refused, so that its sender gets to see the refusal; and how long. */
  lingerBytes: 16 * mebibyte,
  lingerMs: 1_000,
  /** The first event of an SSE backend is buffered up to this size. */
  firstEventBytes: 64 * 1024,
  /** A backend's answer to the readiness probe that is looked at. */
  probeBytes: mebibyte,
  /** Length of server output quoted in one log record. */
  loggedLineLength: 2_000,
  /** Lines of a server that are no messages and are logged, in one window; the rest is counted. */
  noiseLines: 10,
  noiseWindowMs: 60_000,
  /** Members of one JSON-RPC batch. */
  batchItems: 100,
  /** Client sessions at a time. */
  sessions: 10_000,
  /** A session without traffic, calls or an open stream; spec/local 4.3. */
  sessionTtlMs: 2 * 60 * 60 * 1000,
  /** A session that was never used after `initialize`: most likely its client forgot it. */
  unusedSessionTtlMs: 5 * 60 * 1000,
  /** Between two looks for idle sessions. */
  sessionSweepMs: 60_000,
  /** What was sent on the event streams of one session and is kept, so that a lost connection can be made up for. */
  storedEvents: 1_000,
  storedEventBytes: 4 * mebibyte,
  /** How long it is kept after a stream ended or lost its connection; clients come back within seconds. */
  storedEventMs: 5 * 60_000,
  /** Text that an event id may carry about the requests its stream answers; a header has 16 KiB. */
  eventIdBytes: 1_024,
  /** What clients of a lost stream are asked to wait before they resume it; the SDKs try twice, and a restart takes up to 3 s. */
  resumeAfterMs: 2_000,
  /** A use of a session is written to the journal when the last one written is so old. */
  journalUseMs: 10 * 60_000,
  /** Resource subscriptions of one session. */
  subscriptionsPerSession: 1_000,
  /** Open `subscriptions/listen` of Modern clients. */
  listens: 1_024,
  /** Before a subscription is opened again that the server has ended. */
  listenRetryMs: 1_000,
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
  /** When all places are taken, one that was idle for this long is ended to make room for another client. */
  laneSpareMs: 10_000,
  /** One that ended by itself this often within the time is not started again until it is over. */
  laneCrashes: 5,
  laneCrashWindowMs: 60_000,
  /** Silence of a process that is asked whether it is Modern; servers that know the question answer it within one second. */
  eraProbeMs: 5_000,
  /** What was found out about the era of a server; an upgraded server may be of another. */
  eraVerdictMs: 24 * 60 * 60_000,
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
  /** Event streams of one HTTP backend; each holds a connection. As many again are there for calls. */
  backendConnections: 1_024,
  /** First and longest delay between two readiness probes: part of how long a restart takes. */
  probeInitialMs: 50,
  probeMaxMs: 250,
  /** Answer to the question for the era; and from one such question to the next. */
  eraAskMs: 10_000,
  eraPauseMs: 10_000,
  /** For so long a server is believed that it is not Modern; protocol 2.2. */
  legacyVerdictMs: 24 * 60 * 60 * 1000,
  /** TCP connect to an HTTP backend. */
  connectTimeoutMs: 5_000,
  /** Quiet TCP connection to an HTTP backend or a client before the kernel asks whether the peer lives. */
  tcpKeepAliveMs: 30_000,
  /** Head of the answer of an HTTP backend that took a call; Node's own `fetch` gives up then. Streams of GET may wait. */
  answerHeadMs: 5 * 60_000,
  /** Event that begins the stream of an SSE backend, which has nothing else to do first. */
  endpointMs: 10_000,
  /** Between two attempts to reach an HTTP backend that should be there. */
  redialMs: 100,
  /** The same for a remote server: it is not ours, and far away. */
  remoteRedialMs: 1_000,
  /** Making a session known to a restarted server; it answers `initialize`, nothing slow. */
  revivalTimeoutMs: 15_000,
  /** Attempts in a row to open a lost event stream of a session again with the same server. */
  streamTries: 10,
  /** Longest pause between them, and the longest that a server may ask for with `retry`. */
  streamRedialMaxMs: 2_000,
  streamRetryMaxMs: 60_000,
  /** Tools of one server whose arguments are repeated in headers; and pages of its tool list that are read. */
  annotatedTools: 10_000,
  toolPages: 100,
  /** The list of tools that calls of Modern clients are checked by; less than `streamAfterMs`, so that a refusal has a status. */
  toolListMs: 5_000,
  /** Redirects of an HTTP backend to itself that are followed; spec/local 4.3. */
  redirects: 10,
  /** To end a session that a question of our own began: nothing depends on it, and the next step waits. */
  sessionEndMs: 1_000,
  /** Server card of a remote server: a few names and addresses, read once and beside everything else. */
  cardBytes: 64 * 1024,
  cardMs: 5_000,
  /** Health checks: interval, wait, delay after a failure, failures until unhealthy (a remote server: 3); spec/local 4.7. */
  healthIntervalMs: 10_000,
  healthTimeoutMs: 5_000,
  healthRetryMs: 5_000,
  healthFailures: 5,
  /** A server that fell silent when it had got a call may be busy with it, and is restarted only after this time, and after all that a call may take. */
  healthBusyMs: 5 * 60_000,
  /** Tools that the metrics tell apart; names come from clients, and a series is kept for good. */
  metricTools: 200,
  /** Series of any other metric. */
  metricSeries: 64,
  /** Length of a label in the metrics; spec/local 11.6. */
  metricLabelLength: 128,
  /** Work in flight at close. */
  closeMs: 5_000,
} as const

/** The maxima of one proxy; each may be overridden in its config. */
export type ProxyLimits = { readonly [Name in keyof typeof proxyLimits]: number }

/**
 * The limits of one proxy. What is not above zero is ignored; what is above the
 * longest time Node's timers know is lowered to it, because they take more for 1 ms.
 */
export function buildLimits(overrides: Partial<ProxyLimits> = {}): ProxyLimits {
  const limits: Record<string, number> = { ...proxyLimits }
  for (const [name, value] of Object.entries(overrides)) {
    if (value > 0) limits[name] = Math.min(Math.ceil(value), longestTimerMs)
  }
  return { ...proxyLimits, ...limits }
}

/**
 * Checks overrides that somebody wrote down. @throws ProxyError `limit-invalid` for a name that
 * is none, with all that are, and for what is not a whole number from 1 to 2^31 - 1
 */
export function checkLimits(given: Readonly<Record<string, unknown>>): Partial<ProxyLimits> {
  const checked: Record<string, number> = {}
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(proxyLimits, name)) {
      throw new ProxyError(
        'limit-invalid',
        `there is no limit "${name}"; there are ${Object.keys(proxyLimits).join(', ')}`,
      )
    }
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > longestTimerMs) {
      throw new ProxyError('limit-invalid', `the limit "${name}" is not a whole number from 1 to ${longestTimerMs}`)
    }
    checked[name] = value
  }
  return checked
}

const longestTimerMs = 2 ** 31 - 1
