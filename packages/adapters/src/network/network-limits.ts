/** Maxima of the network adapters. Times are milliseconds, sizes bytes. */
export const networkLimits = {
  /** Connections of one server at the same time; a browser opens some hundred. */
  connections: 512,
  /** Hosts that are looked up and connected to at the same time; whoever gives up leaves one behind until it is late. */
  dials: 256,
  /** Looking up a name: the system's resolver tries each name server for five seconds. */
  lookupMs: 15_000,
  /** One address that does not answer; a name may have several. */
  connectMs: 10_000,
  /** Addresses of one name that are tried. */
  addresses: 8,
  /** Until a client of the proxy has said what it wants. */
  headersMs: 15_000,
  /** The answer of a proxy in front of us. */
  upstreamMs: 30_000,
  /** Head of such an answer. */
  headBytes: 16 * 1024,
  /** Connections at the listener of a login: a browser opens a few, ahead of need. */
  callbackConnections: 32,
  /** Until one of them has sent its request. */
  callbackRequestMs: 10_000,
  /** Until a browser has read the page at the end. */
  callbackReplyMs: 2_000,
  /** Free ports that are tried until one is free on both loopback addresses. */
  callbackTries: 10,
  /** Different refusals and failures that are logged; after that the log says nothing new. */
  refusals: 500,
  /** Different hosts and ports that a learning run remembers. */
  learned: 2_000,
  /** Names that stand for an address inside; each takes one of 127.77.0.0/16. */
  names: 60_000,
} as const
