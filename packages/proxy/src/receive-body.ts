import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ProxyLimits } from './limits.ts'
import type { ProxyLog } from './proxy-config.ts'
import { buildErrorText } from './errors.ts'
import { refuseBody } from './refuse-body.ts'
import { sendError, sendFault } from './respond.ts'

/**
 * Collects a request body and hands it over as text. Answers 413 above the
 * limit and 400 for what is not UTF-8 itself; a client that leaves halfway is
 * forgotten. Exceptions of `done` become a 500.
 */
export function receiveBody(
  request: { req: IncomingMessage; res: ServerResponse },
  options: { limits: ProxyLimits; log: ProxyLog },
  done: (text: string) => void,
): void {
  const { req, res } = request
  const { limits, log } = options
  const limitBytes = limits.bodyBytes
  if (Number(req.headers['content-length'] ?? 0) > limitBytes) return refuse(request, limits)
  let chunks: Buffer[] = []
  let bytes = 0
  let isRefused = false
  req.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= limitBytes) chunks.push(chunk)
    else if (!isRefused) {
      isRefused = true
      chunks = []
      refuse(request, limits)
    }
  })
  req.on('error', () => res.destroy())
  req.on('end', () => {
    if (isRefused) return
    const [first] = chunks
    const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
    // This listener lives as long as the answer takes.
    chunks = []
    try {
      if (isUtf8(body)) done(body.toString('utf8'))
      else sendError(res, { name: 'parse-error', message: 'Parse error: the body is not UTF-8' })
    } catch (error) {
      sendFault(res, error, log)
    }
  })
}

function refuse(request: { req: IncomingMessage; res: ServerResponse }, limits: ProxyLimits): void {
  const message = `Request Entity Too Large: more than ${limits.bodyBytes} bytes`
  const text = buildErrorText({ name: 'body-too-large', message }, '')
  refuseBody(request, limits, { type: 'application/json', text })
}
