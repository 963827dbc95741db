/** One process as a process list shows it. */
export interface ProcessEntry {
  pid: number
  parent: number
  /** Process group; 0 where the system has none. */
  group: number
  /** Opaque start token; see `ProcessIdentity`. */
  started: string
  /** A zombie: it has ended and only waits to be collected. */
  dead: boolean
  /** Whether its environment carries the marker that was asked for. */
  marked: boolean
}

/** A program with arguments, and the environment it needs to print what we parse. */
export interface ListCommand {
  file: string
  args: readonly string[]
  environment: Record<string, string>
}
