import type { IncomingMessage } from 'node:http'
import { apiLimits } from './api-limits.ts'

/**
 * Takes in what is left of a request before it is answered, at most `apiLimits.restMs`: a connection that is closed with
 * unread bytes is reset, and the client never sees why it was refused.
 */
export async function receiveRest(incoming: IncomingMessage): Promise<void> {
  if (incoming.complete || incoming.destroyed) return
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      clearTimeout(timer)
      incoming.off('end', settle).off('close', settle)
      resolve()
    }
    const timer = setTimeout(settle, apiLimits.restMs)
    incoming.once('end', settle).once('close', settle).resume()
  })
}
