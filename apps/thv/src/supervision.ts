import type { EgressRecord } from '@thv/adapters/network'
import type { SuperviseDeps } from '@thv/runner'

export type Level = 'debug' | 'info' | 'warn' | 'error'

/** How a supervision is wired. */
export interface SupervisionOptions {
  debug: boolean
  /** stdout and stderr of this process are the proxy log: a detached supervisor. */
  ownsProxyLog?: boolean
  /** Also told what happens, for a terminal. */
  tell?: (level: Level, message: string) => void
}

/** The wiring of one supervision, and its end. */
export interface Supervision {
  deps: SuperviseDeps
  /** What the connections of the server have shown so far. */
  egress: EgressRecord
  /** Flushes the logs; bounded. */
  close: () => Promise<void>
}
