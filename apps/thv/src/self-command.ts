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

/**
 * How supervisors are started. They live for weeks, and V8 does not give back what its young generation grew to: with
 * its own maximum of 16 MB a supervisor keeps about 20 MB more after its first busy minute than with 4 (ADR 0017).
 */
export const supervisorCommand: typeof selfCommand = [
  process.execPath,
  '--max-semi-space-size=4',
  ...selfCommand.slice(1),
]

/** The program that runs beside a sandboxed server with a network of its own; built as a file of its own. */
export const forwarderScript: string = fileURLToPath(new URL('../dist/forwarder.js', import.meta.url))
