import { setTimeout as delay } from 'node:timers/promises'

/** Waits for an event, but no longer than `ms`. Resolves to whether it came. Never rejects. */
export async function waitAtMost(event: Promise<unknown>, ms: number): Promise<boolean> {
  const over = new AbortController()
  try {
    return await Promise.race([came(event), delay(ms, false, { signal: over.signal })])
  } finally {
    over.abort()
  }
}

async function came(event: Promise<unknown>): Promise<boolean> {
  await event.catch(() => {})
  return true
}
