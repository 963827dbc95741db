import type { IncomingMessage } from 'node:http'
import { saysModern } from './era-watch.ts'

/** The names of a request's headers that do not travel to the server as the client sent them. */
export function droppedOfRequest(
  req: IncomingMessage,
  facts: { opensSseStream: boolean; isInitialize: boolean; stateless: boolean },
): ReadonlySet<string> {
  if (facts.opensSseStream) return sessionAndEncoding
  // Where sessions are not tracked, an id is between client and server, except with what begins a session.
  return facts.stateless && !saysModern(req) && !facts.isInitialize ? nothing : session
}

/**
 * The names of an answer's headers that do not travel to the client as the server sent them. Only ids
 * of sessions that are known here may reach a client: any other may be, or become, somebody else's.
 * Where no sessions are kept, ids are between client and server.
 */
export function droppedOfAnswer(stateless: boolean, isUntouched: boolean): ReadonlySet<string> | undefined {
  if (stateless) return isUntouched ? undefined : length
  return isUntouched ? session : sessionAndLength
}

const nothing: ReadonlySet<string> = new Set()
const session: ReadonlySet<string> = new Set(['mcp-session-id'])
const length: ReadonlySet<string> = new Set(['content-length'])
const sessionAndLength: ReadonlySet<string> = new Set(['mcp-session-id', 'content-length'])
// A compressed endpoint event could not be rewritten.
const sessionAndEncoding: ReadonlySet<string> = new Set(['mcp-session-id', 'accept-encoding'])
