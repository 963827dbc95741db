import type { WireError } from '../errors.ts'
import type { ProxyLimits } from '../limits.ts'
import { declaresAskableFeature, unaskableCapabilities } from '../mcp/client-features.ts'
import { buildResultText, param, type Message } from '../mcp/message.ts'
import { applySplices, findValue } from '../mcp/raw-message.ts'
import { prepareRequest } from '../mcp/readdress.ts'
import { negotiateRevision, newestRevision, type Era } from '../mcp/revision.ts'
import type { ProxyLog } from '../proxy-config.ts'
import type { BridgeArchive } from '../session/bridge-archive.ts'
import { announcedLists } from '../session/session-records.ts'
import type { SessionTable } from '../session/session-table.ts'
import type { Session } from '../session/session.ts'
import { invalidError } from './call-errors.ts'
import { toLaneError } from './lane-error.ts'
import type { LanePool } from './lane-pool.ts'
import type { Lane } from './lane.ts'
import { withServedRevision, type Handshake } from './server-handshake.ts'
import type { SharedServer } from './shared-server.ts'

/** Answers to `initialize`: either all of the first two, or one of the others. */
export interface InitializeSink {
  /** Returns the session that begins; undefined when its client has left or there is no room for it. */
  begin(protocolVersion: string): Session | undefined
  /** Called after `begin` returned a session, which by now is written down. */
  accepted(text: string, session: Session): void
  /** The client's own server said no, in these words. */
  rejected(text: string): void
  refused(error: WireError): void
}

/** What the sessions of a bridge live on. */
export interface BridgeSessionsParts {
  readonly name: string
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  /** How the server is to be spoken to; `auto`: what it answers decides. */
  readonly era: Era | 'auto'
  /** Where they are found by id; its `wake` leads to {@link BridgeSessions.wake}. */
  readonly table: SessionTable
  /** Undefined: none of them outlives the proxy. */
  readonly archive: BridgeArchive | undefined
  readonly shared: SharedServer
  readonly lanes: LanePool
}

/** The answer to an `initialize` that begins nothing. */
interface SessionlessSink {
  accepted(text: string): void
  refused(error: WireError): void
}

/** A lane, and what its client asked it for. */
interface OwnServer {
  readonly lane: Lane
  readonly initialize: Message
}

/** The life of the client sessions of a bridge, from `initialize` to their end. */
export class BridgeSessions {
  /** The sessions of the moment. */
  readonly table: SessionTable
  readonly #parts: BridgeSessionsParts

  constructor(parts: BridgeSessionsParts) {
    this.#parts = parts
    this.table = parts.table
  }

  /** A new session on the shared server. The longest idle one makes room for it; undefined when all are busy. */
  open(): Session | undefined {
    return this.#place()
  }

  /** Ends a session and takes back what it had asked the server for. */
  end(session: Session): void {
    if (!this.table.delete(session)) return
    this.#parts.archive?.end(session)
    session.stream?.end()
    session.events?.close()
    // A lane refuses what waits for it; it is left with nothing to abandon.
    session.lane?.close()
    for (const call of session.calls.values()) call.abandon()
    this.#parts.shared.state.release(session)
  }

  /** Ends the sessions that were idle for too long. */
  sweep(): void {
    for (const session of this.table.idle()) this.end(session)
    const now = Date.now()
    for (const session of this.table.values()) session.events?.prune(now)
    this.#parts.archive?.sweep(this.table.values())
  }

  /**
   * Answers a client's `initialize` from the server's own answer, or from that of a
   * server of its own. The returned function ends the wait of a client that left.
   */
  initialize(message: Message, sink: InitializeSink): () => void {
    const { lanes, limits, shared } = this.#parts
    if (lanes.isAvailable && declaresAskableFeature(message)) {
      const era = shared.era ?? this.#parts.era
      if (era === 'auto') return this.#initializeLater(message, sink)
      // A Modern server asks nobody, so a process for one client would be of no use.
      if (era === 'legacy') return this.#initializeLane(message, sink)
    }
    return shared.link.whenReady(
      (handshake) => {
        const { version, text } = answerInitialize(message, handshake)
        const session = sink.begin(version)
        if (session === undefined) return
        session.capabilitiesText = unaskableCapabilities(message, limits.capabilitiesBytes)
        this.#begin(session, { sink, text })
      },
      (error) => sink.refused(error),
      Buffer.byteLength(message.text),
    )
  }

