import type { ProcessIdentity, ServerProcess } from '../domain/workload-status.ts'

/** What this machine's process list says. Never trusts a bare pid. */
export interface ProcessTable {
  /** Identity of the calling process. */
  self(): Promise<ProcessIdentity>
  /** Identity of a pid, or undefined when nothing lives there (zombies count as dead). */
  identify(pid: number): Promise<ProcessIdentity | undefined>
  /** Whether exactly this process lives: same pid and same start. */
  isAlive(identity: ProcessIdentity): Promise<boolean>
  /**
   * Whether `pid` is a supervisor of `name`, judged by its command line
   * (`… start <name> --foreground`, spec/local 2.9): for state without start times.
   */
  isSupervisorOf(pid: number, name: string): Promise<boolean>
  /** Sends SIGTERM or SIGKILL; false when the process is already gone. */
  signal(identity: ProcessIdentity, signal: 'SIGTERM' | 'SIGKILL'): Promise<boolean>
  /**
   * Kills (SIGKILL) every process of a server's tree that still lives: its group
   * and whoever inherited its marker. Resolves to how many were found, after they are gone.
   */
  reap(server: ServerProcess, signal: AbortSignal): Promise<number>
}
