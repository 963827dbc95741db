/** What a keeper knows. */
export interface KeptPassword {
  /** Absent when it has none, or cannot be asked. */
  password?: string
  /** Why it could not be asked. */
  problem?: string
}

/**
 * A place of this machine that keeps the one password of the secret store: a keyring, or a file that lies in memory. No
 * method rejects but with the signal's reason; each is bounded in time. No password ever stands in a problem.
 */
export interface PasswordKeeper {
  /** For messages: `the keyring of this desktop`. */
  readonly name: string
  read(signal: AbortSignal): Promise<KeptPassword>
  /** Keeps it in the place of what was there; false when this place cannot, found out by keeping something else first. */
  keep(password: string, signal: AbortSignal): Promise<boolean>
  /** Resolves to whether one was there. */
  forget(signal: AbortSignal): Promise<boolean>
}
