import { isThvError, requireSecretProvider, type SetUpSecretsDeps } from '@thv/core'
import type { CommandContext } from './command.ts'
import { ask, canAsk } from './hidden-prompt.ts'

/**
 * The secrets of the user, open: where nobody but the user knows the password of the file, they are asked for it, once. It
 * is kept then, if there is a place for it.
 */
export async function openSecrets(context: CommandContext): Promise<SetUpSecretsDeps> {
  const { container, signal } = context
  const deps = await container.secrets()
  const { secrets } = deps
  try {
    if ((await secrets.provider()) === 'encrypted') await secrets.store.list(signal)
  } catch (error) {
    if (!isThvError(error) || error.code !== 'secrets-locked-away' || !canAsk()) throw error
    await deps.secrets.store.unlock(await ask('Password of the secrets file: ', true, signal), signal)
  }
  return deps
}

/** The same, and `secrets-not-set-up` unless a provider was chosen. */
export async function requireOpenSecrets(context: CommandContext): Promise<SetUpSecretsDeps> {
  const deps = await openSecrets(context)
  await requireSecretProvider(deps.secrets)
  return deps
}
