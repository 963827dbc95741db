import { randomUUID } from 'node:crypto'
import { isThvError, messageOf, ThvError, withTimeLimit, type Operation, type OperationKind } from '@thv/core'
import { apiLimits } from './api-limits.ts'
import type { ApiLog } from './api-log.ts'
import { within } from './within.ts'

/** What to do to which subjects. */
export interface OperationOrder<T> {
  kind: OperationKind
  subjects: readonly string[]
  /** Ends the work as long as it has not been accepted: nobody waits for it any more. */
  caller?: AbortSignal
  /** Everything that is done to a subject is done in its turn. */
  work: (task: OperationTask<T>) => Promise<void>
}

/** What the work of an operation is given. */
export interface OperationTask<T> {
  /** Aborts when the whole operation has to end. */
  readonly signal: AbortSignal
  /** Says that the answer may be given; what follows goes on behind it. */
  readonly accept: (value: T) => void
  /** What it is told is kept and logged. */
  readonly progress: (line: string) => void
  /**
   * Does something to one subject, once, when earlier operations are done with it. Its signal
   * also aborts when a later operation interrupts this one there; other subjects go on.
   */
  readonly inTurn: (subject: string, action: (signal: AbortSignal) => Promise<void>) => Promise<void>
}

/** What happened to an operation: it began, said how far it is, or ended. */
export interface OperationChange {
  readonly change: 'begun' | 'progress' | 'ended'
  readonly operation: Operation
  /** What it said. */
  readonly line?: string
}

/** A begun operation. */
export interface BegunOperation<T> {
  id: string
  /** What the work accepts with; rejects with what it fails with before. */
  accepted: Promise<T>
}

interface Entry {
  shown: Operation
  readonly abort: AbortController
  /** By subject. */
  readonly turns: ReadonlyMap<string, Turn>
  isAccepted: boolean
  done: Promise<void>
}

interface Turn {
  readonly abort: AbortController
  readonly earlier: readonly Turn[]
  readonly over: Promise<void>
  readonly end: () => void
}

/** A kind interrupts the lower ones at their common subjects, and waits for its equals: what ends something must not wait for its start. */
const ranks: Readonly<Record<OperationKind, number>> = {
  // It waits for a person, and nothing waits for that.
  login: -1,
  create: 0,
  edit: 0,
  restart: 0,
  logout: 0,
  stop: 1,
  delete: 2,
}

/** The operations of one server: bounded, one at a time for each subject. */
export class Operations {
  readonly #entries = new Map<string, Entry>()
  readonly #listeners = new Set<(change: OperationChange) => void>()
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

  /** Tells of every change from now on, until the returned function is called. */
  watch(listener: (change: OperationChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Whether something of this kind is being done to a subject, or waits for its turn. */
  isRunning(kind: OperationKind, subject: string): boolean {
    return this.#turnsOf(kind, subject).length > 0
  }

  /** Ends what of this kind is being done to a subject; whether there was anything. */
  cancel(kind: OperationKind, subject: string): boolean {
    const turns = this.#turnsOf(kind, subject)
    for (const { abort } of turns) abort.abort(new ThvError('cancelled', `the ${kind} was cancelled`))
    return turns.length > 0
  }

  /** Waits until an operation has ended or the signal aborts, and tells how it stands then; undefined for one nobody knows. */
  async wait(id: string, signal: AbortSignal): Promise<Operation | undefined> {
    if (this.get(id)?.state === 'running' && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const settle = (): void => {
          unwatch()
          signal.removeEventListener('abort', settle)
          resolve()
        }
        const unwatch = this.watch(({ change, operation }) => {
          if (change === 'ended' && operation.id === id) settle()
        })
        signal.addEventListener('abort', settle, { once: true })
      })
    }
    return this.get(id)
  }

  /** Begins an operation. Throws `server-busy` when too many are running, or the server is ending. */
  begin<T>(order: OperationOrder<T>): BegunOperation<T> {
    if (this.#isClosing || this.#running().length >= apiLimits.runningOperations) throw busy(this.#isClosing)
    const turns = new Map(order.subjects.map((subject) => [subject, this.#takeTurn(order.kind, subject)]))
    const abort = new AbortController()
    const shown: Operation = {
      id: randomUUID(),
      kind: order.kind,
      subjects: order.subjects,
      state: 'running',
      started: new Date().toISOString(),
      progress: [],
    }
    const entry: Entry = { shown, abort, turns, isAccepted: false, done: Promise.resolve() }
    this.#entries.set(shown.id, entry)
    this.#tell({ change: 'begun', operation: shown })
    const accepted = new Promise<T>((resolve, reject) => {
      const leave = (): void => abort.abort(order.caller?.reason)
      order.caller?.addEventListener('abort', leave, { once: true })
      if (order.caller?.aborted === true) leave()
      const accept = (value: T): void => {
        entry.isAccepted = true
        order.caller?.removeEventListener('abort', leave)
        resolve(value)
      }
      const progress = (line: string): void => this.#note(entry, line)
      entry.done = this.#run(entry, async (signal) => {
        const inTurn = async (subject: string, action: (signal: AbortSignal) => Promise<void>): Promise<void> =>
          await doInTurn(turns.get(subject), action, signal)
        await order.work({ signal, accept, progress, inTurn })
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
    const signal = withTimeLimit(entry.abort.signal, apiLimits.operationMs)
    try {
      await work(signal)
      this.#end(entry, { state: 'succeeded' })
      return undefined
    } catch (error) {
      this.#end(entry, { state: 'failed', error: errorOf(error) })
      return error
    } finally {
      for (const { end } of entry.turns.values()) end()
    }
  }

  /** A turn behind all that are taken at a subject. */
  #takeTurn(kind: OperationKind, subject: string): Turn {
    const earlier: Turn[] = []
    for (const { shown, turns } of this.#running()) {
      const turn = turns.get(subject)
      if (turn === undefined) continue
      earlier.push(turn)
      if (ranks[shown.kind] < ranks[kind]) turn.abort.abort(interrupted(kind))
    }
    let end = (): void => {}
    const over = new Promise<void>((resolve) => {
      end = resolve
    })
    return { abort: new AbortController(), earlier, over, end }
  }

  #turnsOf(kind: OperationKind, subject: string): Turn[] {
    return this.#running().flatMap(({ shown, turns }) => (shown.kind === kind ? (turns.get(subject) ?? []) : []))
  }

  #note(entry: Entry, text: string): void {
    const line = text.slice(0, apiLimits.progressLineLength)
    const progress = [...entry.shown.progress, line].slice(-apiLimits.progressLines)
    entry.shown = { ...entry.shown, progress }
    const { id: operation, subjects } = entry.shown
    this.#log('info', line, { operation, subjects })
    this.#tell({ change: 'progress', operation: entry.shown, line })
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
    this.#tell({ change: 'ended', operation: entry.shown })
  }

  #tell(change: OperationChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  #running(): Entry[] {
    return [...this.#entries.values()].filter(({ shown }) => shown.state === 'running')
  }

  async #allDone(withinMs: number): Promise<boolean> {
    return await within(Promise.all(this.#running().map(async ({ done }) => await done)), withinMs)
  }
}

async function doInTurn(
  turn: Turn | undefined,
  action: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  if (turn === undefined) throw new TypeError('the operation has not named this subject')
  await Promise.all(turn.earlier.map(async ({ over }) => await over))
  try {
    const ending = AbortSignal.any([signal, turn.abort.signal])
    ending.throwIfAborted()
    await action(ending)
  } finally {
    turn.end()
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
