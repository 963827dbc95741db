import { ThvError } from '../errors.ts'
import { parseGoDuration } from './go-duration.ts'

/**
 * Milliseconds after which an unused session ends; undefined for 0 and for no text, which
 * mean the default of the proxy (2 h). Throws `invalid-argument` for what is no duration as
 * Go writes it, below 1 ms or above 596 h, the longest that timers know.
 */
export function parseSessionTtl(text: string): number | undefined {
  if (text === '' || text === '0') return undefined
  const ttlMs = parseGoDuration(text)
  if (ttlMs > longestMs || (ttlMs === 0 && /[1-9]/.test(text))) {
    throw new ThvError('invalid-argument', `'${text}' is not a lifetime that a session can have`, {
      hint: 'write 1ms to 596h, or 0 for the default of 2h',
    })
  }
  return ttlMs === 0 ? undefined : ttlMs
}

const longestMs = 596 * 3_600_000
