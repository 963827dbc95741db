/** Every default maximum of the runner, with its reason. Times are milliseconds. */
export const runnerLimits = {
  /** How often a supervisor checks that the status file still says what it knows. */
  ownershipCheckMs: 2_000,
  /** How often the size of the proxy log is looked at. */
  logCheckMs: 30_000,
  /** In-flight calls get this part of a stop to finish. */
  drainMs: 3_000,
  /** Ending the server of one client: end of input, SIGTERM and SIGKILL. */
  laneStopMs: 5_000,
  /** Writing a status while ending. */
  finalWriteMs: 5_000,
  /** A failed handshake and the exit that caused it arrive by different ways; the exit is the better reason, and a sandbox ends after its server. */
  exitReasonMs: 1_000,
  /** Renewing a login: what another process does first, the request, and the write. */
  renewalMs: 30_000,
  /** A renewal under way when a supervisor ends; what comes after it may be lost. */
  renewalEndMs: 5_000,
  /** Ending the server of a failed start. */
  failedStartStopMs: 5_000,
  /** Looking up secrets: a keyring may ask its user first. */
  secretMs: 30_000,
  /** A server whose output ended most likely ends itself; then its exit is the better reason. */
  exitAfterLostMs: 1_000,
} as const
