import type { ServerRecord } from '../domain/server-record.ts'
import type { IsServerAlive, ProbeServer, ServerRecordRead, ServerRecordStore } from '../ports/server-records.ts'

/** What is true of the API server of this user: the states of spec/local 1.5, and a record that is not believed. */
export type ServerEvaluation =
  | { state: 'not_found' }
  /** It answered, and it is the one that wrote the record. */
  | { state: 'running'; record: ServerRecord }
  /** It does not answer as it should, and its process has ended (`stale`) or lives (`unhealthy`). */
  | { state: 'stale' | 'unhealthy'; record: ServerRecord; reason: string }
  /** `isOurs`: it may be replaced. */
  | { state: 'refused'; reason: string; isOurs: boolean }

/** What it takes to judge a server. */
export interface EvaluateServerDeps {
  records: Pick<ServerRecordStore, 'read'>
  probe: ProbeServer
  isAlive: IsServerAlive
}

/** Reads the record and finds out who answers. Writes nothing. Rejects with the signal's reason or when the read fails. */
export async function evaluateServer(deps: EvaluateServerDeps, signal: AbortSignal): Promise<ServerEvaluation> {
  return await evaluateRecord(deps, await deps.records.read(), signal)
}

/** The same for what has been read already. */
export async function evaluateRecord(
  deps: Pick<EvaluateServerDeps, 'probe' | 'isAlive'>,
  read: ServerRecordRead,
  signal: AbortSignal,
): Promise<ServerEvaluation> {
  if (read.kind === 'absent') return { state: 'not_found' }
  if (read.kind === 'refused') return { state: 'refused', reason: read.reason, isOurs: read.isOurs }
  const { record } = read
  const health = await deps.probe(record, signal)
  if (health.verified) return { state: 'running', record }
  return { state: (await deps.isAlive(record)) ? 'unhealthy' : 'stale', record, reason: health.reason }
}
