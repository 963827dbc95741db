import type { Workload } from '../domain/workload.ts'
import { ThvError } from '../errors.ts'
import { getWorkload, listWorkloads, workloadNotFound, type ReadWorkloadDeps } from './list-workloads.ts'

/** Whether a registry has something newer for a workload. None comes from a registry yet. */
export interface UpgradeCheck {
  workload_name: string
  status: 'not-registry-sourced'
  current_image?: string
}

/** Looks for something newer for one workload. `workload-not-found`. */
export async function checkUpgrade(deps: ReadWorkloadDeps, name: string): Promise<UpgradeCheck> {
  return checkOf(await getWorkload(deps, name))
}

/** Looks for something newer for every workload that a filter lets through. */
export async function checkUpgrades(
  deps: ReadWorkloadDeps,
  filter: { all?: boolean; group?: string },
): Promise<UpgradeCheck[]> {
  const { workloads } = await listWorkloads(deps, filter)
  return workloads.map(checkOf)
}

/** Throws `workload-not-found`, or `upgrade-unavailable`: what no registry knows has no newer version there. */
export async function refuseUpgrade(deps: ReadWorkloadDeps, name: string): Promise<never> {
  if ((await deps.configs.load(name)) === undefined) throw workloadNotFound(name)
  throw new ThvError('upgrade-unavailable', `'${name}' does not come from a registry`, {
    hint: 'edit the workload and name the version you want',
  })
}

function checkOf({ name, package: image }: Workload): UpgradeCheck {
  return { workload_name: name, status: 'not-registry-sourced', current_image: image }
}
