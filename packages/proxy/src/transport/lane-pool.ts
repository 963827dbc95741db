import { setTimeout as delay } from 'node:timers/promises'
import type { ProxyLimits } from '../limits.ts'
import type { HeldBytes } from '../held-bytes.ts'
import type { PreparedRequest } from '../mcp/readdress.ts'
import type { ProxyConfig, ProxyLog, ServerLane } from '../proxy-config.ts'
import { Lane } from './lane.ts'
import { LaneError } from './lane-error.ts'
import { raceAbort } from './race-abort.ts'

/** What a pool is made of. */
export interface LanePoolOptions {
  readonly name: string
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  readonly held: HeldBytes
  readonly openLane?: ProxyConfig['openLane'] | undefined
}

/** All lanes of a proxy, and the count of the server processes they keep. */
export class LanePool {
  readonly #options: LanePoolOptions
  readonly #lanes = new Set<Lane>()
  readonly #ending = new Set<Promise<void>>()
  /** Processes that live, start or end. */
  #servers = 0

  constructor(options: LanePoolOptions) {
    this.#options = options
  }

  /** Whether clients can have servers of their own at all. */
  get isAvailable(): boolean {
    return this.#options.openLane !== undefined
  }

  /** Calls sent or waiting. */
  get inFlight(): number {
    let calls = 0
    for (const lane of this.#lanes) calls += lane.inFlight
    return calls
  }

  /** A lane for the client that sent this `initialize`. It has no server yet. */
  create(initialize: PreparedRequest): Lane {
    const { name, limits, log, held } = this.#options
    const openServer = (signal: AbortSignal): Promise<ServerLane> => this.openServer(signal)
    const lane: Lane = new Lane(initialize, {
      name,
      limits,
      log,
      held,
      openServer,
      ended: () => this.#lanes.delete(lane),
    })
    this.#lanes.add(lane)
    return lane
  }

  /** Starts a process. @throws LaneError when there are too many; whatever `openLane` throws */
  async openServer(signal: AbortSignal): Promise<ServerLane> {
    const { name, limits, openLane } = this.#options
    if (openLane === undefined) throw new TypeError('this proxy has no lanes')
    if (this.#servers >= limits.lanes) throw tooManyLanes(name, limits.lanes)
    this.#servers += 1
    const opening = openLane(signal)
    try {
      return this.#count(await raceAbort(opening, signal))
    } catch (error) {
      void this.#track(closeLate(opening))
      throw error
    }
  }

  /** Ends every lane at once and waits for their processes, at most so long. */
  async close(withinMs: number): Promise<void> {
    for (const lane of this.#lanes) lane.close()
    const patience = new AbortController()
    const ended = Promise.allSettled(this.#ending)
    await Promise.race([ended, delay(withinMs, undefined, { signal: patience.signal })])
    patience.abort()
  }

  /** The same server, giving its place back when it has ended. */
  #count(server: ServerLane): ServerLane {
    let closing: Promise<void> | undefined
    return {
      ...server,
      close: () => {
        closing ??= this.#track(server.close())
        return closing
      },
    }
  }

  async #track(ending: Promise<void>): Promise<void> {
    const settled = ending
      .catch((error: unknown) => {
        this.#options.log('error', 'a server of one client could not be ended', { error: String(error) })
      })
      .finally(() => {
        this.#servers -= 1
        this.#ending.delete(settled)
      })
    this.#ending.add(settled)
    await settled
  }
}

/** Ends a server that came when nobody waited for it any more. One that never comes has nothing to end. */
async function closeLate(opening: Promise<ServerLane>): Promise<void> {
  const server = await opening.catch(() => undefined)
  await server?.close()
}

function tooManyLanes(name: string, limit: number): LaneError {
  return new LaneError({
    name: 'too-many-lanes',
    message: `Too many clients with a server of their own: "${name}" allows ${limit}. Clients that declare no elicitation, sampling or roots share one server and are still served`,
    data: { outcome: 'not-sent', backend: name, limit },
  })
}
