import { join } from 'node:path'
import type * as AdaptersModule from '@thv/adapters'
import { isSecretProvider, ThvError, type SecretProvider, type SetUpSecretsDeps } from '@thv/core'
import type { Container, Directories } from './container.ts'
import { selfCommand } from './self-command.ts'

/** What has to do with secrets, of this user and this machine. Opens nothing until it is used. */
export async function buildSecrets(
  container: Pick<Container, 'environment' | 'reading' | 'settings'>,
  adapters: typeof AdaptersModule,
  directories: Directories,
): Promise<SetUpSecretsDeps> {
  const { environment } = container
  const { processes } = await container.reading()
  const givenPassword = environment['TOOLHIVE_SECRETS_PASSWORD'] ?? ''
  const store = adapters.createFileSecretStore({
    dataDirectory: directories.data,
    processes,
    ...(givenPassword === '' ? {} : { givenPassword }),
    keepers: adapters.createPasswordKeepers({
      platform: process.platform,
      uid: process.geteuid?.(),
      environment,
      keyringCommand: [...selfCommand, '__keyring'],
    }),
  })
  const path = join(directories.config, 'config.yaml')
  return {
    secrets: {
      store,
      provider: async () => await chosenProvider(container),
      variable: (name) => environment[name],
      fallsBack: environment['TOOLHIVE_DISABLE_ENV_FALLBACK'] !== 'true',
    },
    saveProvider: async (provider, signal) => await adapters.saveSecretsProvider(path, provider, { processes, signal }),
  }
}

/** The variable wins; but only the environment needs no set-up (spec/local 9.1). */
async function chosenProvider({
  environment,
  settings,
}: Pick<Container, 'environment' | 'settings'>): Promise<SecretProvider | undefined> {
  const wanted = environment['TOOLHIVE_SECRETS_PROVIDER'] ?? ''
  if (wanted === 'environment') return 'environment'
  const saved = (await settings()).secretsProvider
  const type = wanted === '' || saved === undefined ? saved : wanted
  if (type === undefined || isSecretProvider(type)) return type
  throw new ThvError('invalid-argument', `unknown secret manager type: ${JSON.stringify(type.slice(0, 100))}`, {
    hint: 'set TOOLHIVE_SECRETS_PROVIDER, or secrets.provider_type of config.yaml, to encrypted or environment',
  })
}
