import type { ProcessRuntime } from '@thv/adapters'
import { sourceOf } from '@thv/core'
import type { Container } from './container.ts'

/**
 * Starts what the isolation of a workload's server will need, beside everything else that a
 * start does. Never rejects: what is wrong with the config is told by whoever needs it.
 */
export async function prepareIsolation(
  container: Container,
  name: string,
  processes: Pick<ProcessRuntime, 'prepare'>,
): Promise<void> {
  try {
    const { configs } = await container.reading()
    const config = await configs.load(name)
    if (config === undefined) return
    const source = sourceOf(config)
    if ('image' in source || 'remote' in source) return
    const plan = await container.confinementPlanner({ warn() {}, note() {} })
    const { wish, network } = await plan(config)
    const isReached = config.transport !== 'stdio'
    processes.prepare(wish, { forwarder: network.kind === 'filtered' || (network.kind === 'none' && isReached) })
  } catch {
    // Nothing is prepared then.
  }
}
