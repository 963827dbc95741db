import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { platform } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'

/** The first executable of that name on a search path; undefined when there is none. Relative entries are passed over. */
export async function findTool(
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const file = platform() === 'win32' ? `${name}.exe` : name
  const directories = (environment['PATH'] ?? environment['Path'] ?? '').split(delimiter)
  // A relative entry would take a program from whatever directory the user happens to be in.
  for (const directory of directories.filter(isAbsolute)) {
    const path = join(directory, file)
    if (await isExecutable(path)) return path
  }
  return undefined
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