  /**
   * Answers the `initialize` of a client that gets no session. Nothing of it is kept, so the client
   * shares the server whatever it declares. The returned function ends the wait of a client that left.
   */
  initializeSessionless(message: Message, sink: SessionlessSink): () => void {
    return this.#parts.shared.link.whenReady(
      (handshake) => sink.accepted(answerInitialize(message, handshake).text),
      (error) => sink.refused(error),
    )
  }

  /** The session of an earlier life of the proxy goes on; its server is opened with its next call. */
  wake(id: string): Session | undefined {
    const { archive, lanes, log, shared } = this.#parts
    const stored = archive?.wake(id)
    if (stored === undefined) return undefined
    const initialize = stored.initialize === undefined ? undefined : prepareRequest(stored.initialize)
    const session = this.#place(id)
    if (session === undefined) return undefined
    log('info', 'a session of an earlier life of the proxy goes on', { sessions: this.table.size })
    const { protocolVersion, lists, capabilitiesText } = stored
    Object.assign(session, { protocolVersion, lists, capabilitiesText, wasUsed: true })
    const lane = initialize !== undefined && lanes.isAvailable ? lanes.create(initialize) : undefined
    lane?.adopt(stored)
    this.#bind(session, lane)
    session.logLevel = lane === undefined ? stored.logLevel : undefined
    if (lane === undefined) shared.state.adopt(session, stored.uris)
    this.noteEverything(session)
    return session
  }

  /** Has a session told that everything may have changed: what it was sent is not known. */
  noteEverything(session: Session): void {
    for (const list of session.lists) session.missed.noteList(list)
    for (const uri of session.lane?.subscribed() ?? session.subscriptions) session.missed.noteResource(uri)
  }

  /** Before the first server was attached nobody knows its era. */
  #initializeLater(message: Message, sink: InitializeSink): () => void {
    let leave: (() => void) | undefined
    const unwait = this.#parts.shared.link.whenReady(
      () => {
        leave = this.initialize(message, sink)
      },
      (error) => sink.refused(error),
      Buffer.byteLength(message.text),
    )
    return () => {
      unwait()
      leave?.()
    }
  }

  #initializeLane(message: Message, sink: InitializeSink): () => void {
    const served = withServedRevision(message)
    const initialize = prepareRequest(served)
    if (initialize === undefined) {
      sink.refused(invalidError('the progress token is ambiguous'))
      return () => undefined
    }
    const lane = this.#parts.lanes.create(initialize)
    const wait = { isOver: false }
    void this.#openLane({ lane, initialize: served }, wait, sink)
    return () => {
      if (wait.isOver) return
      wait.isOver = true
      lane.close()
    }
  }

  async #openLane(own: OwnServer, wait: { isOver: boolean }, sink: InitializeSink): Promise<void> {
    const { lane } = own
    try {
      const { text, protocolVersion } = await lane.open()
      if (wait.isOver) return
      wait.isOver = true
      const session = sink.begin(protocolVersion)
      if (session === undefined) lane.close()
      else this.#begin(session, { sink, text, own })
    } catch (error) {
      if (wait.isOver) return
      wait.isOver = true
      lane.close()
      const { message, wire, responseText } = toLaneError(error, this.#parts.name)
      this.#parts.log('warn', 'a client got no server of its own', { reason: message })
      if (responseText === undefined) sink.refused(wire)
      else sink.rejected(responseText)
    }
  }

  #begin(session: Session, answer: { sink: InitializeSink; text: string; own?: OwnServer }): void {
    const { sink, text, own } = answer
    session.lists = announcedLists(text)
    this.#parts.archive?.begin(session, own?.initialize)
    sink.accepted(text, session)
    this.#bind(session, own?.lane)
  }

  #place(id?: string): Session | undefined {
    const { log, shared } = this.#parts
    const created = this.table.create(shared.link, id)
    if (created !== undefined) return created
    const given = this.table.mostIdle()
    if (given === undefined) return undefined
    log('debug', 'ended the longest idle session to make room for a new one')
    this.end(given)
    return this.table.create(shared.link, id)
  }

  /** Over the old SSE transport a client may initialize again, with other capabilities. */
  #bind(session: Session, lane: Lane | undefined): void {
    if (session.lane !== lane) session.lane?.close()
    session.lane = lane
    session.link = lane ?? this.#parts.shared.link
    lane?.bind(session)
  }
}

/** The server's own answer, with the version and the id of this client. */
function answerInitialize(message: Message, { era, info, resultText }: Handshake): { version: string; text: string } {
  const served = era === 'modern' ? newestRevision : info.protocolVersion
  const version = negotiateRevision(param(message, 'protocolVersion'), served)
  const span = findValue(resultText, 0, ['protocolVersion'])
  const result =
    span === undefined ? resultText : applySplices(resultText, [{ ...span, text: JSON.stringify(version) }])
  return { version, text: buildResultText(message.idText, result) }
}
