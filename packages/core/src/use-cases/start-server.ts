import type { ServerRecord } from '../domain/server-record.ts'
import { ThvError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { PortAllocator } from '../ports/port-allocator.ts'
import type { LaunchedServer, ServerLauncher, ServerTarget } from '../ports/server-launcher.ts'
import type { ServerRecordStore } from '../ports/server-records.ts'
import { withTimeLimit } from '../with-time-limit.ts'
import { evaluateServer, type EvaluateServerDeps } from './evaluate-server.ts'

/** What {@link startServer} needs. */
export interface StartServerDeps extends EvaluateServerDeps {
  records: Pick<ServerRecordStore, 'read' | 'watch'>
  launcher: ServerLauncher
  ports: Pick<PortAllocator, 'isFree'>
}

/** The user's API server, and whether this call has started it. */
export interface StartedServer {
  record: ServerRecord
  isNew: boolean
}

const usualPort = 8080

/**
 * Makes sure that an API server of this user runs, and resolves when it has answered as the one in the record. Of any
 * number of callers at one time one server stays, and all get its record. A target without port and socket is port 8080,
 * or any free one when that is taken. Rejects with `api-server-start-failed`, which has the last lines of the server's
 * log, or with the signal's reason; then nothing that this call has spawned is left.
 */
export async function startServer(
  deps: StartServerDeps,
  target: ServerTarget,
  signal: AbortSignal,
): Promise<StartedServer> {
  const found = await evaluateServer(deps, signal)
  if (found.state === 'running') return { record: found.record, isNew: false }
  const isBound = target.port !== undefined || target.socket !== undefined
  const usual = isBound ? undefined : await attemptUsualPort(deps, target, signal)
  return usual ?? (await attempt(deps, isBound ? target : { ...target, port: 0 }, signal))
}

/** Undefined when the port is another program's. */
async function attemptUsualPort(
  deps: StartServerDeps,
  target: ServerTarget,
  signal: AbortSignal,
): Promise<StartedServer | undefined> {
  const isFree = async (): Promise<boolean> => await deps.ports.isFree(usualPort, target.host ?? '127.0.0.1')
  if (!(await isFree())) return undefined
  try {
    return await attempt(deps, { ...target, port: usualPort }, signal)
  } catch (error) {
    // Another may have taken it since the look.
    if (signal.aborted || (await isFree())) throw error
    return undefined
  }
}

async function attempt(deps: StartServerDeps, target: ServerTarget, signal: AbortSignal): Promise<StartedServer> {
  const server = await deps.launcher.launch(target)
  try {
    const record = await waitForAnnouncement(deps, server, signal)
    if (record === undefined) throw await failed(server)
    server.release()
    return { record, isNew: record.pid === server.pid }
  } catch (error) {
    await server.end()
    throw error
  }
}

/** The record of the server, or of another that was quicker; undefined when it has ended, or its time is over. */
async function waitForAnnouncement(
  deps: StartServerDeps,
  server: LaunchedServer,
  signal: AbortSignal,
): Promise<ServerRecord | undefined> {
  const over = withTimeLimit(server.ended, limits.serverStartMs)
  for (;;) {
    const [isOver, look] = [over.aborted, new AbortController()]
    const news = nextNews(deps.records, AbortSignal.any([over, signal, look.signal]))
    try {
      const found = await evaluateServer(deps, signal)
      // As long as both live, it is not decided who stays.
      if (found.state === 'running' && (found.record.pid === server.pid || isOver)) return found.record
      if (isOver) return undefined
      await news
      signal.throwIfAborted()
    } finally {
      look.abort()
    }
  }
}

/** Resolves when the record has changed, or the signal aborts. */
async function nextNews(records: StartServerDeps['records'], signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    records.watch(resolve, signal)
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

async function failed(server: LaunchedServer): Promise<ThvError> {
  const why = server.ended.aborted ? 'it ended' : `it did not announce itself within ${limits.serverStartMs / 1000} s`
  const detail = await server.words()
  return new ThvError('api-server-start-failed', `the API server did not start: ${why}`, {
    detail,
    // One that is killed says nothing.
    hint: `${detail.length > 0 ? 'see its last words above, or ' : ''}run 'thv serve' in a terminal`,
  })
}
