import { parseChallenges, readScopes } from '@thv/core'
import type { HttpOptions } from './bounded-request.ts'
import { followOwnRedirects } from './follow-own-redirects.ts'
import { loginFailed, networkReason } from './login-failed.ts'

/** What a server says to somebody without credentials. */
export interface ServerAnswer {
  /** Whether it wants a token: 401. */
  isRefusal: boolean
  status: number
  /** URL of its metadata, as its challenge has it. */
  metadataUrl?: string
  /** Of its challenge; empty when it says nothing. */
  scopes: readonly string[]
}

/**
 * Asks the MCP endpoint without credentials: `initialize` first, and a GET where that does not answer 401. Rejects with
 * `login-failed` when it cannot be reached, and when it wants another kind of login than OAuth.
 */
export async function askServer(http: HttpOptions, serverUrl: string, signal: AbortSignal): Promise<ServerAnswer> {
  const url = new URL(serverUrl)
  try {
    const first = await followOwnRedirects(http, url, { ...initialize, signal })
    if (first.status === 401) return readRefusal(first)
    const second = await followOwnRedirects(http, url, { ...openStream, signal })
    return second.status === 401 ? readRefusal(second) : { isRefusal: false, status: first.status, scopes: [] }
  } catch (error) {
    if (error instanceof UnsupportedLogin) {
      throw loginFailed(
        `the remote server wants a login of the kind '${error.message}', and only OAuth is supported`,
        'pass its header with --remote-forward-headers',
      )
    }
    signal.throwIfAborted()
    throw loginFailed(
      `the remote server cannot be asked who may log in: ${networkReason(error)}`,
      'check the URL and the network, and try again',
    )
  }
}

const initialize = {
  method: 'POST',
  headOnly: true,
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'thv', version: '1.0' } },
  }),
} as const

const openStream = { method: 'GET', headOnly: true, headers: { accept: 'text/event-stream' } } as const

class UnsupportedLogin extends Error {}

function readRefusal({ status, headers }: Response): ServerAnswer {
  const challenges = parseChallenges(headers.get('www-authenticate') ?? '')
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
  const [other] = challenges
  if (bearer === undefined && other !== undefined) throw new UnsupportedLogin(other.scheme.slice(0, 40))
  const metadataUrl = bearer?.parameters.get('resource_metadata')
  return {
    isRefusal: true,
    status,
    scopes: readScopes(bearer?.parameters.get('scope')),
    ...(metadataUrl === undefined ? {} : { metadataUrl }),
  }
}
