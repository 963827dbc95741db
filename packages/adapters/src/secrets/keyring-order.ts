/** What the process that speaks to the keyring is told on its stdin, as JSON. */
export type KeyringOrder = { do: 'read' } | { do: 'keep'; password: string } | { do: 'forget' }

/** What it says on its stdout, as JSON. */
export interface KeyringAnswer {
  /** Of `read`; absent when there is none. */
  password?: string
  /** Of `keep` and `forget`: whether it was done. */
  done?: boolean
  /** Why the keyring cannot be used. */
  problem?: string
}
