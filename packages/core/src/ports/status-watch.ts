/** Tells which statuses may have changed. */
export interface StatusWatch {
  /**
   * Until the signal aborts, calls `changed` with the name of a workload whose status may have changed. At
   * intervals it calls it with undefined, for any: systems lose reports, and a process that is killed writes nothing.
   */
  watch(changed: (name: string | undefined) => void, signal: AbortSignal): void
}
