import type { AuthorizationPlan, LoginWishes, PendingLogin } from '@thv/core'
import { calculatePKCECodeChallenge, generateRandomCodeVerifier, generateRandomState } from 'oauth4webapi'
import { loginFailed } from './login-failed.ts'

/** Builds a login with a state and a verifier of its own. Rejects with `login-failed` for a parameter that is not the user's. */
export async function buildLogin(
  plan: AuthorizationPlan,
  wishes: LoginWishes,
  { client, scopes }: Pick<PendingLogin, 'client' | 'scopes'>,
): Promise<PendingLogin> {
  const [state, codeVerifier] = [generateRandomState(), generateRandomCodeVerifier()]
  const { redirectUri } = wishes
  const own: Record<string, string> = {
    response_type: 'code',
    client_id: client.clientId,
    redirect_uri: redirectUri,
    state,
    code_challenge: await calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
    resource: plan.resource,
  }
  const url = new URL(plan.authorizationEndpoint)
  if (scopes.length > 0) url.searchParams.set(wishes.scopeParameter ?? 'scope', scopes.join(' '))
  // OpenID Connect 11: without it, a server ignores the wish for offline access.
  if (scopes.includes('offline_access')) url.searchParams.set('prompt', 'consent')
  for (const [name, value] of Object.entries(wishes.parameters ?? {})) {
    if (name in own) throw reserved(name)
    url.searchParams.set(name, value)
  }
  for (const [name, value] of Object.entries(own)) url.searchParams.set(name, value)
  return { plan, client, redirectUri, scopes, authorizationUrl: url.href, state, codeVerifier }
}

/** What a login asks for: the user's wishes, else what the server says, and a refresh token where it can be had. */
export function scopesOf(plan: AuthorizationPlan, wishes: Pick<LoginWishes, 'scopes'>): readonly string[] {
  const scopes = wishes.scopes.length > 0 ? wishes.scopes : plan.scopes
  return plan.takesOfflineAccess ? [...new Set([...scopes, 'offline_access'])] : scopes
}

function reserved(name: string): Error {
  return loginFailed(`the parameter '${name}' of a login is set by thv itself`, "leave it out of 'oauth_params'")
}
