import { announceServer, formatStartedAt, withdrawServer, type ServerRecord } from '@thv/core'
import { randomBytes } from 'node:crypto'
import { buildInfo } from './build-info.ts'
import type { Container } from './container.ts'

/** A server that others find. */
export interface Announcement {
  readonly record: ServerRecord
  /** Takes the record away if it is still this server's. Resolves to whether it was. Rejects with `state-…` or the signal's reason. */
  withdraw(signal: AbortSignal): Promise<boolean>
}

/** What names one run of a server: 16 random bytes in hex. No secret. */
export function createNonce(): string {
  return randomBytes(16).toString('hex')
}

/**
 * Announces a server of this process, unless another runs. It must already answer `GET /health` at `url` with 204 and
 * `X-Toolhive-Nonce`, without credentials. Rejects as `announceServer` of core does.
 */
export async function openAnnouncement(
  container: Pick<Container, 'discovery' | 'reading' | 'directories'>,
  server: { url: string; nonce: string; warn: (message: string) => void },
  signal: AbortSignal,
): Promise<Announcement> {
  const [discovery, { processes }] = await Promise.all([container.discovery(), container.reading()])
  const { data } = await container.directories()
  const self = await processes.self()
  const record: ServerRecord = {
    url: server.url,
    pid: self.pid,
    nonce: server.nonce,
    started_at: formatStartedAt(new Date()),
    thv: { started: self.started, version: buildInfo.version, data },
  }
  await announceServer({ ...discovery, warn: server.warn }, record, signal)
  return {
    record,
    withdraw: async (signal) => await withdrawServer(discovery, record.nonce, signal),
  }
}
