import { ProxyError, type WireError } from '../errors.ts'
import type { HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import type { Era } from '../mcp/revision.ts'
import type { ProxyLog, ServerLane } from '../proxy-config.ts'
import { SessionTable } from '../session/session-table.ts'
import { memoryError } from './call-errors.ts'
import { raceAbort } from './race-abort.ts'
import { ServerConnection } from './server-connection.ts'
import { SharedServer } from './shared-server.ts'
import { withTimeLimit } from './with-time-limit.ts'

/** What the process of the Modern clients needs. */
export interface ModernProcessDeps {
  readonly name: string
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  readonly held: HeldBytes
  /** The server of the Legacy clients, which serves Modern ones by translation. */
  readonly shared: SharedServer
  /** Starts one more process of the server. Undefined: there are none, and nobody is asked. */
  readonly openServer: ((signal: AbortSignal) => Promise<ServerLane>) | undefined
}

/**
 * The server of Modern clients. A server that speaks both eras pins each process to the one
 * it hears first, so a second process is asked whether it is Modern, when the first Modern
 * client comes; the process of the Legacy clients never sees that question. If it is, that
 * process serves all Modern clients, ends when it is idle, and is started again when it is
 * needed. If not, it is ended, and Modern clients are served by translation.
 */
export class ModernProcess {
  readonly #deps: ModernProcessDeps
  readonly #own: SharedServer
  readonly #closed = new AbortController()
  #verdict: { era: Era; untilMs: number } | undefined
  #process: ServerLane | undefined
  #opening: Promise<void> | undefined
  /** Requests that wait for it. */
  #waiting = 0
  /** The end of the last process. */
  #ending: Promise<void> = Promise.resolve()
  #failureTimes: number[] = []
  #lastBusyMs = 0
  #idleTimer: NodeJS.Timeout | undefined

  constructor(deps: ModernProcessDeps) {
    this.#deps = deps
    this.#own = new SharedServer({
      ...deps,
      sessions: new SessionTable({ maximum: 0, ttlMs: 0, unusedTtlMs: 0 }),
      notified: () => undefined,
      replaced: () => undefined,
      contradicted: () => this.#judge('legacy'),
    })
  }

  /** Calls sent or waiting. */
  get inFlight(): number {
    return this.#own.inFlight
  }

  /**
   * Calls back with the server for a Modern client, as soon as it is known, or with why its request
   * of so many bytes may not wait for that. The returned function ends the wait.
   */
  choose(chosen: (server: SharedServer) => void, refused: (error: WireError) => void, bytes: number): () => void {
    if (!this.#mayOpen()) {
      chosen(this.#current())
      return () => undefined
    }
    const opening = this.#reopen()
    const { held, limits } = this.#deps
    if (this.#waiting >= limits.waitingCalls || !held.tryAdd(bytes)) {
      refused(memoryError)
      return () => undefined
    }
    this.#waiting += 1
    let isWaiting = true
    const leave = (): boolean => {
      if (!isWaiting) return false
      isWaiting = false
      this.#waiting -= 1
      held.remove(bytes)
      return true
    }
    const tell = (): void => {
      if (leave()) chosen(this.#current())
    }
    // It never rejects.
    void opening.then(tell)
    return () => void leave()
  }

  /** Another process of the server serves Legacy clients, which may be of another version. */
  forgetVerdict(): void {
    this.#verdict = undefined
  }

  /** Ends the subscriptions on it in good order. */
  endListens(): void {
    this.#own.endListens()
  }

  /** Refuses everything in flight, and ends the process in the background. */
  close(): void {
    this.#closed.abort(new ProxyError('closed', 'the proxy is closing'))
    this.#end('the proxy is closing')
    this.#own.link.close()
  }

  /** A process that turned out not to be Modern gets no more calls, though it may still have some to answer. */
  #current(): SharedServer {
    return this.#isOpen() && this.#known() !== 'legacy' ? this.#own : this.#deps.shared
  }

  #isOpen(): boolean {
    return this.#own.link.handshake !== undefined
  }

  /** Whether a process is to be started now, to ask it or to have it serve. */
  #mayOpen(): boolean {
    const { openServer, shared, limits } = this.#deps
    this.#lastBusyMs = Date.now()
    if (openServer === undefined || this.#closed.signal.aborted) return false
    if (this.#opening !== undefined) return true
    if (this.#isOpen() || shared.link.handshake?.era !== 'legacy') return false
    if (this.#known() === 'legacy') return false
    const since = Date.now() - limits.laneCrashWindowMs
    this.#failureTimes = this.#failureTimes.filter((time) => time > since)
    return this.#failureTimes.length < limits.laneCrashes
  }

  #known(): Era | undefined {
    return this.#verdict !== undefined && Date.now() < this.#verdict.untilMs ? this.#verdict.era : undefined
  }

  #judge(era: Era): void {
    this.#verdict = { era, untilMs: Date.now() + this.#deps.limits.eraVerdictMs }
  }

  /** Starts a process, once for all who wait. Never rejects. */
  #reopen(): Promise<void> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  /** Starts a process and asks it. Never rejects. */
  async #open(): Promise<void> {
    const { name, limits, log, openServer } = this.#deps
    if (openServer === undefined) return
    const signal = withTimeLimit(this.#closed.signal, limits.laneOpenMs)
    try {
      // Two processes at once could fight over what is the server's own, a file for example.
      await raceAbort(this.#ending, signal)
      await this.#ask(await openServer(signal), signal)
      log('info', 'a second process of the server serves Modern clients', { name })
    } catch (error) {
      if (this.#closed.signal.aborted) return
      this.#failureTimes.push(Date.now())
      log('info', 'Modern clients are served by translation', { name, reason: String(error) })
    }
  }

  /** A known Modern server may take its time to start; one that is asked for the first time may be silent for ever. */
  async #ask(process: ServerLane, signal: AbortSignal): Promise<void> {
    const { limits } = this.#deps
    const timeoutMs = this.#known() === 'modern' ? limits.attachTimeoutMs : limits.eraProbeMs
    this.#process = process
    const probe = new AbortController()
    const timer = setTimeout(() => probe.abort(new Error('silence')), timeoutMs)
    try {
      const both = AbortSignal.any([signal, probe.signal])
      const { lost } = await this.#own.link.attach((deps) => new ServerConnection(process, deps), 'modern', both)
      this.#judge('modern')
      this.#lastBusyMs = Date.now()
      const lookEveryMs = Math.max(1, limits.laneIdleMs / 10)
      this.#idleTimer = setInterval(() => this.#lookIdle(), lookEveryMs).unref()
      void Promise.race([lost, process.ended]).then((reason) => this.#lose(process, reason))
    } catch (error) {
      // Whatever went wrong: a process that does not say that it is Modern is not. One that was, may be again.
      if (this.#known() !== 'modern' && !signal.aborted) this.#judge('legacy')
      this.#end('it is not Modern')
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  #lose(process: ServerLane, reason: string): void {
    if (this.#process !== process) return
    this.#failureTimes.push(Date.now())
    this.#deps.log('warn', 'the process of the Modern clients ended', { name: this.#deps.name, reason })
    const { isListening } = this.#own
    this.#end(reason)
    // Who listens sends nothing that could start it again.
    if (isListening && this.#mayOpen()) void this.#reopen()
  }

  #lookIdle(): void {
    const isRetired = this.#known() === 'legacy'
    if (this.#own.isInUse) this.#lastBusyMs = Date.now()
    else if (isRetired || Date.now() - this.#lastBusyMs >= this.#deps.limits.laneIdleMs) this.#end('nobody used it')
  }

  #end(reason: string): void {
    clearInterval(this.#idleTimer)
    const process = this.#process
    this.#process = undefined
    this.#own.link.detach(reason)
    if (process !== undefined) this.#ending = process.close()
  }
}
