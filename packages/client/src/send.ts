import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { Endpoint } from './endpoint.ts'

/** One HTTP request. */
export interface OutgoingRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Begins with a slash; may have a query. */
  path: string
  headers?: Readonly<Record<string, string>>
  body?: string
}

/**
 * Sends a request and resolves to the beginning of the answer, whose body the caller reads or destroys. Redirects are not
 * followed. A connection per request, because the server may have been restarted since the last one. Rejects with the
 * system's error, or with the signal's reason; the signal counts until the end of the body.
 */
export async function send(
  endpoint: Endpoint,
  outgoing: OutgoingRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const request = endpoint.isSecure ? (await import('node:https')).request : httpRequest
  const { method, body } = outgoing
  const headers: Record<string, string> = { ...outgoing.headers }
  if (method !== 'GET') headers['Content-Length'] = String(Buffer.byteLength(body ?? ''))
  return await new Promise((resolve, reject) => {
    const path = endpoint.basePath + outgoing.path
    const call = request({ ...endpoint.connection, method, path, headers, agent: false, signal })
    call.once('response', resolve)
    // Stays: an error after the answer began is told by the answer, and must not be unheard here.
    call.on('error', (error) => reject(signal.aborted ? asError(signal.reason) : error))
    // An answer that wants another protocol (101) is neither a response nor an error to Node.
    call.once('close', () => reject(new Error('the connection ended without an answer')))
    call.end(body)
  })
}

/** The body up to `limit` bytes, and whether there was more, which is not read. */
export async function readBody(answer: IncomingMessage, limit: number): Promise<{ text: string; isCut: boolean }> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of answer) {
    if (!Buffer.isBuffer(piece)) continue
    pieces.push(piece)
    bytes += piece.length
    // Leaving the loop destroys the stream.
    if (bytes > limit) break
  }
  return { text: Buffer.concat(pieces).subarray(0, limit).toString('utf8'), isCut: bytes > limit }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
