import type { IncomingMessage } from 'node:http'
import type { WireError } from '../errors.ts'
import { eraHeaders, headerOf } from '../front-door.ts'
import { classifyRequest } from '../mcp/classify-request.ts'
import { parseText } from '../mcp/message.ts'
import { isModernVersion } from '../mcp/revision.ts'
import { errorCodeIn, refusesLikeLegacy } from './http-outcome.ts'
import type { RequestBody } from './request-body.ts'

/** Whether the head of a request says that it is of the Modern era. */
export function saysModern(req: IncomingMessage): boolean {
  const version = headerOf(req, 'mcp-protocol-version')
  return version !== undefined && isModernVersion(version.trim())
}

/**
 * Why a request must not reach the server, because of what it claims to be. Only what
 * claims to be Modern is parsed for this, by its header or by a key in its body; a body
 * too large to be collected is the server's to judge.
 */
export function refuseByEra(
  req: IncomingMessage,
  body: RequestBody,
  sessionRevision: string | undefined,
): { error: WireError; idText: string } | undefined {
  if (req.method !== 'POST' || body.kind !== 'whole') return undefined
  if (!saysModern(req) && !body.bytes.includes('io.modelcontextprotocol/')) return undefined
  const classified = classifyRequest({
    httpMethod: 'POST',
    headers: eraHeaders(req),
    body: parseText(body.bytes.toString('utf8')),
    sessionRevision,
  })
  return classified.kind === 'refused' ? classified : undefined
}

/** The watch over an answer that may show of which era the server is; undefined for any other. */
export function watchEra(
  req: IncomingMessage,
  { status, isInitialize }: { status: number; isInitialize: boolean },
  limitBytes: number,
): EraWatch | undefined {
  if (status < 400 || status >= 500) return undefined
  const isModern = saysModern(req)
  return isModern || isInitialize ? new EraWatch(isModern ? 'modern' : 'initialize', status, limitBytes) : undefined
}

/** Reads along in a refusal that may show that the server is of another era than was thought. */
export class EraWatch {
  readonly #asked: 'modern' | 'initialize'
  readonly #status: number
  readonly #limitBytes: number
  #text = ''

  constructor(asked: 'modern' | 'initialize', status: number, limitBytes: number) {
    this.#asked = asked
    this.#status = status
    this.#limitBytes = limitBytes
  }

  /** Takes the next piece. What is above the limit is no refusal of a server we know. */
  note(chunk: Buffer): void {
    if (this.#text.length <= this.#limitBytes) this.#text += chunk.toString('latin1')
  }

  /** Whether the whole of it does. */
  get isContradiction(): boolean {
    if (this.#asked === 'initialize') return errorCodeIn(this.#text) === unsupportedVersion
    return refusesLikeLegacy(this.#status, this.#text)
  }
}

const unsupportedVersion = -32022
