/** What the id of an event says about it. */
export interface EventId {
  /** Which life of the proxy gave it out. */
  readonly epoch: string
  /** `get`: a stream for what belongs to no request; `post`: the answer to requests; `end`: the last event of one. */
  readonly kind: 'get' | 'post' | 'end'
  /** The number of the stream in its session. */
  readonly stream: number
  /** The number of the event in its session. */
  readonly position: number
  /** JSON texts of the ids of the requests that the stream answers. */
  readonly waitsFor: readonly string[]
}

/**
 * The text of an event id. It says enough to answer whoever presents it after the
 * proxy that sent the event is gone.
 */
export function buildEventId({ epoch, kind, stream, position, waitsFor }: EventId): string {
  const head = `${epoch}-${letters[kind]}${stream}-${position}`
  return kind === 'post' ? `${head}-${encodeWaitsFor(waitsFor)}` : head
}

/** The requests of a stream as they stand in its event ids. */
export function encodeWaitsFor(idTexts: readonly string[]): string {
  return Buffer.from(idTexts.join('\n')).toString('base64url')
}

/** Reads an event id; undefined when it is none of ours. */
export function parseEventId(text: string): EventId | undefined {
  const match = /^([0-9a-f]{8})-([gpe])(\d{1,15})-(\d{1,15})(?:-([\w-]+))?$/.exec(text)
  if (match === null) return undefined
  const [, epoch = '', letter = '', stream = '', position = '', requests = ''] = match
  const kind = letter === 'g' ? 'get' : letter === 'p' ? 'post' : 'end'
  if ((kind === 'post') !== (requests !== '')) return undefined
  const waitsFor = requests === '' ? [] : Buffer.from(requests, 'base64url').toString('utf8').split('\n')
  return waitsFor.every(isIdText)
    ? { epoch, kind, stream: Number(stream), position: Number(position), waitsFor }
    : undefined
}

/** A client may present anything, and this becomes part of a message. */
function isIdText(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' || typeof value === 'number'
  } catch {
    return false
  }
}

const letters = { get: 'g', post: 'p', end: 'e' } as const
