import { homedir, userInfo } from 'node:os'
import { isAbsolute } from 'node:path'

/** The user's home: `HOME`, unless it is empty or relative, which would put state wherever the user happens to be. */
export function homeDirectory(): string {
  const home = homedir()
  return isAbsolute(home) ? home : userInfo().homedir
}
