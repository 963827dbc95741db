import { request as requestPlain, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as requestTls } from 'node:https'
import { isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { withTimeLimit, type EgressTarget } from '@thv/core'
import { oauthLimits } from './oauth-limits.ts'

/** Opens a connection through the proxy that the environment names; undefined where none is used. */
export type DialerOf = (host: string) => ((target: EgressTarget) => Promise<Socket>) | undefined

/** How the world is reached. */
export interface HttpOptions {
  /** Authorities (PEM) in the place of Node's own. */
  ca: string | undefined
  dialerOf: DialerOf
  /** How long one request may take. */
  requestMs: number
}

/** One request. */
export interface HttpRequest {
  method: string
  headers?: Readonly<Record<string, string>>
  body?: string
  /** Whether only the head of the answer matters; its body is cut then. Default false. */
  headOnly?: boolean
}

/**
 * Sends one request on a connection of its own and follows no redirect. Rejects when no answer comes in time, when it is
 * above the limit, and with the signal's reason.
 */
export async function sendBounded(
  options: HttpOptions,
  url: URL,
  { signal: outer, ...request }: HttpRequest & { signal: AbortSignal },
): Promise<Response> {
  const signal = withTimeLimit(outer, options.requestMs)
  try {
    const tunnel = url.protocol === 'https:' ? await openTunnel(options, url, signal) : undefined
    const answer = await receiveHead(openRequest(options, url, { ...request, signal, tunnel }), request.body)
    const body = request.headOnly === true ? discard(answer) : await readBody(answer)
    return buildResponse(answer, body)
  } catch (error) {
    outer.throwIfAborted()
    if (signal.aborted) throw new Error(`${url.host} does not answer in time`, { cause: error })
    throw error
  }
}

/** A connection through the proxy, if there is one. A dial cannot be interrupted; what comes too late is closed. */
async function openTunnel({ dialerOf }: HttpOptions, url: URL, signal: AbortSignal): Promise<Socket | undefined> {
  const dialing = dialerOf(url.hostname)?.({ host: plainHost(url), port: Number(url.port || 443) })
  if (dialing === undefined) return undefined
  let stop = ignore
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new Error('interrupted'))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([dialing, aborted])
  } catch (error) {
    dialing.then((socket) => socket.destroy(), ignore)
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function openRequest(
  { ca }: HttpOptions,
  url: URL,
  { method, headers, signal, tunnel }: HttpRequest & { signal: AbortSignal; tunnel: Socket | undefined },
): ClientRequest {
  const shared = { method, headers: { ...headers, connection: 'close' }, signal }
  if (url.protocol !== 'https:') return requestPlain(url, { ...shared, agent: false })
  const trust = ca === undefined ? {} : { ca }
  if (tunnel === undefined) return requestTls(url, { ...shared, ...trust, agent: false })
  const host = plainHost(url)
  const name = isIP(host) === 0 ? { servername: host } : {}
  return requestTls(url, {
    ...shared,
    // Without an agent, Node takes 80 for it and writes that into `Host`.
    defaultPort: 443,
    createConnection: () => connectTls({ socket: tunnel, host, ...trust, ...name }),
  })
}

function plainHost({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}

async function receiveHead(request: ClientRequest, body: string | undefined): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    request.once('response', resolve)
    request.on('error', reject)
    // A switch of protocols is neither a response nor an error.
    request.once('close', () => reject(new Error('the connection ended without an answer')))
    request.end(body)
  })
}

function discard(answer: IncomingMessage): undefined {
  answer.on('error', ignore)
  answer.destroy()
}

async function readBody(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length
    // Leaving the loop destroys the answer.
    if (size > oauthLimits.answerBytes) throw new Error(`it answers with more than ${oauthLimits.answerBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function buildResponse({ statusCode = 0, rawHeaders }: IncomingMessage, body: Buffer | undefined): Response {
  const headers = new Headers()
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '')
  }
  // Node reads statuses that the constructor below refuses.
  if (statusCode < 200 || statusCode > 599) throw new Error(`it answers with the status ${statusCode}`)
  const isEmpty = [204, 205, 304].includes(statusCode) || body === undefined
  return new Response(isEmpty ? null : new Uint8Array(body), { status: statusCode, headers })
}

function ignore(): void {}
