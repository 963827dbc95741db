/** Every maximum of the API server, with its reason. Milliseconds and bytes. */
export const apiLimits = {
  /** The largest body: spec/local 5.1. */
  bodyBytes: 1024 * 1024,
  /** Time for the head of a request: spec/local 1.9. */
  headersMs: 10_000,
  /** Time for a whole request to arrive: spec/local 1.9. */
  receiveMs: 30_000,
  /** Time for what is left of a request that is answered before it was read: a refused one. */
  restMs: 500,
  /** Time that an idle connection is kept: spec/local 1.9. */
  idleMs: 120_000,
  /** How often Node looks for connections that are over these times. */
  connectionCheckMs: 1_000,
  /** Time for an answer: spec/local 5.1. */
  routeMs: 60_000,
  /** Time for an answer behind a pull, a build or an installation: spec/local 5.1. */
  longRouteMs: 11 * 60_000,
  /** Time that a shutdown gives what is under way: spec/local 1.8. */
  graceMs: 30_000,
  /** Time for what is aborted after that to take back what it began. */
  abortMs: 5_000,
  /** Time to take the server record away at the end: a turn at its lock. */
  withdrawMs: 6_000,
  /** Connections at once: a client has a handful. */
  connections: 1_000,
  /** Operations in the background at once. Each may install or start something. */
  runningOperations: 100,
  /** Ended operations that can still be asked about. */
  endedOperations: 500,
  /** Longest operation: an installation, a stop and a start, each at its own limit. */
  operationMs: 15 * 60_000,
  /** Last lines that an operation keeps of what it tells about itself, and where one is cut: a build may write pages. */
  progressLines: 100,
  progressLineLength: 1_000,
  /** Longest `?wait=` for an operation: below `routeMs`, so that the answer is how it stands, and not a timeout. */
  operationWaitMs: 50_000,
  /** Workloads on a page, when pages are asked for. */
  pageSize: 1_000,
  /** Open event streams; each is a user interface or a script. */
  eventStreams: 200,
  /** Events kept for clients that come back: a lost connection is back in seconds, and the snapshot serves the others. */
  keptEvents: 1_000,
  keptEventBytes: 4 * 1024 * 1024,
  /** Events that wait for a client that does not read, in bytes; above that it is dropped. */
  eventBacklogBytes: 1024 * 1024,
  /** Piece by which a stream is written, so that this much at most waits in the socket of a client that does not read. */
  streamChunkBytes: 64 * 1024,
  /** Time for a client to read the end of its stream when the server ends. */
  streamEndMs: 1_000,
  /** Between two comments on a quiet stream; proxies on the way cut at 30 s and more. */
  eventKeepAliveMs: 15_000,
  /** An event stream on which nothing can be written for this long is cut: two comments and some. */
  slowReaderMs: 45_000,
} as const
