// One client of the soak: sessions opened and closed, calls of all sizes, streams, subscriptions, errors, calls left
// in the middle; at a steady pace, not as fast as it can.

import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { openSession } from './mcp-connection.mjs'

const PAUSE_MS = 10
const CALLS = 20
const SIZES = [300, 300, 300, 10_000, 300, 300, 300, 10_000, 300, 100_000]

/** Goes on until `signal` aborts. Counts into `counts`; a wrong answer is counted, and the client begins anew. */
export async function runSoakClient(url, counts, signal) {
  for (let round = 0; !signal.aborted; round++) {
    let session
    try {
      session = await openSession(url)
      await useSession(url, session, { counts, round })
      await session.end()
      counts.sessions += 1
    } catch (error) {
      session?.close()
      counts.failures += 1
      counts.lastFailure = error.message
      await delay(100)
    }
  }
}

async function useSession(url, session, { counts, round }) {
  const stream = await openStream(url, session.sessionId)
  const uri = JSON.stringify({ uri: `file:///${round % 50}` })
  await session.post(`{"jsonrpc":"2.0","id":"s","method":"resources/subscribe","params":${uri}}`)
  for (let id = 1; id <= CALLS; id++) {
    await session.callSized(id, SIZES[id % SIZES.length])
    counts.calls += 1
    await delay(PAUSE_MS)
  }
  const refused = await session.post('{"jsonrpc":"2.0","id":"e","method":"no/such/method","params":{}}')
  if (!refused.body.includes('"error"')) throw new Error('an unknown method was not refused')
  await session.post('{"jsonrpc":')
  if (round % 2 === 0) await session.post(`{"jsonrpc":"2.0","id":"u","method":"resources/unsubscribe","params":${uri}}`)
  await leaveCall(url, session.sessionId)
  stream.destroy()
}

/** Resolves once the stream is open; whoever opened it ends it. */
function openStream(url, sessionId) {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'text/event-stream', 'mcp-session-id': sessionId }
    const sent = request(url, { headers, agent: false }, (response) => {
      response.on('error', () => {}).resume()
      if (response.statusCode === 200) resolve(sent)
      else reject(new Error(`the stream was refused with ${response.statusCode}`))
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** Sends a call and hangs up under it. */
function leaveCall(url, sessionId) {
  const body =
    '{"jsonrpc":"2.0","id":"left","method":"tools/call","params":{"name":"sized","arguments":{"size":100000}}}'
  return new Promise((resolve) => {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      'mcp-session-id': sessionId,
    }
    const sent = request(url, { method: 'POST', headers, agent: false })
    sent.on('error', () => {})
    sent.on('close', resolve)
    sent.end(body, () => sent.destroy())
  })
}
