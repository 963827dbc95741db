import type { Dispatcher } from 'undici'
import type { ProxyLimits } from '../limits.ts'
import { parseText } from '../mcp/message.ts'
import type { Era } from '../mcp/revision.ts'
import type { RemoteLook } from '../proxy-config.ts'
import { askFollowing, type OwnQuestion } from './ask-following.ts'
import {
  askDiscover,
  askInitialize,
  DemandsLogin,
  endSession,
  firstData,
  HandshakeRefused,
  readAnswer,
  ServerTrouble,
} from './http-ask.ts'
import type { HttpBackend } from './http-backend.ts'
import { pingQuestion, type Asker } from './ping-question.ts'
import { isEventStream } from './sse-codec.ts'
import { lookOfError, lookOfStatus, NotMcp } from './remote-failure.ts'

/** Whom to look at. */
export interface LookOptions {
  readonly backend: HttpBackend
  readonly limits: ProxyLimits
  readonly signal: AbortSignal
}

/** A first look, and of which era the server is when it can be used. */
export interface Acquaintance {
  readonly look: RemoteLook
  readonly knowsLegacy: boolean
}

/**
 * Looks at a server that has answered before. Over Streamable HTTP it is a `ping` to its endpoint: a GET may be answered by
 * whatever stands in front of it. A JSON-RPC error and every status below 500 that is neither a demand for a login, nor
 * for patience, nor a redirect elsewhere, nor a word that there is no such endpoint, proves life. Of the old transport only
 * its stream does.
 */
export async function lookAtRemote(options: LookOptions & { asker: Asker }): Promise<RemoteLook> {
  const { backend, limits, signal, asker } = options
  const { origin, transport } = backend
  try {
    const question: OwnQuestion =
      transport === 'sse'
        ? { ...openStream, path: backend.endpoint, signal }
        : { ...pingQuestion(asker), path: backend.endpoint, signal }
    const answer = await askFollowing(backend, question, limits.redirects)
    const trouble = lookOfStatus(origin, answer.statusCode, answer.headers)
    if (trouble !== undefined) discard(answer)
    else if (transport === 'sse') await assertStream(answer, backend.origin, limits.probeBytes)
    else if (answer.statusCode === 200) assertMcp(await readAnswer(answer, limits.probeBytes))
    else if (missing.has(answer.statusCode)) assertRpc(answer.statusCode, await readAnswer(answer, limits.probeBytes))
    else discard(answer)
    await endSession(options, answer)
    return trouble ?? { kind: 'alive', code: 'alive', message: `${origin} answers`, transport }
  } catch (error) {
    return lookOfError(origin, reasonOf(signal, error))
  }
}

/** Looks at a server of which nothing is known yet: what it speaks is found out with a handshake. */
export async function meetRemote(options: LookOptions & { era: Era | 'auto' }): Promise<Acquaintance> {
  const { backend, era, signal } = options
  if (backend.transport === 'sse')
    return { look: await lookAtRemote({ ...options, asker: 'newcomer' }), knowsLegacy: true }
  const alive: RemoteLook = {
    kind: 'alive',
    code: 'alive',
    message: `${backend.origin} answers`,
    transport: 'streamable-http',
  }
  try {
    if (era === 'modern') return { look: await isModern(options).then(() => alive), knowsLegacy: false }
    await askInitialize(options)
    return { look: alive, knowsLegacy: true }
  } catch (error) {
    if (!(error instanceof HandshakeRefused)) return { look: lookOfTrouble(options, error), knowsLegacy: true }
    const trouble = lookOfStatus(backend.origin, error.status, error.headers)
    if (trouble !== undefined) return { look: trouble, knowsLegacy: true }
    if (era !== 'legacy' && (await isModern(options).catch(() => false))) return { look: alive, knowsLegacy: false }
    // It speaks JSON-RPC and did not like our question: what clients ask is theirs to judge.
    if (error.isJsonRpc) return { look: alive, knowsLegacy: true }
    return { look: lookOfError(backend.origin, reasonOf(signal, new NotMcp(error.message))), knowsLegacy: true }
  }
}

function lookOfTrouble({ backend, signal }: LookOptions, error: unknown): RemoteLook {
  if (error instanceof DemandsLogin || error instanceof ServerTrouble) {
    const look = lookOfStatus(backend.origin, error.status, error.headers)
    if (look !== undefined) return look
  }
  return lookOfError(backend.origin, reasonOf(signal, error))
}

/** Throws unless it is. */
async function isModern(options: LookOptions): Promise<true> {
  const { verdict } = await askDiscover(options)
  if (verdict !== 'modern') throw new NotMcp('it does not answer server/discover as a Modern MCP server')
  return true
}

/** In the old transport the stream is all there is; no client is let through to an endpoint on another host. */
async function assertStream(answer: Dispatcher.ResponseData, origin: string, limitBytes: number): Promise<void> {
  if (answer.statusCode === 200 && isEventStream(String(answer.headers['content-type']))) {
    const endpoint = await firstData(answer.body, (event) => event.event === 'endpoint', limitBytes)
    if (URL.canParse(endpoint, origin) && new URL(endpoint, origin).origin === new URL(origin).origin) return
    throw new NotMcp('its endpoint is on another host')
  }
  discard(answer)
  throw new NotMcp(`it answered HTTP ${answer.statusCode} and no event stream`)
}

/** A page of a hotel network answers 200 too. */
function assertMcp(text: string): void {
  if (text.trim() === '' || parseText(text).kind === 'message') return
  throw new NotMcp('what it answered is no JSON-RPC message')
}

/** Only an MCP server says in JSON-RPC what it does not have; a router or a page says it of the endpoint. */
function assertRpc(status: number, text: string): void {
  if (parseText(text).kind !== 'message') throw new NotMcp(`it answered HTTP ${status}`)
}

function discard({ body }: Dispatcher.ResponseData): void {
  // The head says enough, and a stream would never end.
  body.on('error', () => undefined).destroy()
}

/** An abort surfaces as whatever it interrupted; why it was aborted is the better reason. */
function reasonOf(signal: AbortSignal, error: unknown): unknown {
  return signal.aborted ? signal.reason : error
}

const missing: ReadonlySet<number> = new Set([404, 405, 410])

const openStream = { method: 'GET', headers: { accept: 'text/event-stream' } } as const
