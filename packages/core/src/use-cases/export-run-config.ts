import type { RunConfig } from '../domain/run-config.ts'
import type { RunConfigStore } from '../ports/state-store.ts'
import { workloadNotFound } from './list-workloads.ts'

/** The saved config as the text of a portable file. `workload-not-found`. */
export async function exportRunConfig(deps: { configs: RunConfigStore }, name: string): Promise<string> {
  const config: RunConfig | undefined = await deps.configs.load(name)
  if (config === undefined) throw workloadNotFound(name)
  return `${JSON.stringify(config, null, 2)}\n`
}
