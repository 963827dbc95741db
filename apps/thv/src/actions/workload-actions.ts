import type { Explanation, ListFilter, RunConfig, Workload, WorkloadListing } from '@thv/core'

/**
 * What commands do with workloads that exist, whoever does it: this process, or an API server. Every method rejects as
 * its use case in core does.
 */
export interface WorkloadActions {
  list(filter: ListFilter, signal: AbortSignal): Promise<WorkloadListing>
  get(name: string, signal: AbortSignal): Promise<Workload>
  explain(name: string, signal: AbortSignal): Promise<Explanation>
  exportConfig(name: string, signal: AbortSignal): Promise<RunConfig>
  requireGroup(name: string, signal: AbortSignal): Promise<void>
  stop(name: string, options: { timeoutMs: number }, signal: AbortSignal): Promise<void>
  delete(name: string, signal: AbortSignal): Promise<void>
}
