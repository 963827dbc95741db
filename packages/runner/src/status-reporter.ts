import { isDeepStrictEqual } from 'node:util'
import {
  applyEvent,
  changeStatus,
  messageOf,
  stoppedRecord,
  ThvError,
  type ChangeStatusDeps,
  type EventDetails,
  type ProbeRun,
  type ProcessIdentity,
  type ServerCard,
  type ServerIdentity,
  type StatusEvent,
  type StatusExtension,
  type StatusRecord,
} from '@thv/core'
import type { Failure } from './failure.ts'
import { runnerLimits } from './limits.ts'
import type { Log } from './log.ts'

/** What is written beside the status itself. */
export type ReportedDetails = Pick<EventDetails, 'context' | 'reason' | 'extension'>

/**
 * Whether a supervisor still has the word over its workload; `ended`: a stop or removal
 * was announced, and whoever announced it may be gone before it could send a signal.
 */
export type Ownership = 'ours' | 'taken' | 'deleted' | 'ended'

/**
 * The one writer of a running workload's status. It writes only while the record
 * names this process as its owner, so a supervisor that was given up for dead
 * cannot overwrite its successor.
 */
export class StatusReporter {
  readonly #deps: ChangeStatusDeps & { log: Log }
  readonly #name: string
  readonly #self: ProcessIdentity
  #last: StatusRecord | undefined
  #relinquished = false
  /** The last report that could not be written (a full disk, a lock that was held too long). */
  #unwritten: Change | undefined

  constructor(deps: ChangeStatusDeps & { log: Log }, name: string, self: ProcessIdentity) {
    this.#deps = deps
    this.#name = name
    this.#self = self
  }

  /**
   * Makes this process the owner. Resolves to the record it took over (its servers
   * may still live). `workload-busy` when another supervisor lives.
   */
  async claim(signal: AbortSignal): Promise<StatusRecord | undefined> {
    let previous: StatusRecord | undefined
    this.#last = await changeStatus(
      this.#deps,
      this.#name,
      ({ record, ownerAlive }) => {
        previous = record
        const owner = record?.thv?.owner?.pid ?? record?.process_id
        if (ownerAlive && record !== undefined && record.process_id !== 0 && owner !== this.#self.pid) {
          throw new ThvError('workload-busy', `'${this.#name}' already has a supervisor (pid ${owner})`, {
            hint: `stop it with 'thv stop ${this.#name}'`,
          })
        }
        const now = this.#deps.clock.now()
        const stamp = now.toISOString()
        const base: StatusRecord = record ?? { status: 'starting', created_at: stamp, updated_at: stamp, process_id: 0 }
        const next = applyEvent(base, 'launch', now, {
          processId: this.#self.pid,
          extension: { owner: this.#self, restarts: 0 },
        })
        if (next?.thv === undefined) {
          throw new ThvError('workload-busy', `'${this.#name}' is being removed`, { hint: 'wait, then run it again' })
        }
        return { ...next, thv: withoutPast(next.thv) }
      },
      signal,
    )
    return previous
  }

  /**
   * Moves the status; a no-op when the record is no longer ours or the move is illegal
   * (a stop is under way). A write that fails is made up for by {@link verify}: a
   * server is not ended because a disk is full.
   */
  async report(event: StatusEvent, details: ReportedDetails, signal: AbortSignal): Promise<void> {
    await this.#tolerate((record, now) => applyEvent(record, event, now, details), signal)
  }

