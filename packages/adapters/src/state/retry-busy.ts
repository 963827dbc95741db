import { setTimeout as sleep } from 'node:timers/promises'
import { systemCodeOf } from '@thv/core'
import { stateLimits } from './state-limits.ts'

/**
 * Tries a rename or removal a few times. Windows refuses both while another process
 * has the file open, which a reader does for an instant; elsewhere these codes are
 * lasting and only arrive a little later.
 */
export async function retryBusy<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt()
    } catch (error) {
      const busy = ['EBUSY', 'EPERM', 'EACCES'].includes(systemCodeOf(error) ?? '')
      if (!busy || tries >= stateLimits.busyTries) throw error
      await sleep(stateLimits.busyPauseMs * 2 ** (tries - 1))
    }
  }
}
