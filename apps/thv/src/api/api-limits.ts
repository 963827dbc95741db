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
} as const
