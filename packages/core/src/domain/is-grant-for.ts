import type { RemoteGrant } from './remote-grant.ts'
import { coversServer } from './resource-indicator.ts'
import type { RunConfig } from './run-config.ts'

/**
 * Whether a grant is for the server of a config. A reference can be copied into the config of another server, and a token
 * must not follow it there.
 */
export function isGrantFor({ resource }: RemoteGrant, config: RunConfig): boolean {
  const { remote_url: url = '', remote_auth_config: auth } = config
  return coversServer(resource, url) || (resource !== '' && resource === auth?.resource)
}
