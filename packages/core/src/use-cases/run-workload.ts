import { isRemote, type RunConfig } from '../domain/run-config.ts'
import { listenHost } from '../domain/host.ts'
import { assessStatus, type StatusRecord } from '../domain/workload-status.ts'
import { isThvError, ThvError } from '../errors.ts'
import { limits } from '../limits.ts'
import { isPackageArgument } from '../domain/package-source.ts'
import { assertWorkloadName } from '../domain/workload-name.ts'
import type { ProgressListener } from '../ports/package-installer.ts'
import type { ContainerTable } from '../ports/container-table.ts'
import type { SessionFiles } from '../ports/state-store.ts'
import {
  buildRunConfig,
  chooseTargetPort,
  defaultName,
  requireGroup,
  sourceOf,
  type BuildRunConfigDeps,
} from './build-run-config.ts'
import { changeStatus, firstRecord } from './change-status.ts'
import { assertSupportedRunConfig } from './check-run-config.ts'
import { deleteWorkload } from './delete-workload.ts'
import { ensurePackage } from './ensure-package.ts'
import { forgetLogin, forgetReplaced, keepClientSecret, nameGrant, type KeepLoginDeps } from './keep-login.ts'
import { launchAndWait, type LaunchDeps } from './launch-supervisor.ts'
import type { RemoteRequest, RunRequest } from './run-request.ts'
import { assertOwnSecrets, forgetBearerToken, keepBearerToken, requireSecrets } from './workload-secrets.ts'

/** What {@link runWorkload} needs. */
export interface RunWorkloadDeps extends BuildRunConfigDeps, LaunchDeps, KeepLoginDeps {
  sessions: SessionFiles
  containers: ContainerTable
}

/** A request to build a config from, or a finished config (`--from-config`). */
export type RunInput = { request: RunRequest } | { config: RunConfig }

/**
 * Creates a workload and starts its supervisor: reserve the name, resolve and
 * install, save, launch, wait until the server answers. What fails before anything
 * was launched leaves no trace; what fails later stays as `error` with its reason. When
 * the signal aborts, the supervisor is ended and nothing stays.
 */
export async function runWorkload(
  deps: RunWorkloadDeps,
  input: RunInput,
  progress: ProgressListener,
  signal: AbortSignal,
): Promise<RunConfig> {
  const config = await createWorkload(deps, input, progress, signal)
  progress(`starting ${config.name}`)
  try {
    await launchAndWait(deps, config.name, { debug: config.debug === true }, signal)
  } catch (error) {
    if (signal.aborted) await takeBack(deps, config.name)
    throw error
  }
  return config
}

async function takeBack(deps: RunWorkloadDeps, name: string): Promise<void> {
  try {
    await deleteWorkload(deps, name, {}, AbortSignal.timeout(limits.undoMs))
  } catch (error) {
    // Somebody else was quicker.
    if (!isThvError(error) || error.code !== 'workload-not-found') throw error
  }
}

/** The part of {@link runWorkload} before the launch: afterwards the status is `starting`, owned by the caller. */
export async function createWorkload(
  deps: RunWorkloadDeps,
  input: RunInput,
  progress: ProgressListener,
  signal: AbortSignal,
): Promise<RunConfig> {
  const name = 'config' in input ? input.config.name : (input.request.name ?? defaultName(input.request))
  assertWorkloadName(name)
  const group = 'config' in input ? input.config.group : input.request.group
  if (group !== undefined && group !== '') await requireGroup(deps.groups, group)
  const previous = await reserve(deps, name, signal)
  try {
    // The name may have been another server's: its clients must not end up here.
    await deps.sessions.delete(name)
    const config = await prepare(deps, input, progress, signal)
    await assertOwnSecrets(deps, config, signal)
    const replaced = await deps.configs.load(name).catch(() => undefined)
    await saveWithSecrets(deps, config, 'request' in input ? input.request.remote : undefined, signal)
    if (replaced !== undefined) await forgetReplaced(deps, { previous: replaced, config }, signal)
    return config
  } catch (error) {
    await restore(deps, name, previous)
    throw error
  }
}

