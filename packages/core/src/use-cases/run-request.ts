import type { RemoteAuthConfig } from '../domain/remote-auth.ts'
import type { Era, RuntimeWish } from '../domain/run-config.ts'
import type { ToolOverride } from '../domain/tool-rules.ts'
import type { IsolationWish } from '../domain/confinement.ts'
import type { PermissionProfile } from '../domain/permission-profile.ts'
import type { RuntimeConfig } from '../domain/runtime-config.ts'
import type { ProxyMode, TransportType } from '../domain/transport-type.ts'

/** A server at a URL, and what it is told about us. */
export interface RemoteRequest {
  url: string
  /** Added to every request to it; they stand in the run config as they are. */
  headers?: Record<string, string>
  /** Header to name of a secret. */
  secretHeaders?: Record<string, string>
  /** Goes into the secret store, and its name into the run config. */
  bearerToken?: string
  /** Name of a secret with a token. */
  bearerTokenSecret?: string
  /** Absolute path of a file with a token. */
  bearerTokenFile?: string
  /** Whether the token in the environment of whoever starts it is meant for this server. */
  tokenFromEnvironment?: boolean
  /** Absolute path of a PEM file: the authorities whose certificates it may have. */
  caBundle?: string
  /** How it is logged in to, where its own word is not enough; in the keys of a run config. */
  login?: RemoteAuthConfig
  /** Goes into the secret store, and its name into the run config. */
  clientSecret?: string
}

/** What a user asks of `run`, before defaults: flags of the CLI or the body of an API call. */
export interface RunRequest {
  /** Package argument (`npx://…`), or `go://` and an absolute path; undefined for a local command or an image. */
  source?: string
  /** Reference of an image. */
  image?: string
  /** Set for a server at a URL. */
  remote?: RemoteRequest
  /** How a package runs; default `auto`: in a container when an engine answers. An image always runs in a container. */
  runtime?: RuntimeWish
  /** How the image of a package is built. Asks for a container, unlike the defaults. */
  runtimeConfig?: RuntimeConfig
  /** A certificate in PEM that the build and the server trust; asks for a container too. */
  caCertificate?: string
  /** What the user's settings say about every build. */
  buildDefaults?: { runtimeConfig: RuntimeConfig; environment: Record<string, string>; caCertificate?: string }
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
  /** `NAME,target=VARIABLE`: variables of the server from secrets. */
  secrets?: string[]
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
  /** Whether this machine is reached as `host.docker.internal`; default false. */
  allowDockerGateway?: boolean
  /** `none`, `host`, or the name of a container network: in the place of the profile's mode. */
  network?: string
  isolation?: IsolationWish
  /** Whether the user's own ignore patterns count; default true. */
  ignoreGlobally?: boolean
  /** Whether it is said what `.thvignore` hides; default false. */
  printOverlays?: boolean
  debug?: boolean
}
