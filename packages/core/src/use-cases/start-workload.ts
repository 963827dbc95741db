import { assessStatus } from '../domain/workload-status.ts'
import type { WorkloadStatus } from '../domain/state-machine.ts'
import type { PackageKind } from '../domain/package-source.ts'
import type { RunConfig } from '../domain/run-config.ts'
import type { ImageStore } from '../ports/image-store.ts'
import type { PackageInstaller, ProgressListener } from '../ports/package-installer.ts'
import { ThvError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { ContainerTable } from '../ports/container-table.ts'
import type { PortAllocator } from '../ports/port-allocator.ts'
import type { RunConfigStore } from '../ports/state-store.ts'
import { applyEvent, changeStatus, firstRecord } from './change-status.ts'
import { listenHost } from '../domain/host.ts'
import { requireTargetPort, sourceOf } from './build-run-config.ts'
import { assertSupportedRunConfig } from './check-run-config.ts'
import { ensurePackage } from './ensure-package.ts'
import { launchAndWait, waitUntilServing, type LaunchDeps } from './launch-supervisor.ts'
import { workloadNotFound } from './list-workloads.ts'
import type { UserSecrets } from './manage-secrets.ts'
import { reapLeftovers, stopWorkload } from './stop-workload.ts'
import { requireSecrets } from './workload-secrets.ts'
import { readAssessed } from './workload-view.ts'

/** What {@link startWorkload} needs. */
export interface StartWorkloadDeps extends LaunchDeps {
  configs: RunConfigStore
  containers: ContainerTable
  images: ImageStore
  userSecrets: UserSecrets
  installers: (kind: PackageKind) => Promise<PackageInstaller>
  ports: PortAllocator
}

/**
 * Starts a saved workload and waits until it serves. Nothing to do for a running
 * one; one that is just starting is waited for. `workload-not-found`. When the signal
 * aborts, a start that this call has begun is taken back: the supervisor is ended and the
 * workload `stopped`. What another command starts goes on.
 */
export async function startWorkload(
  deps: StartWorkloadDeps,
  name: string,
  options: { debug: boolean; progress: ProgressListener },
  signal: AbortSignal,
): Promise<void> {
  const config = await loadStartable(deps, name)
  let verdict = await claimStart(deps, name, signal)
  if (verdict === 'stopping') {
    await waitUntilEnded(deps, name, signal)
    verdict = await claimStart(deps, name, signal)
  }
  if (verdict === 'stopping') throw busy(name)
  if (verdict === 'running') return
  if (verdict === 'starting') {
    await waitUntilServing(deps, name, signal)
    return
  }
  try {
    await launchClaimed(deps, config, options, signal)
  } catch (error) {
    if (signal.aborted) {
      await stopWorkload(deps, name, { timeoutMs: limits.deleteMs }, AbortSignal.timeout(limits.undoMs))
    }
    throw error
  }
}

async function launchClaimed(
  deps: StartWorkloadDeps,
  config: RunConfig,
  options: { debug: boolean; progress: ProgressListener },
  signal: AbortSignal,
): Promise<void> {
  const { name } = config
  try {
    await requirePort(deps.ports, config)
    // What a dead supervisor left would hold the server's port.
    await reapLeftovers(deps, name, signal)
    await requireTargetPort(deps.ports, config)
    await requireSecrets(deps.userSecrets, config, signal)
    await ensurePackage(deps, config, options.progress, signal)
  } catch (error) {
    if (!signal.aborted) await recordFailure(deps, name, error)
    throw error
  }
  options.progress(`starting ${name}`)
  await launchAndWait(deps, name, { debug: options.debug }, signal)
}

/** Stops (when it runs) and starts: the port, and so the URL, stay. */
export async function restartWorkload(
  deps: StartWorkloadDeps,
  name: string,
  options: { debug: boolean; progress: ProgressListener; timeoutMs: number },
  signal: AbortSignal,
): Promise<void> {
  await loadStartable(deps, name)
  await stopWorkload(deps, name, { timeoutMs: options.timeoutMs }, signal)
  await startWorkload(deps, name, options, signal)
}

/** The saved config, if there is one that this version can start. */
export async function loadStartable(deps: { configs: RunConfigStore }, name: string): Promise<RunConfig> {
  const config = await deps.configs.load(name)
  if (config === undefined) throw workloadNotFound(name)
  // First what it runs: no key that could be removed makes an image startable.
  sourceOf(config)
  assertSupportedRunConfig(config)
  return config
}

/** What is to be done for a start: nothing, wait for it, wait for the end of a stop, or launch. */
type StartVerdict = 'running' | 'starting' | 'stopping' | 'claimed'

/** Waits until a stop that another command has asked for is over. */
async function waitUntilEnded(deps: StartWorkloadDeps, name: string, signal: AbortSignal): Promise<void> {
  const deadline = deps.clock.monotonicMs() + limits.startMs
  while (deps.clock.monotonicMs() < deadline) {
    const { ownerAlive } = await readAssessed(deps, name)
    if (!ownerAlive) return
    await deps.clock.sleep(limits.endPollMs, signal)
  }
}

function busy(name: string): ThvError {
  return new ThvError('workload-busy', `'${name}' is being stopped or removed by another command`, {
    hint: 'try again when that is over',
  })
}

async function claimStart(deps: StartWorkloadDeps, name: string, signal: AbortSignal): Promise<StartVerdict> {
  const owner = await deps.processes.self()
  let verdict: StartVerdict = 'claimed'
  await changeStatus(
    deps,
    name,
    ({ record, ownerAlive }) => {
      if (record === undefined) return firstRecord(deps.clock.now(), { owner })
      const { status } = assessStatus(name, record, ownerAlive)
      if (ownerAlive && supervisedStatuses.has(status)) verdict = 'running'
      else if (ownerAlive) verdict = status === 'starting' ? 'starting' : 'stopping'
      if (verdict !== 'claimed') return undefined
      // The dead owner's status may forbid a launch (a removal that was cut off): the workload is still saved, so it may.
      const from = { ...record, status: status === 'removing' ? ('error' as const) : status }
      return applyEvent(from, 'launch', deps.clock.now(), { processId: 0, extension: { owner, restarts: 0 } })
    },
    signal,
  )
  return verdict
}

/** Something serves, or keeps trying to. */
const supervisedStatuses: ReadonlySet<WorkloadStatus> = new Set([
  'running',
  'auth_retrying',
  'unauthenticated',
  'unhealthy',
])

/** The port is part of the URL that clients have saved, so another one is no help. */
async function requirePort(ports: PortAllocator, config: RunConfig): Promise<void> {
  if (await ports.isFree(config.port, listenHost(config.host))) return
  throw new ThvError('port-in-use', `port ${config.port} of '${config.name}' is taken by another program`, {
    hint: `find it with 'ss -ltnp sport = :${config.port}', or run the workload again under another port`,
  })
}

async function recordFailure(deps: StartWorkloadDeps, name: string, error: unknown): Promise<void> {
  const context = error instanceof Error ? error.message : 'the start failed'
  await changeStatus(
    deps,
    name,
    ({ record }) => (record === undefined ? undefined : applyEvent(record, 'fail', deps.clock.now(), { context })),
    AbortSignal.timeout(limits.lockMs),
  )
}
