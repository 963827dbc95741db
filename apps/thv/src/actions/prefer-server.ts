import { isThvError, limits, type ErrorCode } from '@thv/core'
import type { WorkloadActions } from './workload-actions.ts'

/**
 * The actions by a server that works on the same files as this process. What it cannot do, or does not tell in full, this
 * process does itself: a read says the same, and a change can be repeated. So no answer depends on whether a server runs.
 */
export function preferServer(server: WorkloadActions, local: WorkloadActions): WorkloadActions {
  return {
    list: async (filter, signal) =>
      await read(signal, async (by) => {
        const listing = await by.list(filter, signal)
        if (by === server && listing.problems.length > 0) throw new Error('it does not name the files')
        return listing
      }),
    get: async (name, signal) => await read(signal, async (by) => await by.get(name, signal)),
    explain: async (name, signal) => await read(signal, async (by) => await by.explain(name, signal)),
    exportConfig: async (name, signal) => await read(signal, async (by) => await by.exportConfig(name, signal)),
    requireGroup: async (name, signal) => await read(signal, async (by) => await by.requireGroup(name, signal)),
    stop: async (name, options, signal) => {
      // The API has no word for another time.
      const isDone = options.timeoutMs === limits.stopMs && (await changed(server.stop(name, options, signal), signal))
      if (!isDone) await local.stop(name, options, signal)
    },
    delete: async (name, signal) => {
      const wasThere = await isThere(name, signal)
      if (await changed(server.delete(name, signal), signal)) return
      try {
        await local.delete(name, signal)
      } catch (error) {
        // The server had done it before it fell silent.
        if (!wasThere || !isThvError(error) || error.code !== 'workload-not-found') throw error
      }
    },
  }

  async function read<T>(signal: AbortSignal, action: (by: WorkloadActions) => Promise<T>): Promise<T> {
    try {
      return await action(server)
    } catch {
      signal.throwIfAborted()
      return await action(local)
    }
  }

  async function isThere(name: string, signal: AbortSignal): Promise<boolean> {
    try {
      await local.get(name, signal)
      return true
    } catch {
      return false
    }
  }
}

/** Whether the server has done it; rejects with what was wrong with the workload. */
async function changed(work: Promise<void>, signal: AbortSignal): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    signal.throwIfAborted()
    if (isThvError(error) && error.kind !== 'internal' && !troubles.has(error.code)) throw error
    return false
  }
}

/** What says something about the server or the way to it, and nothing about the workload. */
const troubles: ReadonlySet<ErrorCode> = new Set([
  'api-server-unreachable',
  'api-server-timeout',
  'api-answer-invalid',
  'api-error',
  'operation-not-found',
  'server-busy',
  'server-record-refused',
  'request-invalid',
  'request-refused',
  'request-timeout',
  // Another order for the same workload has overtaken it.
  'cancelled',
])
