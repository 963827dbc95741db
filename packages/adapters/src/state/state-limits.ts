/**
 * Maxima of the file stores, beside the ones in core's `limits`.
 * Times are milliseconds, sizes bytes.
 */
export const stateLimits = {
  /** Between two looks at a held lock, at least and at most; random, so that waiters do not march in step. */
  lockPollMinMs: 4,
  lockPollMaxMs: 16,
  /** How long a holder once seen alive is believed; asking may cost a process on some platforms. */
  lockBelieveAliveMs: 100,
  /** A lock file is a pid and two tokens. */
  lockBytes: 4 * 1024,
  /**
   * Where hard links are missing, a lock file is empty for an instant. An unreadable
   * one counts as held for this long, and as left behind after it.
   */
  lockTornMs: 250,
  /** Claims on dead locks that one attempt walks over; each one is a holder that was killed. */
  lockChain: 1_000,
  /** A temporary file this old was left by a process that was killed. */
  temporaryMaxAgeMs: 60 * 60 * 1000,
  /** Windows refuses to replace or remove a file while somebody reads it: tries, and the first pause (doubles). */
  busyTries: 6,
  busyPauseMs: 10,
  /** Between two looks at a watched file, for file systems that do not report changes. */
  rescanMs: 500,
  /** Between two tries to watch a directory that is not there yet: the first workload of a user makes it. */
  watchRetryMs: 100,
  /** Between two looks at all statuses and their processes, while somebody listens: so late is a killed supervisor noticed. */
  statusRescanMs: 2_000,
  /** The file of a workload's sessions; 10,000 of them take a few MB. */
  sessionJournalBytes: 32 * 1024 * 1024,
  /** All records in it; half of the file, so that a full one is not written anew for every line. */
  sessionRecordsBytes: 16 * 1024 * 1024,
  /** It is written anew, without what is over, at this multiple of its shortest size, but not below the minimum. */
  sessionJournalGrowth: 4,
  sessionJournalMinBytes: 256 * 1024,
  /** One line of it; the proxy keeps texts up to 16 KiB, which JSON may make up to six times as long. */
  sessionLineLength: 128 * 1024,
  /** Texts of one session; the proxy allows 1,000 subscriptions. */
  sessionTexts: 1_100,
  /** Who wants a grant may wait for another process that renews it, discovery included. */
  grantLockMs: 45_000,
  /** A grant holds two tokens, which have a few KB at most, and some URLs. */
  grantLength: 256 * 1024,
  /** The secret file: spec/local 9.2. */
  secretFileBytes: 32 * 1024 * 1024,
  /** Whoever makes the file holds its lock while keyrings are asked, each of which may take its time. */
  secretLockMs: 60_000,
  /** Randomness in a password that is made; as much as the key that follows from it. */
  secretPasswordBytes: 32,
  /** A file with one password. */
  keyFileBytes: 4 * 1024,
  /** Log lines waiting for the disk. */
  logQueueLines: 2_000,
  logQueueBytes: 1024 * 1024,
  /** A longer log line is cut. */
  logLineBytes: 64 * 1024,
  /** Pause after a failed log write before the disk is tried again. */
  logRetryMs: 1_000,
  /** How long closing a log waits for the disk. */
  logCloseMs: 2_000,
  /** Piece by which a log is copied. */
  logCopyBytes: 64 * 1024,
} as const
