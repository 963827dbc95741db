import {
  messageOf,
  ThvError,
  watchWorkloads,
  type WatchWorkloadsDeps,
  type Workload,
  type WorkloadChange,
} from '@thv/core'
import type { ApiLog } from '../api-log.ts'
import { apiLimits } from '../api-limits.ts'
import type { OperationChange, Operations } from '../operations.ts'
import { eventFrame, retryFrame } from './event-frame.ts'
import { isWantedEvent, type EventFilter, type EventScope } from './event-filter.ts'
import { EventRing } from './event-ring.ts'
import { EventStream } from './event-stream.ts'

/** What events come from. */
export interface EventHubOptions {
  /** Names this run of the server. */
  run: string
  operations: Operations
  watching: () => Promise<WatchWorkloadsDeps>
  /** The text of why no server could be run here; undefined when one could. */
  findTrouble: () => Promise<string | undefined>
  log: ApiLog
}

/** What a client asks for. */
export interface EventWish {
  filter: EventFilter
  /** The id of the last event it has. */
  lastId?: string | undefined
}

interface Listener {
  filter: EventFilter
  stream: EventStream
}

/**
 * What changes, told to any number of clients from one watch, which runs only while somebody listens.
 * What was known is kept between watches, so a client that comes back is told what happened in between.
 */
export class EventHub {
  readonly #options: EventHubOptions
  readonly #ring: EventRing
  readonly #known = new Map<string, Workload>()
  readonly #listeners = new Set<Listener>()
  /** Listeners, and clients that are about to be ones. */
  #clients = 0
  #watching: { begun: Promise<void>; abort: AbortController } | undefined
  #hasLooked = false
  /** Why no server could be run here, and why workloads could not be looked at. */
  readonly #troubles: { server?: string | undefined; look?: string | undefined } = {}
  #health: { healthy: boolean; reason?: string } = { healthy: true }

  /** Opens nothing. */
  constructor(options: EventHubOptions) {
    this.#options = options
    this.#ring = new EventRing(options.run)
  }

  /**
   * A stream of events that begins with what the client missed, or with a snapshot. It ends when the client
   * goes, when it does not read, and when `closing` aborts. `server-busy` when there are too many.
   */
  async open(wish: EventWish, signal: AbortSignal, closing: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    if (this.#clients >= apiLimits.eventStreams || closing.aborted) throw busy(closing.aborted)
    this.#clients += 1
    try {
      await this.#watch()
      signal.throwIfAborted()
    } catch (error) {
      this.#leave()
      throw error
    }
    const end = (): void => stream.end('closing')
    let isOpen = true
    const stream = new EventStream(this.#beginning(wish), () => {
      if (!isOpen) return
      isOpen = false
      closing.removeEventListener('abort', end)
      this.#listeners.delete(listener)
      this.#leave()
    })
    const listener: Listener = { filter: wish.filter, stream }
    this.#listeners.add(listener)
    closing.addEventListener('abort', end, { once: true })
    if (closing.aborted) end()
    return stream.body
  }

  #leave(): void {
    this.#clients -= 1
    if (this.#clients > 0) return
    this.#watching?.abort.abort()
    this.#watching = undefined
  }

  /** What the client missed; a snapshot when that is more than is known, or when it is new. */
  #beginning({ filter, lastId }: EventWish): string[] {
    const missed = lastId === undefined ? undefined : this.#ring.after(lastId)
    if (missed !== undefined) {
      return [retryFrame, ...missed.filter(({ scope }) => isWantedEvent(filter, scope)).map(({ frame }) => frame)]
    }
    const data = { reason: 'what came after that id is not known any more; a snapshot follows' }
    const reset = lastId === undefined ? [] : [eventFrame({ event: 'reset', data })]
    return [
      retryFrame,
      ...reset,
      eventFrame({ id: this.#ring.lastId, event: 'snapshot', data: this.#snapshot(filter) }),
    ]
  }

  #snapshot(filter: EventFilter): Record<string, unknown> {
    const { kinds = ['workload', 'operation', 'health'] } = filter
    const workloads = [...this.#known.values()].filter((workload) => isWantedEvent(filter, scopeOf(workload)))
    workloads.sort((one, other) => (one.name < other.name ? -1 : 1))
    const operations = this.#options.operations.list().filter(({ state, subjects }) => {
      return state === 'running' && isWantedEvent(filter, this.#scopeOfOperation(subjects))
    })
    return {
      ...(kinds.includes('workload') ? { workloads } : {}),
      ...(kinds.includes('operation') ? { operations } : {}),
      ...(kinds.includes('health') ? { health: this.#health } : {}),
    }
  }

  async #watch(): Promise<void> {
    this.#watching ??= this.#begin(new AbortController())
    await this.#watching.begun
  }

  #begin(abort: AbortController): { begun: Promise<void>; abort: AbortController } {
    const { signal } = abort
    const begin = async (): Promise<void> => {
      const deps = await this.#options.watching()
      await this.#lookAtServer()
      const watch = {
        known: this.#known,
        changed: (change: WorkloadChange) => this.#tellWorkload(change),
        looked: (error?: unknown) => this.#tellLook(error),
      }
      await watchWorkloads(deps, watch, signal)
      if (signal.aborted) return
      if (!this.#hasLooked) this.#options.operations.watch((change) => this.#tellOperation(change))
      this.#hasLooked = true
      const timer = setInterval(() => {
        for (const { stream } of this.#listeners) stream.keepAlive()
        void this.#lookAtServer()
      }, apiLimits.eventKeepAliveMs).unref()
      signal.addEventListener('abort', () => clearInterval(timer), { once: true })
    }
    return { begun: begin(), abort }
  }

  #tellWorkload({ change, workload, previous }: WorkloadChange): void {
    // What the first look ever finds is no news.
    if (!this.#hasLooked) return
    const before = previous === undefined ? [] : scopeOf(previous).groups
    const scope = scopeOf(workload)
    this.#tell({ ...scope, groups: [...scope.groups, ...before] }, { change, workload, ...previousOf(previous) })
  }

  /** Without what it has told so far: that would be sent again with every line. */
  #tellOperation({ change, operation: { progress: _told, ...operation }, line }: OperationChange): void {
    const said = line === undefined ? {} : { line }
    this.#tell(this.#scopeOfOperation(operation.subjects), { change, operation, ...said })
  }

  #scopeOfOperation(subjects: readonly string[]): EventScope {
    const groups = subjects.map((name) => this.#known.get(name)?.group ?? '')
    return { kind: 'operation', workloads: subjects, groups }
  }

  async #lookAtServer(): Promise<void> {
    this.#troubles.server = await this.#options.findTrouble().catch((error: unknown) => messageOf(error))
    this.#tellHealth()
  }

  #tellLook(error?: unknown): void {
    this.#troubles.look = error === undefined ? undefined : `workloads cannot be looked at: ${messageOf(error)}`
    this.#tellHealth()
  }

  #tellHealth(): void {
    const reason = this.#troubles.server ?? this.#troubles.look
    if (reason === this.#health.reason) return
    this.#health = reason === undefined ? { healthy: true } : { healthy: false, reason }
    this.#options.log(reason === undefined ? 'info' : 'warn', reason ?? 'the server is healthy again')
    this.#tell({ kind: 'health', workloads: [], groups: [] }, this.#health)
  }

  #tell(scope: EventScope, data: unknown): void {
    const { frame } = this.#ring.add(scope, data)
    for (const { filter, stream } of this.#listeners) if (isWantedEvent(filter, scope)) stream.push(frame)
  }
}

function scopeOf({ name, group = '' }: Workload): EventScope {
  return { kind: 'workload', workloads: [name], groups: [group] }
}

/** What a change is told against. */
function previousOf(workload: Workload | undefined): { previous?: Pick<Workload, 'status' | 'reason' | 'since'> } {
  if (workload === undefined) return {}
  const { status, reason, since } = workload
  return { previous: { status, reason, since } }
}

function busy(isClosing: boolean): ThvError {
  const why = isClosing ? 'the server is ending' : `${apiLimits.eventStreams} event streams are open already`
  return new ThvError('server-busy', why, { hint: 'close one, or try again in a moment' })
}
