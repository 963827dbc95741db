import { runConfigSchemaVersion } from '@thv/core'
import type { JsonObject } from './parse-state-json.ts'

/** The keys of spec/local 2.8, and ours. */
const knownKeys = [
  'schema_version mcpserver_generation image remote_url registry_api_url registry_url registry_server_name',
  'remote_auth_config cmd_args name container_name base_name transport host port target_port target_host',
  'allowed_origins publish permission_profile_name_or_path permission_profile env_vars env_file_dir debug volumes',
  'container_labels oidc_config token_exchange_config upstream_swap_config aws_sts_config authz_config',
  'authz_config_path audit_config audit_config_path telemetry_config rate_limit_config rate_limit_namespace secrets',
  'k8s_pod_template_patch isolate_network allow_docker_gateway trust_proxy_headers strict_protocol_validation',
  'stateless session_ttl proxy_mode thv_ca_bundle jwks_auth_token_file group tools_filter tools_override',
  'ignore_config middleware_configs additional_middleware_configs validating_webhooks mutating_webhooks',
  'endpoint_prefix runtime_config header_forward embedded_auth_server_config scaling_config thv',
]
  .join(' ')
  .split(' ')

const canonicalKeys = new Map(knownKeys.map((key) => [key, key]))
const emptyLists = new Set(['cmd_args', 'volumes', 'secrets'])
const emptyMaps = new Set(['env_vars', 'container_labels'])

/**
 * Brings a run config as somebody wrote it into the one shape that thv works with, by
 * the load rules of spec/local 2.8: keys of any case as Go reads them, `null` as
 * "not set", an empty `proxy_mode` as none. Unknown keys stay as they are. Pure.
 */
export function normaliseRunConfig(raw: JsonObject): JsonObject {
  const keyed = new Map<string, unknown>()
  for (const [key, value] of Object.entries(raw)) {
    const canonical = canonicalKeys.get(key.toLowerCase())
    if (canonical === undefined || canonical === key) keyed.set(key, value)
    else if (!Object.hasOwn(raw, canonical)) keyed.set(canonical, value)
  }
  const entries = [...keyed].flatMap(([key, value]) => settleNull(key, value))
  // Not assignment: a key named __proto__ must stay a key.
  const settled: JsonObject = Object.fromEntries(entries)
  if (settled['proxy_mode'] === '') delete settled['proxy_mode']
  if (isMissing(settled['schema_version'])) settled['schema_version'] = runConfigSchemaVersion
  if (isMissing(settled['host'])) settled['host'] = '127.0.0.1'
  settled['image'] ??= ''
  settled['permission_profile'] ??= null
  return settled
}

function settleNull(key: string, value: unknown): [string, unknown][] {
  if (value !== null || !canonicalKeys.has(key)) return [[key, value]]
  if (emptyLists.has(key)) return [[key, []]]
  return emptyMaps.has(key) ? [[key, {}]] : []
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === ''
}
