import type { ProcessIdentity } from '../domain/workload-status.ts'

/** How a process ended; one of the two is set. */
export interface ProcessExit {
  code: number | null
  signal: string | null
}

/** A supervisor that was just spawned, and has not claimed its workload yet. */
export interface LaunchedSupervisor {
  readonly identity: ProcessIdentity
  /** Resolves when it has ended. Keeps no process alive. */
  readonly exit: () => Promise<ProcessExit>
}

/** Starts supervisors: detached processes that outlive the command that asked for them. */
export interface SupervisorLauncher {
  /**
   * Spawns `thv start <name> --foreground` in a session of its own, output appended
   * to the workload's proxy log. Resolves once the process exists.
   */
  launch(name: string, options: { debug: boolean }): Promise<LaunchedSupervisor>
}
