import type { RunConfig } from '../domain/run-config.ts'
import { isThvError, messageOf, ThvError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { SessionFiles } from '../ports/state-store.ts'
import { assertRunsHere } from './build-run-config.ts'
import { forgetLogin, type KeepLoginDeps } from './keep-login.ts'
import { workloadNotFound } from './list-workloads.ts'
import { forgetBearerToken } from './workload-secrets.ts'
import { endOwnerOf, reapLeftovers, tryAnnounce, type StopWorkloadDeps } from './stop-workload.ts'

/** What {@link deleteWorkload} needs. */
export interface DeleteWorkloadDeps extends StopWorkloadDeps, KeepLoginDeps {
  sessions: SessionFiles
}

/**
 * Stops a workload and removes everything `run` created, except logs and the
 * package cache. A login that no other workload shares is forgotten. The status goes last, so a removal that is cut off can be repeated.
 * `workload-not-found` when there is nothing of that name, `runtime-unsupported` for one
 * that another program runs. A full disk may still let files go, so a status that cannot
 * be written does not end the removal.
 */
export async function deleteWorkload(
  deps: DeleteWorkloadDeps,
  name: string,
  options: { timeoutMs?: number },
  signal: AbortSignal,
): Promise<void> {
  const timeoutMs = options.timeoutMs ?? limits.deleteMs
  await assertRunsHere(deps.configs, name, 'remove')
  const { owner, unwritten } = await tryAnnounce(deps, name, { event: 'delete', timeoutMs }, signal)
  if (owner === 'absent' && !(await hasAnything(deps, name))) throw workloadNotFound(name)
  if (owner !== 'absent' && owner !== 'stopped') {
    if (owner !== undefined) await endOwnerOf(deps, { name, owner, timeoutMs }, signal)
    await tolerateCorrupt(() => reapLeftovers(deps, name, signal))
  }
  const config = await deps.configs.load(name).catch(() => undefined)
  if (config !== undefined) await tolerateLocked(() => forgetToken(deps, config, signal))
  try {
    await deps.configs.delete(name)
    await deps.sessions.delete(name)
    await deps.statuses.update(name, () => 'delete', signal)
  } catch (error) {
    if (unwritten === undefined || !isThvError(error)) throw error
    throw new ThvError(error.code, `'${name}' was stopped, but could not be removed: ${messageOf(error)}`, {
      hint: error.hint ?? 'mend the disk, then remove it again',
      cause: error,
    })
  }
  if (config !== undefined) await forget(deps, config, signal)
}

async function forget(deps: DeleteWorkloadDeps, config: RunConfig, signal: AbortSignal): Promise<void> {
  try {
    await forgetLogin(deps, { config }, signal)
  } catch (error) {
    if (!isThvError(error)) throw error
    const message = `'${config.name}' was removed, but its login is still in the secret store: ${messageOf(error)}`
    throw new ThvError(error.code, message, { ...(error.hint === undefined ? {} : { hint: error.hint }), cause: error })
  }
}

async function forgetToken(deps: DeleteWorkloadDeps, config: RunConfig, signal: AbortSignal): Promise<void> {
  await forgetBearerToken({ configs: deps.configs, store: deps.userSecrets.store }, config, signal)
}

/** Who cannot open the store any more can remove workloads all the same; what stays there is named by nobody. */
async function tolerateLocked(action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch (error) {
    if (!isThvError(error)) throw error
  }
}

/** Also a file that cannot be read is something to remove. */
async function hasAnything(deps: StopWorkloadDeps, name: string): Promise<boolean> {
  const configs = await deps.configs.list()
  const statuses = await deps.statuses.list()
  return configs.names.includes(name) || statuses.names.includes(name)
}

async function tolerateCorrupt(action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch (error) {
    if (!isThvError(error) || error.code !== 'state-corrupt') throw error
  }
}
