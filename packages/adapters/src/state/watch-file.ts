import { statSync, type FSWatcher } from 'node:fs'
import { basename, dirname } from 'node:path'
import { stateLimits } from './state-limits.ts'
import { watchDirectory } from './watch-directory.ts'

/**
 * Calls `changed` after the file at `path` may have changed, appeared or gone, until
 * the signal aborts. Calls may be spurious. Neither the file nor its directory need
 * exist. Never throws, and does not keep the process alive by itself.
 *
 * The system's change reports are quick where they work; a slow look at the file
 * covers network file systems, exhausted watch quotas and directories made later.
 */
export function watchFile(path: string, changed: () => void, signal: AbortSignal): void {
  if (signal.aborted) return
  let seen = fingerprint(path)
  let watcher: FSWatcher | undefined
  const drop = (): void => {
    watcher?.close()
    watcher = undefined
  }
  const look = (): void => {
    const found = fingerprint(path)
    if (found === seen) return
    seen = found
    changed()
  }
  const attach = (): void => {
    watcher ??= watchDirectory(dirname(path), {
      report: (file) => {
        if (file === null || file === basename(path)) look()
      },
      lost: drop,
    })
  }
  attach()
  const timer = setInterval(() => {
    attach()
    look()
  }, stateLimits.rescanMs).unref()
  const stop = (): void => {
    clearInterval(timer)
    drop()
  }
  signal.addEventListener('abort', stop, { once: true })
}

function fingerprint(path: string): string {
  try {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false })
    return found === undefined ? 'absent' : `${found.ino} ${found.mtimeNs} ${found.ctimeNs} ${found.size}`
  } catch (error) {
    return `unreadable ${String(error)}`
  }
}
