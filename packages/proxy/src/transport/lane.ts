import type { WireError } from '../errors.ts'
import type { ProxyLimits } from '../limits.ts'
import type { HeldBytes } from '../held-bytes.ts'
import { param, type Message } from '../mcp/message.ts'
import type { PreparedRequest } from '../mcp/readdress.ts'
import type { ProxyLog, ServerLane } from '../proxy-config.ts'
import { listChangedMethod, listNames } from '../session/missed-changes.ts'
import type { StoredSession } from '../session/session-records.ts'
import { Call, type CallLink, type CallSink } from './call.ts'
import { ClientQuestions } from './client-questions.ts'
import { sendFirst, waysForNotification, waysForQuestion, type LaneClient } from './client-ways.ts'
import { LaneError, toLaneError } from './lane-error.ts'
import { LaneMemory } from './lane-memory.ts'
import { raceAbort } from './race-abort.ts'
import { memoryError, stoppedError } from './call-errors.ts'
import { ServerConnection } from './server-connection.ts'
import { readHandshake } from './server-handshake.ts'
import { withTimeLimit } from './with-time-limit.ts'

/** What a lane needs and reports. */
export interface LaneDeps {
  readonly name: string
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  readonly held: HeldBytes
  /** Throws LaneError when there are too many. */
  readonly openServer: (signal: AbortSignal) => Promise<ServerLane>
  /** The lane was closed. */
  ended(): void
}

/** One process of the lane's server. */
interface Life {
  readonly connection: ServerConnection
  readonly server: ServerLane
  /** Whether the handshake is done. */
  isReady: boolean
}

/**
 * A server connection for one client that lets servers ask it something. The
 * process behind it ends when the client is idle and may crash; the next call
 * starts another one, with the same handshake, and the session never notices.
 */
export class Lane implements CallLink {
  readonly #deps: LaneDeps
  readonly #initialize: PreparedRequest
  readonly #questions: ClientQuestions
  readonly #memory: LaneMemory
  /** Calls that wait for a server, with the bytes they hold. */
  readonly #waiting = new Map<Call, number>()
  readonly #closed = new AbortController()
  #client: LaneClient | undefined
  #life: Life | undefined
  /** The end of the last process. */
  #ending: Promise<void> = Promise.resolve()
  #isReopening = false
  #crashTimes: number[] = []
  #lastBusyMs = Date.now()
  #idleTimer: NodeJS.Timeout | undefined

  constructor(initialize: PreparedRequest, deps: LaneDeps) {
    this.#deps = deps
    this.#initialize = initialize
    this.#memory = new LaneMemory(deps.limits.subscriptionsPerSession, deps.held)
    this.#questions = new ClientQuestions({
      ...deps,
      reach: (text, token) => sendFirst(waysForQuestion(this.#client, token), text),
      reply: (line) => void this.#life?.connection.notify(line),
    })
  }

  /** Calls sent or waiting. */
  get inFlight(): number {
    return this.#waiting.size + (this.#life?.connection.inFlight ?? 0)
  }

