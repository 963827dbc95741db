import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, systemCodeOf, ThvError } from '@thv/core'

/** Creates the directory of a log that a process's output goes to before it runs any code of ours. */
export async function prepareLogDirectory(logPath: string): Promise<void> {
  const directory = dirname(logPath)
  try {
    await mkdir(directory, { recursive: true, mode: 0o750 })
  } catch (error) {
    const denied = ['EACCES', 'EPERM', 'EROFS'].includes(systemCodeOf(error) ?? '')
    throw new ThvError(
      denied ? 'state-denied' : 'state-failed',
      `the log directory ${directory} cannot be created: ${messageOf(error)}`,
      { hint: 'make its parent writable for your user, or set XDG_DATA_HOME', cause: error },
    )
  }
}
