import { rename } from 'node:fs/promises'
import { systemCodeOf } from '@thv/core'
import { retryBusy } from './retry-busy.ts'

/** Moves `path.1` to `path.2` and so on, dropping the oldest, so that `path.1` is free. */
export async function shiftBackups(path: string, backups: number): Promise<void> {
  for (let number = backups - 1; number >= 1; number -= 1) {
    await retryBusy(() => rename(`${path}.${number}`, `${path}.${number + 1}`)).catch((error: unknown) => {
      if (systemCodeOf(error) !== 'ENOENT') throw error
    })
  }
}
