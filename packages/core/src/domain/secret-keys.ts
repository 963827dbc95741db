import { assertForwardHeader } from './forward-header.ts'
import { assertUserSecretName, bearerTokenTarget, parseSecretParameter, parseServerSecret } from './secret-name.ts'
import { isRecord } from './is-record.ts'
import { thrownBy } from './thrown-by.ts'

/** What is wrong with the keys of a run config that name secrets; undefined when nothing is. Types of lists are known to be right. */
export function secretKeyProblem(config: Readonly<Record<string, unknown>>): string | undefined {
  const { secrets, header_forward: forward, remote_auth_config: auth } = config
  for (const text of Array.isArray(secrets) ? secrets : []) {
    const problem = thrownBy(() => parseServerSecret(String(text)))
    if (problem !== undefined) return `'secrets': ${problem}`
  }
  const token = isRecord(auth) ? auth['bearer_token'] : undefined
  if (token !== undefined && token !== null && token !== '' && !isTokenReference(token)) {
    // A token as it is would stand in a file that people share.
    return "'remote_auth_config.bearer_token' is not NAME,target=bearer_token: save the token as a secret"
  }
  return headerProblem(isRecord(forward) ? forward['add_headers_from_secret'] : undefined)
}

function isTokenReference(value: unknown): boolean {
  if (typeof value !== 'string') return false
  try {
    return parseSecretParameter(value).target === bearerTokenTarget
  } catch {
    return false
  }
}

function headerProblem(headers: unknown): string | undefined {
  if (headers === undefined || headers === null) return undefined
  if (!isRecord(headers)) return "'header_forward.add_headers_from_secret' is not an object"
  for (const [header, name] of Object.entries(headers)) {
    if (typeof name !== 'string') return `'header_forward': the secret of '${header}' is not a string`
    const problem = thrownBy(() => {
      assertForwardHeader(header, '')
      assertUserSecretName(name)
    })
    if (problem !== undefined) return `'header_forward': ${problem}`
  }
  return undefined
}
