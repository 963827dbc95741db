import type { WireError } from '../errors.ts'

/** What may have become of a call whose connection was lost. */
export type Fate = keyof typeof fates

/** The error for a call to the server of this name whose connection was lost. */
export function lostError(name: string, fate: Fate): WireError {
  const { outcome, error, says } = fates[fate]
  return {
    name: error,
    message: `The connection to the server "${name}" was lost; ${says}`,
    data: { outcome, backend: name },
  }
}

/** The error for a call that the server of this name took and did not answer in time. */
export function silenceError(name: string): WireError {
  const message = `Timeout: the server "${name}" took the call and gave no answer in time; the call may have run`
  return { name: 'timeout', message, data: { outcome: 'unknown', backend: name } }
}

/** What did not arrive as a whole cannot have run. */
const fates = {
  unknown: { outcome: 'unknown', error: 'backend-unreachable', says: 'the call may have run' },
  'sent-in-part': { outcome: 'not-sent', error: 'backend-unreachable', says: 'the call was not sent as a whole' },
  'not-sent': { outcome: 'not-sent', error: 'server-absent', says: 'the call was not sent; send it again' },
} as const
