import { readChainSettings } from '../domain/chain-settings.ts'
import { loginProblem } from '../domain/remote-auth.ts'
import { isRemote, type RunConfig } from '../domain/run-config.ts'
import { effectiveProxyMode } from '../domain/transport-type.ts'
import { ThvError } from '../errors.ts'

/**
 * Keys whose meaning this version cannot honour. A config that sets one is refused:
 * to drop an access rule or a secret silently would be worse than not to run.
 */
const unsupported: Record<string, string> = {
  env_file_dir: 'an environment directory',
  jwks_auth_token_file: 'incoming authentication',
  publish: 'published ports',
  oidc_config: 'incoming authentication',
  token_exchange_config: 'token exchange',
  upstream_swap_config: 'token exchange',
  aws_sts_config: 'token exchange',
  embedded_auth_server_config: 'an authorization server',
  authz_config: 'authorization',
  authz_config_path: 'authorization',
  audit_config: 'audit',
  audit_config_path: 'audit',
  rate_limit_config: 'rate limits',
  validating_webhooks: 'webhooks',
  mutating_webhooks: 'webhooks',
  scaling_config: 'scaling',
  k8s_pod_template_patch: 'Kubernetes',
}

/**
 * Throws `run-config-unsupported` naming every key, and every member of a stored chain,
 * that this version would have to ignore; `invalid-run-config` for a chain that makes no sense.
 */
export function assertSupportedRunConfig(config: RunConfig): void {
  assertSessionsSuit(config)
  assertLogin(config)
  const inChain = readChainSettings(config).unsupported
  const found = Object.keys(unsupported).filter((key) => isSet(config[key]))
  // How an image was built concerns nobody who runs it; a process would run without what it says.
  if (config.thv?.runtime !== 'container' && isSet(config.runtime_config)) found.push('runtime_config')
  const remote = unsupportedOfRemote(config)
  if (found.length === 0 && inChain.length === 0 && remote.length === 0) return
  const own = found.map((key) => unsupported[key] ?? 'image builds')
  const meanings = [...new Set([...own, ...inChain, ...remote.map(({ meaning }) => meaning)])]
  found.push(...remote.map(({ key }) => key))
  if (inChain.length > 0) found.push(...chainKeys.filter((key) => isSet(config[key])))
  throw new ThvError(
    'run-config-unsupported',
    `the run config of '${config.name}' asks for what this version of thv cannot do: ${meanings.join(', ')}`,
    { hint: `remove ${found.map((key) => `'${key}'`).join(', ')} if the server may run without` },
  )
}

/** Keys of {@link RunConfig} about remote servers that cannot be honoured, each with its meaning. */
function unsupportedOfRemote(config: RunConfig): { key: string; meaning: string }[] {
  const { remote_auth_config: auth, header_forward: forward } = config
  if (!isRemote(config)) {
    const ofRemote = ['remote_auth_config', 'header_forward', 'thv_ca_bundle'].filter((key) => isSet(config[key]))
    return ofRemote.map((key) => ({ key, meaning: 'a setting of a remote server without its URL' }))
  }
  const ofServer = isSet(config.secrets)
    ? [{ key: 'secrets', meaning: 'variables of a server that is not started' }]
    : []
  const logins = Object.entries(unsupportedAuth).filter(([key]) => isSet(auth?.[key]))
  const headers = Object.keys(forward ?? {}).filter((key) => !headerKeys.has(key) && isSet(forward?.[key]))
  return [
    ...ofServer,
    ...logins.map(([key, meaning]) => ({ key: `remote_auth_config.${key}`, meaning })),
    ...headers.map((key) => ({ key: `header_forward.${key}`, meaning: 'headers' })),
  ]
}

const headerKeys: ReadonlySet<string> = new Set(['add_plaintext_headers', 'add_headers_from_secret'])

/** Of `remote_auth_config`. What else another program has cached there is not needed. */
const unsupportedAuth: Record<string, string> = {
  headers: 'headers of a registry entry',
  env_vars: 'variables of a registry entry',
}

function assertLogin({ name, remote_auth_config: auth }: RunConfig): void {
  const problem = loginProblem(auth ?? {})
  if (problem === undefined) return
  throw new ThvError('invalid-run-config', `the login in the run config of '${name}' makes no sense: ${problem}`, {
    hint: "mend 'remote_auth_config', or run the workload again",
  })
}

/** The session of an SSE client is its stream: without it there is no answer. */
function assertSessionsSuit(config: RunConfig): void {
  if (config.stateless !== true || effectiveProxyMode(config.transport, config.proxy_mode) !== 'sse') return
  throw new ThvError('run-config-unsupported', `'${config.name}' cannot be stateless, because its clients speak SSE`, {
    hint: "remove 'stateless', or the transport or proxy mode sse",
  })
}

const chainKeys = ['middleware_configs', 'additional_middleware_configs', 'telemetry_config']

function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '') return false
  if (Array.isArray(value)) return value.length > 0
  return typeof value !== 'object' || Object.keys(value).length > 0
}
