import type { ErrorKind } from '@thv/core'

/**
 * Error kind to exit code: spec/local 6.2 knows one code for every error; 2 to 4
 * belong to commands that check or apply changes.
 */
export const exitCodes: Record<ErrorKind, number> = {
  invalid: 1,
  'not-found': 1,
  conflict: 1,
  denied: 1,
  unavailable: 1,
  timeout: 1,
  internal: 1,
}

/** Signals that ask for an orderly end. */
export const endSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export type EndSignal = (typeof endSignals)[number]

/** What a shell expects of a program that was ended by a signal. */
export const interruptedExitCodes: Record<EndSignal, number> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }
