import { apiLimits } from '../api-limits.ts'
import { eventFrame } from './event-frame.ts'
import type { EventScope } from './event-filter.ts'

/** An event as it is sent. */
export interface KeptEvent {
  readonly number: number
  readonly scope: EventScope
  readonly frame: string
}

/** The last events of one run of the server, numbered; bounded in count and bytes. */
export class EventRing {
  readonly #run: string
  readonly #limits: { events: number; bytes: number }
  #kept: KeptEvent[] = []
  #bytes = 0
  #last = 0

  /** `run` tells the ids of this run from those of any other. */
  constructor(
    run: string,
    limits: { events: number; bytes: number } = { events: apiLimits.keptEvents, bytes: apiLimits.keptEventBytes },
  ) {
    this.#run = run
    this.#limits = limits
  }

  /** The id of the last event. */
  get lastId(): string {
    return `${this.#run}-${this.#last}`
  }

  add(scope: EventScope, data: unknown): KeptEvent {
    this.#last += 1
    const event: KeptEvent = {
      number: this.#last,
      scope,
      frame: eventFrame({ id: this.lastId, event: scope.kind, data }),
    }
    this.#kept.push(event)
    this.#bytes += event.frame.length
    while (this.#kept.length > this.#limits.events || this.#bytes > this.#limits.bytes) {
      const oldest = this.#kept.shift()
      if (oldest === undefined) break
      this.#bytes -= oldest.frame.length
    }
    return event
  }

  /** What came after the event of that id; undefined when some of it is gone, or the id is none of this run. */
  after(id: string): KeptEvent[] | undefined {
    const [, run, digits] = /^(.+)-(\d{1,15})$/.exec(id) ?? []
    if (run !== this.#run) return undefined
    const number = Number(digits)
    const first = this.#last - this.#kept.length + 1
    if (number > this.#last || number < first - 1) return undefined
    return this.#kept.slice(number - first + 1)
  }
}
