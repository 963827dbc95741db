import { parseGoDuration } from '@thv/core'
import { clientLimits } from './limits.ts'

/** Names the variable in messages, too. */
export const timeoutVariable = 'TOOLHIVE_API_TIMEOUT'

/**
 * How long one call may take, from `TOOLHIVE_API_TIMEOUT` (a Go duration). What is none, or not above zero, is ignored
 * with a warning; the default is `clientLimits.callMs`.
 */
export function resolveApiTimeout(value: string | undefined, warn: (message: string) => void): number {
  if (value === undefined || value === '') return clientLimits.callMs
  const wanted = parse(value)
  if (wanted !== undefined && wanted > 0) return Math.min(wanted, clientLimits.maxCallMs)
  warn(`${timeoutVariable} is ignored: it is no duration above zero; write 30s, 2m or 1m30s`)
  return clientLimits.callMs
}

function parse(value: string): number | undefined {
  try {
    return parseGoDuration(value)
  } catch {
    return undefined
  }
}
