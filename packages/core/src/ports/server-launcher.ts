/** Where a new API server is to listen. */
export interface ServerTarget {
  /** Default `127.0.0.1`. */
  host?: string
  /** 0 for any free one. */
  port?: number
  /** Absolute path of a unix socket. */
  socket?: string
  /** Serve the OpenAPI document too. */
  withDocument: boolean
}

/** An API server that was just spawned, and may not serve yet. */
export interface LaunchedServer {
  readonly pid: number
  /** Aborts when its process has ended. */
  readonly ended: AbortSignal
  /** What it has written to its log so far, its last lines. */
  words(): Promise<string[]>
  /** Ends it, politely at first. Resolves when it is gone. */
  end(): Promise<void>
  /** Lets it outlive this process; it can be asked nothing afterwards. */
  release(): void
}

/** Starts API servers that outlive the command that asked for them. */
export interface ServerLauncher {
  /** Spawns `thv serve` in a session of its own, output appended to its log. `api-server-start-failed`. */
  launch(target: ServerTarget): Promise<LaunchedServer>
}
