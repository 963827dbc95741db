import { dirname, join } from 'node:path'
import { assertWorkloadName, type SessionFiles } from '@thv/core'
import { removeFile } from './remove-file.ts'
import { openSessionJournal, type FileSessionJournal } from './session-journal.ts'
import { sweepTemporaries } from './temporary-file.ts'

/** The journals of all workloads. */
export interface SessionJournals extends SessionFiles {
  /** Opens the journal of a workload, for its supervisor alone. `warn` is told what cannot be kept. */
  open(name: string, warn: (message: string, fields: Record<string, unknown>) => void): Promise<FileSessionJournal>
}

/**
 * Journals as `<dataDirectory>/sessions/<name>.jsonl`, private to the user. Opens nothing until used.
 *
 * @param options.dataDirectory `data` of `resolveDirectories`
 */
export function createSessionJournals(options: { dataDirectory: string }): SessionJournals {
  const pathOf = (name: string): string => {
    assertWorkloadName(name)
    return join(options.dataDirectory, 'sessions', `${name}.jsonl`)
  }
  return {
    open: async (name, warn) => {
      const path = pathOf(name)
      await sweepTemporaries(dirname(path))
      return await openSessionJournal(path, warn)
    },
    delete: async (name) => await removeFile(pathOf(name)),
  }
}
