import { fileURLToPath } from 'node:url'

/**
 * How this program starts itself again. The path is the launcher's, which stays
 * where it is when the bundle behind it is built anew.
 */
export const selfCommand: readonly [executable: string, ...args: string[]] = [
  process.execPath,
  fileURLToPath(new URL('../bin/thv.mjs', import.meta.url)),
]
