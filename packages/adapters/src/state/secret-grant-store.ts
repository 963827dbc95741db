import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { GrantStore, RemoteGrant, SecretStore } from '@thv/core'
import { withFileLock } from './file-lock.ts'
import type { Liveness } from './lock-files.ts'
import { formatGrant, parseGrant } from './parse-grant.ts'
import { stateLimits } from './state-limits.ts'

/** What {@link createSecretGrantStore} needs. */
export interface SecretGrantStoreOptions {
  secrets: SecretStore
  /** `data` of `resolveDirectories`; locks lie in its `grants`. */
  dataDirectory: string
  processes: Liveness
  /** Hears once of each grant that cannot be read. */
  warn: (message: string) => void
}

/**
 * Grants in the secret store, in two secrets written as one: the refresh token where ToolHive has it
 * (`__thv_workloads_<reference>`, spec/local 9.3 and 11.2), the rest in one of our own. A rest that cannot be read is no
 * grant, and neither is a refresh token alone. Opens nothing until used.
 */
export function createSecretGrantStore(options: SecretGrantStoreOptions): GrantStore {
  const { secrets, dataDirectory, processes } = options
  const told = new Set<string>()
  const read = async (reference: string, signal: AbortSignal): Promise<RemoteGrant | undefined> => {
    const text = await secrets.get(restName(reference), signal)
    if (text === undefined) return undefined
    const grant = parseGrant(text, await secrets.get(tokenName(reference), signal))
    if (grant === undefined && !told.has(reference)) {
      told.add(reference)
      options.warn(`the login '${reference}' in the secret store cannot be read and counts for none: log in again`)
    }
    return grant
  }
  const write = async (reference: string, grant: RemoteGrant | 'delete', signal: AbortSignal): Promise<void> => {
    const { rest, refreshToken } = grant === 'delete' ? nothing : formatGrant(grant)
    const change = new Map([
      [restName(reference), rest],
      [tokenName(reference), refreshToken],
    ])
    await secrets.update(() => change, signal)
  }
  return {
    read,
    revision: async () => await secrets.revision(),
    renew: async (reference, action, signal) => {
      // A reference is the name of a secret, which may have any character.
      const file = createHash('sha256').update(reference).digest('hex').slice(0, 32)
      const path = join(dataDirectory, 'grants', `${file}.thv-lock`)
      return await withFileLock(path, { timeoutMs: stateLimits.grantLockMs, signal, processes }, async () => {
        const current = await read(reference, signal)
        const change = await action(current)
        if (change === undefined) return current
        await write(reference, change, signal)
        return change === 'delete' ? undefined : change
      })
    },
  }
}

const nothing = { rest: null, refreshToken: null }

function tokenName(reference: string): string {
  return `__thv_workloads_${reference}`
}

/** Of another scope, so that it is no other reference's refresh token. */
function restName(reference: string): string {
  return `__thv_auth_remote_${reference}`
}
