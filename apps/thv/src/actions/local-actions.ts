import {
  deleteWorkload,
  explainWorkload,
  exportRunConfig,
  getWorkload,
  listWorkloads,
  requireGroup,
  stopWorkload,
} from '@thv/core'
import type { Container } from '../container.ts'
import type { WorkloadActions } from './workload-actions.ts'

/** The actions, done by this process. */
export function createLocalActions(
  container: Pick<Container, 'reading' | 'workloads' | 'groups' | 'configs'>,
): WorkloadActions {
  return {
    list: async (filter) => await listWorkloads(await container.reading(), filter),
    get: async (name) => await getWorkload(await container.reading(), name),
    explain: async (name) => await explainWorkload(await container.reading(), name),
    exportConfig: async (name) => await exportRunConfig({ configs: await container.configs() }, name),
    requireGroup: async (name) => await requireGroup(await container.groups(), name),
    stop: async (name, options, signal) => await stopWorkload(await container.workloads(), name, options, signal),
    delete: async (name, signal) => await deleteWorkload(await container.workloads(), name, {}, signal),
  }
}
