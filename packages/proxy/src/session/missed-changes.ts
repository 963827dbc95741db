/**
 * Changes that a session could not be told, because no stream of it was open. Each
 * kind once, since a client that hears of a change reads the new state anyway.
 */
export class MissedChanges {
  readonly #lists = new Set<ListName>()
  /** Only what the session is subscribed to, so the limit on subscriptions is the limit here. */
  readonly #uris = new Set<string>()

  /** A list changed. */
  noteList(list: ListName): void {
    this.#lists.add(list)
  }

  /** A resource changed. */
  noteResource(uri: string): void {
    this.#uris.add(uri)
  }

  /** The session gave its subscription up. */
  forgetResource(uri: string): void {
    this.#uris.delete(uri)
  }

  /** The notifications to catch up with; then none is left. */
  take(): string[] {
    const texts = [...this.#lists].map(listChangedText)
    for (const uri of this.#uris) texts.push(resourceUpdatedText(uri))
    this.#lists.clear()
    this.#uris.clear()
    return texts
  }
}

/** A list that servers announce changes of. */
export type ListName = (typeof listNames)[number]

/** Every {@link ListName}. */
export const listNames = ['tools', 'prompts', 'resources'] as const

/** The method of the notification that a list changed. */
export function listChangedMethod(list: ListName): string {
  return `notifications/${list}/list_changed`
}

/** The notification that a list changed. */
export function listChangedText(list: ListName): string {
  return `{"jsonrpc":"2.0","method":"${listChangedMethod(list)}"}`
}

/** The notification that a resource changed. */
export function resourceUpdatedText(uri: string): string {
  return `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":${JSON.stringify({ uri })}}`
}
