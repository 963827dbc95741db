import type { RunConfig } from '@thv/core'
import type { SuperviseResult } from '@thv/runner'
import type { CommandContext } from './command.ts'

/**
 * Supervises a workload in this process until Ctrl-C, a signal, or the end of the
 * process that started us over an IPC channel.
 */
export async function superviseHere(
  context: CommandContext,
  name: string,
  onServing: (config: RunConfig) => void,
): Promise<SuperviseResult> {
  const { container, output } = context
  const { supervise } = await import('@thv/runner')
  const { deps, close } = await container.supervision(name, {
    debug: context.debug,
    tell: (level, message) => {
      if (level === 'warn' || level === 'error') output.note(`${level}: ${message}`)
    },
  })
  try {
    return await supervise(deps, name, onServing, context.signal)
  } finally {
    await close()
  }
}
