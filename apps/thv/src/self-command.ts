import { fileURLToPath } from 'node:url'

/**
 * How this program starts itself again. The path is the launcher's, which stays
 * where it is when the bundle behind it is built anew. The dashes keep Node from
 * looking for options of its own (`--env-file`) behind the script.
 */
export const selfCommand: readonly [executable: string, ...args: string[]] = [
  process.execPath,
  '--',
  fileURLToPath(new URL('../bin/thv.mjs', import.meta.url)),
]
