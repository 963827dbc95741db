import type { PasswordKeeper } from '@thv/core'
import { askProgram } from './ask-program.ts'
import type { KeyringAnswer, KeyringOrder } from './keyring-order.ts'
import { secretLimits } from './secret-limits.ts'

/** What {@link createOsKeyring} needs. */
export interface OsKeyringOptions {
  /** Starts what {@link keyringMain} is. */
  command: readonly string[]
  /** Of the user's session: it says where the keyring is. */
  environment: Readonly<Record<string, string>>
  /** Default 20 s. */
  timeoutMs?: number
}

/**
 * The keyring of the desktop: Keychain, Credential Manager, or Secret Service over D-Bus, under the names that ToolHive uses
 * (spec/local 9.2). A process of its own speaks to it, because a keyring may hang for ever.
 */
export function createOsKeyring({ command, environment, timeoutMs }: OsKeyringOptions): PasswordKeeper {
  const ask = async (order: KeyringOrder, signal: AbortSignal): Promise<KeyringAnswer> => {
    const limitMs = timeoutMs ?? secretLimits.keyringMs
    const answer = await askProgram(command, { input: JSON.stringify(order), environment, timeoutMs: limitMs }, signal)
    if (answer.kind === 'done') return parseAnswer(answer.output)
    return { problem: answer.kind === 'failed' ? answer.why : 'cannot be asked' }
  }
  return {
    name: 'the keyring of the desktop',
    read: async (signal) => {
      const { password, problem } = await ask({ do: 'read' }, signal)
      if (password !== undefined && password !== '') return { password }
      return problem === undefined ? {} : { problem: `cannot be used: ${problem}` }
    },
    keep: async (password, signal) => (await ask({ do: 'keep', password }, signal)).done === true,
    forget: async (signal) => (await ask({ do: 'forget' }, signal)).done === true,
  }
}

function parseAnswer(output: string): KeyringAnswer {
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only keyring-main.ts writes there
    return JSON.parse(output) as KeyringAnswer
  } catch {
    return { problem: 'no answer' }
  }
}
