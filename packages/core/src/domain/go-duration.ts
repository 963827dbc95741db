import { ThvError } from '../errors.ts'

const unitMs: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 }
const whole = /^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$/

/** Milliseconds of a duration as Go writes it (`30s`, `1m30s`, `250ms`). Throws `invalid-argument`. */
export function parseGoDuration(text: string): number {
  if (!whole.test(text)) {
    throw new ThvError('invalid-argument', `'${text}' is not a duration`, { hint: 'write 30s, 2m or 1m30s' })
  }
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)) {
    total += Number(amount) * (unitMs[unit ?? ''] ?? 0)
  }
  return Math.round(total)
}
