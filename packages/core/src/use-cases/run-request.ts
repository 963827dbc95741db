import type { Era } from '../domain/run-config.ts'
import type { ToolOverride } from '../domain/tool-rules.ts'
import type { ProxyMode, TransportType } from '../domain/transport-type.ts'

/** What a user asks of `run`, before defaults: flags of the CLI or the body of an API call. */
export interface RunRequest {
  /** Package argument (`npx://…`); undefined for a local command. */
  source?: string
  /** Local command line (after `--`), or the arguments of a package's server. */
  args: string[]
  name?: string
  group?: string
  transport?: TransportType
  proxyMode?: ProxyMode
  host?: string
  proxyPort?: number
  targetPort?: number
  targetHost?: string
  allowedOrigins?: string[]
  trustProxyHeaders?: boolean
  /** A path, `/…`. */
  endpointPrefix?: string
  /** No client gets a session. */
  stateless?: boolean
  /** As Go writes durations; `0` is the default. */
  sessionTtl?: string
  strictProtocolValidation?: boolean
  /** Already merged: files first, then single values. */
  environment: Record<string, string>
  labels: Record<string, string>
  /** One server process for all clients, whatever they declare. */
  sharedServer?: boolean
  /** Tools that clients see, by the names they see; all without. */
  toolsFilter?: string[]
  toolsOverride?: Record<string, ToolOverride>
  /** Whether the proxy counts, and shows `/metrics`. */
  metrics?: boolean
  /** Left out: what the server turns out to be. */
  era?: Era
  debug?: boolean
}
