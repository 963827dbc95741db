import type { EgressRecord } from '@thv/adapters/network'
import { ThvError, type RunConfig } from '@thv/core'
import type { CommandContext } from './command.ts'

/**
 * Supervises a workload in this process until Ctrl-C, a signal, or the end of the
 * process that started us over an IPC channel; resolves to what its connections have
 * shown. Throws why the server cannot be kept running, and the signal's reason when the
 * end came before it ever served.
 */
export async function superviseHere(
  context: CommandContext,
  name: string,
  onServing: (config: RunConfig) => void,
): Promise<EgressRecord> {
  const { container, output } = context
  const { supervise } = await import('@thv/runner')
  const { deps, egress, close } = await container.supervision(name, {
    debug: context.debug,
    tell: (level, message) => {
      if (level === 'warn' || level === 'error') output.note(`${level}: ${message}`)
    },
  })
  try {
    let served = false
    const result = await supervise(
      deps,
      name,
      (config) => {
        served = true
        onServing(config)
      },
      context.signal,
    )
    if (result !== 'stopped') {
      const message = served ? `'${name}' ended: ${result.context}` : `'${name}' did not start: ${result.context}`
      throw new ThvError(result.code, message, {
        hint: `see 'thv logs ${name}' and 'thv logs ${name} --proxy'`,
        detail: result.stderr,
      })
    }
    if (!served) context.signal.throwIfAborted()
    return egress
  } finally {
    await close()
  }
}
