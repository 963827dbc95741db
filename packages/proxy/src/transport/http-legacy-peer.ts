import type { WireError } from '../errors.ts'
import type { Call } from './call.ts'
import { tooLargeError } from './call-errors.ts'
import { cancelledText, Conversation } from './conversation.ts'
import { saysForgotten } from './forgotten-watch.ts'
import { HttpAnswer, type AnswerEnd } from './http-answer.ts'
import { HttpChannel, type HttpPeerOptions } from './http-channel.ts'
import { HttpEventStream } from './http-event-stream.ts'
import { forgottenError, lostError, refuseWithAnswer, takeAnswerText } from './http-outcome.ts'
import type { ServerPeer, ServerPeerDeps } from './server-peer.ts'
import { versionIn } from './session-revival.ts'

/**
 * One session with a server that speaks Streamable HTTP of the Legacy era. Each
 * text is a POST of its own; what belongs to no call comes on a stream that is
 * opened once the handshake is done. A session that the server has forgotten
 * ends the peer, because only a new handshake begins another one.
 */
export class HttpLegacyPeer implements ServerPeer {
  readonly #deps: ServerPeerDeps
  readonly #channel: HttpChannel
  readonly #conversation: Conversation
  /** What brings the answer of each call: its POST, or the stream that took over. */
  readonly #answers = new Map<Call, HttpAnswer | HttpEventStream>()
  #sessionId = ''
  #version = ''
  #stream: HttpEventStream | undefined
  /** Texts that must not reach the server before it knows that the handshake is done. */
  #introduction: { waiting: (() => void)[]; bytes: number } | undefined

