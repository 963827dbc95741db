import { assertForwardHeader } from './forward-header.ts'
import { remoteAuthProblem } from './remote-auth.ts'
import { parseRemoteUrl } from './remote-url.ts'
import { isRecord } from './is-record.ts'
import { thrownBy } from './thrown-by.ts'

/** What is wrong with the keys of a run config that are about a remote server; undefined when nothing is. */
export function remoteKeyProblem(config: Readonly<Record<string, unknown>>): string | undefined {
  const { remote_url: url, thv_ca_bundle: bundle, remote_auth_config: auth, header_forward: forward } = config
  if (!isTextOrAbsent(url)) return "'remote_url' is not a string"
  if (!isTextOrAbsent(bundle)) return "'thv_ca_bundle' is not a string"
  for (const [key, object] of Object.entries({ remote_auth_config: auth, header_forward: forward })) {
    if (object !== undefined && object !== null && !isRecord(object)) return `'${key}' is not an object`
  }
  if (isRecord(auth)) {
    const problem = remoteAuthProblem(auth)
    if (problem !== undefined) return problem
  }
  if (typeof url === 'string' && url !== '') {
    if (config['transport'] === 'stdio') return 'a remote server does not speak stdio'
    const problem = thrownBy(() => parseRemoteUrl(url))
    if (problem !== undefined) return `'remote_url': ${problem}`
  }
  return headerProblem(isRecord(forward) ? forward['add_plaintext_headers'] : undefined)
}

function headerProblem(headers: unknown): string | undefined {
  if (headers === undefined || headers === null) return undefined
  if (!isRecord(headers)) return "'header_forward.add_plaintext_headers' is not an object"
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string') return `'header_forward': the value of '${name}' is not a string`
    const problem = thrownBy(() => assertForwardHeader(name, value))
    if (problem !== undefined) return `'header_forward': ${problem}`
  }
  return undefined
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === 'string'
}
