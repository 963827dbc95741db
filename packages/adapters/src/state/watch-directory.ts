import { watch, type FSWatcher } from 'node:fs'
import { basename } from 'node:path'

/** Who is told of what happens in a directory. */
export interface DirectoryListener {
  /** Something happened to this file; null when the system does not say to which. */
  report: (file: string | null) => void
  /** The watch tells nothing any more. */
  lost: () => void
}

/**
 * The system's reports of changes in a directory; undefined where there are none to be had: no such
 * directory, or no watches left. Does not keep the process alive.
 */
export function watchDirectory(directory: string, listener: DirectoryListener): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, (event, file) => {
      listener.report(file)
      // The directory itself was moved or removed; a new one of its name is another one.
      if (event === 'rename' && file === basename(directory)) listener.lost()
    })
    watcher.on('error', listener.lost)
    return watcher
  } catch {
    return undefined
  }
}
