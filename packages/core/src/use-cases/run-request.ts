import type { Era } from '../domain/run-config.ts'
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
  /** Already merged: files first, then single values. */
  environment: Record<string, string>
  labels: Record<string, string>
  /** One server process for all clients, whatever they declare. */
  sharedServer?: boolean
  /** Left out: what the server turns out to be. */
  era?: Era
  debug?: boolean
}
