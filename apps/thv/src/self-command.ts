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

/** The program that runs beside a sandboxed server with a network of its own; built as a file of its own. */
export const forwarderScript: string = fileURLToPath(new URL('../dist/forwarder.js', import.meta.url))
