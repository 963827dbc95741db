import {
  assertUserSecretName,
  deleteSecret,
  deleteSystemSecret,
  getSecret,
  limits,
  listSecrets,
  listSystemSecrets,
  listWorkloadsUsingSecret,
  setSecret,
  ThvError,
} from '@thv/core'
import type { CommandContext, CommandInput } from '../command.ts'
import { ask, canAsk, readPipe } from '../hidden-prompt.ts'
import { requireOpenSecrets } from '../open-secrets.ts'
import { flagOption } from '../options.ts'
import { printable } from '../output/style.ts'

/** `thv secret set`: silent on success; the value never stands on a command line. */
export async function secretSetCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const { signal } = context
  const name = nameOf(input)
  assertUserSecretName(name)
  const { secrets } = await requireOpenSecrets(context)
  const value = canAsk()
    ? await ask(`Value of ${name}: `, true, signal)
    : await readPipe(limits.secretValueBytes, signal)
  const wasThere = await setSecret(secrets, { name, value, when: 'any' }, signal)
  if (wasThere)
    await tellUsers(context, name, 'remote servers are told of it within seconds, local ones at their next start')
}

/** `thv secret get`. */
export async function secretGetCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const { secrets } = await requireOpenSecrets(context)
  context.output.line(await getSecret(secrets, nameOf(input), context.signal))
}

/** `thv secret list`: in ToolHive's words (spec/local 6.3). */
export async function secretListCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const { output, signal } = context
  if (flagOption(input, 'system')) {
    const found = await listSystemSecrets((await context.container.secrets()).secrets.store, signal)
    if (found.length === 0) return output.line('No system-managed secrets found')
    output.line('System-managed secrets:')
    for (const { key, scope } of found) output.line(`  - ${printable(key)}  [${scope}]`)
    return
  }
  const names = await listSecrets((await requireOpenSecrets(context)).secrets, signal)
  if (names.length === 0) return output.line('No secrets found')
  output.line('Available secrets:')
  for (const name of names) output.line(`  - ${printable(name)}`)
}

/** `thv secret delete`: silent on success. */
export async function secretDeleteCommand(context: CommandContext, input: CommandInput): Promise<void> {
  const { signal } = context
  const name = nameOf(input)
  if (flagOption(input, 'system')) {
    await deleteSystemSecret((await context.container.secrets()).secrets.store, name, signal)
    return
  }
  await deleteSecret((await requireOpenSecrets(context)).secrets, name, signal)
  await tellUsers(context, name, 'they cannot be started without it')
}

async function tellUsers({ container, output }: CommandContext, name: string, what: string): Promise<void> {
  const users = await listWorkloadsUsingSecret(await container.configs(), name)
  if (users.length > 0) output.note(`note: used by ${users.join(', ')}: ${what}`)
}

function nameOf({ args }: CommandInput): string {
  const [name = '', extra] = args
  if (extra === undefined) return name
  // What is too much may be a value, and is not repeated.
  throw new ThvError('invalid-argument', 'a secret is given one name, and no value on the command line', {
    hint: 'leave the value out: it is asked for, or read from a pipe',
  })
}
