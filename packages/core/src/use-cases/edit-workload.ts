import type { RemoteAuthConfig } from '../domain/remote-auth.ts'
import { parseRemoteUrl } from '../domain/remote-url.ts'
import { isRemote, type RunConfig } from '../domain/run-config.ts'
import type { ProgressListener } from '../ports/package-installer.ts'
import type { PortAllocator } from '../ports/port-allocator.ts'
import type { SessionFiles } from '../ports/state-store.ts'
import { assertRunsHere, buildRunConfig, type BuildRunConfigDeps } from './build-run-config.ts'
import { forgetReplaced, nameGrant, type KeepLoginDeps } from './keep-login.ts'
import { workloadNotFound } from './list-workloads.ts'
import type { RemoteRequest, RunRequest } from './run-request.ts'
import { stopWorkload, type StopWorkloadDeps } from './stop-workload.ts'
import { assertOwnSecrets, bearerTokenOf } from './workload-secrets.ts'

/** What {@link planEdit} needs. */
export interface PlanEditDeps extends BuildRunConfigDeps, KeepLoginDeps {}

/**
 * The whole new config of a workload, with its name, and its port unless another one is asked
 * for. What no request over the API can say about a remote server stays while its origin does. Packages are installed and images pulled, but the workload is left as it is, so that
 * what fails here changes nothing. `workload-not-found`, and whatever building a config throws.
 */
export async function planEdit(
  deps: PlanEditDeps,
  request: RunRequest & { name: string },
  progress: ProgressListener,
  signal: AbortSignal,
): Promise<RunConfig> {
  const { name } = request
  const present = await deps.configs.load(name)
  if (present === undefined) throw workloadNotFound(name)
  await assertRunsHere(deps.configs, name, 'stop')
  const ports = withOwnPorts(deps.ports, present)
  const { remote } = request
  const wanted = { proxyPort: present.port, ...request }
  if (remote !== undefined) wanted.remote = withKept(present, remote)
  const config = await buildRunConfig({ ...deps, ports }, wanted, progress, signal)
  await assertOwnSecrets(deps, config, signal)
  await nameGrant(deps, config, signal)
  return config
}

/**
 * Stops a workload and gives it another config; it is left stopped. Sessions end: the server may be another one. A login
 * that was for another one is forgotten.
 */
export async function replaceRunConfig(
  deps: StopWorkloadDeps & KeepLoginDeps & { sessions: SessionFiles },
  config: RunConfig,
  signal: AbortSignal,
): Promise<void> {
  await stopWorkload(deps, config.name, {}, signal)
  await deps.sessions.delete(config.name)
  const previous = await deps.configs.load(config.name)
  await deps.configs.save(config)
  if (previous !== undefined) await forgetReplaced(deps, { previous, config }, signal)
}

/** A token, a login and whom to trust are meant for one server. */
function withKept(present: RunConfig, remote: RemoteRequest): RemoteRequest {
  const { url, headers = {}, secretHeaders = {}, bearerTokenSecret, login } = remote
  if (!isRemote(present) || parseRemoteUrl(url).origin !== parseRemoteUrl(present.remote_url).origin) return remote
  const { thv_ca_bundle: caBundle = '', remote_auth_config: auth = {}, thv } = present
  const bundle = caBundle === '' ? {} : { caBundle }
  const names = [...Object.keys(headers), ...Object.keys(secretHeaders)]
  if (bearerTokenSecret !== undefined || names.some((name) => name.toLowerCase() === 'authorization')) {
    return { ...bundle, ...remote }
  }
  const { bearer_token_file: bearerTokenFile = '' } = auth
  const secret = bearerTokenOf(present)
  const hasToken = bearerTokenFile !== '' || secret !== undefined || thv?.token_from_environment === true
  if (login !== undefined || !hasToken)
    return { ...bundle, ...remote, login: { ...keptOfLogin(auth, login), ...login } }
  return {
    ...bundle,
    ...(bearerTokenFile === '' ? {} : { bearerTokenFile }),
    ...(secret === undefined ? {} : { bearerTokenSecret: secret }),
    ...(thv?.token_from_environment === true ? { tokenFromEnvironment: true } : {}),
    ...remote,
  }
}

/** What was logged in stays so, and what only flags can say. */
function keptOfLogin(auth: RemoteAuthConfig, login: RemoteAuthConfig = {}): RemoteAuthConfig {
  const isSameClient = auth.client_id !== undefined && auth.client_id === login.client_id
  const kept = Object.entries(auth).filter(([key]) => {
    if (key === 'client_secret_file') return isSameClient && login.client_secret === undefined
    return key.startsWith('cached_') || key === 'scope_param_name' || key === 'timeout'
  })
  return Object.fromEntries(kept)
}

/** The ports that the workload itself holds are free for its next run. */
function withOwnPorts(ports: PortAllocator, present: RunConfig): PortAllocator {
  const own = new Set([present.port, present.target_port])
  return { ...ports, isFree: async (port, host) => own.has(port) || (await ports.isFree(port, host)) }
}
