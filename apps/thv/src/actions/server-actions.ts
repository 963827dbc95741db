import type { ApiClient } from '@thv/client'
import { assertRunConfig, limits, matchesLabels, ThvError, workloadNotFound, type Workload } from '@thv/core'
import { actionLimits } from './action-limits.ts'
import type { WorkloadActions } from './workload-actions.ts'

/** The actions, done by an API server, and waited for as if this process did them. */
export function createServerActions({ workloads, groups, operations }: ApiClient): WorkloadActions {
  return {
    list: async ({ all = false, group, labels = [] }, signal) => {
      const listed = await workloads.list({ all, ...(group === undefined ? {} : { group }) }, signal)
      const hasLabels = (workload: Workload): boolean => matchesLabels(workload.labels ?? {}, labels)
      const file = `${listed.passedOver} file(s) of the server`
      const problems = listed.passedOver === 0 ? [] : [{ file, reason: 'its log says why' }]
      return { workloads: listed.workloads.filter(hasLabels), problems }
    },
    get: async (name, signal) => {
      const listed = await workloads.list({ all: true }, signal)
      const found = listed.workloads.find((workload) => workload.name === name)
      if (found === undefined) throw workloadNotFound(name)
      return found
    },
    explain: async (name, signal) => await workloads.explain(name, signal),
    exportConfig: async (name, signal) => {
      const config: unknown = await workloads.export(name, signal)
      assertRunConfig(config, 'the answer of the ToolHive API server')
      return config
    },
    requireGroup: async (name, signal) => void (await groups.get(name, signal)),
    stop: async (name, { timeoutMs }, signal) => {
      if (timeoutMs !== limits.stopMs) throw unsupported('a time for the stop')
      await ended(await workloads.stop(name, signal), signal)
    },
    delete: async (name, signal) => await ended(await workloads.delete(name, signal), signal),
  }

  /** A server that names no operation is not thv; what it took is all that can be known. */
  async function ended(operation: string | undefined, signal: AbortSignal): Promise<void> {
    if (operation === undefined) return
    const deadline = performance.now() + actionLimits.operationMs
    for (;;) {
      const outcome = await operations.wait(operation, actionLimits.waitSeconds, signal)
      if (outcome.state === 'failed') throw outcome.error
      if (outcome.state === 'succeeded') return
      if (performance.now() > deadline) throw tooLate()
    }
  }
}

function unsupported(what: string): ThvError {
  return new ThvError('api-error', `the API of ToolHive takes no ${what.replace(/^an? /, '')}`, {
    hint: 'leave it out, or run the command where the workload is',
  })
}

function tooLate(): ThvError {
  return new ThvError('api-server-timeout', 'the ToolHive API server has begun it, and is not done', {
    hint: "look at the workload with 'thv status NAME'",
  })
}
