import type { IncomingMessage } from 'node:http'
import type { WireError } from '../errors.ts'
import { headerOf } from '../front-door.ts'
import { saysModern } from './era-watch.ts'
import type { ForwardParts } from './forward-parts.ts'
import type { HttpSession } from './http-sessions.ts'
import { peekBody, type PeekedBody } from './peek-body.ts'
import type { RequestBody } from './request-body.ts'

/** What a request is to the sessions of clients; `ended`: it has just ended its session, which no server knew. */
export type SessionLookup =
  | { readonly kind: 'found'; readonly session: HttpSession | undefined; readonly peeked: PeekedBody }
  | { readonly kind: 'refused'; readonly error: WireError }
  | { readonly kind: 'ended' }

/** The refusal of a request that names a session nobody knows. */
export const unknownSession: WireError = { name: 'session-unknown', message: 'Session not found' }

/** Finds the session that a request names, and looks whether it may begin one. */
export function lookUpSession(
  { sessions, stateless, gate }: ForwardParts,
  req: IncomingMessage,
  body: RequestBody,
): SessionLookup {
  // Modern knows no sessions: an id that rides along opens nothing, and ends here.
  const id = !stateless && !saysModern(req) ? headerOf(req, 'mcp-session-id') : undefined
  const known = id === undefined ? undefined : sessions.get(id)
  const peeked = peekBody(req.method, body, { isSessionKnown: known !== undefined, hasSessionId: id !== undefined })
  if (peeked.kind === 'batch') return { kind: 'refused', error: batchRefused }
  if (peeked.kind === 'initialize') {
    return sessions.isFull ? { kind: 'refused', error: tooManySessions } : { kind: 'found', session: undefined, peeked }
  }
  if (id === undefined) return { kind: 'found', session: undefined, peeked }
  if (known === undefined) return { kind: 'refused', error: unknownSession }
  if (req.method === 'DELETE' && known.backend !== gate.current) {
    // The server that knew the session is gone, and with it the session.
    sessions.delete(known)
    return { kind: 'ended' }
  }
  return { kind: 'found', session: known, peeked }
}

const batchRefused: WireError = {
  name: 'batch-refused',
  message: 'Invalid Request: batches are not supported here',
}
const tooManySessions: WireError = { name: 'too-many-sessions', message: 'Too many sessions' }
