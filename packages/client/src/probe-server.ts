import { timingSafeEqual } from 'node:crypto'
import { limits, messageOf, systemCodeOf, withTimeLimit, type ServerHealth, type ServerRecord } from '@thv/core'
import { recordEndpoint } from './endpoint.ts'
import { send } from './send.ts'

/**
 * Asks the server of a record who it is: `GET /health` must say 204 and give the record's nonce, which is not compared
 * when the record has none (spec/local 1.5). Needs no credentials. Takes at most `limits.serverHealthMs`. Rejects only with
 * the signal's reason.
 */
export async function probeServer(record: ServerRecord, signal: AbortSignal): Promise<ServerHealth> {
  const limited = withTimeLimit(signal, limits.serverHealthMs)
  try {
    const answer = await send(recordEndpoint(record.url), { method: 'GET', path: '/health' }, limited)
    // Nobody reads the body, so what becomes of it is no news.
    answer.on('error', () => {}).destroy()
    return judge(answer.statusCode ?? 0, answer.headers['x-toolhive-nonce'], record.nonce)
  } catch (error) {
    signal.throwIfAborted()
    if (limited.aborted) return failed(`no answer within ${limits.serverHealthMs / 1000} s`, true)
    return failed(systemCodeOf(error) === 'ECONNREFUSED' ? 'nobody listens there' : messageOf(error))
  }
}

function judge(status: number, nonce: string | string[] | undefined, wanted: string): ServerHealth {
  if (status !== 204) return failed(`it answers ${status}`)
  if (wanted !== '' && !isSame(typeof nonce === 'string' ? nonce : '', wanted)) {
    return failed('another server answers there')
  }
  return { verified: true }
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function failed(reason: string, timedOut = false): ServerHealth {
  return { verified: false, reason, timedOut }
}
