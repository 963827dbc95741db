import { unlink } from 'node:fs/promises'
import { systemCodeOf } from '@thv/core'
import { retryBusy } from './retry-busy.ts'
import { stateError } from './state-error.ts'

/** Removes a file; resolves also when there is none. Rejects with `state-denied` or `state-failed`. */
export async function removeFile(path: string): Promise<void> {
  try {
    await retryBusy(() => unlink(path))
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw stateError(error, path, 'delete')
  }
}