  /** For how long nobody has needed its process; undefined while somebody does, and without one. */
  get idleMs(): number | undefined {
    if (this.#life?.isReady !== true || this.#isNeeded()) return undefined
    return Date.now() - Math.max(this.#lastBusyMs, this.#client?.lastUsedMs ?? Infinity)
  }

  /** Ends the idle process; the next call starts another. Resolves when it has ended. */
  async rest(): Promise<void> {
    this.#endLife('its client was idle')
    await this.#ending
  }

  /**
   * Starts the first server and passes the client's `initialize` on. Resolves to the server's response.
   * @throws LaneError
   */
  async open(): Promise<{ text: string; protocolVersion: string }> {
    try {
      const { text } = await this.#start()
      return { text, protocolVersion: readHandshake(text).info.protocolVersion }
    } catch (error) {
      throw toLaneError(error, this.#deps.name)
    }
  }

  /** Says whose lane it is. Called once, when the session begins. */
  bind(client: LaneClient): void {
    this.#client = client
    this.#questions.flush()
    const lookEveryMs = Math.max(1, this.#deps.limits.laneIdleMs / 10)
    this.#idleTimer = setInterval(() => this.#lookIdle(), lookEveryMs).unref()
  }

  /** Takes over what the client brought about in an earlier life of the proxy. Called once, before it is bound. */
  adopt(stored: StoredSession): void {
    this.#memory.adopt(stored)
  }

  /** Sends a call now, or as soon as a server is there again. */
  send(call: Call): void {
    const { name, limits } = this.#deps
    if (this.#closed.signal.aborted) return call.refuse(stoppedError(name))
    if (this.#deps.held.isFull) return call.refuse(memoryError)
    this.#lastBusyMs = Date.now()
    if (this.#life?.isReady === true) {
      call.released = () => this.#noteUse()
      this.#life.connection.send(call)
      // The answer to this call can become a stream, which may be what a question waits for.
      return this.#questions.flush()
    }
    if (this.#waiting.size >= limits.waitingCalls) return call.refuse(absentError(name, 'too many calls wait for it'))
    const { bytes } = call
    if (!this.#deps.held.tryAdd(bytes)) return call.refuse(memoryError)
    this.#waiting.set(call, bytes)
    call.released = () => this.#drop(call)
    if (!this.#isReopening) void this.#reopen()
  }

  /** Ends a call without a response, and tells the server when it knows the call. */
  cancel(call: Call, reason: string | undefined): void {
    if (call.hopId === 0) call.abandon()
    else this.#life?.connection.cancel(call, reason)
  }

  /** Passes a notification of the client on. Without a server it would be about another process's life. */
  notify(line: string): void {
    if (this.#life?.isReady === true) this.#life.connection.notify(line)
  }

  /** Takes a response of the client, or a notification that is about the lane's own state. */
  take(message: Message): void {
    this.#lastBusyMs = Date.now()
    if (message.kind === 'response') return this.#questions.answer(message)
    if (message.method === 'notifications/progress') return this.#questions.progress(message)
    if (message.method === 'notifications/initialized') this.#memory.initialized(message)
    this.notify(message.text)
  }

  /** The sink for a request that changes the server's state, which is remembered. Undefined when it is too much. */
  watch(message: Message, sink: CallSink): CallSink | undefined {
    const uri = param(message, 'uri')
    if (message.method === 'resources/unsubscribe' && typeof uri === 'string') this.#client?.missed.forgetResource(uri)
    return this.#memory.watch(message, sink)
  }

  /** Resources the client wants to hear about. */
  subscribed(): Iterable<string> {
    return this.#memory.uris()
  }

  /** The client opened a stream: what waited for one goes out. */
  streamOpened(): void {
    this.#questions.flush()
  }

  /** Ends the lane with its session. The process ends in the background; the pool waits for it. */
  close(): void {
    if (this.#closed.signal.aborted) return
    this.#closed.abort(new LaneError(stoppedError(this.#deps.name)))
    clearInterval(this.#idleTimer)
    this.#endLife('the session ended')
    this.#refuseWaiting(absentError(this.#deps.name, 'the session ended'))
    this.#memory.clear()
    this.#deps.ended()
  }

  async #start(): Promise<{ life: Life; text: string }> {
    const { limits, openServer } = this.#deps
    const signal = withTimeLimit(this.#closed.signal, limits.laneOpenMs)
    // Two processes of one client could fight over what is its own, a file for example.
    await raceAbort(this.#ending, signal)
    const server = await openServer(signal)
    const connection: ServerConnection = new ServerConnection(server, {
      ...this.#deps,
      notified: (message) => this.#notified(message),
      asked: (request) => this.#questions.ask(request),
      isHeldUp: () => this.#questions.size > 0,
      lost: (reason) => this.#lose(life, reason),
    })
    const life: Life = { connection, server, isReady: false }
    this.#life = life
    void server.ended.then((reason) => this.#lose(life, reason))
    connection.open()
    try {
      const text = await raceAbort(this.#handshake(connection), signal)
      if (this.#life !== life) throw new LaneError(absentError(this.#deps.name, 'it stopped during the handshake'))
      life.isReady = true
      return { life, text }
    } catch (error) {
      if (this.#life === life) this.#endLife('the handshake failed')
      throw error
    }
  }

  /** Sends the client's `initialize` as the client wrote it, and resolves to the server's response. */
  #handshake(connection: ServerConnection): Promise<string> {
    const { name } = this.#deps
    return new Promise((resolve, reject) => {
      const sink: CallSink = {
        progress: () => undefined,
        related: () => false,
        response: (text, failed) => {
          if (!failed) return resolve(text)
          reject(new LaneError(absentError(name, 'it refused to initialize'), { responseText: text }))
        },
        // Whatever the words are for a call that ran: those that wait for this one did not.
        refused: () => reject(new LaneError(absentError(name, 'it did not answer initialize'))),
        cancelled: () => undefined,
      }
      // The time to open a lane bounds the wait.
      connection.send(new Call(this.#initialize, sink), Infinity)
    })
  }

  async #reopen(): Promise<void> {
    const { name, log } = this.#deps
    this.#isReopening = true
    try {
      this.#assertNoCrashLoop()
      const { life } = await this.#start()
      log('info', 'started the server of one client again', { name })
      this.#memory.restore(life.connection)
      for (const call of this.#waiting.keys()) {
        this.#drop(call)
        life.connection.send(call)
      }
    } catch (error) {
      const { wire } = toLaneError(error, name)
      // A place that is missing, or a pause after many crashes, says nothing about the server.
      if (wire.name === 'server-absent') this.#crashTimes.push(Date.now())
      log('warn', 'the server of one client could not be started again', { name, reason: wire.message })
      this.#refuseWaiting(wire)
    } finally {
      this.#isReopening = false
    }
  }

  #assertNoCrashLoop(): void {
    const { name, limits } = this.#deps
    const since = Date.now() - limits.laneCrashWindowMs
    this.#crashTimes = this.#crashTimes.filter((time) => time > since)
    const { length } = this.#crashTimes
    if (length < limits.laneCrashes) return
    const why = `it ended by itself ${length} times within ${limits.laneCrashWindowMs / 1000} s`
    throw new LaneError({ ...absentError(name, why), name: 'server-busy' })
  }

  #lose(life: Life, reason: string): void {
    if (this.#life !== life) return
    // A failed handshake is counted where it is waited for.
    if (life.isReady) {
      this.#crashTimes.push(Date.now())
      this.#deps.log('warn', 'the server of one client ended', { name: this.#deps.name, reason })
    }
    this.#endLife(reason)
  }

  #endLife(reason: string): void {
    const life = this.#life
    // First the questions: the calls they came with may be their only way to the client.
    this.#questions.withdraw(reason)
    this.#life = undefined
    life?.connection.close(reason)
    if (life !== undefined) this.#ending = life.server.close()
  }

  #lookIdle(): void {
    if (this.#isNeeded()) this.#noteUse()
    if (this.#life === undefined || Date.now() - this.#lastBusyMs < this.#deps.limits.laneIdleMs) return
    this.#deps.log('info', 'ended the idle server of one client', { name: this.#deps.name })
    void this.rest()
  }

  #isNeeded(): boolean {
    return this.#client?.stream?.isClosed === false || this.inFlight > 0 || this.#questions.isAsking
  }

  #noteUse(): void {
    this.#lastBusyMs = Date.now()
  }

  #notified(message: Message): void {
    if (message.method === 'notifications/cancelled') return this.#questions.cancel(message)
    if (sendFirst(waysForNotification(this.#client), message.text) === undefined) this.#noteMissed(message)
  }

  /** What the client is told when it opens a stream. */
  #noteMissed(message: Message): void {
    const list = listNames.find((name) => message.method === listChangedMethod(name))
    if (list !== undefined) this.#client?.missed.noteList(list)
    const uri = param(message, 'uri')
    if (message.method !== 'notifications/resources/updated' || typeof uri !== 'string') return
    if (this.#memory.isSubscribed(uri)) this.#client?.missed.noteResource(uri)
  }

  #refuseWaiting(error: WireError): void {
    for (const call of this.#waiting.keys()) call.refuse(error)
  }

  #drop(call: Call): void {
    this.#noteUse()
    const bytes = this.#waiting.get(call)
    if (bytes === undefined) return
    this.#waiting.delete(call)
    this.#deps.held.remove(bytes)
  }
}

function absentError(name: string, why: string): WireError {
  return {
    name: 'server-absent',
    message: `The client's own server "${name}" is not running: ${why}; the call was not sent`,
    data: { outcome: 'not-sent', backend: name },
  }
}
