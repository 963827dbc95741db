// One MCP session on one raw keep-alive socket: handshake, checked calls, end of session.

import { connect } from 'node:net'
import { createResponseParser } from './response-parser.mjs'
import { sizedText } from './sized-text.mjs'

const PROTOCOL_VERSION = '2025-06-18'
const EXCHANGE_TIMEOUT_MS = 10_000
const ENDS_BYTES = 160

/** Connects to `url`; rejects when nothing listens. `exchange` sends one request at a time and resolves its answer. */
export async function openConnection(url) {
  const { hostname, port, pathname } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  let pending
  let failure

  function settle(error, response) {
    const waiter = pending
    pending = undefined
    if (error !== undefined) failure ??= error
    if (waiter === undefined) return
    if (error === undefined) waiter.resolve(response)
    else waiter.reject(error)
  }

  const parser = createResponseParser((response) => settle(undefined, response))
  socket.on('data', (chunk) => {
    try {
      parser.push(chunk)
    } catch (error) {
      socket.destroy(error)
    }
  })
  socket.on('error', (error) => settle(error))
  socket.on('close', () => settle(new Error('connection closed')))
  // One idle timer per socket, not one timer per call: the load loop must stay cheap.
  socket.setTimeout(EXCHANGE_TIMEOUT_MS, () => {
    if (pending !== undefined) socket.destroy(new Error(`no answer in ${EXCHANGE_TIMEOUT_MS} ms`))
  })
  await new Promise((resolve, reject) => {
    pending = { resolve, reject }
    socket.once('connect', () => settle(undefined))
  })

  const host = `${hostname}:${port}`
  function exchange(method, { head = '', body = '' } = {}) {
    return new Promise((resolve, reject) => {
      if (failure !== undefined) {
        reject(failure)
        return
      }
      pending = { resolve, reject }
      const length = Buffer.byteLength(body)
      socket.write(`${method} ${pathname} HTTP/1.1\r\nHost: ${host}\r\n${head}Content-Length: ${length}\r\n\r\n${body}`)
    })
  }

  return { exchange, close: () => socket.destroy() }
}

/** Opens a session (initialize, initialized). `call` runs the echo tool and throws unless the answer is right. */
export async function openSession(url, { id = 0 } = {}) {
  const connection = await openConnection(url)
  try {
    return await handshake(connection, id)
  } catch (error) {
    connection.close()
    throw error
  }
}

async function handshake(connection, id) {
  const base = 'Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n'
  const params = { protocolVersion: PROTOCOL_VERSION, capabilities: {}, clientInfo: { name: 'bench', version: '1' } }
  const request = JSON.stringify({ jsonrpc: '2.0', id, method: 'initialize', params })
  const opened = await connection.exchange('POST', { head: base, body: request })
  const { result } = readAnswer(opened, id)
  const sessionId = opened.headers['mcp-session-id']
  const session = sessionId === undefined ? '' : `Mcp-Session-Id: ${sessionId}\r\n`
  const head = `${base}${session}MCP-Protocol-Version: ${result.protocolVersion}\r\n`
  const noted = await connection.exchange('POST', {
    head,
    body: '{"jsonrpc":"2.0","method":"notifications/initialized"}',
  })
  if (noted.status >= 300) throw new Error(`initialized was answered with ${noted.status}`)

  /** `isAnswer(text)` says whether the returned text is the right one for the message. */
  async function call(id, { message, isAnswer = (text) => text === message }) {
    const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"echo","arguments":{"message":"${message}"}}}`
    const { result: answer } = readAnswer(await connection.exchange('POST', { head, body }), id)
    if (!isAnswer(answer.content[0].text)) throw new Error('the echoed text is not the one that was sent')
  }

  /** Has a text of a size sent back. Looks at the length and both ends only: parsing would cost more than sending. */
  async function callSized(id, size) {
    const body = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"sized","arguments":{"size":${size}}}}`
    assertSized(await connection.exchange('POST', { head, body }), id, size)
  }

  /** Sends a text of the caller's in this session; the answer is given back as it is. */
  const post = (body) => connection.exchange('POST', { head, body })

  /** Ends the session at the server where there is one, so that rounds do not pile sessions up. */
  async function end() {
    try {
      if (sessionId !== undefined) await connection.exchange('DELETE', { head })
    } catch {
      // A server that is going away has ended the session in its own way.
    }
    connection.close()
  }

  return { call, callSized, post, sessionId, end, close: connection.close, isSessionful: sessionId !== undefined }
}

const escapedLengths = new Map()

/** Throws unless the answer has the right id and is long enough to hold the text. */
export function assertSized({ status, body }, id, size) {
  if (!escapedLengths.has(size)) escapedLengths.set(size, JSON.stringify(sizedText(size)).length)
  const ends = body.toString('latin1', 0, ENDS_BYTES) + body.toString('latin1', body.length - ENDS_BYTES)
  const hasId = ends.includes(`"id":${id},`) || ends.includes(`"id":${id}}`)
  if (status === 200 && hasId && body.length > escapedLengths.get(size)) return
  throw new Error(`not the sized answer ${id}: status ${status}, ${body.length} bytes, ${ends.slice(0, 160)}`)
}

function readAnswer({ status, headers, body }, id) {
  if (status !== 200) throw new Error(`status ${status}: ${body.toString('utf8').slice(0, 200)}`)
  const isStream = headers['content-type']?.startsWith('text/event-stream')
  const message = isStream ? findInEvents(body.toString('utf8'), id) : JSON.parse(body.toString('utf8'))
  if (message?.id !== id) throw new Error(`answer has id ${message?.id}, not ${id}`)
  if (message.result === undefined) throw new Error(`answered with an error: ${JSON.stringify(message.error)}`)
  return message
}

/** A stream may carry notifications and empty priming events before the answer. */
function findInEvents(text, id) {
  for (const event of text.split(/\r?\n\r?\n/)) {
    const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'))
    const data = lines.map((line) => line.slice(5).trimStart()).join('\n')
    if (data === '') continue
    const message = JSON.parse(data)
    if (message.id === id && message.method === undefined) return message
  }
  return undefined
}
