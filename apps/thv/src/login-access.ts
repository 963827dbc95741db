import type * as AdaptersModule from '@thv/adapters'
import type { GrantStore, LogInDeps, ReadWorkloadDeps, UserSecrets } from '@thv/core'
import type { UserFiles } from './user-files.ts'

type Adapters = typeof AdaptersModule

/** A bundle of certificates or a client secret is read from a disk. */
const userFileMs = 5_000

/** Logins at remote servers. */
export interface LoginAccess {
  grants: () => Promise<GrantStore>
  /** What logs in and out. Loads the protocol, which nothing else needs. */
  login: () => Promise<LogInDeps>
}

/** Opens nothing. */
export function createLoginAccess(context: {
  adapters: () => Promise<Adapters>
  reading: () => Promise<ReadWorkloadDeps>
  secrets: () => Promise<UserSecrets>
  dataDirectory: () => Promise<string>
  files: UserFiles
  environment: Readonly<Record<string, string | undefined>>
}): LoginAccess {
  const { adapters, reading, secrets, files, environment } = context
  const grants = async (): Promise<GrantStore> =>
    (await adapters()).createSecretGrantStore({
      secrets: (await secrets()).store,
      dataDirectory: await context.dataDirectory(),
      processes: (await reading()).processes,
      warn: (message) => process.stderr.write(`warning: ${message}\n`),
    })
  const login = async (): Promise<LogInDeps> => {
    const { createRemoteAuthorization } = await import('@thv/adapters/oauth')
    const { createRemoteDialer, openLoginCallback } = await import('@thv/adapters/network')
    const { configs, statuses } = await reading()
    return {
      configs,
      statuses,
      userSecrets: await secrets(),
      grants: await grants(),
      authorization: createRemoteAuthorization({ dialerOf: (host) => createRemoteDialer(environment, host) }),
      openCallback: openLoginCallback,
      readUserFile: async (path) => await files.readText(path, { signal: AbortSignal.timeout(userFileMs) }),
      clock: (await adapters()).createSystemClock(),
    }
  }
  return { grants, login }
}
