import type { Chain } from '../chain.ts'
import type { ProxyLimits } from '../limits.ts'
import type { ProxyLog } from '../proxy-config.ts'
import type { WireError } from '../errors.ts'
import type { HeldBytes } from '../held-bytes.ts'
import { buildRequestHeaders } from '../header-rules.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BackendGate } from './backend-gate.ts'
import { sendFault } from '../respond.ts'
import { refusedError } from './call-errors.ts'
import type { HttpBackend } from './http-backend.ts'
import type { HttpSession, HttpSessions } from './http-sessions.ts'
import { reviveSession } from './session-revival.ts'
import type { Traffic } from './traffic.ts'

/** What every request to an HTTP backend shares. */
export interface ForwardParts {
  /** Name of the workload, for messages. */
  readonly name: string
  readonly limits: ProxyLimits
  readonly chain: Chain
  readonly log: ProxyLog
  /** Budget for what is kept of bodies and events. */
  readonly held: HeldBytes
  readonly gate: BackendGate
  readonly sessions: HttpSessions
  /** Sessions of the old SSE transport that have an open stream. */
  readonly sseSessions: Set<string>
  /** What is under way. */
  readonly traffic: Traffic
  readonly trustsForwarded: boolean
  readonly endpointPrefix: string
  /** Whether sessions are not tracked. */
  readonly stateless: boolean
  /** The server answered like one of another era than it is taken for. */
  contradicted(): void
  /** Whether nothing may be sent any more. */
  isClosed(): boolean
  /** Where the proxy listens. */
  authority(): string
}

/** One request that needs a backend. */
export interface Journey {
  readonly req: IncomingMessage
  readonly session: HttpSession | undefined
  /** Monotonic time at which waiting ends. */
  readonly deadlineMs: number
  /** A stream that is open already; as streams are counted, it does not count among the waiting calls. */
  readonly isStream: boolean
  /** Destroyed when nobody waits for the answer any more. */
  readonly res: ServerResponse
}

/** Where a request may go now; or there is no server in time, or its session has ended. */
export type Readiness = HttpBackend | 'absent' | 'gone'

/**
 * Calls `done` once there is a backend that knows the session of the request,
 * which may mean waiting for a restart and taking the session up again.
 */
export function whenReady(parts: ForwardParts, journey: Journey, done: (readiness: Readiness) => void): void {
  if (journey.res.destroyed) return
  const backend = parts.gate.current
  if (parts.gate.refusal !== undefined && !journey.isStream) return done('absent')
  if (backend === undefined || parts.gate.refusal !== undefined)
    return waitForChange(parts, journey, { atMostMs: Infinity, done })
  const { session } = journey
  if (session === undefined || session.backend === backend) return done(backend)
  void takeUpAgain(parts, journey, { session, backend }, done)
}

async function takeUpAgain(
  parts: ForwardParts,
  journey: Journey,
  { session, backend }: { session: HttpSession; backend: HttpBackend },
  done: (readiness: Readiness) => void,
): Promise<void> {
  const { sessions, limits, log } = parts
  const headers = requestHeaders(parts, journey.req, backend, notForRevival)
  const outcome = await reviveSession(session, { sessions, backend, headers, limits, log })
  try {
    if (outcome === 'gone') done('gone')
    // A stream that is open waits; it does not ask again at once.
    else if (outcome === 'absent' && !journey.isStream) done('absent')
    else if (outcome === 'revived') whenReady(parts, journey, done)
    else waitForChange(parts, journey, { atMostMs: redialMsOf(parts), done })
  } catch (error) {
    sendFault(journey.res, error, log)
  }
}

/** Tries again when another backend is attached, or after the time; gives up at the deadline. */
export function waitForChange(
  parts: ForwardParts,
  journey: Journey,
  options: { atMostMs: number; done: (readiness: Readiness) => void },
): void {
  if (journey.res.destroyed) return
  const { atMostMs, done } = options
  const leftMs = journey.deadlineMs - performance.now()
  if (leftMs <= 0 || parts.isClosed()) return done('absent')
  const isLast = leftMs <= atMostMs
  if (!journey.isStream && parts.gate.waiting >= parts.limits.waitingCalls) return done('absent')
  const ticket = parts.gate.wait(Math.min(leftMs, atMostMs), () => {
    journey.res.off('close', ticket.leave)
    if (isLast && (parts.gate.current === undefined || parts.gate.refusal !== undefined)) done('absent')
    else whenReady(parts, journey, done)
  })
  journey.res.once('close', ticket.leave)
}

/** The headers of a client's request for a backend. */
export function requestHeaders(
  parts: ForwardParts,
  req: IncomingMessage,
  backend: HttpBackend,
  without?: ReadonlySet<string>,
): string[] {
  return buildRequestHeaders(req.rawHeaders, {
    backendHost: backend.host,
    client: { address: req.socket.remoteAddress ?? 'unknown', host: req.headers.host ?? '', scheme: 'http' },
    trustsForwarded: parts.trustsForwarded,
    upstreamScheme: backend.remote === undefined ? undefined : backend.scheme,
    without,
  })
}

/** Before a backend that could not be reached is tried again. */
export function redialMsOf({ gate, limits }: ForwardParts): number {
  return gate.current?.remote === undefined ? limits.redialMs : Math.max(limits.redialMs, limits.remoteRedialMs)
}

/** What a client is told when no server could be reached: its request did not run. */
export function absentError(parts: ForwardParts): WireError {
  const data = { outcome: 'not-sent', backend: parts.name }
  const { refusal } = parts.gate
  if (refusal !== undefined) return refusedError(parts.name, refusal)
  return parts.gate.current === undefined
    ? { name: 'server-absent', message: `The server "${parts.name}" is not running; the call was not sent`, data }
    : {
        name: 'backend-unreachable',
        message: `The server "${parts.name}" cannot be reached; the call was not sent`,
        data,
      }
}

const notForRevival: ReadonlySet<string> = new Set(['mcp-session-id', 'mcp-protocol-version'])