  constructor(options: HttpPeerOptions, deps: ServerPeerDeps) {
    this.#deps = deps
    this.#channel = new HttpChannel(options, deps.limits)
    this.#conversation = new Conversation(deps, {
      carry: (text, call) => this.#carry(text, call),
      notify: (text) => this.notify(text),
      giveUp: (call, reason) => this.#giveUp(call, reason),
    })
  }

  /** Nothing to listen to yet: the server's stream is opened after the handshake. */
  open(): void {
    return
  }

  /** Calls without an answer. */
  get inFlight(): number {
    return this.#conversation.inFlight
  }

  /** Messages of the server so far. */
  get heard(): number {
    return this.#conversation.heard
  }

  /** Sends one call; see `ServerPeer.send`. */
  send(call: Call, timeoutMs?: number): void {
    this.#conversation.send(call, timeoutMs)
  }

  /** Posts one text that needs no answer. False when there was no room for it. */
  notify(line: string): boolean {
    if (this.#conversation.isClosed) return false
    if (!line.includes('"notifications/initialized"')) return this.#whenIntroduced(line, () => this.#tell(line))
    this.#introduce(line)
    return true
  }

  /** Tells the server about a client's cancellation, and ends the call without a response. */
  cancel(call: Call, reason: string | undefined): void {
    this.#conversation.cancel(call, reason)
  }

  /** Ends the session: every call in flight is refused, because it may have run. */
  close(reason: string): void {
    this.#end(reason, this.#sessionId !== '')
  }

  #carry(text: string, call: Call): boolean {
    return this.#whenIntroduced(text, () => this.#post(text, call))
  }

  /** A server that never answers to the end of the handshake must not hold up its calls for ever. */
  #introduce(text: string): void {
    const introduction: { waiting: (() => void)[]; bytes: number } = { waiting: [], bytes: 0 }
    const goOn = (): void => {
      clearTimeout(timer)
      if (this.#introduction === introduction) this.#introduction = undefined
      for (const send of introduction.waiting.splice(0)) send()
    }
    const timer = setTimeout(goOn, this.#deps.limits.revivalTimeoutMs)
    this.#introduction = introduction
    this.#tell(text, (isTaken) => {
      if (isTaken) this.#openStream()
      goOn()
    })
  }

  /** False when too much is on its way already. */
  #whenIntroduced(text: string, send: () => void): boolean {
    if (!this.#channel.hasRoomFor(text, this.#introduction?.bytes)) return false
    if (this.#introduction === undefined) send()
    else {
      this.#introduction.waiting.push(send)
      this.#introduction.bytes += Buffer.byteLength(text)
    }
    return true
  }

  #tell(text: string, done: (isTaken: boolean) => void = () => undefined): void {
    if (this.#conversation.isClosed) return
    this.#channel.post(text, this.#sessionHeaders(), {
      event: () => undefined,
      ended: (end, answer) => {
        if (this.#isForgotten(answer, end)) return this.#lose('the server has forgotten the session')
        const isTaken = answer.status >= 200 && answer.status < 300
        if (!isTaken) {
          const reason = end.kind === 'broken' ? end.reason : `HTTP ${answer.status}`
          this.#deps.log('debug', 'the server did not take a notification', { reason })
        }
        done(isTaken)
      },
    })
  }

  #post(text: string, call: Call): void {
    if (call.settled) return
    const answer = this.#channel.post(text, this.#sessionHeaders(), {
      head: () => {
        if (call.method === 'initialize') this.#sessionId = String(answer.headers['mcp-session-id'] ?? '')
      },
      event: (data) => this.#receive(data, call),
      ended: (end) => this.#ended({ call, text }, end, answer),
    })
    this.#answers.set(call, answer)
  }

  #receive(text: string, call: Call | undefined): void {
    if (call?.method === 'initialize') this.#version = versionIn(text) ?? this.#version
    takeAnswerText(this.#conversation, text, this.#deps)
    if (call?.settled === true) this.#leave(call)
  }

  #ended({ call, text }: { call: Call; text: string }, end: AnswerEnd, answer: HttpAnswer): void {
    this.#answers.delete(call)
    if (call.settled) return
    const { name, limits } = this.#deps
    const { status, lastId } = answer
    if (this.#isForgotten(answer, end)) {
      const isReturned = this.#conversation.giveBack(call, text)
      if (!isReturned) this.#conversation.refuse(call, forgottenError(name))
      this.#lose('the server has forgotten the session')
      if (isReturned) this.#deps.returned?.(call)
    } else if (end.kind === 'body') {
      this.#receive(end.text, call)
      if (!call.settled) refuseWithAnswer(this.#conversation, call, { name, status, text: end.text })
    } else if (end.kind === 'refused') this.#conversation.refuse(call, end.by.tell(name))
    else if (end.kind === 'too-large') this.#conversation.refuse(call, tooLargeError(limits.lineBytes))
    else if (lastId !== '') this.#resume(call, answer)
    else this.#conversation.refuse(call, lostError(name, end.kind === 'stream' || end.wasSent))
  }

  /** The server may end a connection before the answer is there, and go on with the stream on the next one. */
  #resume(call: Call, answer: HttpAnswer): void {
    const stream = new HttpEventStream(
      {
        channel: this.#channel,
        limits: this.#deps.limits,
        headers: () => this.#sessionHeaders(),
        event: (data) => this.#receive(data, call),
        ended: (why) => {
          this.#refuse(call, lostError(this.#deps.name, true))
          if (why === 'session-gone') this.#lose('the server has forgotten the session')
        },
      },
      answer,
    )
    this.#answers.set(call, stream)
    stream.reopen('quiet')
  }

  #openStream(): void {
    if (this.#conversation.isClosed) return
    this.#stream = new HttpEventStream({
      channel: this.#channel,
      limits: this.#deps.limits,
      headers: () => this.#sessionHeaders(),
      event: (data) => this.#receive(data, undefined),
      ended: (why, status) => {
        if (why === 'session-gone' && this.#sessionId !== '') return this.#lose('the server has forgotten the session')
        if (why === 'broken') return this.#lose('the event stream of the server could not be opened again')
        // 405 says that there is no stream; whatever else it is, asking again would not help.
        this.#deps.log(status === 405 ? 'debug' : 'warn', 'the server offers no event stream', { why, status })
      },
    })
    this.#stream.open()
  }

  #refuse(call: Call, error: WireError): void {
    this.#release(call)
    this.#conversation.refuse(call, error)
  }

  /** A server that was told so answers nothing any more, so its answer is not waited for. */
  #giveUp(call: Call, reason: string | undefined): void {
    const text = cancelledText(call, reason)
    // Where even that has no room, the end of the request is all that is left to say.
    if (!this.#whenIntroduced(text, () => this.#tell(text, () => this.#release(call)))) this.#release(call)
  }

  #release(call: Call): void {
    const answer = this.#answers.get(call)
    this.#answers.delete(call)
    if (answer instanceof HttpEventStream) answer.close()
    else if (answer !== undefined) this.#channel.abort(answer)
  }

  /** The answer is there, and the server is about to end its stream. */
  #leave(call: Call): void {
    const answer = this.#answers.get(call)
    if (answer instanceof HttpAnswer) this.#channel.leave(answer)
    else this.#release(call)
  }

  #isForgotten({ status }: HttpAnswer, end: AnswerEnd): boolean {
    if (this.#sessionId === '') return false
    return status === 404 || (status === 400 && end.kind === 'body' && saysForgotten(end.text))
  }

  #lose(reason: string): void {
    if (this.#conversation.isClosed) return
    this.#deps.lost(reason)
    this.#end(reason, false)
  }

  #end(reason: string, mayTell: boolean): void {
    if (!this.#conversation.close(reason)) return
    this.#stream?.close()
    for (const call of this.#answers.keys()) this.#release(call)
    this.#channel.close()
    if (mayTell) this.#channel.endSession(this.#sessionHeaders())
  }

  #sessionHeaders(): string[] {
    const headers = this.#sessionId === '' ? [] : ['mcp-session-id', this.#sessionId]
    return this.#version === '' ? headers : [...headers, 'mcp-protocol-version', this.#version]
  }
}
