import { messageOf } from '@thv/core'
import { supervise } from '@thv/runner'
import type { Container } from './container.ts'
import { slogLine } from './slog-line.ts'

/**
 * The detached supervisor of one workload (`thv start NAME --foreground` with
 * `TOOLHIVE_DETACHED=1`): everything it says goes to the proxy log, which is its
 * stdout and stderr. Resolves to the exit code.
 */
export async function runSupervisor(
  container: Container,
  name: string,
  options: { debug: boolean; signal: AbortSignal },
): Promise<number> {
  const { deps, close } = await container.supervision(name, { debug: options.debug, ownsProxyLog: true })
  try {
    const result = await supervise(deps, name, () => {}, options.signal)
    return result === 'stopped' ? 0 : 1
  } catch (error) {
    process.stderr.write(slogLine('error', 'the supervisor ended', { error: messageOf(error) }))
    return 1
  } finally {
    await close()
  }
}
