import { dirname, join } from 'node:path'
import {
  formatServerRecord,
  isThvError,
  limits,
  messageOf,
  parseServerRecord,
  type ServerRecordRead,
  type ServerRecordStore,
} from '@thv/core'
import { writeAtomically } from './atomic-write.ts'
import { withFileLock } from './file-lock.ts'
import type { Liveness } from './lock-files.ts'
import { decodeState } from './parse-state-json.ts'
import { distrustOf, makePrivateDirectory } from './private-directory.ts'
import { readStateFile } from './read-state-file.ts'
import { removeFile } from './remove-file.ts'
import { watchFile } from './watch-file.ts'

/**
 * The server record as `<stateDirectory>/server/server.json`, ToolHive's file (spec/local 1.1 and 1.2). Opens nothing until
 * used.
 *
 * @param options.stateDirectory `state` of `resolveDirectories`
 */
export function createFileServerRecords(options: { stateDirectory: string; processes: Liveness }): ServerRecordStore {
  const path = join(options.stateDirectory, 'server', 'server.json')
  return {
    path,
    read: async () => {
      const reason = await distrustOf(dirname(path))
      if (reason !== undefined) return { kind: 'refused', reason, isOurs: false }
      return await readRecord(path, 'private').catch(refuseDenied)
    },
    watch: (changed, signal) => watchFile(path, changed, signal),
    exclusively: async (signal, action) => {
      const wasOpenToOthers = await makePrivateDirectory(dirname(path))
      const lock = { timeoutMs: limits.serverLockMs, signal, processes: options.processes }
      return await withFileLock(`${path}.thv-lock`, lock, async () => {
        return await action({
          wasOpenToOthers,
          read: async () => await readRecord(path, 'any-mode'),
          write: async (record) => await writeAtomically(path, formatServerRecord(record)),
          remove: async () => await removeFile(path),
        })
      })
    },
  }
}

/** Somebody else's private file cannot even be opened. */
function refuseDenied(error: unknown): ServerRecordRead {
  if (isThvError(error) && error.code === 'state-denied') {
    return { kind: 'refused', reason: error.message, isOurs: false }
  }
  throw error
}

async function readRecord(path: string, modes: 'private' | 'any-mode'): Promise<ServerRecordRead> {
  const read = await readStateFile(path, limits.serverRecordBytes, modes)
  if (read.kind === 'absent') return read
  if (read.kind === 'refused') {
    return { kind: 'refused', reason: read.reason, isOurs: read.cause === 'too-large' || read.cause === 'not-private' }
  }
  try {
    return { kind: 'record', record: parseServerRecord(decodeState(read.bytes)) }
  } catch (error) {
    return { kind: 'refused', reason: messageOf(error), isOurs: true }
  }
}
