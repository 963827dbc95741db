import { readChainSettings } from '../domain/chain-settings.ts'
import type { RunConfig } from '../domain/run-config.ts'
import { effectiveProxyMode } from '../domain/transport-type.ts'
import { ThvError } from '../errors.ts'

/**
 * Keys whose meaning this version cannot honour. A config that sets one is refused:
 * to drop an access rule or a secret silently would be worse than not to run.
 */
const unsupported: Record<string, string> = {
  remote_url: 'remote servers',
  remote_auth_config: 'remote servers',
  header_forward: 'remote servers',
  env_file_dir: 'an environment directory',
  thv_ca_bundle: 'a certificate bundle',
  jwks_auth_token_file: 'incoming authentication',
  publish: 'published ports',
  secrets: 'secrets',
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
  const inChain = readChainSettings(config).unsupported
  const found = Object.keys(unsupported).filter((key) => isSet(config[key]))
  // How an image was built concerns nobody who runs it; a process would run without what it says.
  if (config.thv?.runtime !== 'container' && isSet(config.runtime_config)) found.push('runtime_config')
  if (found.length === 0 && inChain.length === 0) return
  const meanings = [...new Set([...found.map((key) => unsupported[key] ?? 'image builds'), ...inChain])]
  if (inChain.length > 0) found.push(...chainKeys.filter((key) => isSet(config[key])))
  throw new ThvError(
    'run-config-unsupported',
    `the run config of '${config.name}' asks for what this version of thv cannot do: ${meanings.join(', ')}`,
    { hint: `remove ${found.map((key) => `'${key}'`).join(', ')} if the server may run without` },
  )
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
