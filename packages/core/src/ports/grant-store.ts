import type { RemoteGrant } from '../domain/remote-grant.ts'

/** What follows for a grant from an action under its lock: a new one, its end, or undefined for no change. */
export type GrantChange = RemoteGrant | 'delete' | undefined

/**
 * Grants of remote servers, encrypted. A reference is the name of a secret as run configs hold it
 * (`cached_refresh_token_ref`); workloads with the same one share the grant. Rejects as `SecretStore` does.
 */
export interface GrantStore {
  read(reference: string, signal: AbortSignal): Promise<RemoteGrant | undefined>
  /**
   * Runs `action` alone among all processes for this reference, with the grant as it is then, and writes what it resolves
   * to. So of many who want a new token one gets it, and the others find it. Resolves to the grant afterwards.
   */
  renew(
    reference: string,
    action: (current: RemoteGrant | undefined) => Promise<GrantChange>,
    signal: AbortSignal,
  ): Promise<RemoteGrant | undefined>
  /** As of `SecretStore`. */
  revision(): Promise<string>
}