  async #tolerate(change: Change, signal: AbortSignal): Promise<void> {
    this.#unwritten = undefined
    try {
      await this.#change(change, signal)
    } catch (error) {
      if (signal.aborted) throw error
      this.#unwritten = change
      this.#deps.log('warn', 'the status could not be written and will be tried again', { error: messageOf(error) })
    }
  }

  /** Notes which processes of the server live for single clients, so that a successor can find them. */
  async recordLanes(lanes: readonly ServerIdentity[], signal: AbortSignal): Promise<void> {
    await this.#change((record) => {
      const { lanes: _lanes, ...kept } = record.thv ?? {}
      return { ...record, thv: lanes.length === 0 ? kept : { ...kept, lanes: [...lanes] } }
    }, signal)
  }

  /** Notes what probes of the server found, where the status stays as it is. */
  async recordProbes(probes: readonly ProbeRun[], signal: AbortSignal): Promise<void> {
    // A report that waits to be written says more.
    if (this.#unwritten !== undefined) return
    await this.#tolerate((record) => ({ ...record, thv: { ...record.thv, probes: [...probes] } }), signal)
  }

  /** Notes which scopes the next login should ask for, given those that are noted. */
  async recordWantedScopes(change: (known: readonly string[]) => string[], signal: AbortSignal): Promise<void> {
    await this.#change((record) => {
      const { wanted_scopes: known = [], ...kept } = record.thv ?? {}
      const scopes = change(known)
      if (isDeepStrictEqual(scopes, known)) return undefined
      return { ...record, thv: scopes.length === 0 ? kept : { ...kept, wanted_scopes: scopes } }
    }, signal)
  }

  /** Notes what the server says about itself. */
  async recordCard(card: ServerCard, signal: AbortSignal): Promise<void> {
    await this.#change((record) => ({ ...record, thv: { ...record.thv, server_card: card } }), signal)
  }

  /** The last word: `stopped`, with nothing left to own. */
  async reportStopped(): Promise<void> {
    await this.#change(stoppedRecord, AbortSignal.timeout(runnerLimits.finalWriteMs))
  }

  /** The last word after a failure: `error`, with nothing left to own. */
  async reportError({ context, code, stderr }: Failure): Promise<void> {
    await this.#change((record, now) => {
      const failed = applyEvent(record, 'fail', now, {
        context,
        processId: 0,
        extension: { last_stderr: [...stderr], error_code: code },
      })
      if (failed?.thv === undefined) return failed
      const { owner: _owner, server: _server, lanes: _lanes, stop_deadline: _deadline, ...kept } = failed.thv
      return { ...failed, thv: kept }
    }, AbortSignal.timeout(runnerLimits.finalWriteMs))
  }

  /** From now on nothing is written: the workload is another's, or deleted. */
  relinquish(): void {
    this.#relinquished = true
  }

  /** When a stop that is under way must be over, if one was announced. */
  async stopDeadline(): Promise<Date | undefined> {
    const record = await this.#deps.statuses.read(this.#name).catch(() => undefined)
    const deadline = record?.thv?.stop_deadline
    return deadline === undefined ? undefined : new Date(deadline)
  }

  /**
   * Looks whether the file still says what this process knows; a file that was lost
   * or damaged is written again, because a running server that no list shows is a lie.
   */
  async verify(isSaved: () => Promise<boolean>, signal: AbortSignal): Promise<Ownership> {
    let verdict: Ownership = 'ours'
    const saved = await isSaved()
    await changeStatus(
      this.#deps,
      this.#name,
      ({ record, ownerAlive }) => {
        if (record === undefined) {
          if (!saved) verdict = 'deleted'
          return saved ? this.#last : undefined
        }
        if (this.#isOurs(record)) {
          if (record.status === 'stopping' || record.status === 'removing') verdict = 'ended'
          // Only this process writes it otherwise: what differs was damaged, or rewritten by a
          // program that does not know all keys.
          else if (this.#last !== undefined && !isSame(record, this.#last)) return this.#last
          return undefined
        }
        if (ownerAlive || record.status === 'stopped' || record.status === 'removing') verdict = 'taken'
        return undefined
      },
      signal,
    )
    const change = this.#unwritten
    if (verdict === 'ours' && change !== undefined) {
      // What was reported meanwhile says more.
      await this.#change((record, now) => (this.#unwritten === change ? change(record, now) : undefined), signal)
      if (this.#unwritten === change) this.#unwritten = undefined
    }
    return verdict
  }

  /** ToolHive rewrites the file without our keys: then the pid says whose it is. */
  #isOurs(record: StatusRecord): boolean {
    const owner = record.thv?.owner
    if (owner === undefined) return record.process_id === this.#self.pid
    return owner.pid === this.#self.pid && owner.started === this.#self.started
  }

  async #change(change: Change, signal: AbortSignal): Promise<void> {
    if (this.#relinquished) return
    await changeStatus(
      this.#deps,
      this.#name,
      ({ record }) => {
        // A damaged or lost file says nothing; what we know is the truth.
        const current = record ?? this.#last
        if (current === undefined || current.process_id !== this.#self.pid) return undefined
        const next = change(current, this.#deps.clock.now())
        // Here, under the lock: a look at the file that comes right after this write must not take it for damage.
        if (next !== undefined) this.#last = next
        return next
      },
      signal,
    )
  }
}

type Change = (record: StatusRecord, now: Date) => StatusRecord | undefined

/** What a predecessor left in the record is not true of its successor. */
function withoutPast(extension: StatusExtension): StatusExtension {
  const {
    server: _server,
    lanes: _lanes,
    isolation: _isolation,
    stop_deadline: _deadline,
    last_stderr: _stderr,
    error_code: _code,
    last_error: _error,
    probes: _probes,
    server_card: _card,
    ...kept
  } = extension
  return kept
}

/** Whether two records say the same; captured output may have been cut by limits. */
function isSame(left: StatusRecord, right: StatusRecord): boolean {
  return isDeepStrictEqual(comparable(left), comparable(right))
}

function comparable(record: StatusRecord): unknown {
  const { last_stderr: _stderr, ...extension } = record.thv ?? {}
  // Through JSON, as on disk: a key that is undefined is a key that is absent.
  return JSON.parse(JSON.stringify({ ...record, thv: extension }))
}
