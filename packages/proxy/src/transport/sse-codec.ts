/** One server-sent event. */
export interface SseEvent {
  /** Default `message`. */
  event?: string
  id?: string
  data: string
}

/** Whether a `Content-Type` is that of an event stream. */
export function isEventStream(type: string | undefined): boolean {
  return type !== undefined && /^text\/event-stream\s*(?:;|$)/i.test(type)
}

/** The text of one event. Every kind of line end in the data becomes a new `data` line. */
export function encodeSseEvent(event: SseEvent): string {
  const name = event.event === undefined ? '' : `event: ${oneLine(event.event)}\n`
  const id = event.id === undefined ? '' : `id: ${oneLine(event.id)}\n`
  const data = /[\r\n]/.test(event.data) ? event.data.split(/\r\n|\r|\n/).join('\ndata: ') : event.data
  return `${name}${id}data: ${data}\n\n`
}

/** The text of one JSON-RPC message, which is known to be one line. */
export function encodeSseMessage(line: string): string {
  return `event: message\ndata: ${line}\n\n`
}

/** A comment: keeps connections alive and is no event. */
export const sseKeepAlive = ': keep-alive\n\n'

/**
 * Reads events from text that arrives in pieces. Give it decoded text; it keeps
 * at most `limit` characters of an unfinished event and then throws a RangeError.
 */
export class SseParser {
  readonly #limit: number
  #rest = ''

  constructor(limit: number) {
    this.#limit = limit
  }

  /** The events that the next piece completes. */
  push(piece: string): SseEvent[] {
    let text = this.#rest + piece
    const events: SseEvent[] = []
    for (let end = endOfEvent.exec(text); end !== null; end = endOfEvent.exec(text)) {
      const event = readEvent(text.slice(0, end.index))
      if (event !== undefined) events.push(event)
      text = text.slice(end.index + end[0].length)
    }
    if (text.length > this.#limit) throw new RangeError(`an event is longer than ${this.#limit} characters`)
    this.#rest = text
    return events
  }
}

/** A blank line. A lone CR at the very end may be half of a CRLF, so it does not count yet. */
const endOfEvent = /\r\n(?:\r\n|\n|\r(?!$))|\n(?:\r\n|\n|\r(?!$))|\r(?:\r\n|\r(?!$))/

function readEvent(text: string): SseEvent | undefined {
  const data: string[] = []
  const event: SseEvent = { data: '' }
  for (const line of text.split(/\r\n|\r|\n/)) {
    const colon = line.indexOf(':')
    const field = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'data') data.push(value)
    else if (field === 'event') event.event = value
    else if (field === 'id') event.id = value
  }
  if (data.length === 0) return undefined
  event.data = data.join('\n')
  return event
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ')
}
