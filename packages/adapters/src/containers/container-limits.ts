/** Maxima of the container adapters. Times are milliseconds, sizes bytes. The product-wide ones are in core's `limits`. */
export const containerLimits = {
  /** A ping of an engine that may hang; one that lives answers within a few milliseconds. */
  pingMs: 2_000,
  /** One request that the engine answers from memory. */
  requestMs: 30_000,
  /** Creating a container copies its whole file system on engines without an overlay. */
  createMs: 120_000,
  /** A pull over a slow line: spec/local 3.2. */
  pullMs: 10 * 60_000,
  /** A build installs packages. */
  buildMs: 20 * 60_000,
  /** The answer to one request; a list of a thousand containers is about 2 MB. */
  answerBytes: 16 * 1024 * 1024,
  /** The text of an error. */
  errorBytes: 64 * 1024,
  /** One line of a progress stream; the last line of a build may carry a whole command's output. */
  progressLineBytes: 1024 * 1024,
  /** Source code of a Go program, which is held in memory while it is sent. */
  localSourceBytes: 64 * 1024 * 1024,
  localSourceFiles: 20_000,
  /** Steps of a build whose images are remembered for removal; our Dockerfiles have about 20. */
  buildSteps: 256,
  /** Last lines of a failed build that are shown. */
  buildLines: 20,
  /** After the end of a container: how long its remaining output may take to arrive. */
  drainMs: 2_000,
  /** Between two looks for an engine that went away, while a server that speaks HTTP may go on. */
  engineBackMs: 1_000,
  /** The last step of a stop: SIGKILL and removal. */
  removeMs: 10_000,
  /** Until a container that nobody wants any more is created and removed; within the time that a removal gives a supervisor. */
  unwantedMs: 6_000,
  /** How long somebody else's removal of the same container may take, and how often it is looked at. */
  removalMs: 5_000,
  removalPollMs: 50,
  /** Tries of a removal while the container ends of itself, and the pause between them; it takes some milliseconds. */
  removeTries: 5,
  removePauseMs: 100,
  /** Of the time for a stop, what is kept for the removal. */
  removeReserveMs: 1_000,
  /** Log of a server that speaks HTTP, kept by the engine. */
  engineLogSize: '10m',
  /** A credential helper of the Docker config; it may ask a keychain. */
  credentialMs: 20_000,
  /** What such a helper may say; a token has a few kilobytes. */
  credentialBytes: 64 * 1024,
  /** Docker's config file. */
  dockerConfigBytes: 1024 * 1024,
  /** Processes and threads of a container, as in the sandbox: a Node program has about 12, a browser some hundred. */
  containerProcesses: 512,
  /** Memory of a container, as in the sandbox. */
  containerMemoryBytes: 4 * 1024 * 1024 * 1024,
  /** Processors of a container, as in the sandbox. */
  containerCpus: 2,
  /** Size of the empty directory that covers an ignored one; nobody can write to it. */
  coverBytes: 4096,
  /** Until a forwarder listens, on a machine that is busy. */
  forwarderReadyMs: 30_000,
  /** What a forwarder says before it is ready. */
  forwarderLines: 20,
  /** Names of leftovers that are remembered until the engine can remove them. */
  leftovers: 256,
} as const
