/** Maxima of the process adapters. Times are milliseconds. The product-wide ones are in core's `limits`. */
export const processLimits = {
  /** From spawn until the guard has said that it watches; a shell needs about 2 ms. */
  guardReadyMs: 5_000,
  /** After the exit of a server: how long its remaining output may take to arrive. */
  drainMs: 2_000,
  /** SIGKILL takes effect at once, unless a process hangs in the kernel (a dead network disk). */
  reapMs: 5_000,
  /** Between two looks at the process list while something still dies. */
  reapPauseMs: 15,
  /** How long the guard waits for the reaper before it falls back to what a shell can do, in tenths of a second. */
  reaperTenths: 25,
  /** Between two looks whether a process group is empty. */
  groupPollMs: 20,
  /** A sandbox that does nothing takes 10 ms. */
  sandboxProbeMs: 5_000,
  /** From the start of a forwarder until it listens; Node needs about 80 ms. */
  forwarderReadyMs: 10_000,
  /** Processes and threads of a sandboxed server: a Node program has about 12, a browser some hundred. */
  sandboxProcesses: 512,
  /** Memory of a sandboxed server, for each process or, where control groups can be made, for all together. */
  sandboxMemoryBytes: 4 * 1024 * 1024 * 1024,
  /** Processors that a sandboxed server may keep busy, all of it together; a server that waits for calls uses none. */
  sandboxCpus: 2,
  /** A permission profile or a list of ignore patterns. */
  profileBytes: 256 * 1024,
  /** One call of `ps` or of PowerShell. */
  listCommandMs: 10_000,
  /** Output of `ps` with environments, for some thousand processes. */
  listCommandBytes: 32 * 1024 * 1024,
  /** Environment of one process; the kernel's own limit for arguments and environment is a few MB. */
  environBytes: 8 * 1024 * 1024,
  /** A browser that cannot be opened says so within this time; one that runs on longer is open. */
  browserMs: 3_000,
  /** An API server that did not come up gets this long to end before it is killed; it has served nobody. */
  serverEndMs: 5_000,
  /** What is read of the log of such a server, and how much of that is shown. */
  serverWordsBytes: 16 * 1024,
  serverWordsLines: 20,
  /** Processes whose files are read at the same time. */
  parallelReads: 32,
  /** Random tries before a port scan: spec/local 3.4. */
  portTries: 10,
} as const
