import type { ClientIdentity } from '@thv/core'
import { ClientSecretBasic, ClientSecretPost, None, type ClientAuth } from 'oauth4webapi'

/** How a client proves who it is, for oauth4webapi. A client without a secret is a public one, whatever it says. */
export function clientAuthentication({ authMethod, clientSecret }: ClientIdentity): ClientAuth {
  if (clientSecret === undefined || authMethod === 'none') return None()
  return authMethod === 'client_secret_post' ? ClientSecretPost(clientSecret) : ClientSecretBasic(clientSecret)
}
