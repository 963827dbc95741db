import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import { containerLimits } from './container-limits.ts'
import { EngineRefusal, engineUnreachable } from './engine-error.ts'

/** One request to the engine. */
export interface EngineRequest {
  /** What it does, to be put behind "the container engine cannot". */
  what: string
  method: 'GET' | 'POST' | 'DELETE'
  /** With the version in front. */
  path: string
  headers?: Readonly<Record<string, string>>
  body?: Readable | Buffer
  /** Until the end of the answer; default `requestMs`, for a stream until its beginning. */
  timeoutMs?: number
}

/** An answer in the beginning of which the engine agreed. */
export interface EngineAnswer {
  headers: IncomingMessage['headers']
  body: IncomingMessage
}

/**
 * HTTP over the engine's unix socket. A connection per request, because an engine that
 * was restarted has closed all of them, and a unix socket costs next to nothing.
 */
export interface EngineHttp {
  readonly socketPath: string
  /** The whole answer. `engine-unreachable`, `EngineRefusal`; rejects with the signal's reason when it aborts. */
  send(request: EngineRequest, signal: AbortSignal): Promise<Buffer>
  /** The answer as it comes. Whoever takes it reads it to the end or destroys it. */
  stream(request: EngineRequest, signal: AbortSignal): Promise<EngineAnswer>
  /** The raw connection behind an upgrade. The signal counts until then. */
  upgrade(request: EngineRequest, signal: AbortSignal): Promise<Duplex>
}

/** Opens nothing. */
export function createEngineHttp(socketPath: string): EngineHttp {
  return {
    socketPath,
    async send(wanted, signal) {
      const deadline = createDeadline(signal, wanted.timeoutMs)
      try {
        const { body } = await agreed(await answerTo(socketPath, wanted, deadline.signal), wanted)
        return await readAtMost(body, containerLimits.answerBytes)
      } catch (error) {
        throw explain(error, signal, socketPath)
      } finally {
        deadline.clear()
      }
    },
    async stream(wanted, signal) {
      const deadline = createDeadline(signal, wanted.timeoutMs)
      try {
        const answer = await agreed(await answerTo(socketPath, wanted, deadline.signal), wanted)
        if (wanted.timeoutMs === undefined) deadline.lift()
        answer.body.once('close', () => deadline.clear())
        return answer
      } catch (error) {
        deadline.clear()
        throw explain(error, signal, socketPath)
      }
    },
    async upgrade(wanted, signal) {
      const deadline = createDeadline(signal, wanted.timeoutMs)
      try {
        return await upgraded(socketPath, wanted, deadline.signal)
      } catch (error) {
        throw explain(error, signal, socketPath)
      } finally {
        deadline.clear()
      }
    },
  }
}

interface Deadline {
  signal: AbortSignal
  /** The time does not count any more, the caller's signal still does. */
  lift(): void
  clear(): void
}

/**
 * Aborts with the caller's signal or when the time is over. Not `AbortSignal.any` of a signal and an
 * `AbortSignal.timeout`: nothing keeps that one alive, and one that was collected never fires.
 */
function createDeadline(signal: AbortSignal, timeoutMs: number = containerLimits.requestMs): Deadline {
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(new Error('its time is over')), timeoutMs)
  function abort(): void {
    over.abort(signal.reason)
  }
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  return {
    signal: over.signal,
    lift() {
      clearTimeout(timer)
    },
    clear() {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    },
  }
}

async function answerTo(socketPath: string, wanted: EngineRequest, signal: AbortSignal): Promise<IncomingMessage> {
  return await new Promise((resolve, reject) => {
    const outgoing = open(socketPath, wanted, signal)
    outgoing.once('response', resolve)
    // Stays for the life of the request: an error after the answer is told by the answer's own stream.
    outgoing.on('error', reject)
    // An answer that wants another protocol (101) is neither a response nor an error to Node.
    outgoing.once('close', () => reject(new Error('the connection ended without an answer')))
    sendBody(outgoing, wanted)
  })
}

async function upgraded(socketPath: string, wanted: EngineRequest, signal: AbortSignal): Promise<Duplex> {
  return await new Promise((resolve, reject) => {
    const headers = { ...wanted.headers, Connection: 'Upgrade', Upgrade: 'tcp' }
    const outgoing = open(socketPath, { ...wanted, headers }, signal)
    outgoing.once('upgrade', (_answer, socket, head) => {
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    outgoing.once('response', (answer: IncomingMessage) => void refusalOf(answer, wanted).then(reject))
    outgoing.on('error', reject)
    sendBody(outgoing, wanted)
  })
}

/** Why there is an answer in the place of a connection. Never rejects. */
async function refusalOf(answer: IncomingMessage, wanted: EngineRequest): Promise<unknown> {
  try {
    await agreed(answer, wanted)
    return new EngineRefusal(answer.statusCode ?? 0, wanted.what, 'it does not hand out the connection')
  } catch (error) {
    return error
  } finally {
    answer.destroy()
  }
}

function open(socketPath: string, wanted: EngineRequest, signal: AbortSignal): ClientRequest {
  const { method, path } = wanted
  const headers: Record<string, string> = { Host: 'engine', ...wanted.headers }
  if (Buffer.isBuffer(wanted.body)) headers['Content-Length'] = String(wanted.body.length)
  else if (wanted.body === undefined && method === 'POST') headers['Content-Length'] = '0'
  return request({ socketPath, method, path, headers, agent: false, signal })
}

function sendBody(outgoing: ClientRequest, { body }: EngineRequest): void {
  if (body === undefined || Buffer.isBuffer(body)) {
    outgoing.end(body)
    return
  }
  body.once('error', (error) => outgoing.destroy(error))
  outgoing.once('close', () => body.destroy())
  body.pipe(outgoing)
}

/** Turns a status of 400 and above into an error with the engine's own words. */
async function agreed(answer: IncomingMessage, wanted: EngineRequest): Promise<EngineAnswer> {
  const status = answer.statusCode ?? 0
  // Errors of a stream that nobody reads any more are no news.
  answer.on('error', () => {})
  if (status < 400) return { headers: answer.headers, body: answer }
  const text = (await readAtMost(answer, containerLimits.errorBytes)).toString('utf8')
  throw new EngineRefusal(status, wanted.what, messageIn(text) ?? `HTTP status ${status}`)
}

function messageIn(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    const message = typeof parsed === 'object' && parsed !== null && 'message' in parsed ? parsed.message : undefined
    return typeof message === 'string' && message.trim() !== '' ? message.trim() : undefined
  } catch {
    const line = text.trim().split('\n')[0] ?? ''
    return line === '' ? undefined : line.slice(0, 500)
  }
}

async function readAtMost(body: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) continue
    bytes += chunk.length
    if (bytes > limit) throw new Error(`its answer is longer than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** An answer that breaks off says nothing about why; whatever is not a refusal is the engine's absence. */
function explain(error: unknown, signal: AbortSignal, socketPath: string): Error {
  if (signal.aborted) return asError(signal.reason)
  return error instanceof EngineRefusal ? error : engineUnreachable(socketPath, error)
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
