import type { ClientIdentity, RemoteGrant, TokenAuthMethod } from '@thv/core'
import { isJsonObject, parseJsonObject, type JsonObject } from './parse-state-json.ts'
import { stateLimits } from './state-limits.ts'

/** The two texts of a grant in the secret store; null: to be deleted. */
export interface GrantTexts {
  rest: string | null
  refreshToken: string | null
}

/** What is written of a grant. */
export function formatGrant(grant: RemoteGrant): GrantTexts {
  const { refreshToken, ...rest } = grant
  return { rest: JSON.stringify({ version: 1, ...rest }), refreshToken: refreshToken ?? null }
}

/** A grant out of what was written, undefined when anything in it is not as it must be. Never throws. */
export function parseGrant(rest: string, refreshToken: string | undefined): RemoteGrant | undefined {
  const raw = rest.length > stateLimits.grantLength ? undefined : parseJsonObject(rest)
  if (raw?.['version'] !== 1) return undefined
  const { issuer, resource, tokenEndpoint, revocationEndpoint, accessToken, expiresAt, obtainedAt, scopes } = raw
  const client = clientOf(raw['client'])
  if (client === undefined || !isUrl(issuer) || !isUrl(resource) || !isUrl(tokenEndpoint)) return undefined
  if (typeof accessToken !== 'string' || !isTime(obtainedAt) || !isTexts(scopes)) return undefined
  if (!isAbsentOr(expiresAt, isTime) || !isAbsentOr(revocationEndpoint, isUrl)) return undefined
  return {
    issuer,
    resource,
    tokenEndpoint,
    client,
    accessToken,
    obtainedAt,
    scopes,
    ...(revocationEndpoint === undefined ? {} : { revocationEndpoint }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(refreshToken === undefined || refreshToken === '' ? {} : { refreshToken }),
  }
}

function clientOf(raw: unknown): ClientIdentity | undefined {
  if (!isJsonObject(raw)) return undefined
  const { clientId, authMethod, clientSecret, clientSecretExpiresAt, kind } = raw
  const method = methods.find((known) => known === authMethod)
  const known = kinds.find((one) => one === kind)
  const registration = registrationOf(raw['registration'])
  if (typeof clientId !== 'string' || method === undefined || known === undefined) return undefined
  if (!isAbsentOr(clientSecret, isText) || !isAbsentOr(clientSecretExpiresAt, isTime)) return undefined
  return {
    clientId,
    authMethod: method,
    kind: known,
    ...(clientSecret === undefined ? {} : { clientSecret }),
    ...(clientSecretExpiresAt === undefined ? {} : { clientSecretExpiresAt }),
    ...(registration === undefined ? {} : { registration }),
  }
}

function registrationOf(raw: JsonObject[string]): ClientIdentity['registration'] {
  if (!isJsonObject(raw)) return undefined
  const { uri, accessToken } = raw
  return isUrl(uri) && isText(accessToken) ? { uri, accessToken } : undefined
}

const methods: readonly TokenAuthMethod[] = ['none', 'client_secret_basic', 'client_secret_post']
const kinds: readonly ClientIdentity['kind'][] = ['configured', 'metadata-document', 'registered']

function isAbsentOr<T>(value: unknown, is: (value: unknown) => value is T): value is T | undefined {
  return value === undefined || is(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string')
}

function isUrl(value: unknown): value is string {
  return typeof value === 'string' && /^https?:/.test(value) && URL.canParse(value)
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value))
}
