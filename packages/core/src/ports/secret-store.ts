/** A change of several secrets: a new value for each name, or null to delete it. */
export type SecretChange = ReadonlyMap<string, string | null>

/**
 * Secrets by name, kept encrypted. Names that begin with `__thv_` are thv's own (spec/local 9.3): users neither see nor
 * change them. Every method rejects with `secrets-locked-away` when no key opens the store, `secrets-denied`,
 * `secrets-corrupt` or `state-locked`; a rejected change leaves everything as it was.
 */
export interface SecretStore {
  /** The value; undefined when there is none. */
  get(name: string, signal: AbortSignal): Promise<string | undefined>
  /** Names in order, thv's own included. */
  list(signal: AbortSignal): Promise<string[]>
  /** Reads, changes and writes under the store's lock, in one write: two writers never lose each other's change. */
  update(change: (secrets: ReadonlyMap<string, string>) => SecretChange, signal: AbortSignal): Promise<void>
  /** A text that is another one after each change, found without opening the store; cheap enough to ask every second. */
  revision(): Promise<string>
}

/** A store that a password opens. */
export interface EncryptedSecretStore extends SecretStore {
  /**
   * Takes and keeps `password`: of a store that is empty it is the one from now on, another one must open by it. Rejects with
   * `secrets-denied`, or `secrets-locked-away` where it cannot be kept.
   */
  unlock(password: string, signal: AbortSignal): Promise<void>
  /** Whether there is nothing that a password would open. */
  isNew(): Promise<boolean>
  /** Takes the password away from every place that keeps it; resolves to whether one did. The secrets stay as they are. */
  forgetPassword(signal: AbortSignal): Promise<boolean>
}
