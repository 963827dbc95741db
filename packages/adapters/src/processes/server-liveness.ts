import { systemCodeOf, type IsServerAlive, type ProcessTable } from '@thv/core'

/**
 * Tells whether the process of a server record lives. With a start token it must be that very process; a record without
 * one (ToolHive's) goes by its number. A process of another user that may not be looked at counts as living.
 */
export function createServerLiveness(processes: Pick<ProcessTable, 'identify'>): IsServerAlive {
  return async ({ pid, thv }) => {
    const found = await processes.identify(pid)
    if (found !== undefined) return thv === undefined || thv.started === found.started
    return pid > 0 && isForbidden(pid)
  }
}

/** Where `/proc` hides the processes of others, only the refusal of a signal tells that there is one. */
function isForbidden(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return systemCodeOf(error) === 'EPERM'
  }
}
