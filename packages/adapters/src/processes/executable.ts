import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { platform } from 'node:os'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { ThvError } from '@thv/core'

/** Where to look for a program, as a shell would. */
export interface SearchScope {
  workingDirectory: string
  /** `PATH`; empty means nowhere. */
  searchPath: string
  /** Windows' `PATHEXT`. */
  extensions?: string
}

/**
 * The absolute path of a program. A name with a slash is taken from the working
 * directory, any other is looked up on the search path. `command-not-found` when
 * nothing executable is there.
 */
export async function findExecutable(command: string, scope: SearchScope): Promise<string> {
  const named = isAbsolute(command) || command.includes('/') || (platform() === 'win32' && command.includes('\\'))
  const places = named
    ? [resolve(scope.workingDirectory, command)]
    : scope.searchPath
        .split(delimiter)
        .filter((directory) => directory !== '')
        .map((directory) => join(resolve(scope.workingDirectory, directory), command))
  for (const place of places.flatMap((path) => withExtensions(path, scope.extensions))) {
    if (await isExecutable(place)) return place
  }
  const why = named ? 'there is no executable file of that name' : 'no directory of the search path has it'
  throw new ThvError('command-not-found', `cannot start '${command}': ${why}`, {
    hint: 'check the spelling, install the program, or give its full path',
  })
}

function withExtensions(path: string, extensions: string | undefined): string[] {
  if (platform() !== 'win32') return [path]
  const known = (extensions ?? '.COM;.EXE;.BAT;.CMD').split(';')
  return [path, ...known.map((extension) => path + extension)]
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    if (!(await stat(path)).isFile()) return false
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
