import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ProxyLog } from './proxy-config.ts'
import { sendError, sendFault } from './respond.ts'

/**
 * Collects a request body and hands it over as text. Answers 413 above the
 * limit and 400 for what is not UTF-8 itself; a client that leaves halfway is
 * forgotten. Exceptions of `done` become a 500.
 */
export function receiveBody(
  request: { req: IncomingMessage; res: ServerResponse },
  options: { limitBytes: number; log: ProxyLog },
  done: (text: string) => void,
): void {
  const { req, res } = request
  const { limitBytes, log } = options
  if (Number(req.headers['content-length'] ?? 0) > limitBytes) return refuse(req, res, limitBytes)
  let chunks: Buffer[] = []
  let bytes = 0
  let isRefused = false
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= limitBytes) chunks.push(chunk)
    else if (!isRefused) {
      isRefused = true
      chunks = []
      refuse(req, res, limitBytes)
    }
  })
  req.on('error', () => res.destroy())
  req.on('end', () => {
    if (isRefused) return
    const [first] = chunks
    const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
    try {
      if (isUtf8(body)) done(body.toString('utf8'))
      else sendError(res, { name: 'parse-error', message: 'Parse error: the body is not UTF-8' })
    } catch (error) {
      sendFault(res, error, log)
    }
  })
}

function refuse(req: IncomingMessage, res: ServerResponse, limitBytes: number): void {
  const message = `Request Entity Too Large: more than ${limitBytes} bytes`
  // The rest of the body is not worth reading, so the connection ends with the answer.
  sendError(res, { name: 'body-too-large', message }, '', { Connection: 'close' })
  req.resume()
}
