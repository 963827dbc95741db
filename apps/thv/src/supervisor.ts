import { applyEvent, changeStatus, isThvError, messageOf } from '@thv/core'
import { supervise } from '@thv/runner'
import type { Container } from './container.ts'
import { slogLine } from './slog-line.ts'

/** The last words of a supervisor that fails are not waited for longer. */
const lastWordsMs = 5000

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
  endOnDefects(container, name)
  const { deps, close } = await container.supervision(name, { debug: options.debug, ownsProxyLog: true })
  try {
    const result = await supervise(deps, name, () => {}, options.signal)
    return result === 'stopped' ? 0 : 1
  } catch (error) {
    process.stderr.write(slogLine('error', 'the supervisor ended', { error: messageOf(error) }))
    // Whoever asked for the end needs no reason.
    if (!options.signal.aborted) await recordDefect(container, name, error)
    return 1
  } finally {
    await close()
  }
}

/**
 * The last resort: an error that nobody has caught ends the supervisor, but not
 * without a word in the log and in the status. The guard ends the server.
 */
function endOnDefects(container: Container, name: string): void {
  let ending = false
  const end = (defect: unknown): void => {
    const stack = defect instanceof Error ? defect.stack : undefined
    process.stderr.write(slogLine('error', 'the supervisor failed', { error: messageOf(defect), stack }))
    if (ending) return
    ending = true
    setTimeout(() => process.exit(1), lastWordsMs)
    void recordDefect(container, name, defect).finally(() => process.exit(1))
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
}

/** Writes status `error`, if the workload is still this process's. Never rejects. */
async function recordDefect(container: Pick<Container, 'reading'>, name: string, error: unknown): Promise<void> {
  try {
    const { statuses, processes } = await container.reading()
    const clock = { now: () => new Date(), monotonicMs: () => performance.now(), sleep: async () => {} }
    await changeStatus(
      { statuses, processes, clock },
      name,
      ({ record }) => {
        if (record?.process_id !== process.pid) return undefined
        const context = `the supervisor failed: ${messageOf(error)}`
        const failed = applyEvent(record, 'fail', clock.now(), {
          context,
          processId: 0,
          extension: { error_code: isThvError(error) ? error.code : 'internal' },
        })
        if (failed?.thv === undefined) return failed
        // The server stays on record: whoever starts next makes sure that it is gone.
        const { owner: _owner, stop_deadline: _deadline, ...kept } = failed.thv
        return { ...failed, thv: kept }
      },
      AbortSignal.timeout(lastWordsMs),
    )
  } catch (problem) {
    process.stderr.write(slogLine('error', 'the status could not be written', { error: messageOf(problem) }))
  }
}
