import type { ServerRecord } from '../domain/server-record.ts'
import { isThvError, ThvError } from '../errors.ts'
import type { LockedServerRecord, ProbeServer, ServerRecordStore } from '../ports/server-records.ts'
import { evaluateRecord, evaluateServer, type EvaluateServerDeps } from './evaluate-server.ts'

/** What a server needs to announce itself. */
export interface AnnounceServerDeps extends Omit<EvaluateServerDeps, 'records'> {
  records: ServerRecordStore
  /** Is told of a record that is replaced although it was not simply left behind. */
  warn: (message: string) => void
}

/**
 * Makes `record` the user's server, unless one runs: the guard of spec/local 1.4. The server must answer `/health` with
 * its nonce before this is called, because whoever comes next asks it at once. Of any number of callers at one time exactly
 * one resolves. Rejects with `api-server-running`, `server-record-refused` (what is in the way is not ours),
 * `state-denied`, `state-full`, `state-failed`, `state-locked` or the signal's reason.
 */
export async function announceServer(
  deps: AnnounceServerDeps,
  record: ServerRecord,
  signal: AbortSignal,
): Promise<void> {
  // Whoever comes late to a crowd is sent away here, without a turn at the lock.
  const suspect = await refuseIfRunning(deps, signal)
  // A timer that fires late on a machine that was busy or asleep proves nothing, so it takes two failures to be replaced.
  const probe: ProbeServer = async (record, signal) => {
    const first = await deps.probe(record, signal)
    if (first.verified || !first.timedOut || record.nonce === suspect?.nonce) return first
    return await deps.probe(record, signal)
  }
  try {
    await deps.records.exclusively(signal, async (file) => {
      await guard({ ...deps, probe }, file, signal)
      await file.write(record)
    })
  } catch (error) {
    if (isThvError(error) && error.code === 'state-locked') await refuseIfRunning(deps, signal)
    throw error
  }
}

/**
 * Takes the record of a server that ends away. One with another nonce is a successor's and stays. Resolves to whether it
 * was ours.
 */
export async function withdrawServer(
  deps: Pick<AnnounceServerDeps, 'records'>,
  nonce: string,
  signal: AbortSignal,
): Promise<boolean> {
  return await deps.records.exclusively(signal, async (file) => {
    const read = await file.read()
    if (read.kind !== 'record' || read.record.nonce !== nonce) return false
    await file.remove()
    return true
  })
}

/** Resolves to the record of a server that did not answer as it should. */
async function refuseIfRunning(deps: AnnounceServerDeps, signal: AbortSignal): Promise<ServerRecord | undefined> {
  const found = await evaluateServer(deps, signal)
  if (found.state === 'running') throw alreadyRunning(found.record)
  return found.state === 'unhealthy' ? found.record : undefined
}

/** Returns when the record may be written. */
async function guard(deps: AnnounceServerDeps, file: LockedServerRecord, signal: AbortSignal): Promise<void> {
  const { path } = deps.records
  if (file.wasOpenToOthers) deps.warn(`the directory of '${path}' was open to other users; it is private again`)
  const found = await evaluateRecord(deps, await file.read(), signal)
  switch (found.state) {
    case 'running':
      throw alreadyRunning(found.record)
    case 'unhealthy': {
      const { url, pid } = found.record
      deps.warn(`replacing the record of a server that cannot be verified at ${url} (PID ${pid}): ${found.reason}`)
      return
    }
    case 'refused':
      if (!found.isOurs) {
        throw new ThvError('server-record-refused', `cannot announce this server: '${path}': ${found.reason}`, {
          hint: `look at '${path}', and remove it if nobody needs it`,
        })
      }
      deps.warn(`replacing '${path}': ${found.reason}`)
      return
    case 'stale':
    case 'not_found':
  }
}

function alreadyRunning({ url, pid }: ServerRecord): ThvError {
  // ToolHive's words: tools match on them.
  return new ThvError('api-server-running', `another ToolHive server is already running at ${url} (PID ${pid})`, {
    hint: 'use that one, or end it first',
  })
}
