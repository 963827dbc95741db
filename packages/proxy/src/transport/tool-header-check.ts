import { setTimeout as delay } from 'node:timers/promises'
import type { WireError, WireErrorName } from '../errors.ts'
import type { ProxyLimits } from '../limits.ts'
import type { Envelope } from '../mcp/envelope.ts'
import { isRecord, param, parseText, type Message } from '../mcp/message.ts'
import { modernRevision } from '../mcp/revision.ts'
import { ToolHeaderIndex, type HeaderValues } from '../mcp/tool-headers.ts'
import type { ProxyLog } from '../proxy-config.ts'
import { adaptModernCall } from './call-adapters.ts'
import { Call, ignored, type CallSink } from './call.ts'
import { buildOwnRequest } from './server-handshake.ts'
import type { ServerLink } from './server-link.ts'

/** What a check of headers needs and reports. */
export interface ToolHeaderCheckDeps {
  readonly name: string
  readonly limits: ProxyLimits
  readonly log: ProxyLog
  readonly link: ServerLink
  /** The server answered as a Legacy server would. */
  contradicted(): void
}

/**
 * Whether the headers `Mcp-Param-*` of calls repeat their arguments, as the server's list
 * of tools wants it. The list is read before the first call, and again before the
 * first one after it may have changed. In between, what clients are listed is learned from.
 */
export class ToolHeaderCheck {
  readonly #deps: ToolHeaderCheckDeps
  #index: ToolHeaderIndex
  #isKnown = false
  /** How often the list may have changed: what was asked before says nothing about it. */
  #changes = 0
  #reading: Promise<void> | undefined

  constructor(deps: ToolHeaderCheckDeps) {
    this.#deps = deps
    this.#index = new ToolHeaderIndex(deps.limits.annotatedTools)
  }

  /** Whether a call can be judged now. */
  get isKnown(): boolean {
    // The next server may have other tools than the one that has gone.
    return this.#isKnown && this.#deps.link.handshake !== undefined
  }

  /** Why a `tools/call` is to be refused, by the server's own name of the tool; undefined when it is not. */
  refusalOf(call: Message, headers: HeaderValues): WireError | undefined {
    const found = this.#index.problemOf(String(param(call, 'name')), param(call, 'arguments'), headers)
    if (found === undefined) return undefined
    const { header, problem } = found
    return {
      name: 'header-mismatch',
      message: `Bad Request: headers and body disagree: ${problem}`,
      data: { mismatch: { header: header === '' ? '(missing)' : header.slice(0, quotedLength), body: problem } },
    }
  }

  /**
   * Calls back when the list was read; also when it could not be read within its limits, because
   * a server whose list is broken must not lose its calls. The returned function ends the wait.
   */
  whenKnown(known: () => void, refused: (error: WireError) => void): () => void {
    let isOver = false
    let leave: () => void = () => undefined
    const wait = (triesLeft: number): void => {
      leave = this.#deps.link.whenReady(() => void read(triesLeft), refused)
    }
    const read = async (triesLeft: number): Promise<void> => {
      this.#reading ??= this.#read().finally(() => (this.#reading = undefined))
      await this.#reading
      if (isOver) return
      // It changed meanwhile, or its server has gone.
      if (!this.isKnown && triesLeft > 0) return wait(triesLeft - 1)
      known()
    }
    wait(1)
    return () => {
      isOver = true
      leave()
    }
  }

  /** The sink for an answer to a client's `tools/list`, which is learned from on its way. */
  learning(sink: CallSink): CallSink {
    return {
      ...sink,
      response: (text, failed) => {
        const parsed = failed ? undefined : parseText(text)
        if (parsed?.kind === 'message') this.#index.learn(parsed.message)
        sink.response(text, failed)
      },
    }
  }

  /** Another server is there, or its tools are others. */
  forget(): void {
    this.#isKnown = false
    this.#changes += 1
  }

  /** Never rejects. */
  async #read(): Promise<void> {
    const { limits, log, name } = this.#deps
    const index = new ToolHeaderIndex(limits.annotatedTools)
    const before = this.#changes
    const stop = new AbortController()
    const outcome = await Promise.race([
      this.#readPages(index, stop.signal),
      delay(limits.toolListMs, 'late' as const, { signal: stop.signal }).catch(() => 'lost' as const),
    ])
    stop.abort()
    if (outcome === 'lost' || before !== this.#changes) return
    if (outcome !== 'read') {
      log('warn', 'Mcp-Param headers are not checked: the server gave no list of tools', { name, outcome })
    }
    this.#index = index
    this.#isKnown = true
  }

  async #readPages(index: ToolHeaderIndex, signal: AbortSignal): Promise<'read' | 'lost' | 'unusable'> {
    let cursor: unknown
    for (let page = 0; page < this.#deps.limits.toolPages && !signal.aborted; page += 1) {
      const answer = await this.#ask(cursor === undefined ? '{}' : JSON.stringify({ cursor }), signal)
      if (typeof answer === 'string') return answer
      const { result } = answer.value
      index.learn(answer)
      cursor = isRecord(result) ? result['nextCursor'] : undefined
      if (typeof cursor !== 'string') break
    }
    return 'read'
  }

  /** One page, or the server's error, or why there is neither. */
  #ask(paramsText: string, signal: AbortSignal): Promise<Message | 'lost' | 'unusable'> {
    const { link } = this.#deps
    return new Promise((resolve) => {
      const cancel = (): void => link.cancel(call, 'the list of tools came too late')
      const end = (answer: Message | 'lost' | 'unusable'): void => {
        signal.removeEventListener('abort', cancel)
        resolve(answer)
      }
      const call = new Call(buildOwnRequest('tools/list', paramsText), {
        ...ignored,
        response: (text) => {
          const parsed = parseText(text)
          end(parsed.kind === 'message' ? parsed.message : 'unusable')
        },
        refused: ({ name }) => end(passingRefusals.has(name) ? 'lost' : 'unusable'),
        cancelled: () => end('lost'),
      })
      call.adapt = adaptModernCall(nobody, () => this.#deps.contradicted())
      signal.addEventListener('abort', cancel, { once: true })
      link.send(call)
    })
  }
}

/** No client asks. */
const nobody: Envelope = { version: modernRevision, capabilitiesText: '{}' }

/** What may be otherwise the next time. */
const passingRefusals: ReadonlySet<WireErrorName> = new Set([
  'server-stopped',
  'server-absent',
  'server-busy',
  'backend-unreachable',
])

const quotedLength = 100
