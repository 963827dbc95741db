import type { ProcessIdentity } from '../domain/workload-status.ts'

/** Starts supervisors: detached processes that outlive the command that asked for them. */
export interface SupervisorLauncher {
  /**
   * Spawns `thv start <name> --foreground` in a session of its own, output appended
   * to the workload's proxy log. Resolves once the process exists.
   */
  launch(name: string, options: { debug: boolean }): Promise<ProcessIdentity>
}
