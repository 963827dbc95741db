// The client's view of a start: when the port accepts, and when the first tool call is answered.

import { setTimeout as delay } from 'node:timers/promises'
import { openConnection, openSession } from './mcp-connection.mjs'

const POLL_MS = 2
const PROOF_MS = 10
// A refused session may have cost the program a child, so sessions are tried less often than the port.
const RETRY_MS = 20

/** Resolves the moments `{ listenedAt, answeredAt }` on the clock of `performance.now()`. */
export async function waitForFirstAnswer(running, { timeoutMs }) {
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(), timeoutMs)
  try {
    return await Promise.race([poll(running.url, abort.signal), running.failed.then(() => new Promise(() => {}))])
  } finally {
    clearTimeout(timer)
    abort.abort()
  }
}

async function poll(url, signal) {
  const listenedAt = await retry(() => acceptsTwice(url), { signal, pauseMs: POLL_MS })
  const session = await retry(() => callOnce(url), { signal, pauseMs: RETRY_MS })
  const answeredAt = performance.now()
  await session.end()
  return { listenedAt, answeredAt }
}

/** `thv run` tries its port for an instant before anything serves there, so one accept proves nothing. */
async function acceptsTwice(url) {
  const connect = async () => (await openConnection(url)).close()
  await connect()
  const listenedAt = performance.now()
  await delay(PROOF_MS)
  await connect()
  return listenedAt
}

async function callOnce(url) {
  const session = await openSession(url)
  try {
    // The reference server answers "Echo: hello", the fixture "hello".
    await session.call(1, { message: 'hello', isAnswer: (text) => text.endsWith('hello') })
    return session
  } catch (error) {
    session.close()
    throw error
  }
}

async function retry(attempt, { signal, pauseMs }) {
  let lastError
  while (!signal.aborted) {
    try {
      return await attempt()
    } catch (error) {
      lastError = error
      await delay(pauseMs)
    }
  }
  throw new Error(`no answer in time (${lastError?.message || lastError?.code})`)
}
