import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { systemCodeOf } from '@thv/core'
import { stateError } from './state-error.ts'

/**
 * Opens a log to be read; undefined when there is none. What is no file is refused, and a pipe in the log's place
 * does not keep a thread of the pool waiting for a writer. Rejects with `state-denied` or `state-failed`.
 */
export async function openLog(path: string): Promise<FileHandle | undefined> {
  let file: FileHandle | undefined
  try {
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    if (!(await file.stat()).isFile()) throw new Error('it is no file')
    return file
  } catch (error) {
    await file?.close()
    if (systemCodeOf(error) === 'ENOENT') return undefined
    throw stateError(error, path, 'read')
  }
}
