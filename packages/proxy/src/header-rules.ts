/** What the proxy knows about the client's side of a request. */
export interface ClientFacts {
  readonly address: string
  /** Host header as received. */
  readonly host: string
  readonly scheme: 'http' | 'https'
}

/**
 * The headers of a request on its next hop, as a flat list of names and values
 * (RFC 9110, section 7.6.1). Hop-by-hop headers and those that `Connection`
 * names end here, `Host` becomes the backend's, and where the request came from
 * is said by us alone: what a client claims about that is dropped.
 */
export function buildRequestHeaders(raw: readonly string[], backendHost: string, client: ClientFacts): string[] {
  const dropped = connectionNames(raw)
  const kept: string[] = ['host', backendHost]
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = String(raw[index])
    const key = name.toLowerCase()
    if (hopByHop.has(key) || dropped.has(key) || key.startsWith('proxy-') || replaced.has(key)) continue
    kept.push(name, String(raw[index + 1]))
  }
  kept.push('x-forwarded-for', client.address, 'x-forwarded-host', client.host, 'x-forwarded-proto', client.scheme)
  return kept
}

/** The headers of a response on its way back to the client, without those that end here. */
export function buildResponseHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | string[]> {
  const named = new Set(splitNames(String(headers['connection'] ?? '')))
  const kept: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase()
    if (value === undefined || hopByHop.has(key) || named.has(key) || key.startsWith('proxy-')) continue
    kept[name] = value
  }
  return kept
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

const replaced: ReadonlySet<string> = new Set([
  'host',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-server',
  'x-real-ip',
])

/** A client must not make us drop what frames the message: that would be request smuggling. */
const framing: ReadonlySet<string> = new Set(['content-length', 'content-type'])

function connectionNames(raw: readonly string[]): Set<string> {
  const names = new Set<string>()
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (String(raw[index]).toLowerCase() !== 'connection') continue
    for (const name of splitNames(String(raw[index + 1]))) if (!framing.has(name)) names.add(name)
  }
  return names
}

function splitNames(value: string): string[] {
  return value
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
}
