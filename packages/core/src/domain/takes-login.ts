import type { RunConfig } from './run-config.ts'

/** Whether a workload can be logged in: its server is at a URL, and it gets no token from elsewhere. */
export function takesLogin(config: RunConfig): config is RunConfig & { remote_url: string } {
  const { remote_url: url = '', remote_auth_config: auth, header_forward: forward, thv } = config
  if (url === '' || thv?.token_from_environment === true) return false
  if ([auth?.bearer_token, auth?.bearer_token_file].some((token) => token !== undefined && token !== '')) return false
  const headers = { ...forward?.add_plaintext_headers, ...forward?.add_headers_from_secret }
  return !Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')
}
