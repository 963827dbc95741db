/** What the proxy knows about the client's side of a request. */
export interface ClientFacts {
  readonly address: string
  /** Host header as received. */
  readonly host: string
  readonly scheme: 'http' | 'https'
}

/** How a request's headers change on the way to the backend. */
export interface RequestHeaderOptions {
  /** Takes the place of `Host`. */
  readonly backendHost: string
  readonly client: ClientFacts
  /** A proxy of ours stands in front: what it says about the client is kept and added to. Default false. */
  readonly trustsForwarded?: boolean
  /**
   * Set for a server at a configured URL: it learns this scheme, and not by which name clients
   * reach us, by which some servers choose what they serve. Default: it learns both of clients.
   */
  readonly upstreamScheme?: 'http' | 'https' | undefined
  /** Lower-case names of headers that the caller drops or replaces. */
  readonly without?: ReadonlySet<string> | undefined
}

/**
 * The headers of a request on its next hop, as a flat list of names and values
 * (RFC 9110, section 7.6.1). Hop-by-hop headers and those that `Connection`
 * names end here, `Host` becomes the backend's, and where the request came from
 * is said by us: what a client claims about that is dropped unless trusted.
 */
export function buildRequestHeaders(raw: readonly string[], options: RequestHeaderOptions): string[] {
  const { client, trustsForwarded = false, upstreamScheme, without } = options
  const dropped = connectionNames(raw)
  const kept: string[] = ['host', options.backendHost]
  const claimed: Record<string, string> = {}
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    const key = name.toLowerCase()
    if (isHopByHop(key) || key === 'host' || without?.has(key) === true || dropped?.has(key) === true) continue
    if (!forwarding.has(key)) kept.push(name, value)
    else if (trustsForwarded) claimed[key] = claimed[key] === undefined ? value : `${claimed[key]}, ${value}`
  }
  const before = claimed['x-forwarded-for']
  claimed['x-forwarded-for'] = before === undefined ? client.address : `${before}, ${client.address}`
  if (upstreamScheme === undefined) {
    claimed['x-forwarded-host'] ??= client.host
    claimed['x-forwarded-proto'] ??= client.scheme
  } else {
    delete claimed['x-forwarded-host']
    claimed['x-forwarded-proto'] = upstreamScheme
  }
  for (const name of Object.keys(claimed)) kept.push(name, claimed[name] ?? '')
  return kept
}

/**
 * The headers of a response on its way back to the client, as a flat list,
 * without those that end here. Bytes are read as Latin-1, the way Node writes them.
 */
export function buildResponseHeaders(raw: readonly (Buffer | string)[], without?: ReadonlySet<string>): string[] {
  const flat = raw.map((piece) => (typeof piece === 'string' ? piece : piece.toString('latin1')))
  const dropped = connectionNames(flat)
  const kept: string[] = []
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = flat[index] ?? ''
    const key = name.toLowerCase()
    if (isHopByHop(key) || without?.has(key) === true || dropped?.has(key) === true) continue
    kept.push(name, flat[index + 1] ?? '')
  }
  return kept
}

/** The first value of a header in a flat list, by its lower-case name. */
export function valueOf(flat: readonly string[], name: string): string | undefined {
  for (let index = 0; index + 1 < flat.length; index += 2) {
    if (flat[index]?.length === name.length && flat[index]?.toLowerCase() === name) return flat[index + 1]
  }
  return undefined
}

const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'http2-settings',
])

const forwarding: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-server',
  'x-real-ip',
])

/** A peer must not make us drop what frames the message or names its session: that would be smuggling. */
const protectedNames: ReadonlySet<string> = new Set([
  'content-length',
  'content-type',
  'content-encoding',
  'mcp-session-id',
  'mcp-protocol-version',
  'authorization',
])

function isHopByHop(key: string): boolean {
  return hopByHop.has(key) || key.startsWith('proxy-')
}

function connectionNames(raw: readonly string[]): Set<string> | undefined {
  let names: Set<string> | undefined
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.length !== 10 || raw[index]?.toLowerCase() !== 'connection') continue
    const value = raw[index + 1] ?? ''
    if (value === 'keep-alive' || value === 'close') continue
    for (const part of value.split(',')) {
      const name = part.trim().toLowerCase()
      if (name !== '' && !protectedNames.has(name)) (names ??= new Set()).add(name)
    }
  }
  return names
}
