/** What a forwarder is told to do, as the JSON of its first argument or else of its first line of input. */
export interface ForwarderOrder {
  /** Holds `egress.sock`, and gets `inbound.sock`. */
  directory: string
  /** Whether it ends when the connection to `life.sock` in the directory does: a container has no input of ours. */
  life?: boolean
  /** The way out. */
  egress?: {
    /** Where programs that know proxies find one, on 127.0.0.1. */
    proxyPort: number
    /** Ports on which every name can be connected to directly. */
    ports: readonly number[]
  }
  /** Where the server itself listens. */
  inbound?: { host: string; port: number }
}
