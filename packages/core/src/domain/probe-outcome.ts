import type { ReasonCode } from './status-reason.ts'
import type { ProxyMode } from './transport-type.ts'

/**
 * What one probe of a server found. `alive`: it answers as a server that can be used;
 * `denied`: it answers, and lets us not in, or there is no login to ask it with; `delayed`: there is none for now;
 * `failing`: anything else.
 */
export interface ProbeOutcome {
  kind: 'alive' | 'denied' | 'delayed' | 'failing'
  reason: ReasonCode
  /** One sentence. */
  message: string
  /** How long the server asks to be left alone. */
  retryAfterMs?: number
  /** What it speaks, once that is known. */
  transport?: ProxyMode
}
