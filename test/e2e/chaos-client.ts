import { Agent, request, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Peer } from './clients.ts'
import { openSession } from './http.ts'

/** How one call ended. */
export interface Outcome {
  readonly sentMs: number
  readonly endedMs: number
  /**
   * `right`: the caller's own marker. `told`: a refusal that says whether the call may have run.
   * `cut`: the connection ended under the call. `refused`: nobody listened. `wrong`: anything else.
   */
  readonly kind: 'right' | 'told' | 'cut' | 'refused' | 'wrong'
  readonly detail: string
}

/** A client that calls the tool `echo` without a pause until it is stopped. */
export interface ChaosClient {
  readonly outcomes: Outcome[]
  stop(): Promise<void>
}

/** A client that writes HTTP itself; its session is one header. */
export async function startRawClient(url: string, name: string): Promise<ChaosClient> {
  const headers = await openSession(url)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const client = callOn(name, async (marker, id) => {
    const params = { name: 'echo', arguments: { message: marker } }
    const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params })
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request(url, { method: 'POST', headers, agent, timeout: callTimeoutMs }, resolve)
      sent.on('timeout', () => sent.destroy(new Error('no answer')))
      sent.on('error', reject)
      sent.end(body)
    })
    return judgeText(await text(answer), { status: answer.statusCode ?? 0, marker, id })
  })
  return {
    outcomes: client.outcomes,
    stop: async () => {
      await client.stop()
      agent.destroy()
    },
  }
}

/** A client of an SDK. */
export function startSdkClient(peer: Peer, name: string): ChaosClient {
  const client = callOn(name, async (marker) => {
    const said = await peer.text('echo', { message: marker })
    return said === marker ? { kind: 'right', detail: '' } : { kind: 'wrong', detail: `${marker} got ${said}` }
  })
  return {
    outcomes: client.outcomes,
    stop: async () => {
      await client.stop()
      await peer.close()
    },
  }
}

type Verdict = Pick<Outcome, 'kind' | 'detail'>

/** Well above every bound of the proxy that a call may meet here. */
const callTimeoutMs = 40_000

function callOn(name: string, call: (marker: string, id: number) => Promise<Verdict>): ChaosClient {
  const outcomes: Outcome[] = []
  const over = new AbortController()
  const run = async (): Promise<void> => {
    for (let id = 1; !over.signal.aborted; id += 1) {
      const sentMs = performance.now()
      const verdict = await call(`${name}/${id}`, id).catch(judgeError)
      outcomes.push({ sentMs, endedMs: performance.now(), ...verdict })
      // Without this a refused client would take the machine from those that are served.
      if (verdict.kind !== 'right') await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  const done = run()
  return {
    outcomes,
    stop: async () => {
      over.abort()
      await done
    },
  }
}

function judgeText(body: string, sent: { status: number; marker: string; id: number }): Verdict {
  const wrong: Verdict = { kind: 'wrong', detail: `${sent.status} ${body.slice(0, 200)} for ${sent.marker}` }
  try {
    const message = JSON.parse(body) as {
      id?: unknown
      result?: { content?: { text?: string }[] }
      error?: { data?: { outcome?: string } }
    }
    if (message.id !== sent.id) return wrong
    if (message.result?.content?.[0]?.text === sent.marker) return { kind: 'right', detail: '' }
    const outcome = message.error?.data?.outcome
    return outcome === 'unknown' || outcome === 'not-sent' ? { kind: 'told', detail: outcome } : wrong
  } catch {
    return wrong
  }
}

function judgeError(error: unknown): Verdict {
  const parts: string[] = []
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    parts.push(cause.message, 'code' in cause ? String(cause.code) : '')
  }
  const detail = parts.join(' ')
  // An SDK puts the body of a refusal into its message.
  if (/"outcome":"(?:unknown|not-sent)"|may have run|was not sent/.test(detail)) return { kind: 'told', detail }
  if (/ECONNREFUSED/.test(detail)) return { kind: 'refused', detail }
  if (/aborted|ECONNRESET|hang up|terminated|other side closed|EPIPE/.test(detail)) return { kind: 'cut', detail }
  return { kind: 'wrong', detail }
}
