import type { ServerExit } from '@thv/core'

/** How a server ended, in words. */
export function describeExit(exit: ServerExit): string {
  if (exit.reason !== undefined) return exit.reason
  if (exit.signal !== null) return `the server was killed by ${exit.signal}`
  return exit.code === 0 ? 'the server ended by itself' : `the server exited with code ${exit.code ?? 'unknown'}`
}
