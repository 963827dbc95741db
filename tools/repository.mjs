/** Where this clone is, and whether a tool was started by itself or imported. */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The directory of the clone. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '')

/** True when `moduleUrl` is the program that was started, also through a symbolic link. */
export function isMainModule(moduleUrl) {
  const started = process.argv[1]
  return started !== undefined && realpathSync(started) === fileURLToPath(moduleUrl)
}
