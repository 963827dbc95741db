import type { ProxyLimits } from '../limits.ts'
import { envelopeMembers, metaOf, stripMeta, withoutEnvelope } from '../mcp/envelope.ts'
import { proxyIdentity } from '../mcp/identity.ts'
import { param, type Message } from '../mcp/message.ts'
import { metaKeys } from '../mcp/meta-keys.ts'
import { modernRevision } from '../mcp/revision.ts'
import { buildFilterText, parseListenFilter, type ListenFilter } from '../session/listen-filter.ts'
import { Call, ignored } from './call.ts'
import { buildOwnRequest } from './server-handshake.ts'
import type { ServerPeer } from './server-peer.ts'

/** What a listener needs and reports. */
export interface ServerListenDeps {
  readonly peer: ServerPeer
  readonly limits: ProxyLimits
  /** What is to be listened for at the moment. */
  filter(): ListenFilter
  /** The server ended a subscription by itself; what happened since is not known. */
  interrupted(): void
}

/** One `subscriptions/listen` under way. */
interface Subscription {
  readonly call: Call
  /** Called once, with what the server honours. */
  acknowledged: (honoured: ListenFilter | undefined) => void
}

/**
 * The one subscription of the proxy to the changes of a Modern server. A filter cannot
 * be changed, so a new subscription is opened, and the old one closed once the server has
 * acknowledged the new: nothing is missed in between.
 */
export class ServerListen {
  readonly #deps: ServerListenDeps
  #current: Subscription | undefined
  #next: Subscription | undefined
  #honoured: ListenFilter = nothing
  #isStale = false
  #running: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(deps: ServerListenDeps) {
    this.#deps = deps
  }

  /** Subscriptions that are open, each a call without an answer. */
  get open(): number {
    return (this.#current === undefined ? 0 : 1) + (this.#next === undefined ? 0 : 1)
  }

  /** Brings the subscription to the filter of now. Resolves to what the server honours; never rejects. */
  async update(): Promise<ListenFilter> {
    this.#isStale = true
    this.#running ??= this.#reopen().finally(() => {
      this.#running = undefined
    })
    await this.#running
    return this.#honoured
  }

  /** Takes a notification. Its text as clients may see it, or undefined when it is not about a subscription that counts. */
  hear(message: Message): string | undefined {
    const id = metaOf(message)?.[metaKeys.subscriptionId]
    const from = [this.#current, this.#next].find(
      (known) => known !== undefined && String(known.call.hopId) === String(id),
    )
    if (from === undefined) return undefined
    if (message.method !== 'notifications/subscriptions/acknowledged') {
      // While two are open, both tell the same.
      return from === (this.#current ?? this.#next) ? withoutEnvelope(message) : undefined
    }
    from.acknowledged(parseListenFilter(param(message, 'notifications')) ?? nothing)
    return undefined
  }

  /** Stops to care. The peer ends what is open. */
  close(): void {
    clearTimeout(this.#timer)
  }

  async #reopen(): Promise<void> {
    // Whatever asks for a change in the same turn is in the same filter.
    await Promise.resolve()
    while (this.#isStale) {
      this.#isStale = false
      const filter = this.#deps.filter()
      const old = this.#current
      const honoured = isEmpty(filter) ? nothing : await this.#open(filter)
      // A filter that is refused for one client's wish must not end what the others hear.
      if (honoured === undefined && this.#current !== undefined) continue
      this.#current = this.#next
      this.#next = undefined
      this.#honoured = honoured ?? nothing
      if (old !== undefined) this.#deps.peer.cancel(old.call, 'another subscription takes its place')
    }
  }

  #open(filter: ListenFilter): Promise<ListenFilter | undefined> {
    const { peer, limits } = this.#deps
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        peer.cancel(call, 'not acknowledged in time')
        this.#end(subscription)
      }, limits.requestTimeoutMs)
      const call = new Call(buildListen(filter), {
        ...ignored,
        response: () => this.#end(subscription, true),
        refused: () => this.#end(subscription),
      })
      const acknowledged = (honoured: ListenFilter | undefined): void => {
        clearTimeout(timer)
        resolve(honoured)
      }
      const subscription: Subscription = { call, acknowledged }
      this.#next = subscription
      peer.send(call, Infinity)
    })
  }

  #end(subscription: Subscription, isAnswered = false): void {
    const wasCurrent = this.#current === subscription
    if (wasCurrent) this.#current = undefined
    if (this.#next === subscription) this.#next = undefined
    subscription.acknowledged(undefined)
    // With nothing honoured there is nothing to wait for; a server that is gone is the link's matter.
    if (!wasCurrent || !isAnswered || isEmpty(this.#honoured)) return
    this.#timer = setTimeout(() => {
      void this.update().then(() => this.#deps.interrupted())
    }, this.#deps.limits.listenRetryMs).unref()
  }
}

const nothing: ListenFilter = { lists: [], uris: [] }

function isEmpty({ lists, uris }: ListenFilter): boolean {
  return lists.length === 0 && uris.length === 0
}

function buildListen(filter: ListenFilter): ReturnType<typeof buildOwnRequest> {
  const envelope = { version: modernRevision, capabilitiesText: '{}', clientInfo: proxyIdentity }
  const meta = stripMeta('{}', envelopeMembers(envelope))
  return buildOwnRequest('subscriptions/listen', `{"notifications":${buildFilterText(filter)},"_meta":${meta}}`)
}
