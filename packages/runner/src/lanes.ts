import { limits, messageOf, ThvError, type Clock, type Deployment, type WorkloadRuntime } from '@thv/core'
import type { ServerLane } from '@thv/proxy'
import { describeExit } from './describe-exit.ts'
import { runnerLimits } from './limits.ts'
import { logFieldsOf } from './log-fields.ts'
import type { Log } from './log.ts'
import type { ServerCommand } from './server-command.ts'
import type { StatusReporter } from './status-reporter.ts'

/** What lanes need. */
export interface LanesDeps {
  runtime: Pick<WorkloadRuntime, 'deploy'>
  clock: Clock
  writeServerLine: (line: string) => void
  log: Log
}

/**
 * The further processes of a workload's server, one for each client that servers
 * may ask something. Each is guarded like the first one, and named in the status.
 */
export class Lanes {
  readonly #deps: LanesDeps
  readonly #reporter: Pick<StatusReporter, 'recordLanes'>
  readonly #living = new Set<Deployment>()
  readonly #starting = new Set<Promise<Deployment>>()
  #command: ServerCommand | undefined
  /** By the monotonic clock; undefined until the workload ends. */
  #deadlineMs: number | undefined
  #isEnding = false
  #writing: Promise<void> = Promise.resolve()
  #written = '[]'

  constructor(deps: LanesDeps, reporter: Pick<StatusReporter, 'recordLanes'>) {
    this.#deps = deps
    this.#reporter = reporter
  }

  /** Whether the end of the workload was announced. */
  get isEnding(): boolean {
    return this.#isEnding
  }

  /** Says what to start. Before that, nothing can be opened. */
  use(command: ServerCommand): void {
    this.#command = command
  }

  /** Starts one more process of the server. */
  async open(signal: AbortSignal): Promise<ServerLane> {
    if (this.#command === undefined) throw unavailable('the workload is not ready yet')
    if (this.#isEnding) throw unavailable('the workload ends')
    const { runtime, writeServerLine, log } = this.#deps
    const starting = runtime.deploy({ ...this.#command, onOutput: writeServerLine }, signal)
    this.#starting.add(starting)
    let deployment: Deployment
    try {
      deployment = await starting
      this.#living.add(deployment)
    } finally {
      this.#starting.delete(starting)
    }
    const { stdio } = deployment
    if (stdio === undefined) throw new ThvError('internal', 'the runtime gave no pipe to a stdio server')
    log('info', 'started a server for one client', logFieldsOf(deployment.server))
    const ended = this.#follow(deployment)
    await this.#record()
    return { ...stdio, ended, close: async () => await this.#end(deployment) }
  }

  /** The workload ends: from now on every process gets at most this long. */
  limit(withinMs: number): void {
    this.#isEnding = true
    this.#deadlineMs = this.#deps.clock.monotonicMs() + withinMs
  }

  /** Ends all processes, in parallel and within the limit. */
  async close(): Promise<void> {
    this.#isEnding = true
    // One that is just being started would be missed otherwise.
    await Promise.allSettled(this.#starting)
    await Promise.allSettled([...this.#living].map(async (deployment) => await this.#end(deployment)))
    await this.#writing
  }

  async #end(deployment: Deployment): Promise<void> {
    const now = this.#deps.clock.monotonicMs()
    const leftMs = this.#deadlineMs === undefined ? runnerLimits.laneStopMs : this.#deadlineMs - now
    await deployment.stop(Math.max(0, Math.min(leftMs, runnerLimits.laneStopMs)))
    await deployment.exited
  }

  async #follow(deployment: Deployment): Promise<string> {
    const exit = await deployment.exited
    this.#living.delete(deployment)
    this.#deps.log('info', 'the server of one client has ended', logFieldsOf(deployment.server))
    void this.#record()
    return describeExit(exit)
  }

  #record(): Promise<void> {
    this.#writing = this.#write(this.#writing)
    return this.#writing
  }

  /** One write at a time, and each writes what is true when its turn comes. */
  async #write(before: Promise<void>): Promise<void> {
    await before
    const servers = [...this.#living].slice(0, limits.laneRecords).map((deployment) => deployment.server)
    const text = JSON.stringify(servers)
    if (text === this.#written) return
    try {
      await this.#reporter.recordLanes(servers, AbortSignal.timeout(runnerLimits.finalWriteMs))
      this.#written = text
    } catch (error) {
      // The guard of each process still ends it with this one; the record is the second net.
      this.#deps.log('warn', 'the servers of single clients could not be recorded', { error: messageOf(error) })
    }
  }
}

function unavailable(why: string): ThvError {
  return new ThvError('workload-busy', why, { hint: 'try again in a moment' })
}
