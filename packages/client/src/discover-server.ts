import { evaluateServer, type EvaluateServerDeps, type ServerEvaluation } from '@thv/core'
import { probeServer } from './probe-server.ts'

/** What it takes to find the server. Nothing is read but these. */
export interface DiscoverServerDeps extends Omit<EvaluateServerDeps, 'probe'> {
  /** Only `TOOLHIVE_API_URL` is looked at. */
  environment: Readonly<Record<string, string | undefined>>
  /** Default: `probeServer`. */
  probe?: EvaluateServerDeps['probe']
}

/** Where the API server is, or would be. */
export type DiscoveredServer =
  /** The user said so; nobody asked whether it is there. */
  | { source: 'environment'; url: string }
  /** It was asked just now, and is the one that announced itself. */
  | { source: 'record'; url: string; pid: number }
  /** Nobody knows; `evaluation` says what became of the record. */
  | { source: 'default'; url: string; evaluation: ServerEvaluation }

const defaultUrl = 'http://127.0.0.1:8080'

/**
 * Finds the API server of this user: `TOOLHIVE_API_URL` as it is, then the server that announced itself if it runs, then
 * `http://127.0.0.1:8080` (spec/local 1.7). Never starts one, never writes. Rejects with the signal's reason, or with
 * `state-failed` when the record cannot be read for another reason than its owner.
 */
export async function discoverServer(deps: DiscoverServerDeps, signal: AbortSignal): Promise<DiscoveredServer> {
  const named = deps.environment['TOOLHIVE_API_URL']
  if (named !== undefined && named !== '') return { source: 'environment', url: named }
  const evaluation = await evaluateServer({ probe: probeServer, ...deps }, signal)
  if (evaluation.state !== 'running') return { source: 'default', url: defaultUrl, evaluation }
  return { source: 'record', url: evaluation.record.url, pid: evaluation.record.pid }
}
