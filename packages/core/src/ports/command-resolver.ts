import type { LocalCommand } from '../domain/run-config.ts'

/** Finds local programs the way the user's shell would. */
export interface CommandResolver {
  /**
   * Resolves a command against the caller's working directory and search path.
   * `command-not-found` when there is no executable of that name.
   */
  resolve(typed: string): Promise<LocalCommand>
}
