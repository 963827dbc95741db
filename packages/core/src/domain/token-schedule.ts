import { limits } from '../limits.ts'
import type { RemoteGrant } from './remote-grant.ts'

/** Whether an access token can be expected to be taken: its end, by this machine's clock, has not come. Pure. */
export function isUsable(grant: Life, now: Date): boolean {
  return now.getTime() < endMs(grant)
}

/**
 * When an access token is to be renewed, on the wall clock; `Infinity` when nobody said when it ends. Always before its
 * end. Pure.
 *
 * @param random in [0, 1), the same for all questions about one token
 */
export function renewalDueMs(grant: Life, random: number): number {
  const end = endMs(grant)
  const begin = Date.parse(grant.obtainedAt)
  const part = limits.tokenLifePart - limits.tokenJitter * random
  return end === Infinity ? Infinity : Math.floor(begin + (end - begin) * part)
}

/**
 * Until the next try after so many renewals in a row that failed for now; undefined when it is given up, after about a day. Tries are
 * counted and not hours: a machine that sleeps over the weekend has not tried. Pure.
 *
 * @param random in [0, 1)
 */
export function retryDelayMs(failures: number, random: number): number | undefined {
  if (failures > limits.tokenRetries + limits.tokenTicks) return undefined
  const doubled = limits.tokenRetryMs * 2 ** (failures - 1)
  const delayMs = failures > limits.tokenRetries ? limits.tokenTickMs : Math.min(doubled, limits.tokenRetryMaxMs)
  // Only ever sooner, so that the sums that are promised hold.
  return Math.round(delayMs * (1 - limits.remoteJitter * random))
}

type Life = Pick<RemoteGrant, 'obtainedAt' | 'expiresAt'>

function endMs({ obtainedAt, expiresAt }: Life): number {
  if (expiresAt === undefined) return Infinity
  const end = Date.parse(expiresAt)
  return end - Date.parse(obtainedAt) < limits.tokenLeastMs ? Infinity : end
}
