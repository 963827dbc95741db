import type { Era, RuntimeWish } from '../domain/run-config.ts'
import type { ToolOverride } from '../domain/tool-rules.ts'
import type { IsolationWish } from '../domain/confinement.ts'
import type { PermissionProfile } from '../domain/permission-profile.ts'
import type { ImageBuild } from '../ports/image-store.ts'
import type { ProxyMode, TransportType } from '../domain/transport-type.ts'

/** A server at a URL, and what it is told about us. */
export interface RemoteRequest {
  url: string
  /** Added to every request to it; they stand in the run config as they are. */
  headers?: Record<string, string>
  /** Absolute path of a file with a token. */
  bearerTokenFile?: string
  /** Whether the token in the environment of whoever starts it is meant for this server. */
  tokenFromEnvironment?: boolean
  /** Absolute path of a PEM file: the authorities whose certificates it may have. */
  caBundle?: string
}

/** What a user asks of `run`, before defaults: flags of the CLI or the body of an API call. */
export interface RunRequest {
  /** Package argument (`npx://…`); undefined for a local command or an image. */
  source?: string
  /** Reference of an image. */
  image?: string
  /** Set for a server at a URL. */
  remote?: RemoteRequest
  /** How a package runs; default `auto`, a process. An image always runs in a container. */
  runtime?: RuntimeWish
  /** How the image of a package is built, beside its name; needs the runtime `container`. */
  build?: Partial<Omit<ImageBuild, 'kind' | 'name' | 'version'>>
  /** Local command line (after `--`), or the arguments of a package's server. */
  args: string[]
  name?: string
  group?: string
  /** Default `stdio`; for a remote server what it turns out to speak. */
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
  /** What the server may do, and the built-in name or the file it came from, if it came from one. */
  permissionProfile?: { nameOrPath?: string; profile: PermissionProfile }
  /** `host:container[:ro]`, with absolute paths. */
  volumes?: string[]
  /** Undefined: where a sandbox can do it. */
  isolateNetwork?: boolean
  /** `none`, `host`, or the name of a container network: in the place of the profile's mode. */
  network?: string
  isolation?: IsolationWish
  /** Whether the user's own ignore patterns count; default true. */
  ignoreGlobally?: boolean
  debug?: boolean
}
