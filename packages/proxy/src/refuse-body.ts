import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ProxyLimits } from './limits.ts'
import { noteRefusal } from './refusals.ts'

/**
 * Answers 413 while the client still sends: it is read on for a moment, because a
 * socket that is closed with unread bytes resets, and takes the answer with it.
 * Does nothing when an answer was begun.
 */
export function refuseBody(
  { req, res }: { req: IncomingMessage; res: ServerResponse },
  limits: Pick<ProxyLimits, 'lingerBytes' | 'lingerMs'>,
  { type, text } = plainRefusal,
): void {
  if (res.headersSent || res.destroyed) return
  noteRefusal(res, 'body-too-large')
  res.writeHead(413, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text), Connection: 'close' })
  res.write(text)
  let left = limits.lingerBytes
  const timer = setTimeout(() => res.end(), limits.lingerMs)
  res.once('close', () => clearTimeout(timer))
  req.on('end', () => res.end())
  req.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) res.end()
  })
  req.resume()
}

const plainRefusal = { type: 'text/plain; charset=utf-8', text: 'Request Entity Too Large\n' }
