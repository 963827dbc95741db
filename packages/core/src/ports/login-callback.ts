/** Where a browser is sent to at the end of a login: a listener on this machine, opened for one login. */
export interface LoginCallback {
  readonly port: number
  /**
   * Waits for the answer to the login with this `state`; answers of anybody else are refused and waited past. Rejects with
   * the signal's reason, and when it is closed.
   */
  wait(state: string, signal: AbortSignal): Promise<LoginAnswer>
  /** Bounded; idempotent. */
  close(): Promise<void>
}

/** What a browser brought. It waits for the page that says how the login ended. */
export interface LoginAnswer {
  readonly url: URL
  /** Shows the page, once. */
  readonly reply: (outcome: 'done' | 'failed') => Promise<void>
}

/**
 * Listens on loopback, on the port or on any free one where `orElse` says so. Rejects with `port-in-use`,
 * `port-not-permitted`.
 */
export type OpenLoginCallback = (wish: { port: number; orElse: 'any' | 'fail' }) => Promise<LoginCallback>
