import type { FSWatcher } from 'node:fs'
import { join } from 'node:path'
import { assertWorkloadName, type StatusWatch } from '@thv/core'
import { stateLimits } from './state-limits.ts'
import { watchDirectory } from './watch-directory.ts'

const suffix = '.json'

/**
 * Watches the status files of {@link createFileStatusStore}. The directory need not exist yet. Does not
 * keep the process alive by itself.
 *
 * @param options.dataDirectory `data` of `resolveDirectories`
 * @param options.rescanMs between two calls for all of them; default `stateLimits.statusRescanMs`
 */
export function createFileStatusWatch(options: { dataDirectory: string; rescanMs?: number }): StatusWatch {
  const directory = join(options.dataDirectory, 'statuses')
  return {
    watch: (changed, signal) => {
      if (signal.aborted) return
      let watcher: FSWatcher | undefined
      const drop = (): void => {
        watcher?.close()
        watcher = undefined
      }
      const report = (file: string | null): void => {
        if (file === null) changed(undefined)
        else if (isStatusFile(file)) changed(file.slice(0, -suffix.length))
      }
      const attach = (): void => {
        watcher ??= watchDirectory(directory, { report, lost: drop })
      }
      attach()
      const attachAgain = (): void => {
        if (watcher !== undefined) return
        attach()
        // What happened in between was not reported.
        if (watcher !== undefined) changed(undefined)
      }
      const timers = [
        setInterval(attachAgain, stateLimits.watchRetryMs).unref(),
        setInterval(() => changed(undefined), options.rescanMs ?? stateLimits.statusRescanMs).unref(),
      ]
      const stop = (): void => {
        for (const timer of timers) clearInterval(timer)
        drop()
      }
      signal.addEventListener('abort', stop, { once: true })
    },
  }
}

/** Locks and temporary files are nobody's concern. */
function isStatusFile(file: string): boolean {
  if (!file.endsWith(suffix)) return false
  try {
    assertWorkloadName(file.slice(0, -suffix.length))
    return true
  } catch {
    return false
  }
}