/** What is kept for a config that cannot be saved is forgotten again. */
async function saveWithSecrets(
  deps: RunWorkloadDeps,
  config: RunConfig,
  remote: RemoteRequest | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { store } = deps.userSecrets
  const { bearerToken: token, clientSecret } = remote ?? {}
  if (token !== undefined) await keepBearerToken(store, config, token, signal)
  await nameGrant(deps, config, signal)
  if (clientSecret !== undefined) await keepClientSecret(deps, config, clientSecret, signal)
  try {
    await deps.configs.save(config)
  } catch (error) {
    const undo = AbortSignal.timeout(limits.undoMs)
    if (token !== undefined) await forgetBearerToken({ configs: deps.configs, store }, config, undo)
    if (clientSecret !== undefined) await forgetLogin(deps, { config }, undo)
    throw error
  }
}

async function prepare(
  deps: RunWorkloadDeps,
  input: RunInput,
  progress: ProgressListener,
  signal: AbortSignal,
): Promise<RunConfig> {
  if ('request' in input) return await buildRunConfig(deps, input.request, progress, signal)
  const { config } = input
  adoptImage(config)
  sourceOf(config)
  assertSupportedRunConfig(config)
  await requireSecrets(deps.userSecrets, config, signal)
  if (!isRemote(config)) await deps.planConfinement(config)
  const host = listenHost(config.host)
  if (config.port === 0) config.port = await deps.ports.findFree(host)
  else if (!(await deps.ports.isFree(config.port, host))) {
    throw new ThvError('port-in-use', `the proxy port ${config.port} of the run config is not available`, {
      hint: 'change "port" in the file, or stop what listens there',
    })
  }
  await chooseTargetPort(deps.ports, config)
  await ensurePackage(deps, config, progress, signal)
  return config
}

/** What another program exported names an image and no runtime; whoever runs it here wants a container. */
function adoptImage(config: RunConfig): void {
  if (config.thv !== undefined || config.image === '' || isPackageArgument(config.image)) return
  config.thv = { runtime: 'container' }
}

/** Takes the name; a workload in `error` may be run again under its name (spec/local 2.4). */
async function reserve(deps: RunWorkloadDeps, name: string, signal: AbortSignal): Promise<StatusRecord | undefined> {
  const owner = await deps.processes.self()
  const orphanConfig = await hasConfig(deps, name)
  let previous: StatusRecord | undefined
  await changeStatus(
    deps,
    name,
    ({ record, ownerAlive }) => {
      previous = record
      const status = record === undefined ? undefined : assessStatus(name, record, ownerAlive).status
      if (status === undefined ? orphanConfig : status !== 'error') throw workloadExists(name)
      const fresh = firstRecord(deps.clock.now(), { owner })
      // The dead supervisor's servers may still live; its successor kills them before it starts its own.
      if (record?.thv?.server !== undefined) fresh.thv = { ...fresh.thv, server: record.thv.server }
      if (record?.thv?.lanes !== undefined) fresh.thv = { ...fresh.thv, lanes: record.thv.lanes }
      return fresh
    },
    signal,
  )
  return previous
}

async function hasConfig(deps: RunWorkloadDeps, name: string): Promise<boolean> {
  try {
    return (await deps.configs.load(name)) !== undefined
  } catch (error) {
    if (isThvError(error) && error.kind === 'invalid') return true
    throw error
  }
}

async function restore(deps: RunWorkloadDeps, name: string, previous: StatusRecord | undefined): Promise<void> {
  const owner = await deps.processes.self()
  await changeStatus(
    deps,
    name,
    // Also when a stop was announced meanwhile: what was never launched leaves no trace.
    ({ record }) =>
      record?.process_id === 0 && record.thv?.owner?.pid === owner.pid ? (previous ?? 'delete') : undefined,
    AbortSignal.timeout(limits.lockMs),
  )
}

function workloadExists(name: string): ThvError {
  return new ThvError('workload-exists', `workload with name '${name}' already exists`, {
    hint: `choose another --name, or remove it with 'thv rm ${name}'`,
  })
}
