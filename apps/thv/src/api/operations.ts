import { randomUUID } from 'node:crypto'
import { isThvError, messageOf, ThvError, type ErrorCode } from '@thv/core'
import { apiLimits } from './api-limits.ts'
import type { ApiLog } from './api-log.ts'
import { within } from './within.ts'

/** One piece of work that may go on behind its answer. */
export interface Operation {
  readonly id: string
  readonly kind: OperationKind
  /** Names of workloads, or of something else that the kind is about. */
  readonly subjects: readonly string[]
  readonly state: 'running' | 'succeeded' | 'failed'
  /** RFC 3339. */
  readonly started: string
  readonly ended?: string
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly hint?: string }
}

export type OperationKind = 'create' | 'edit' | 'stop' | 'restart' | 'delete'

/** What to do, and how it stands to other operations. */
export interface OperationOrder<T> {
  kind: OperationKind
  subjects: readonly string[]
  /** Ends what others do to the same subjects, before it begins; otherwise it waits for them. */
  interrupts?: boolean
  /** Ends the work as long as it has not been accepted: nobody waits for it any more. */
  caller?: AbortSignal
  /** Calls `accept` when the answer may be given; what follows goes on behind it. */
  work: (signal: AbortSignal, accept: (value: T) => void) => Promise<void>
}

/** A begun operation. */
export interface BegunOperation<T> {
  id: string
  /** What the work accepts with; rejects with what it fails with before. */
  accepted: Promise<T>
}

interface Entry {
  shown: Operation
  abort: AbortController
  isAccepted: boolean
  done: Promise<void>
}

/** The operations of one server: bounded, one at a time for each subject. */
export class Operations {
  readonly #entries = new Map<string, Entry>()
  readonly #log: ApiLog
  #isClosing = false

  constructor(log: ApiLog) {
    this.#log = log
  }

  /** All that are known, the oldest first. */
  list(): Operation[] {
    return [...this.#entries.values()].map(({ shown }) => shown)
  }

  get(id: string): Operation | undefined {
    return this.#entries.get(id)?.shown
  }

  /** Begins an operation. Throws `server-busy` when too many are running, or the server is ending. */
  begin<T>(order: OperationOrder<T>): BegunOperation<T> {
    const running = [...this.#entries.values()].filter(({ shown }) => shown.state === 'running')
    if (this.#isClosing || running.length >= apiLimits.runningOperations) throw busy(this.#isClosing)
    const earlier = running.filter(({ shown }) => shown.subjects.some((subject) => order.subjects.includes(subject)))
    if (order.interrupts === true) for (const { abort } of earlier) abort.abort(interrupted(order.kind))
    const abort = new AbortController()
    const shown: Operation = {
      id: randomUUID(),
      kind: order.kind,
      subjects: order.subjects,
      state: 'running',
      started: new Date().toISOString(),
    }
    const entry: Entry = { shown, abort, isAccepted: false, done: Promise.resolve() }
    this.#entries.set(shown.id, entry)
    const accepted = new Promise<T>((resolve, reject) => {
      const leave = (): void => abort.abort(order.caller?.reason)
      order.caller?.addEventListener('abort', leave, { once: true })
      if (order.caller?.aborted === true) leave()
      const accept = (value: T): void => {
        entry.isAccepted = true
        order.caller?.removeEventListener('abort', leave)
        resolve(value)
      }
      const before = Promise.all(earlier.map(async ({ done }) => await done))
      entry.done = this.#run(entry, async (signal) => {
        await before
        signal.throwIfAborted()
        await order.work(signal, accept)
      }).then(reject, reject)
      void entry.done.finally(() => order.caller?.removeEventListener('abort', leave))
    })
    // Work that nobody awaits is told in the log and in the table.
    accepted.catch(() => {})
    return { id: shown.id, accepted }
  }

  /**
   * Waits for what is running, at most `graceMs`; what has not been accepted by then is aborted and gets
   * `abortMs` to take back what it began. The rest is left as it is: a killed server would leave it so too, and the next one finds it.
   */
  async close(graceMs: number, abortMs: number): Promise<void> {
    this.#isClosing = true
    if (await this.#allDone(graceMs)) return
    for (const entry of this.#running()) if (!entry.isAccepted) entry.abort.abort(busy(true))
    await this.#allDone(abortMs)
  }

  /** Resolves to the error when it failed; never rejects. */
  async #run(entry: Entry, work: (signal: AbortSignal) => Promise<void>): Promise<unknown> {
    const signal = AbortSignal.any([entry.abort.signal, AbortSignal.timeout(apiLimits.operationMs)])
    try {
      await work(signal)
      this.#end(entry, { state: 'succeeded' })
      return undefined
    } catch (error) {
      this.#end(entry, { state: 'failed', error: errorOf(error) })
      return error
    }
  }

  #end(entry: Entry, outcome: Pick<Operation, 'state' | 'error'>): void {
    entry.shown = { ...entry.shown, ...outcome, ended: new Date().toISOString() }
    const { id, kind, subjects, error } = entry.shown
    const fields = {
      operation: id,
      subjects,
      ...(error === undefined ? {} : { code: error.code, error: error.message }),
    }
    if (error === undefined) this.#log('info', `${kind} is done`, fields)
    else this.#log('warn', `${kind} failed`, fields)
    const ended = [...this.#entries.values()].filter(({ shown }) => shown.state !== 'running')
    for (const { shown } of ended.slice(0, Math.max(0, ended.length - apiLimits.endedOperations))) {
      this.#entries.delete(shown.id)
    }
  }

  #running(): Entry[] {
    return [...this.#entries.values()].filter(({ shown }) => shown.state === 'running')
  }

  async #allDone(withinMs: number): Promise<boolean> {
    return await within(Promise.all(this.#running().map(async ({ done }) => await done)), withinMs)
  }
}

function errorOf(error: unknown): NonNullable<Operation['error']> {
  if (!isThvError(error)) return { code: 'internal', message: messageOf(error) }
  const { code, message, hint } = error
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}

function busy(isClosing: boolean): ThvError {
  const why = isClosing ? 'the server is ending' : `${apiLimits.runningOperations} operations are running already`
  return new ThvError('server-busy', why, { hint: 'try again in a moment' })
}

function interrupted(kind: OperationKind): ThvError {
  return new ThvError('cancelled', `it was interrupted by a ${kind} of the same workload`, {
    hint: 'look at the workload, and try again',
  })
}
