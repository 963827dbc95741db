import type { HeldBytes } from '../held-bytes.ts'
import type { ProxyLimits } from '../limits.ts'
import { idKey, isRecord, param, paramText, type Message } from '../mcp/message.ts'
import { prepareRequest, readdressRequest, readdressResponse, replaceParam } from '../mcp/readdress.ts'
import type { ProxyLog } from '../proxy-config.ts'
import type { Sender } from './client-ways.ts'

/** What questions need to travel. */
export interface ClientQuestionsDeps {
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  readonly held: HeldBytes
  /** Sends a text to the client and tells by which way; undefined when there is none now. */
  reach(text: string, progressToken: unknown): Sender | undefined
  /** Writes a line to the server that asked. */
  reply(line: string): void
}

/** One request of the server that its client has not answered. */
interface Question {
  /** The id, and the progress token, on the client's side. */
  readonly hopId: number
  readonly line: string
  /** What it holds until it is over. */
  readonly bytes: number
  readonly request: Message
  /** JSON text of the server's progress token; empty without. */
  readonly tokenText: string
  /** How it went to the client; undefined while it waits for a way. */
  via: Sender | undefined
  timer: NodeJS.Timeout | undefined
}

/**
 * Requests of one server to the one client of its lane. The ids and progress
 * tokens that the client sees are minted here, so an answer can only ever reach
 * the question it was given to. Ids go on counting when the server is replaced, and
 * because they begin with the time of day, also when the proxy is.
 */
export class ClientQuestions {
  readonly #deps: ClientQuestionsDeps
  readonly #open = new Map<number, Question>()
  #lastId = Date.now()

  constructor(deps: ClientQuestionsDeps) {
    this.#deps = deps
  }

  /** Questions without an answer. */
  get size(): number {
    return this.#open.size
  }

  /** Whether the client has something to answer. */
  get isAsking(): boolean {
    return [...this.#open.values()].some(({ via }) => via !== undefined)
  }

  /** Takes a request of the server: to the client now, or as soon as there is a way to it. */
  ask(request: Message): void {
    const { openQuestions } = this.#deps.limits
    if (this.#open.size >= openQuestions) return this.#fail(request, `more than ${openQuestions} requests are open`)
    const prepared = prepareRequest(request)
    if (prepared === undefined) return this.#fail(request, 'the progress token is ambiguous')
    const hopId = this.#lastId + 1
    const line = readdressRequest(prepared, hopId)
    const bytes = Buffer.byteLength(line)
    if (!this.#deps.held.tryAdd(bytes)) return this.#fail(request, 'too much is waiting to be sent or read')
    this.#lastId = hopId
    const { tokenText } = prepared
    const question: Question = { hopId, request, line, bytes, tokenText, via: undefined, timer: undefined }
    this.#open.set(hopId, question)
    this.#deliver(question)
  }

  /** Takes a response of the client. */
  answer(response: Message): void {
    const id = response.value['id']
    const question = typeof id === 'number' ? this.#open.get(id) : undefined
    // What was not sent yet cannot have been answered; whoever tries is guessing ids.
    if (question?.via === undefined) {
      return this.#deps.log('debug', 'a client answered a request that nobody waits for', { id })
    }
    this.#forget(question)
    this.#deps.reply(readdressResponse(response, question.request.idText))
  }

  /** Takes a progress notification of the client. */
  progress(notification: Message): void {
    const token = param(notification, 'progressToken')
    const question = typeof token === 'number' ? this.#open.get(token) : undefined
    if (question?.via === undefined || question.tokenText === '') return
    question.timer?.refresh()
    const line = replaceParam(notification, 'progressToken', question.tokenText)
    if (line !== undefined) this.#deps.reply(line)
  }

  /** Takes the server's cancellation of one of its requests. */
  cancel(notification: Message): void {
    const idText = paramText(notification, 'requestId')
    if (idText === undefined) return
    const key = idKey(param(notification, 'requestId'), idText)
    const found = [...this.#open.values()].findLast(({ request }) => idKey(request.value['id'], request.idText) === key)
    if (found === undefined) return
    this.#forget(found)
    const text = replaceParam(notification, 'requestId', String(found.hopId))
    if (text !== undefined) this.#tell(found, text)
  }

  /** Sends what waited for a way to the client. */
  flush(): void {
    for (const question of this.#open.values()) if (question.via === undefined) this.#deliver(question)
  }

  /** Takes back every question: the server that asked is gone. */
  withdraw(reason: string): void {
    for (const question of this.#open.values()) {
      this.#forget(question)
      this.#tell(question, buildCancelled(question.hopId, reason))
    }
  }

  #deliver(question: Question): void {
    question.via = this.#deps.reach(question.line, progressTokenOf(question.request))
    if (question.via === undefined && question.timer !== undefined) return
    clearTimeout(question.timer)
    const { questionWaitMs, questionMs } = this.#deps.limits
    const isSent = question.via !== undefined
    const limitMs = isSent ? questionMs : questionWaitMs
    question.timer = setTimeout(() => this.#expire(question, limitMs), limitMs)
  }

  #expire(question: Question, limitMs: number): void {
    this.#forget(question)
    const seconds = limitMs / 1000
    if (question.via === undefined) {
      return this.#fail(question.request, `the client opened no stream to be asked on within ${seconds} s`)
    }
    const reason = `no answer within ${seconds} s`
    this.#tell(question, buildCancelled(question.hopId, reason))
    this.#fail(question.request, `the client gave ${reason}`)
  }

  #forget(question: Question): void {
    clearTimeout(question.timer)
    if (this.#open.delete(question.hopId)) this.#deps.held.remove(question.bytes)
  }

  #tell(question: Question, text: string): void {
    // The way of the question first: on another stream the cancellation could overtake it.
    if (question.via !== undefined && !question.via(text, true)) this.#deps.reach(text, undefined)
  }

  #fail(request: Message, why: string): void {
    this.#deps.log('warn', 'a request of the server did not reach its client', { method: request.method, reason: why })
    const error = JSON.stringify({ code: -32603, message: `The client cannot be asked: ${why}` })
    this.#deps.reply(`{"jsonrpc":"2.0","id":${request.idText},"error":${error}}`)
  }
}

function buildCancelled(hopId: number, reason: string): string {
  const params = JSON.stringify({ requestId: hopId, reason })
  return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":${params}}`
}

function progressTokenOf(request: Message): unknown {
  const meta = param(request, '_meta')
  return isRecord(meta) ? meta['progressToken'] : undefined
}
