/**
 * Every default maximum of the control plane, with its reason.
 * Times are milliseconds, sizes bytes. The data plane has its own table.
 */
export const limits = {
  /** A workload name becomes a file name; spec/local 2.5 allows 1 to 100 characters. */
  nameLength: 100,
  /** A group name becomes one too, which with the endings of its lock and temporary files has 255 bytes at most. */
  groupNameLength: 200,
  /** No run config we have seen is above 20 KB; a larger file is not one. */
  runConfigBytes: 1024 * 1024,
  /** A status file holds a few hundred bytes and up to 20 stderr lines. */
  statusBytes: 256 * 1024,
  /** Group files list clients and skills by name. */
  groupBytes: 256 * 1024,
  /** An environment file is read whole. */
  envFileBytes: 1024 * 1024,
  /** Of a secret: a name that people type, and a value that is no file. */
  secretNameLength: 256,
  secretValueBytes: 256 * 1024,
  /** How many state files one listing reads. */
  stateEntries: 10_000,
  /** The user's `config.yaml`. */
  settingsBytes: 1024 * 1024,
  /**
   * Status files. ToolHive waits 1 s (spec/local 0.3), but a disk under load takes longer for one write. Below the 5 s
   * that writers give themselves, so that the error is the one that names the holder.
   */
  statusLockMs: 4_000,
  /** Everything else: spec/local 0.3. */
  lockMs: 5_000,
  /** A server record holds four short values. */
  serverRecordBytes: 16 * 1024,
  /** One question to `/health`: spec/local 1.5. */
  serverHealthMs: 5_000,
  /** The guard of a start holds the lock while it asks a server that may hang, twice; several may wait for that. */
  serverLockMs: 30_000,
  /** From spawn of an API server to its record: the guard may ask a hung one twice, behind others that do the same. */
  serverStartMs: 30_000,
  /** What an API server gives calls and operations under way (30 s), and takes to end what is left. */
  serverStopMs: 45_000,
  /** The same for one that answers nobody: there is nothing to wait for but its record. */
  hungServerStopMs: 10_000,
  /** Statuses that changed during one look; above that all are looked at together. */
  statusBurst: 100,
  /** From spawn of the supervisor to `running`: longer than the proxy's own limit, so that its reason arrives. */
  startMs: 75_000,
  /** Polite part of a stop, the reference's `stop --timeout` default. */
  stopMs: 30_000,
  /** Longest stop one may ask for: a server that needs more than an hour to end does not end. */
  maxStopMs: 60 * 60 * 1000,
  /** Of the time for a stop, what is kept for the firm end after SIGTERM. */
  killReserveMs: 1_000,
  /** A removal asks politely too, but nobody waits for the answer of what goes away. */
  deleteMs: 5_000,
  /** What a supervisor gets beyond its server's time: closing the listener, writing the status. */
  supervisorGraceMs: 3_000,
  /** Taking back what an interrupted command began: a stop of `deleteMs`, its grace twice, and some writes. */
  undoMs: 30_000,
  /** How often to look whether a process has gone: shorter than a user notices, and a look is cheap. */
  endPollMs: 25,
  /** From the look that finds a child of ours dead to the word of the system how it ended. */
  exitKnownMs: 1_000,
  /** How often a wait for `running` looks again without being told of a change. */
  servingPollMs: 1_000,
  /** Another process writing all the time would have to win this often to make a change of a status fail. */
  statusConflicts: 20,
  /** Between end of input and SIGTERM; servers that obey the protocol exit on end of input. */
  endOfInputGraceMs: 1_500,
  /** Last stderr lines that stay with the state. */
  stderrLines: 20,
  /** One kept stderr line is cut here. */
  stderrLineLength: 2_000,
  /** Runs of equal probes that stay with the state: enough to see an afternoon of flapping. */
  probeRuns: 20,
  /** A reason is one sentence; what a remote server says in it is cut here. */
  reasonLength: 500,
  /** Texts of a server card, in characters: its schema (SEP-2127) allows a name of 200, a version of 255, titles and descriptions of 100. */
  cardNameLength: 200,
  cardVersionLength: 255,
  cardTextLength: 100,
  /** Probes of a remote server: interval, delay after a failure, wait for an answer, failures in a row until unhealthy. */
  remoteIntervalMs: 10_000,
  remoteRetryMs: 5_000,
  remoteTimeoutMs: 5_000,
  remoteFailures: 3,
  /** Longest delay while it is down, so that its return shows within half a minute; and what it may ask for with `Retry-After`. */
  remoteBackOffMs: 30_000,
  /** The same in intervals, for who wants to know sooner than by default. */
  remoteBackOffIntervals: 3,
  remoteRetryAfterMs: 5 * 60_000,
  /** Part of a delay that is left to chance, so that many supervisors do not ask in step. */
  remoteJitter: 0.1,
  /** How often a supervisor looks whether the machine slept or changed its network. */
  wakeCheckMs: 2_000,
  /** Clocks that differ by more than this since the last look: the machine slept. Less is a busy machine. */
  sleepMs: 5_000,
  /** After a sleep or a change of the network, all supervisors ask within this time, each at a moment of its own. */
  wakeSpreadMs: 3_000,
  /** Time for a person to log in, unless they say otherwise; and at `thv run`, where somebody waits for the workload: spec/local 3.5. */
  loginMs: 5 * 60_000,
  runLoginMs: 30_000,
  /** Longest time for a login that one may ask for: its listener is open that long. */
  maxLoginMs: 60 * 60_000,
  /** Until a supervisor has taken a login up: it looks every `tokenPollMs`, and then asks the server. */
  loginTakenMs: 15_000,
  loginPollMs: 100,
  /** Where a browser comes back to, unless said otherwise: spec/local 3.5. */
  callbackPort: 8666,
  /** Telling an authorization server that a grant is not needed any more: politeness, for which nobody waits long. */
  revokeMs: 10_000,
  /**
   * A token is renewed after this part of its life, less up to `tokenJitter` of it: enough is left for all tries in a row
   * before it ends. A life shorter than `tokenLeastMs` is a clock that is wrong: such a token is used until it is refused.
   */
  tokenLifePart: 0.8,
  tokenJitter: 0.05,
  tokenLeastMs: 5_000,
  /** Renewals that fail for now: first delay (doubles), longest, how many; then one tick after the other for a day. Spec/local 11.2. */
  tokenRetryMs: 10_000,
  tokenRetryMaxMs: 2 * 60_000,
  tokenRetries: 5,
  tokenTickMs: 10 * 60_000,
  tokenTicks: 144,
  /** One renewal, discovery included; two requests over a slow line. */
  tokenRequestMs: 15_000,
  /** How often it is looked for a login that somebody else did, while one is needed. */
  tokenPollMs: 1_000,
  /** What a client whose token has ended is told to wait: spec/local 11.2. */
  tokenRetryAfterS: 10,
  /** Scopes that are kept for the next login; a server that asks for more is not well. */
  wantedScopes: 50,
  /** Recorded server processes of single clients; the proxy allows fewer. */
  laneRecords: 128,
  /** Restart back-off: delay of the second in a row (the first has none), cap, attempts; spec/local 2.10 allows 10. */
  restartInitialMs: 500,
  restartMaxMs: 60_000,
  restartAttempts: 10,
  /** A run this long resets the restart counter; spec/local 2.10. */
  restartStableMs: 30_000,
  /** An unversioned package keeps its resolved version this long, as pnpm dlx does. */
  packageTagMs: 24 * 60 * 60 * 1000,
  /** A package install over a slow line. */
  packageInstallMs: 10 * 60 * 1000,
  /** Asking an index for a version. */
  packageResolveMs: 60_000,
  /** A log file is rotated above this, keeping `logBackups` older ones. */
  logBytes: 10 * 1024 * 1024,
  logBackups: 2,
  /** What the API shows of a log; spec/local 5.3. */
  logTailLines: 1_000,
  /** How many workloads one request or command works on at once: each may spawn a server. */
  bulkParallel: 4,
  /** Names in one request about several workloads: what an operation keeps of it, and tells of each failure, is kept for a while. */
  bulkNames: 1_000,
  /** A `WWW-Authenticate` header: a few URLs and scopes. */
  challengeLength: 8 * 1024,
  /** Scopes that a remote server may name; beyond that it does not mean what we ask for. */
  remoteScopes: 100,
  /** What a remote server or an authorization server says of an error is cut here. */
  remoteErrorLength: 200,
} as const
