/** The containers that this user's thv has started, as the engine lists them. */
export interface ContainerTable {
  /**
   * Removes every container of a workload, running or not; for a workload whose supervisor
   * is dead. They are looked for at these engines (sockets, as recorded), or without any at the
   * one that is found now. Resolves to how many there were. `engine-unreachable` when nobody can tell.
   */
  reap(workload: string, engines: readonly string[], signal: AbortSignal): Promise<number>
}
