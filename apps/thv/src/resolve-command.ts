import type * as AdaptersModule from '@thv/adapters'
import { ThvError, type LocalCommand } from '@thv/core'

/** Finds a program as the user's shell would, and keeps what is needed to find it from anywhere later. */
export async function resolveCommand(
  adapters: typeof AdaptersModule,
  environment: Readonly<Record<string, string | undefined>>,
  typed: string,
): Promise<LocalCommand> {
  const workingDirectory = currentDirectory()
  const searchPath = environment['PATH'] ?? environment['Path'] ?? ''
  const extensions = environment['PATHEXT']
  const executable = await adapters.findExecutable(typed, {
    workingDirectory,
    searchPath,
    ...(extensions === undefined ? {} : { extensions }),
  })
  return { executable, typed, workingDirectory, searchPath }
}

function currentDirectory(): string {
  try {
    return process.cwd()
  } catch (error) {
    throw new ThvError('invalid-argument', 'the current directory does not exist any more', {
      hint: 'change to a directory that exists; the server will run there',
      cause: error,
    })
  }
}
