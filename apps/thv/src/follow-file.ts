import { watch } from 'node:fs'
import { stat, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { openLog } from '@thv/adapters'

const chunkBytes = 64 * 1024
/** Directory events may be lost (network file systems); this often we look anyway. */
const rescanMs = 500

/** Takes a piece of a file; the next one comes when it has. */
export type WriteChunk = (chunk: Buffer) => void | Promise<void>

/** Writes a whole file; false when it does not exist. */
export async function printFile(path: string, write: WriteChunk): Promise<boolean> {
  const file = await openLog(path)
  if (file === undefined) return false
  try {
    await drain(file, 0, write)
    return true
  } finally {
    await file.close()
  }
}

/**
 * Writes a file and what is added to it until the signal aborts. Survives rotation
 * by rename (the new file is read from its start) and by truncation; ends when `isOver`,
 * which is told whether the file is missing. Resolves to
 * false at once when the file does not exist and is not waited for. Rejects with `state-denied` or `state-failed`.
 */
export async function followFile(
  path: string,
  write: WriteChunk,
  options: { waitForFile: boolean; isOver: (isMissing: boolean) => Promise<boolean>; signal: AbortSignal },
): Promise<boolean> {
  const { signal } = options
  let file = await openLog(path)
  if (file === undefined && !options.waitForFile) return false
  const changes = watchForChanges(path, signal)
  let position = 0
  try {
    while (!signal.aborted) {
      file ??= await openLog(path)
      if (file !== undefined) {
        const { size } = await file.stat()
        position = await drain(file, size < position ? 0 : position, write)
        if (!(await isSame(file, path))) {
          await file.close()
          file = undefined
          position = 0
          continue
        }
      }
      if (await options.isOver(await isMissing(path))) {
        // What was written between the last look and the end.
        if (file !== undefined) await drain(file, position, write)
        return true
      }
      await changes.next()
    }
    return true
  } finally {
    changes.close()
    await file?.close()
  }
}

async function drain(file: FileHandle, from: number, write: WriteChunk): Promise<number> {
  let position = from
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, position)
    if (bytesRead === 0) return position
    await write(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
}

/** Whether the open file is still the one the path names; a missing path is a rotation under way. */
async function isSame(file: FileHandle, path: string): Promise<boolean> {
  const opened = await file.stat()
  const named = await stat(path).catch(() => undefined)
  return named === undefined || named.ino === opened.ino
}

async function isMissing(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) === undefined
}

/** Wakes its reader after events in the directory, at the latest after `rescanMs`. */
function watchForChanges(path: string, signal: AbortSignal): { next(): Promise<void>; close(): void } {
  let wake = (): void => {}
  let pending = false
  const changed = (): void => {
    pending = true
    wake()
  }
  const watcher = tryWatch(dirname(path), changed)
  const timer = setInterval(changed, rescanMs)
  signal.addEventListener('abort', changed, { once: true })
  return {
    next: async () => {
      if (!pending) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      pending = false
    },
    close: () => {
      clearInterval(timer)
      signal.removeEventListener('abort', changed)
      watcher?.close()
    },
  }
}

function tryWatch(directory: string, changed: () => void) {
  try {
    const watcher = watch(directory, changed)
    watcher.on('error', () => {})
    return watcher
  } catch {
    // No such directory yet, or no watches left: the rescan serves.
    return undefined
  }
}
