/** Maxima of what commands ask of an API server, with their reasons. Milliseconds unless said otherwise. */
export const actionLimits = {
  /** A look whether the server is there. One that needs longer is left alone: the command does the work itself. */
  lookMs: 1_000,
  /** An answer of a server found by its record, likewise; it only reads files, or begins something. */
  callMs: 2_000,
  /** One question after an operation, in seconds; the next follows at once. */
  waitSeconds: 10,
  /** An operation in all: its own limit is the time of a stop, behind what it interrupts. */
  operationMs: 120_000,
} as const
