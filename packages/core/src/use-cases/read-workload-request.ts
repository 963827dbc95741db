import { builtImagePrefix } from '../domain/image-reference.ts'
import { formatClientSecret, type RemoteAuthConfig } from '../domain/remote-auth.ts'
import { parsePermissionProfile } from '../domain/permission-profile.ts'
import { isProxyMode, isTransportType, type TransportType } from '../domain/transport-type.ts'
import { formatSecretParameter } from '../domain/secret-name.ts'
import { ThvError } from '../errors.ts'
import type { CreateWorkloadRequest, UpdateWorkloadRequest } from '../schemas/workload-request.ts'
import { parseServerArgument } from './parse-server-argument.ts'
import { isRemoteUrl } from '../domain/remote-url.ts'
import type { RemoteRequest, RunRequest } from './run-request.ts'

/** A body that creates a workload, as a request with a name. */
type Body = UpdateWorkloadRequest & Pick<CreateWorkloadRequest, 'name' | 'registry' | 'server'>

/**
 * What the body of an API call asks for. What this version cannot do is refused and never
 * left out: `run-config-unsupported`.
 * An empty text, list or map and a port 0 mean the same as nothing.
 */
export function readWorkloadRequest(body: Body): RunRequest & { name: string } {
  refuseUnsupported(body)
  const isRemote = isGiven(body.url)
  const transport = isRemote && !isGiven(body.transport) ? undefined : transportOf(body.transport)
  const request: RunRequest & { name: string } = {
    name: body.name,
    ...(isRemote ? { remote: remoteOf(body) } : parseServerArgument(imageOf(body))),
    ...(transport === undefined ? {} : { transport }),
    args: body.cmd_arguments ?? [],
    environment: body.env_vars ?? {},
    labels: {},
    ...(isRemote ? {} : { isolateNetwork: body.network_isolation ?? true }),
    trustProxyHeaders: body.trust_proxy_headers === true,
    allowDockerGateway: body.allow_docker_gateway === true,
  }
  addProxy(request, body)
  addTarget(request, body)
  if (isGiven(body.group)) request.group = body.group
  if (isGiven(body.secrets)) {
    request.secrets = body.secrets.map(({ name = '', target = '' }) => formatSecretParameter({ name, target }))
  }
  if (isGiven(body.volumes)) request.volumes = body.volumes
  if (isGiven(body.tools)) request.toolsFilter = body.tools
  if (body.tools_override !== undefined) request.toolsOverride = toolsOverrideOf(body.tools_override)
  // An empty profile is one that allows nothing.
  if (body.permission_profile !== undefined) {
    request.permissionProfile = { profile: parsePermissionProfile(body.permission_profile, 'permission_profile') }
  }
  // How a finished image was built is part of its description and no wish.
  if (isGiven(body.runtime_config) && request.image?.startsWith(builtImagePrefix) !== true)
    addBuild(request, body.runtime_config)
  return request
}

const unsupported: Readonly<Partial<Record<keyof Body, string>>> = {
  registry: 'registry entries',
  server: 'registry entries',
  authz_config: 'authorization',
  oidc: 'incoming authentication',
  headers: 'headers of a registry entry',
}

function refuseUnsupported(body: Body): void {
  const found: [string, string][] = Object.entries(unsupported).filter(([key]) => isGiven(Reflect.get(body, key)))
  const { url, image, header_forward: forward, oauth_config: oauth } = body
  if (isGiven(oauth) && !isGiven(url)) found.push(['oauth_config', 'a login at a server that is not remote'])
  if (isGiven(forward) && !isGiven(url)) found.push(['header_forward', 'headers for a server that is not remote'])
  if (isGiven(url) && isGiven(image)) found.push(['image', 'an image and a remote server at once'])
  if (found.length === 0) return
  const meanings = [...new Set(found.map(([, meaning]) => meaning))].join(', ')
  throw new ThvError('run-config-unsupported', `the request asks for what this version cannot do: ${meanings}`, {
    hint: `leave ${found.map(([key]) => `'${key}'`).join(', ')} out if the server may run without`,
  })
}

