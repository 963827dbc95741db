import { withSubscriptionId } from '../mcp/envelope.ts'
import { buildResultText, parseText, type Message } from '../mcp/message.ts'
import { metaKeys } from '../mcp/meta-keys.ts'
import { buildFilterText, type ListenFilter } from '../session/listen-filter.ts'
import { listChangedText, MissedChanges, resourceUpdatedText, type ListName } from '../session/missed-changes.ts'
import type { Subscriber } from '../session/subscriptions.ts'

/** The way to the client of one `subscriptions/listen`. */
export interface ListenWay {
  send(text: string): void
  end(): void
}

/** One `subscriptions/listen` of a Modern client. */
export class Listen implements Subscriber {
  readonly subscriptions = new Set<string>()
  /** JSON text of the request's id, which is the id of the subscription. */
  readonly #idText: string
  readonly #way: ListenWay
  /** What changed before the client was told what it will hear of. */
  readonly #early = new MissedChanges()
  #honoured: ListenFilter | undefined

  constructor(idText: string, way: ListenWay) {
    this.#idText = idText
    this.#way = way
  }

  /** Says what is honoured, as the first message, and then what has changed meanwhile. */
  acknowledge(honoured: ListenFilter): void {
    this.#honoured = honoured
    const params = `{"notifications":${buildFilterText(honoured)},"_meta":{"${metaKeys.subscriptionId}":${this.#idText}}}`
    this.#way.send(`{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":${params}}`)
    for (const text of this.#early.take()) this.#tell(text)
  }

  /** A list changed. */
  listChanged(list: ListName, text: string): void {
    if (this.#honoured === undefined) this.#early.noteList(list)
    else this.#tell(text)
  }

  /** A resource changed that this client subscribed to. */
  resourceChanged(uri: string, text: string): void {
    if (this.#honoured === undefined) this.#early.noteResource(uri)
    else this.#tell(text)
  }

  /** Tells everything that was asked for once: nobody knows what has changed. */
  everythingChanged(): void {
    for (const list of this.#honoured?.lists ?? []) this.#tell(listChangedText(list))
    for (const uri of this.#honoured?.uris ?? []) this.#tell(resourceUpdatedText(uri))
  }

  /** Ends the subscription in good order. */
  end(serverInfoText: string): void {
    const serverInfo = serverInfoText === '' ? '' : `,"${metaKeys.serverInfo}":${serverInfoText}`
    const meta = `{"${metaKeys.subscriptionId}":${this.#idText}${serverInfo}}`
    this.#way.send(buildResultText(this.#idText, `{"resultType":"complete","_meta":${meta}}`))
    this.#way.end()
  }

  #tell(text: string): void {
    const parsed = parseText(text)
    if (parsed.kind !== 'message' || !this.#wants(parsed.message)) return
    this.#way.send(withSubscriptionId(parsed.message, this.#idText))
  }

  #wants({ method }: Message): boolean {
    if (method === 'notifications/resources/updated') return true
    return this.#honoured?.lists.some((list) => method === `notifications/${list}/list_changed`) === true
  }
}
