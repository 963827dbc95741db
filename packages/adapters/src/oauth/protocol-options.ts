import { authorizationUrlProblem } from '@thv/core'
import { allowInsecureRequests, customFetch } from 'oauth4webapi'
import { sendBounded, type HttpOptions } from './bounded-request.ts'

/** What every request of oauth4webapi gets: our way to the network, bounded and without redirects. */
export interface ProtocolOptions {
  [customFetch]: (url: string, request: FetchRequest) => Promise<Response>
  /** The check of oauth4webapi knows no loopback; ours takes its place. */
  [allowInsecureRequests]: true
}

interface FetchRequest {
  method: string
  headers: Record<string, string>
  body?: URLSearchParams | string | null | undefined
}

/** Makes the options for the requests of one action. */
export function protocolOptions(http: HttpOptions, signal: AbortSignal): ProtocolOptions {
  return {
    [customFetch]: async (url, { method, headers, body }) => {
      const problem = authorizationUrlProblem(url, true)
      if (problem !== undefined) throw new Error(`${new URL(url).host} is not spoken to: ${problem}`)
      return await sendBounded(http, new URL(url), {
        method,
        headers,
        signal,
        ...(body === undefined || body === null ? {} : { body: String(body) }),
      })
    },
    [allowInsecureRequests]: true,
  }
}
