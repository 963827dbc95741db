import type { RunConfig } from '../domain/run-config.ts'
import type { RunConfigStore } from '../ports/state-store.ts'
import { workloadNotFound } from './list-workloads.ts'

/** The saved config, as a portable file has it. `workload-not-found`. */
export async function exportRunConfig(deps: { configs: RunConfigStore }, name: string): Promise<RunConfig> {
  const config = await deps.configs.load(name)
  if (config === undefined) throw workloadNotFound(name)
  return config
}
