import { clientSecretTarget, parseClientSecret, type RemoteAuthConfig } from '../domain/remote-auth.ts'
import { isRemote, type RunConfig } from '../domain/run-config.ts'
import { parsePermissionProfile } from '../domain/permission-profile.ts'
import { bearerTokenTarget, parseSecretParameter } from '../domain/secret-name.ts'
import type { RunConfigStore } from '../ports/state-store.ts'
import type { CreateWorkloadRequest } from '../schemas/workload-request.ts'
import { workloadNotFound } from './list-workloads.ts'
import { bearerTokenOf } from './workload-secrets.ts'

/** The saved workload in the shape in which it would be asked for. `workload-not-found`. */
export async function getWorkloadRequest(
  deps: { configs: RunConfigStore },
  name: string,
): Promise<CreateWorkloadRequest> {
  const config = await deps.configs.load(name)
  if (config === undefined) throw workloadNotFound(name)
  return writeWorkloadRequest(config)
}

/** The counterpart of `readWorkloadRequest`. */
export function writeWorkloadRequest(config: RunConfig): CreateWorkloadRequest {
  const { permission_profile: profile } = config
  const body: CreateWorkloadRequest = {
    name: config.name,
    image: config.image,
    host: config.host,
    cmd_arguments: config.cmd_args,
    proxy_port: config.port,
    target_port: config.transport === 'stdio' ? undefined : config.target_port,
    env_vars: config.env_vars,
    volumes: config.volumes,
    transport: config.transport,
    proxy_mode: config.proxy_mode,
    network_isolation: config.isolate_network ?? true,
    allow_docker_gateway: config.allow_docker_gateway,
    trust_proxy_headers: config.trust_proxy_headers,
    runtime_config: config.runtime_config,
    tools: config.tools_filter,
    tools_override: config.tools_override,
    group: config.group,
  }
  const { secrets = [] } = config
  if (secrets.length > 0) body.secrets = secrets.map((text) => ({ ...parseSecretParameter(text) }))
  if (isRemote(config)) addRemote(body, config)
  if (profile !== null && profile !== undefined) {
    body.permission_profile = parsePermissionProfile(profile, `the profile of '${config.name}'`)
  }
  return body
}

/** Only what means something for a remote server, so that an edit may give it back as it is. */
function addRemote(body: CreateWorkloadRequest, config: RunConfig & { remote_url: string }): void {
  const { add_plaintext_headers: headers, add_headers_from_secret: secrets } = config.header_forward ?? {}
  const token = bearerTokenOf(config)
  body.url = config.remote_url
  body.image = undefined
  body.target_port = undefined
  body.proxy_mode = undefined
  body.network_isolation = undefined
  if (config.thv?.detects_transport === true) body.transport = undefined
  if (headers !== undefined || secrets !== undefined) {
    body.header_forward = { add_plaintext_headers: headers, add_headers_from_secret: secrets }
  }
  const login = loginOf(config.remote_auth_config)
  if (token !== undefined) login.bearer_token = { name: token, target: bearerTokenTarget }
  if (Object.values(login).some((value) => value !== undefined)) body.oauth_config = login
}

/** What a request may say about a login. */
function loginOf(auth: RemoteAuthConfig = {}): NonNullable<CreateWorkloadRequest['oauth_config']> {
  const name = parseClientSecret(auth.client_secret ?? '')
  return {
    issuer: auth.issuer,
    authorize_url: auth.authorize_url,
    token_url: auth.token_url,
    client_id: auth.client_id,
    client_secret: name === undefined ? undefined : { name, target: clientSecretTarget },
    scopes: auth.scopes,
    oauth_params: auth.oauth_params,
    callback_port: auth.callback_port,
    skip_browser: auth.skip_browser,
    resource: auth.resource,
  }
}
