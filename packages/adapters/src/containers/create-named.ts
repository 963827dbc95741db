import { randomBytes } from 'node:crypto'
import { EngineRefusal, isRefusal } from './engine-error.ts'
import type { EngineClient } from './engine-client.ts'
import type { JsonObject } from './read-json.ts'

/**
 * Creates a container under a name, or one like it when that is taken: by a second server of
 * the workload or somebody else's container. The labels are what finds it, not the name.
 * Not cut short by a caller's signal: a container that the engine has begun to create would be
 * there without anybody knowing its id.
 */
export async function createNamed(engine: EngineClient, wanted: string, body: JsonObject): Promise<string> {
  const never = new AbortController().signal
  // Engines want two characters or more, and a letter or digit first; names of workloads are freer.
  const name = /^[a-zA-Z0-9]./.test(wanted) ? wanted : `thv-${wanted}`
  try {
    return await engine.createContainer(name, body, never)
  } catch (error) {
    if (!isTaken(error)) throw error
  }
  return await engine.createContainer(`${name}-${randomBytes(4).toString('hex')}`, body, never)
}

/** Docker says 409; Podman 4 says 500 and why. */
function isTaken(error: unknown): boolean {
  if (isRefusal(error, 409)) return true
  return error instanceof EngineRefusal && /\bname\b.*\bis already in use\b/.test(error.reason)
}
