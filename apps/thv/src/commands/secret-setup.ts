import { setUpSecrets } from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { ask, canAsk } from '../hidden-prompt.ts'
import { openSecrets } from '../open-secrets.ts'

/** `thv secret setup`: asks on a terminal; without one, `encrypted` with a password that nobody needs to know. */
export async function secretSetupCommand(context: CommandContext): Promise<void> {
  const { signal } = context
  const isAsked = canAsk()
  const typed = isAsked
    ? await ask('Where secrets come from (encrypted or environment) [encrypted]: ', false, signal)
    : ''
  await choose(context, typed.trim() === '' ? 'encrypted' : typed.trim(), isAsked)
}

/** `thv secret provider`. */
export async function secretProviderCommand(context: CommandContext, { args }: CommandInput): Promise<void> {
  await choose(context, args[0] ?? '', canAsk())
}

/** `thv secret reset-keyring`. */
export async function secretResetKeyringCommand({ container, output, signal }: CommandContext): Promise<void> {
  const { store } = (await container.secrets()).secrets
  const wasKept = await store.forgetPassword(signal)
  output.line(wasKept ? 'The password was taken out of the keyring' : 'No password was kept')
  if (!(await store.isNew())) output.note("note: the secrets stay; 'thv secret setup' takes their password again")
}

async function choose(context: CommandContext, provider: string, isAsked: boolean): Promise<void> {
  const { container, output, signal } = context
  const deps = provider === 'encrypted' ? await openSecrets(context) : await container.secrets()
  const password = provider === 'encrypted' && isAsked ? await newPassword(context) : undefined
  await setUpSecrets(deps, { provider, ...(password === undefined ? {} : { password }) }, signal)
  output.line(`✓ Secrets provider '${provider}' has been successfully configured!`)
}

/** Only of a file that is not there yet: that of another one is known by now. */
async function newPassword({ container, signal }: CommandContext): Promise<string | undefined> {
  if ((container.environment['TOOLHIVE_SECRETS_PASSWORD'] ?? '') !== '') return undefined
  if (!(await (await container.secrets()).secrets.store.isNew())) return undefined
  const typed = await ask('Password for the secrets file (empty: one that nobody needs to know): ', true, signal)
  return typed === '' ? undefined : typed
}