function remoteOf({ url = '', header_forward: forward, oauth_config: oauth }: Body): RemoteRequest {
  if (!isRemoteUrl(url)) {
    throw new ThvError('invalid-argument', 'the URL of the remote server is neither https nor http', {
      hint: 'write it as https://host/path',
    })
  }
  return {
    url,
    ...(isGiven(forward?.add_plaintext_headers) ? { headers: forward.add_plaintext_headers } : {}),
    ...(isGiven(forward?.add_headers_from_secret) ? { secretHeaders: forward.add_headers_from_secret } : {}),
    ...(isGiven(oauth?.bearer_token?.name) ? { bearerTokenSecret: oauth.bearer_token.name } : {}),
    ...loginOf(oauth),
  }
}

/** PKCE is always used. */
function loginOf({
  client_secret: secret,
  use_pkce: _always,
  bearer_token: _token,
  ...rest
}: NonNullable<Body['oauth_config']> = {}): Pick<RemoteRequest, 'login'> {
  const login: RemoteAuthConfig = Object.fromEntries(Object.entries(rest).filter(([, value]) => isGiven(value)))
  if (isGiven(secret?.name)) login.client_secret = formatClientSecret(secret.name)
  return Object.keys(login).length === 0 ? {} : { login }
}

function imageOf({ image }: Body): string {
  if (isGiven(image)) return image
  throw new ThvError('invalid-argument', 'nothing to run: one of image, url, or registry with server must be given', {
    hint: "give an image, or a package as in 'npx://package'",
  })
}

function transportOf(text: string | undefined): TransportType {
  if (!isGiven(text)) return 'stdio'
  if (isTransportType(text)) return text
  throw new ThvError('invalid-argument', `the transport '${text}' is not stdio, sse or streamable-http`, {
    hint: 'leave it out for stdio',
  })
}

function addProxy(request: RunRequest, body: Body): void {
  const { host, proxy_mode: mode, proxy_port: port } = body
  if (isGiven(host)) request.host = host
  if (isGiven(port)) request.proxyPort = port
  // What a server that speaks HTTP does anyway may be said.
  if (!isGiven(mode) || mode === request.transport) return
  if (!isProxyMode(mode)) {
    throw new ThvError('invalid-argument', `the proxy mode '${mode}' is not streamable-http or sse`, {
      hint: 'leave it out for streamable-http',
    })
  }
  request.proxyMode = mode
}

function addTarget(request: RunRequest, { target_port: port }: Body): void {
  if (!isGiven(port)) return
  if (request.transport === 'stdio') {
    throw new ThvError('invalid-argument', 'a target port has no meaning for a stdio server', {
      hint: 'leave it out, or give the transport sse or streamable-http',
    })
  }
  request.targetPort = port
}

function toolsOverrideOf(given: NonNullable<Body['tools_override']>): NonNullable<RunRequest['toolsOverride']> {
  const entries = Object.entries(given).map(([tool, { name = '', description = '' }]) => [tool, { name, description }])
  return Object.fromEntries(entries)
}

/** Asks for a container, as the same flags of `thv run` do. */
function addBuild(request: RunRequest, config: NonNullable<Body['runtime_config']>): void {
  request.runtime = 'container'
  request.runtimeConfig = {
    ...(isGiven(config.builder_image) ? { builder_image: config.builder_image } : {}),
    ...(isGiven(config.additional_packages) ? { additional_packages: config.additional_packages } : {}),
    ...(isGiven(config.build_with) ? { build_with: config.build_with } : {}),
    ...(isGiven(config.runtime_env) ? { runtime_env: config.runtime_env } : {}),
  }
}

/** Whether a member says anything: encoders of other languages write empty ones. */
function isGiven<T>(value: T | undefined): value is T {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return false
  if (Array.isArray(value)) return value.length > 0
  if (typeof value !== 'object') return true
  return Object.values(value).some((member) => isGiven(member))
}
